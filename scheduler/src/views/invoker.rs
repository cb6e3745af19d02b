//! Views with the rights of whoever asks, planned in their session.

use std::sync::{Arc, Weak};

use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result};
use lakeward_policy::view::ViewQuery;
use lakeward_policy::{Access, PolicyTable, Securable};

use super::compile::{CompiledView, plan};
use super::inlined::InlinedView;
use crate::error::{QueryError, SqlState};
use crate::governed::GovernedLake;
use crate::plan::is_system_table;

/// A view that the principal may know of and that cannot be planned now.
pub(crate) fn unavailable(view: &str) -> QueryError {
    QueryError::new(SqlState::ObjectNotInPrerequisiteState, format!("view \"{view}\" is unavailable"))
        .with_hint("Its query does not fit what it reads; operators see the reason in system.views.")
}

/// As PostgreSQL answers for `security_invoker`, without the name of what is not granted.
fn denied(view: &str) -> QueryError {
    QueryError::new(SqlState::InsufficientPrivilege, format!("permission denied for view {view}"))
        .with_hint("The view reads with your rights, and not all that it reads is granted to you.")
}

fn external(error: QueryError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The view as the principal of `lake` sees it: part of their statement where no rule concerns the view itself,
/// sealed where one does.
///
/// What is told depends on what the principal may see and on the definition, never on whether a table that is
/// not granted exists.
pub(crate) async fn provider(
    lake: &GovernedLake,
    view: &CompiledView,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let definition = &view.parsed.definition;
    let name = definition.full_name();
    let Some(session) = lake.planner.get().and_then(Weak::upgrade) else {
        tracing::error!(view = name, "a view was asked for before its session could plan");
        return Err(external(unavailable(&name)));
    };
    let (plan, schema) = plan(&session, &view.parsed).await.map_err(|error| {
        external(match error.state {
            SqlState::UndefinedTable | SqlState::InsufficientPrivilege => denied(&name),
            _ => unavailable(&name),
        })
    })?;
    let column_tags = definition
        .columns
        .iter()
        .filter_map(|(name, column)| Some((name.clone(), column.tags.clone()?)))
        .collect();
    let securable = Securable {
        schema: definition.schema.clone(),
        table: definition.name.clone(),
        columns: Some(Arc::clone(&schema)),
        tags: definition.tags.clone().unwrap_or_default(),
        column_tags,
        origins: None,
    };
    let (policy, readable) = match lake.resolved.access(&securable) {
        Access::Invisible => return Ok(None),
        Access::Unresolved(_) => return Err(external(unavailable(&name))),
        Access::Select(policy) if policy.shows_everything() => {
            return Ok(Some(Arc::new(InlinedView { plan, schema })));
        }
        Access::Select(policy) => (policy, true),
        Access::Describe(policy) => (policy, false),
    };
    let query = ViewQuery::invoker(&name, plan, schema, &is_system_table)?;
    Ok(Some(Arc::new(PolicyTable::of_view(Arc::new(query), policy, readable))))
}
