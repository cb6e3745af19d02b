//! Who may, and what comes of it.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use lakeward_policy::Securable;
use lakeward_policy::change::{ChangeError, Changed, PolicyChange};
use lakeward_policy::document::Diagnostics;

use super::PolicyStatement;
use crate::audit::{AuditedTable, Durability, Intent, PolicyChanged};
use crate::coordinator::{Coordinator, actor, audited};
use crate::error::{QueryError, SqlState};
use crate::failure;
use crate::registry::{State, StatementId};
use crate::result::QueryStream;
use crate::run::Running;
use crate::session::{Outcome, Session, Statement, TransactionStatus};
use crate::size::size_of_values;
use crate::view::View;

/// What is wrong with policies is told up to this many problems.
const TOLD: usize = 3;

/// Runs a statement about policies.
pub(crate) async fn run(
    session: &Session,
    statement: &Statement,
    policy: &PolicyStatement,
) -> Result<Outcome, QueryError> {
    let view = session.view().await?;
    let resolved = &view.lake.resolved;
    // The same whatever is named: who may not ask learns nothing of what there is.
    let may = match policy {
        PolicyStatement::Change { .. } => resolved.may_change_policies(),
        PolicyStatement::Show { .. } | PolicyStatement::Explain { .. } => {
            resolved.may_read("system", "policies")
        }
    };
    if !may {
        let error = QueryError::new(
            SqlState::InsufficientPrivilege,
            "permission denied: statements about policies are for operators",
        );
        session.denied(statement.text(), &error, "no right to policies");
        return Err(error);
    }
    if matches!(policy, PolicyStatement::Change { .. })
        && session.transaction_status() != TransactionStatus::Idle
    {
        let error = QueryError::new(
            SqlState::ActiveTransaction,
            format!("{} cannot run inside a transaction block", policy.tag()),
        );
        session.denied(statement.text(), &error, "inside a transaction block");
        return Err(error);
    }
    let coordinator = Arc::clone(&session.coordinator);
    let entry = coordinator.registry().start(
        &view.acting,
        session.id(),
        &session.client.application,
        statement.text(),
    );
    let mut running = Running { coordinator, entry, started: Instant::now(), ended: false };
    let outcome = audited_run(session, &view, statement, policy, &running).await;
    match &outcome {
        Ok(_) => running.finish(State::Finished),
        Err(error) => running.fail(error),
    }
    outcome
}

async fn audited_run(
    session: &Session,
    view: &Arc<View>,
    statement: &Statement,
    policy: &PolicyStatement,
    running: &Running,
) -> Result<Outcome, QueryError> {
    let (table, durability) = match policy {
        // What changes who sees what is on disk before it does.
        PolicyStatement::Change { .. } => ("policy_changes", Durability::Immediate),
        _ => ("policies", Durability::Grouped),
    };
    let intent = Intent {
        statement_id: running.entry.id.to_string(),
        session_id: session.id().to_owned(),
        actor: actor(&view.acting),
        client: audited(&session.client),
        text: statement.text().to_owned(),
        kind: policy.tag().to_owned(),
        tables: vec![AuditedTable {
            schema: "system".to_owned(),
            table: table.to_owned(),
            version: None,
            columns: Vec::new(),
        }],
        policy_digest: view.lake.resolved.snapshot().digest().to_owned(),
        rules: Vec::new(),
    };
    session.coordinator.audit().intent(intent, durability).await.map_err(|error| {
        tracing::error!(%error, "the audit trail cannot be written; nothing runs");
        QueryError::new(SqlState::IoError, "the statement could not be audited and did not run")
            .with_hint("The operator's log says why.")
    })?;
    let columns = match policy {
        PolicyStatement::Change { tag, changes } => {
            let warning = change(session, view, changes, running.entry.id).await?;
            return Ok(Outcome::Done { tag: (*tag).to_owned(), reported: Vec::new(), warning });
        }
        PolicyStatement::Show { table } => show(view, table.as_ref())?,
        PolicyStatement::Explain { user, table } => vec![explain(session, view, user, table).await?],
    };
    let schema = policy.schema().unwrap_or_else(crate::explain::schema);
    let arrays = columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|error| failure::execution(&error.into()))?;
    running.entry.count(batch.num_rows(), size_of_values(&batch));
    let stream = QueryStream::new(schema, futures::stream::iter([Ok(batch)]));
    Ok(Outcome::Rows { command: policy.tag(), stream })
}

/// Changes the records and writes down what came of it, also where nobody waits for it any more.
async fn change(
    session: &Session,
    view: &View,
    changes: &[PolicyChange],
    id: StatementId,
) -> Result<Option<String>, QueryError> {
    let coordinator = Arc::clone(&session.coordinator);
    let (changes, who) = (changes.to_vec(), session.principal().user.clone());
    let actor = actor(&view.acting);
    let work = move || {
        let before = coordinator.policies().current().digest().to_owned();
        let outcome = changed(&coordinator, &changes, &who);
        coordinator.audit().policy_changed(PolicyChanged {
            statement_id: id.to_string(),
            actor,
            old_digest: outcome.as_ref().map_or(before, |changed| changed.old_digest.clone()),
            new_digest: outcome.as_ref().ok().map(|changed| changed.new_digest.clone()),
            sqlstate: outcome.as_ref().err().map(|error| error.state.code().to_owned()),
        });
        outcome
    };
    let outcome = tokio::task::spawn_blocking(work).await.map_err(|_| failure::panicked())?;
    outcome.map(|changed| (!changed.notices.is_empty()).then(|| changed.notices.join("; ")))
}

fn changed(coordinator: &Coordinator, changes: &[PolicyChange], who: &str) -> Result<Changed, QueryError> {
    coordinator.change_policies(changes, who).map_err(|error| told(&error))
}

fn told(error: &ChangeError) -> QueryError {
    let text = error.to_string();
    match error {
        ChangeError::NotManaged => QueryError::new(
            SqlState::ObjectNotInPrerequisiteState,
            "policies cannot be changed by statements: no policy file is managed",
        )
        .with_hint("Set policy.managed in the configuration to one of policy.files."),
        ChangeError::ChangedOnDisk => {
            QueryError::new(SqlState::SerializationFailure, format!("{text}; try again"))
                .with_hint("Changed files are put in force within seconds, or refused: the log says why.")
        }
        ChangeError::Exists { kind, .. } => QueryError::new(SqlState::DuplicateObject, text)
            .with_hint(format!("CREATE OR REPLACE {} replaces it.", kind.to_string().to_uppercase())),
        ChangeError::Missing { .. } | ChangeError::NothingRemoved => {
            QueryError::new(SqlState::UndefinedObject, text)
        }
        ChangeError::Elsewhere(_) | ChangeError::Layout(_) => {
            QueryError::new(SqlState::ObjectNotInPrerequisiteState, text)
        }
        ChangeError::Refused(Diagnostics(problems)) => {
            // Where a problem would stand is of no use: that file was never written.
            let mut told: Vec<_> = problems.iter().map(|problem| problem.message.clone()).collect();
            told.dedup();
            let more = told.len().saturating_sub(TOLD);
            told.truncate(TOLD);
            let mut message = format!("the policies would not hold: {}", told.join("; "));
            if more > 0 {
                message.push_str(&format!("; and {more} more"));
            }
            QueryError::new(SqlState::InvalidObjectDefinition, message).with_hint("Nothing was changed.")
        }
        ChangeError::Io { .. } => {
            tracing::error!(%error, "a policy file could not be changed");
            QueryError::new(SqlState::IoError, "the policy file could not be written; nothing was changed")
                .with_hint("The operator's log says why.")
        }
    }
}

fn show(view: &View, table: Option<&(String, String)>) -> Result<Vec<Vec<String>>, QueryError> {
    let snapshot = view.lake.resolved.snapshot();
    let rules = match table {
        None => snapshot.describe(),
        Some(name) => snapshot.describe_on(&securable(view, name)?),
    };
    let mut columns = vec![Vec::new(); 6];
    for rule in rules {
        let cells =
            [rule.kind.to_owned(), rule.name, rule.object, rule.audience, rule.definition, rule.place];
        columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
    }
    Ok(columns)
}

async fn explain(
    session: &Session,
    view: &View,
    user: &str,
    table: &(String, String),
) -> Result<Vec<String>, QueryError> {
    let principal = session.coordinator.identity().principal(user).map_err(|_| {
        QueryError::new(
            SqlState::UndefinedObject,
            format!("user \"{user}\" does not exist, or may not log in"),
        )
    })?;
    let table = securable(view, table)?;
    let resolved = session.coordinator.policies().resolve(&Arc::new(principal));
    Ok(resolved.explain(&table).to_string().lines().map(str::to_owned).collect())
}

/// A table or a view of the lake, as policies see it.
fn securable(view: &View, (schema, table): &(String, String)) -> Result<Securable, QueryError> {
    view.lake.described(schema, table).ok_or_else(|| {
        QueryError::new(SqlState::UndefinedTable, format!("relation \"{schema}.{table}\" does not exist"))
    })
}
