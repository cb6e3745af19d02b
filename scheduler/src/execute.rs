//! From a planned statement to governed rows: bind, verify, audit, run.

use std::sync::Arc;
use std::time::Instant;

use datafusion::common::ScalarValue;
use datafusion::physical_plan::execute_stream;
use lakeward_policy::GovernedScan;
use lakeward_policy::mutation::{Mutation, active};

use crate::audit::{AuditedTable, Denied, Durability, Intent};
use crate::coordinator::{Coordinator, actor, audited};
use crate::error::{QueryError, SqlState};
use crate::explain;
use crate::failure;
use crate::governed::GovernedLake;
use crate::plan::{Planned, Runnable};
use crate::registry::{QueryEntry, StatementId};
use crate::result::QueryStream;
use crate::run::{GovernedRows, Recheck, Running, StopHandle, timed_out};
use crate::session::{Outcome, Session};
use crate::size::size_of_values;
use crate::statement::{Kind, Statement};
use crate::view::View;

/// Tags that mark personal data: statements that touch them are on disk before their first row leaves.
const PERSONAL_TAGS: [&str; 2] = ["pii.", "phi."];

/// Runs a query or an EXPLAIN.
pub(crate) async fn run(
    session: &Session,
    view: &Arc<View>,
    statement: &Statement,
    planned: &Planned,
    parameters: Vec<ScalarValue>,
) -> Result<Outcome, QueryError> {
    let stop = StopHandle::default();
    session.register(stop.clone());
    let coordinator = Arc::clone(&session.coordinator);
    let entry = coordinator.registry().start(
        &view.acting,
        session.id(),
        &session.client.application,
        statement.text(),
    );
    let mut running = Running { coordinator, entry, started: Instant::now(), ended: false };
    let deadline = session.statement_timeout().map(|limit| tokio::time::Instant::now() + limit);
    let work = start(session, view, statement, planned, parameters, &running.entry);
    let started = tokio::select! {
        biased;
        () = stop.token.cancelled() => Err(stop.error()),
        () = sleep_until(deadline) => Err(timed_out()),
        started = work => started,
    };
    let started = match started {
        Ok(started) => started,
        Err(error) => {
            running.fail(&error);
            return Err(error);
        }
    };
    match started {
        Started::Lines(lines) => {
            let batch = explain::batch(lines)?;
            running.entry.count(batch.num_rows(), size_of_values(&batch));
            running.finish(crate::registry::State::Finished);
            let stream = QueryStream::new(explain::schema(), futures::stream::iter([Ok(batch)]));
            Ok(Outcome::Rows { command: "EXPLAIN", stream })
        }
        Started::Rows(runnable) => {
            #[expect(clippy::disallowed_methods, reason = "this is the runner: verified and audited above")]
            let rows = execute_stream(Arc::clone(&runnable.physical), runnable.state.task_ctx());
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    let error = failure::execution(&error);
                    running.fail(&error);
                    return Err(error);
                }
            };
            let schema = Arc::clone(&planned.schema);
            let recheck = recheck(session, view, &runnable);
            let again = Arc::clone(&recheck);
            let stream = GovernedRows::new(rows, Arc::clone(&schema), running, stop, deadline, recheck);
            Ok(Outcome::Rows { command: "SELECT", stream: QueryStream::checked(schema, stream, again) })
        }
    }
}

enum Started {
    Rows(Box<Runnable>),
    Lines(Vec<String>),
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Everything before the first row: plan, verify, decide, write down.
async fn start(
    session: &Session,
    view: &Arc<View>,
    statement: &Statement,
    planned: &Planned,
    parameters: Vec<ScalarValue>,
    entry: &QueryEntry,
) -> Result<Started, QueryError> {
    let runnable = match planned.runnable(view, parameters).await {
        Ok(runnable) => runnable,
        Err(error) => {
            denial(session, entry.id, statement.text(), &error, "could not be planned");
            return Err(error);
        }
    };
    let explain = match &*statement.kind {
        Kind::Explain { analyze, verbose, .. } => Some((*analyze, *verbose)),
        _ => None,
    };
    let reads_rows = !matches!(explain, Some((false, _)));
    if reads_rows && let Some(scan) = runnable.verified.scans.iter().find(|scan| !scan.readable) {
        let error = QueryError::new(
            SqlState::InsufficientPrivilege,
            format!("permission denied for table {}", scan.table),
        );
        denial(session, entry.id, statement.text(), &error, "describe only");
        return Err(error);
    }
    if matches!(explain, Some((true, _)) | Some((_, true))) && !view.is_operator {
        let error =
            QueryError::new(SqlState::InsufficientPrivilege, "EXPLAIN ANALYZE and VERBOSE are for operators")
                .with_hint("EXPLAIN alone shows how the statement was understood.");
        denial(session, entry.id, statement.text(), &error, "not an operator");
        return Err(error);
    }
    intent(session, view, statement, &runnable.verified.scans, entry.id).await?;
    Ok(match explain {
        None => Started::Rows(Box::new(runnable)),
        Some((true, verbose)) => Started::Lines(explain::analyze(&runnable, verbose).await?),
        Some((false, verbose)) if view.is_operator || active(Mutation::PhysicalExplain) => {
            Started::Lines(explain::full(&runnable, verbose))
        }
        Some((false, _)) => Started::Lines(explain::logical(&runnable)),
    })
}

/// The intent is accepted (and for personal data durable) before anything runs; else nothing does.
async fn intent(
    session: &Session,
    view: &View,
    statement: &Statement,
    scans: &[GovernedScan],
    id: StatementId,
) -> Result<(), QueryError> {
    let mut rules: Vec<String> = scans.iter().flat_map(|scan| scan.rules.iter().cloned()).collect();
    rules.sort();
    rules.dedup();
    let record = Intent {
        statement_id: id.to_string(),
        session_id: session.id().to_owned(),
        actor: actor(&view.acting),
        client: audited(&session.client),
        text: statement.text().to_owned(),
        kind: if matches!(*statement.kind, Kind::Explain { .. }) { "EXPLAIN" } else { "SELECT" }.to_owned(),
        tables: scans.iter().flat_map(audited_tables).collect(),
        policy_digest: view.lake.resolved.snapshot().digest().to_owned(),
        rules,
    };
    let durability = if scans.iter().any(|scan| is_personal(&view.lake, scan)) {
        Durability::Immediate
    } else {
        Durability::Grouped
    };
    session.coordinator.audit().intent(record, durability).await.map_err(|error| {
        tracing::error!(%error, "the audit trail cannot be written; nothing runs");
        QueryError::new(SqlState::IoError, "the statement could not be audited and did not run")
            .with_hint("The operator's log says why.")
    })
}

/// What a scan reads: of a view also the tables below it.
fn audited_tables(scan: &GovernedScan) -> Vec<AuditedTable> {
    let entry = |(schema, table): (&str, &str), version: Option<u64>, columns: &[String]| AuditedTable {
        schema: schema.to_owned(),
        table: table.to_owned(),
        version,
        columns: columns.to_vec(),
    };
    let below =
        scan.below().iter().map(|read| entry((&read.schema, &read.name), Some(read.version), &read.columns));
    let name = scan.table.split_once('.').unwrap_or(("", &scan.table));
    std::iter::once(entry(name, scan.version, &scan.columns)).chain(below).collect()
}

/// Whether personal data is read, of a view also below it.
fn is_personal(lake: &GovernedLake, scan: &GovernedScan) -> bool {
    let mut below = scan.below().iter();
    below.any(|read| is_tagged_personal(lake, (&read.schema, &read.name), &read.columns))
        || scan.table.split_once('.').is_none_or(|name| is_tagged_personal(lake, name, &scan.columns))
}

fn is_tagged_personal(lake: &GovernedLake, (schema, name): (&str, &str), columns: &[String]) -> bool {
    let tagged =
        |tags: &[String]| tags.iter().any(|tag| PERSONAL_TAGS.iter().any(|start| tag.starts_with(start)));
    // What cannot be looked up is treated as personal.
    let Some(table) = lake.described(schema, name).filter(|table| table.columns.is_some()) else {
        return true;
    };
    let table = lake.resolved.snapshot().tagged(&table);
    let column = |name: &String| table.column_tags.get(name).is_some_and(|tags| tagged(tags));
    tagged(&table.tags) || columns.iter().any(column)
}

/// While rows stream: is the account still valid, do the same policies still apply?
fn recheck(session: &Session, view: &Arc<View>, runnable: &Runnable) -> Recheck {
    let coordinator = Arc::clone(&session.coordinator);
    let session_acts = session.shared_acting();
    let view = Arc::clone(view);
    let tables: Arc<[String]> = runnable.verified.scans.iter().map(|scan| scan.table.clone()).collect();
    Arc::new(move || {
        let coordinator = Arc::clone(&coordinator);
        let turn = session_acts.lock().turn;
        let (view, tables) = (Arc::clone(&view), Arc::clone(&tables));
        Box::pin(async move {
            // A pooled connection that was given to the next end user has no rows of the one before.
            if turn != view.acting.turn {
                let text = "the session acts for another end user than when the statement began";
                return Err(QueryError::new(SqlState::QueryCanceled, text));
            }
            view.acting.check_account(&coordinator)?;
            still_allowed(&coordinator, &view, &tables).await
        })
    })
}

async fn still_allowed(
    coordinator: &Arc<Coordinator>,
    view: &View,
    tables: &[String],
) -> Result<(), QueryError> {
    let moved = || {
        QueryError::new(SqlState::QueryCanceled, "the policies changed while the statement ran")
            .with_hint("Run it again.")
    };
    if view.key.views != coordinator.views().settled().await.epoch {
        let now = coordinator.views().settled().await;
        if tables.iter().any(|table| !now.defines_same(&view.lake.views, table)) {
            return Err(moved());
        }
    }
    let resolved = view.acting.lake(coordinator).await?.resolved;
    if resolved.snapshot().epoch() == view.key.epoch {
        return Ok(());
    }
    for table in tables {
        let Some(securable) =
            table.split_once('.').and_then(|(schema, name)| view.lake.securable_named(schema, name))
        else {
            return Err(moved());
        };
        if !resolved.access(&securable).same_as(&view.lake.resolved.access(&securable)) {
            return Err(moved());
        }
    }
    Ok(())
}

/// A statement that was refused before it had an entry in the registry.
pub(crate) fn audit_denial(session: &Session, text: &str, error: &QueryError, reason: &str) {
    denial(session, StatementId::random(), text, error, reason);
}

fn denial(session: &Session, id: StatementId, text: &str, error: &QueryError, reason: &str) {
    session.coordinator.metrics().denied();
    session.coordinator.audit().denied(Denied {
        statement_id: id.to_string(),
        session_id: session.id().to_owned(),
        actor: actor(&session.acting()),
        client: audited(&session.client),
        text: text.to_owned(),
        sqlstate: error.state.code().to_owned(),
        reason: reason.to_owned(),
    });
}
