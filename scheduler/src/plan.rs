//! From a statement to a verified plan.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ParamValues, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use lakeward_policy::{NotVerified, Verified, verify_logical, verify_physical};
use sqlparser::ast;

use crate::error::{QueryError, SqlState};
use crate::failure;
use crate::pg_catalog;
use crate::system_table::SystemTable;
use crate::versioned;
use crate::view::{View, ViewKey};

/// A statement planned against one view; parameters are still open.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) view: ViewKey,
    plan: LogicalPlan,
    pub(crate) parameter_types: Vec<DataType>,
    pub(crate) schema: SchemaRef,
}

/// A statement that is ready to run.
pub(crate) struct Runnable {
    /// Optimised; for EXPLAIN.
    pub(crate) logical: LogicalPlan,
    pub(crate) physical: Arc<dyn ExecutionPlan>,
    pub(crate) verified: Verified,
    pub(crate) state: SessionState,
}

/// Tables that hold no lake data: generated ones, series, and the working table of a recursive query.
pub(crate) fn is_system_table(provider: &dyn TableProvider) -> bool {
    provider.is::<SystemTable>() || provider.is::<GenerateSeriesTable>() || provider.is::<CteWorkTable>()
}

impl Planned {
    /// Plans a query. `declared` are the parameter types the client named; the rest is inferred.
    pub(crate) async fn new(
        view: &View,
        statement: &ast::Statement,
        declared: &[Option<DataType>],
    ) -> Result<Self, QueryError> {
        let mut statement = statement.clone();
        let zone = view.state.config_options().execution.time_zone.as_deref();
        versioned::rewrite(&mut statement, zone)?;
        pg_catalog::rewrite(&mut statement).map_err(|error| failure::refused(&error))?;
        let plan = view
            .state
            .statement_to_plan(EngineStatement::Statement(Box::new(statement)))
            .await
            .map_err(|error| failure::planning(&error))?;
        verify(view, verify_logical(&plan, &is_system_table))?;
        let parameter_types = parameter_types(&plan, declared)?;
        // With typed NULLs in place of the parameters, the columns of the result have their types.
        let probe = if parameter_types.is_empty() {
            plan.clone()
        } else {
            let nulls = parameter_types
                .iter()
                .map(ScalarValue::try_from)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| failure::planning(&error))?;
            bind(&plan, nulls)?
        };
        let analysed = view
            .state
            .analyzer()
            .execute_and_check(probe, view.state.config_options(), |_, _| {})
            .map_err(|error| failure::planning(&error))?;
        // Nullability is not promised: the engine infers it per operator, and what is announced must be
        // what is sent. Metadata names PostgreSQL types of system columns; governed tables have none.
        let fields: Vec<_> = analysed
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let name = pg_catalog::display_name(field.name());
                Arc::new(
                    Field::new(name, field.data_type().clone(), true).with_metadata(field.metadata().clone()),
                )
            })
            .collect();
        Ok(Self { view: view.key, plan, parameter_types, schema: Arc::new(Schema::new(fields)) })
    }

    /// Optimised with its parameters open and verified: what it would read, whatever they will be.
    pub(crate) fn rehearsed(&self, view: &View) -> Result<Verified, QueryError> {
        let logical = view.state.optimize(&self.plan).map_err(|error| failure::planning(&error))?;
        verify(view, verify_logical(&logical, &is_system_table))
    }

    /// Binds parameters, optimises, plans physically; verified before and after.
    pub(crate) async fn runnable(
        &self,
        view: &View,
        parameters: Vec<ScalarValue>,
    ) -> Result<Runnable, QueryError> {
        let mut state = view.state.clone();
        state.mark_start_execution();
        let plan = if parameters.is_empty() { self.plan.clone() } else { bind(&self.plan, parameters)? };
        let logical = state.optimize(&plan).map_err(|error| failure::planning(&error))?;
        let verified = verify(view, verify_logical(&logical, &is_system_table))?;
        let planner = Arc::clone(state.query_planner());
        let physical = planner
            .create_physical_plan(&logical, &state)
            .await
            .map_err(|error| failure::planning(&error))?;
        verify(view, verify_physical(&physical, &verified))?;
        Ok(Runnable { logical, physical, verified, state })
    }
}

/// An unverified plan does not run; the reason is for operators.
fn verify<T>(view: &View, outcome: Result<T, NotVerified>) -> Result<T, QueryError> {
    outcome.map_err(|problem| {
        view.unverified.inc();
        tracing::warn!(reason = problem.reason, "a plan was not verified and is refused");
        failure::unverified()
    })
}

fn bind(plan: &LogicalPlan, values: Vec<ScalarValue>) -> Result<LogicalPlan, QueryError> {
    plan.clone()
        .with_param_values(ParamValues::from(values))
        .map_err(|error: DataFusionError| failure::planning(&error))
}

/// Types of `$1` … in order: as declared, else as inferred, else text.
fn parameter_types(plan: &LogicalPlan, declared: &[Option<DataType>]) -> Result<Vec<DataType>, QueryError> {
    let mut inferred = plan.get_parameter_types().map_err(|error| failure::planning(&error))?;
    for (name, data_type) in cast_parameters(plan)?.into_iter().chain(limit_parameters(plan)?) {
        let known = inferred.entry(name).or_default();
        if known.is_none() {
            *known = Some(data_type);
        }
    }
    let mut count = declared.len();
    for name in inferred.keys() {
        let position = name
            .strip_prefix('$')
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|p| (1..=65_535).contains(p));
        let Some(position) = position else {
            return Err(QueryError::new(SqlState::SyntaxError, format!("there is no parameter {name}")));
        };
        count = count.max(position);
    }
    let mut types = Vec::with_capacity(count);
    for position in 1..=count {
        let asked = declared.get(position - 1).cloned().flatten();
        let found = inferred.get(&format!("${position}")).cloned().flatten();
        types.push(asked.or(found).filter(|t| *t != DataType::Null).unwrap_or(DataType::Utf8));
    }
    Ok(types)
}

/// `LIMIT $1` and `OFFSET $1` take whole numbers; the engine infers nothing of them.
fn limit_parameters(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>, QueryError> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for expression in limit.skip.iter().chain(&limit.fetch) {
                if let Expr::Placeholder(parameter) = expression.as_ref() {
                    found.push((parameter.id.clone(), DataType::Int64));
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(|error| failure::planning(&error))?;
    Ok(found)
}

/// `$1::int` says what `$1` is where nothing else does.
fn cast_parameters(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>, QueryError> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Cast(cast) = part
                    && let Expr::Placeholder(parameter) = cast.expr.as_ref()
                {
                    found.push((parameter.id.clone(), cast.field.data_type().clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(|error| failure::planning(&error))?;
    Ok(found)
}
