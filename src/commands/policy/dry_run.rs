//! A draft of policies against statements that people ran: what would be different for them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use lakeward_policy::document::{Diagnostics, first_line};
use lakeward_policy::{Explanation, PolicyEngine};
use lakeward_scheduler::audit;
use lakeward_scheduler::coordinator::{Coordinator, CoordinatorParts, Views};
use lakeward_scheduler::error::QueryError;
use lakeward_scheduler::rehearsal::RehearsedRead;
use lakeward_scheduler::session::{ClientInfo, Protocol};
use serde::Deserialize;

use super::diff;
use super::lake::PolicyLake;
use crate::commands::audit::key;
use crate::service::parts;

/// Longest statement text that is shown, in characters.
const SHOWN: usize = 120;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    version: u32,
    statements: Vec<Statement>,
}

/// A statement, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    user: String,
    query: String,
}

/// Plans every statement under both policies and prints what differs.
pub(super) async fn run(config: &Path, draft: &Path, statements: &Path) -> anyhow::Result<ExitCode> {
    let lake = PolicyLake::open(config).await?;
    let recorded = if statements == Path::new("audit") { from_audit(&lake)? } else { from_file(statements)? };
    let (draft, views) = lake.policies_of(diff::files(&lake, draft)?).await?;
    let was = Side::start(&lake, Arc::clone(&lake.policies), Arc::clone(&lake.views)).await?;
    let is = Side::start(&lake, Arc::new(draft), Arc::new(views)).await?;
    let (mut different, mut skipped) = (0, 0);
    for statement in &recorded {
        let Ok(principal) = lake.principal(&statement.user) else {
            skipped += 1;
            continue;
        };
        let person = Arc::new(principal);
        let (before, after) =
            (was.outcome(&person, &statement.query).await, is.outcome(&person, &statement.query).await);
        let mut text = String::new();
        match (&before, &after) {
            (Ok(_), Err(error)) => {
                let _ = writeln!(text, "  - denied: {} {}", error.state.code(), error.message);
            }
            (Err(error), Ok(_)) => {
                let _ = writeln!(text, "  + allowed; until now {} {}", error.state.code(), error.message);
            }
            (Err(before), Err(after)) if before != after => {
                let _ = writeln!(
                    text,
                    "  - {} {} instead of {} {}",
                    after.state.code(),
                    after.message,
                    before.state.code(),
                    before.message
                );
            }
            (Err(_), Err(_)) => {}
            (Ok(before), Ok(after)) => {
                let tables: BTreeSet<&String> = before.iter().chain(after).map(|read| &read.table).collect();
                for table in tables {
                    let Some(known) = lake.tables.iter().find(|known| known.full_name() == *table) else {
                        continue;
                    };
                    let read: Vec<&RehearsedRead> =
                        before.iter().chain(after).filter(|read| read.table == *table).collect();
                    let (was, is) = (was.policies.resolve(&person), is.policies.resolve(&person));
                    let changes =
                        diff::changes(&of(was.explain(known), &read), &of(is.explain(known), &read));
                    for change in changes {
                        let _ = writeln!(text, "  {table}: {change}");
                    }
                }
            }
        }
        if !text.is_empty() {
            different += 1;
            print!("{}: {}\n{text}", statement.user, shown(&statement.query));
        }
    }
    println!("{different} of {} statements would be answered by other rules", recorded.len() - skipped);
    if skipped > 0 {
        println!("{skipped} left out: their users could not log in now");
    }
    Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Without masks of columns that the statement does not read.
fn of(mut explanation: Explanation, read: &[&RehearsedRead]) -> Explanation {
    explanation.masks.retain(|mask| {
        read.iter().flat_map(|read| &read.columns).any(|column| {
            mask.column
                .strip_prefix(column.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    });
    explanation
}

/// A statement on one line.
fn shown(query: &str) -> String {
    let line = query.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

fn from_file(file: &Path) -> anyhow::Result<Vec<Statement>> {
    let complain = |message: String| Diagnostics::file(file, message);
    let text = std::fs::read_to_string(file).map_err(|error| complain(format!("cannot be read: {error}")))?;
    let recorded: Recorded =
        serde_saphyr::from_str(&text).map_err(|error| complain(first_line(&error.to_string())))?;
    if recorded.version != 1 {
        return Err(complain(format!("version {} is not known; expected 1", recorded.version)).into());
    }
    Ok(recorded.statements)
}

/// Every statement of the audit trail, once for each who ran it; denied ones, too.
fn from_audit(lake: &PolicyLake) -> anyhow::Result<Vec<Statement>> {
    let key = key(&lake.config)?;
    let directory = &lake.config.audit.directory.path;
    let (mut known, mut closed) = (BTreeSet::new(), 0_u64);
    let report = audit::read(directory, |entry| {
        if !matches!(entry.kind.as_str(), "intent" | "denied") {
            return;
        }
        let user = entry.members.get("actor").and_then(|actor| actor.get("user")?.as_str());
        let text = match (entry.statement_id(), entry.text()) {
            (Some(id), Some(sealed)) => key.open(id, &sealed).ok(),
            _ => None,
        };
        match (user, text) {
            (Some(user), Some(query)) => {
                known.insert(Statement { user: user.to_owned(), query: query.to_string() });
            }
            _ => closed += 1,
        }
    })
    .with_context(|| directory.display().to_string())?;
    if !report.is_intact() {
        eprintln!("the trail is damaged (`lakeward audit verify`): statements may be missing");
    }
    if closed > 0 {
        eprintln!("{closed} statements cannot be opened with this key and are left out");
    }
    Ok(known.into_iter().collect())
}

/// A coordinator under one set of policies. It runs nothing, so its own trail is of no use to anybody.
struct Side {
    policies: Arc<PolicyEngine>,
    coordinator: Arc<Coordinator>,
    _scratch: tempfile::TempDir,
}

impl Side {
    async fn start(
        lake: &PolicyLake,
        policies: Arc<PolicyEngine>,
        views: Arc<Views>,
    ) -> anyhow::Result<Self> {
        let scratch = tempfile::tempdir().context("a folder for scratch files")?;
        let mut config = lake.config.clone();
        config.execution.spill_directory.path = scratch.path().join("spill");
        config.audit.directory.path = scratch.path().join("audit");
        let coordinator = Coordinator::start(CoordinatorParts {
            catalog: Arc::clone(&lake.catalog),
            policies: Arc::clone(&policies),
            views,
            identity: Arc::clone(&lake.users),
            runtime: parts::runtime(&config.execution, &lake.catalog).await?,
            audit: parts::open_audit(&config).await?,
            metrics: prometheus::Registry::new(),
            options: parts::coordinator_options(&config),
        })?;
        Ok(Self { policies, coordinator, _scratch: scratch })
    }

    /// What `query` would read as `person`, in all its statements.
    async fn outcome(
        &self,
        person: &lakeward_policy::Principal,
        query: &str,
    ) -> Result<Vec<RehearsedRead>, QueryError> {
        let client =
            ClientInfo { protocol: Protocol::Internal, peer: None, application: "policy dry-run".to_owned() };
        let session = self.coordinator.open_session(person.clone(), client).await?;
        let mut read = Vec::new();
        for statement in session.parse(query)? {
            read.extend(session.rehearse(&statement).await?);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_shown_on_a_line() {
        assert_eq!(shown("SELECT 1\n  FROM t"), "SELECT 1 FROM t");
        assert!(shown(&"ü ".repeat(200)).ends_with("ü  …"));
    }
}
