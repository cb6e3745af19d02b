//! Cases: a user, a statement, and what must come of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use arrow::array::{Array as _, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt as _;
use lakeward_policy::document::Diagnostics;
use lakeward_scheduler::coordinator::{Coordinator, CoordinatorParts};
use lakeward_scheduler::error::QueryError;
use lakeward_scheduler::session::{ClientInfo, Outcome, Protocol};
use serde::Deserialize;

use super::lake::PolicyLake;
use crate::commands::audit::policy_test_trail;
use crate::service::parts;

/// Rows that a case may give; what people check by hand is far less.
const MOST_ROWS: usize = 100_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    version: u32,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    user: String,
    query: String,
    expect: Expected,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    rows: Option<usize>,
    columns: Option<Vec<String>>,
    values: Option<Vec<Vec<Option<String>>>>,
    denied: Option<String>,
}

/// What a statement gave.
#[derive(Debug)]
struct Given {
    columns: Vec<String>,
    values: Vec<Vec<Option<String>>>,
}

/// Runs every case of `files` and prints a line each.
pub(super) async fn run(config: &Path, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut cases = Vec::new();
    for file in files {
        cases.extend(read(file)?);
    }
    let runner = Runner::start(PolicyLake::open(config).await?).await?;
    let mut failed = 0;
    for case in &cases {
        match problem(case, runner.outcome(case).await?) {
            None => println!("ok      {}", case.name),
            Some(why) => {
                failed += 1;
                println!("FAILED  {}: {why}", case.name);
            }
        }
    }
    // What was read is written down before the results count.
    runner.coordinator.audit().close().await?;
    println!("{} of {} cases hold", cases.len() - failed, cases.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &Path) -> Result<Vec<Case>, Diagnostics> {
    let complain = |message: String| Diagnostics::file(file, message);
    let text = std::fs::read_to_string(file).map_err(|error| complain(format!("cannot be read: {error}")))?;
    let parsed: CaseFile = serde_saphyr::from_str(&text)
        .map_err(|error| complain(lakeward_policy::document::first_line(&error.to_string())))?;
    if parsed.version != 1 {
        return Err(complain(format!("version {} is not known; expected 1", parsed.version)));
    }
    for case in &parsed.cases {
        let Expected { rows, columns, values, denied } = &case.expect;
        let of_rows = rows.is_some() || columns.is_some() || values.is_some();
        if of_rows == denied.is_some() {
            let why = "expects either `denied`, or some of `rows`, `columns`, `values`";
            return Err(complain(format!("case `{}` {why}", case.name)));
        }
    }
    Ok(parsed.cases)
}

/// A coordinator of this process. Rows that it reads are on record like all others, in a trail of its own
/// beside the service's, which has one writer.
struct Runner {
    lake: PolicyLake,
    coordinator: Arc<Coordinator>,
    /// For what does not fit into memory.
    _spill: tempfile::TempDir,
}

impl Runner {
    async fn start(mut lake: PolicyLake) -> anyhow::Result<Self> {
        // Not the service's, which sweeps its own at start.
        let spill = tempfile::tempdir().context("a folder for what does not fit into memory")?;
        lake.config.execution.spill_directory.path = spill.path().join("spill");
        lake.config.audit.directory.path = policy_test_trail(&lake.config);
        let coordinator = Coordinator::start(CoordinatorParts {
            catalog: Arc::clone(&lake.catalog),
            policies: Arc::clone(&lake.policies),
            views: Arc::clone(&lake.views),
            identity: Arc::clone(&lake.users),
            runtime: parts::runtime(&lake.config.execution, &lake.catalog).await?,
            audit: parts::open_audit(&lake.config).await?,
            metrics: prometheus::Registry::new(),
            options: parts::coordinator_options(&lake.config),
        })?;
        Ok(Self { lake, coordinator, _spill: spill })
    }

    /// What the case's statement gives; an error only where it could not even be tried.
    async fn outcome(&self, case: &Case) -> anyhow::Result<Result<Given, QueryError>> {
        let principal = self.lake.principal(&case.user).with_context(|| format!("case `{}`", case.name))?;
        let client =
            ClientInfo { protocol: Protocol::Internal, peer: None, application: "policy test".to_owned() };
        let session = match self.coordinator.open_session(principal, client).await {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        let statements = match session.parse(&case.query) {
            Ok(statements) => statements,
            Err(error) => return Ok(Err(error)),
        };
        let [statement] = statements.as_slice() else {
            bail!("case `{}` has {} statements; one is expected", case.name, statements.len());
        };
        let run = async {
            let prepared = session.prepare(statement, &[]).await?;
            match session.execute(&prepared, Vec::new()).await? {
                Outcome::Rows { stream, .. } => {
                    let columns = stream.schema().fields().iter().map(|field| field.name().clone()).collect();
                    let mut batches: Vec<RecordBatch> = Vec::new();
                    let mut stream = stream;
                    while let Some(batch) = stream.try_next().await? {
                        batches.push(batch);
                        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() > MOST_ROWS {
                            break;
                        }
                    }
                    Ok((columns, batches))
                }
                Outcome::Done { .. } | Outcome::Forget(_) => Ok((Vec::new(), Vec::new())),
            }
        };
        match run.await {
            Err(error) => Ok(Err(error)),
            Ok((columns, batches)) => Ok(Ok(Given { columns, values: texts(&batches)? })),
        }
    }
}

fn texts(batches: &[RecordBatch]) -> anyhow::Result<Vec<Vec<Option<String>>>> {
    let options = FormatOptions::new();
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?)))
            .collect::<Result<_, arrow::error::ArrowError>>()?;
        rows.extend((0..batch.num_rows()).map(|row| {
            let cell = |(column, shown): &(&arrow::array::ArrayRef, ArrayFormatter<'_>)| {
                column.is_valid(row).then(|| shown.value(row).to_string())
            };
            columns.iter().map(cell).collect()
        }));
    }
    Ok(rows)
}

/// What is not as expected.
fn problem(case: &Case, outcome: Result<Given, QueryError>) -> Option<String> {
    let Expected { rows, columns, values, denied } = &case.expect;
    let given = match (outcome, denied) {
        (Err(error), Some(code)) if error.state.code() == code => return None,
        (Err(error), Some(code)) => {
            return Some(format!("expected {code}, got {}: {}", error.state.code(), error.message));
        }
        (Err(error), None) => return Some(format!("{}: {}", error.state.code(), error.message)),
        (Ok(given), Some(code)) => {
            return Some(format!("expected {code}, got {} rows", given.values.len()));
        }
        (Ok(given), None) => given,
    };
    if given.values.len() > MOST_ROWS {
        return Some(format!("more than {MOST_ROWS} rows"));
    }
    if let Some(expected) = columns
        && *expected != given.columns
    {
        return Some(format!("expected columns {}, got {}", expected.join(", "), given.columns.join(", ")));
    }
    if let Some(expected) = rows
        && *expected != given.values.len()
    {
        return Some(format!("expected {expected} rows, got {}", given.values.len()));
    }
    if let Some(expected) = values
        && *expected != given.values
    {
        return Some(format!("expected {}, got {}", shown(expected), shown(&given.values)));
    }
    None
}

/// The first rows, for people.
fn shown(rows: &[Vec<Option<String>>]) -> String {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "null".to_owned());
    let mut text: Vec<String> = rows
        .iter()
        .take(5)
        .map(|row| format!("[{}]", row.iter().map(cell).collect::<Vec<_>>().join(", ")))
        .collect();
    if rows.len() > 5 {
        text.push(format!("… {} rows in all", rows.len()));
    }
    format!("[{}]", text.join(", "))
}
