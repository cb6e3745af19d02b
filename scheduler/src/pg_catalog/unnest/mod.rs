//! Correlated subqueries and LATERAL over system tables, turned into joins.
//!
//! The engine decorrelates only some shapes, and clients of PostgreSQL use all of them against its
//! catalogue. The method here has no such limits (T. Neumann, A. Kemper: Unnesting Arbitrary Queries,
//! BTW 2015). For a subquery that refers to columns `k` of the plan `I` around it:
//!
//! 1. the *domain* is the set of distinct values of `k` in `I`;
//! 2. the subquery is evaluated for all of the domain at once: the domain is pushed down to where the
//!    references are ([`push`]), and every operator above keeps its columns apart;
//! 3. the outcome is joined back to `I` on `k`, NULLs being equal.
//!
//! The domain repeats the work of `I`, so both must see the same rows: the rule keeps to plans that read
//! nothing but stable generated tables and call nothing volatile.

mod push;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, NullEquality, Result};
use datafusion::config::ConfigOptions;
use datafusion::datasource::source_as_provider;
use datafusion::functions_aggregate::array_agg::array_agg;
use datafusion::logical_expr::expr::{InSubquery, ScalarFunction, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, Filter, Join, JoinConstraint, JoinType, LogicalPlan, Operator,
    Projection, Sort, lit, when,
};
use datafusion::optimizer::AnalyzerRule;

use self::push::{Source, contains_reference, has_subquery, outer_references};
use super::functions::{Comparison, Operation, internal};
use crate::system_table::SystemTable;

/// See the module.
#[derive(Debug)]
pub(super) struct UnnestSystemSubqueries;

impl AnalyzerRule for UnnestSystemSubqueries {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !reads_stable_tables_only(&plan)? {
            return Ok(plan);
        }
        Unnester { next: 0 }.plan(plan)
    }

    fn name(&self) -> &str {
        "unnest_system_subqueries"
    }
}

/// Whether two evaluations of any part of the plan give the same rows. A plan without tables does not need us
/// less: `SELECT EXISTS (SELECT 1)` is one.
fn reads_stable_tables_only(plan: &LogicalPlan) -> Result<bool> {
    let mut stable = true;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            stable = match source_as_provider(&scan.source) {
                Ok(provider) => {
                    provider.downcast_ref::<SystemTable>().is_some_and(SystemTable::is_stable)
                        || provider.downcast_ref::<CteWorkTable>().is_some()
                }
                Err(_) => false,
            };
        }
        stable =
            stable && !matches!(node, LogicalPlan::Extension(_) | LogicalPlan::Dml(_) | LogicalPlan::Ddl(_));
        if stable {
            node.apply_expressions(|expr| {
                stable = stable && !expr.is_volatile();
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(if stable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(stable)
}

/// Gives out names that nothing else in the plan has.
struct Unnester {
    next: usize,
}

/// Distinct values of the columns a subquery refers to.
struct Domain {
    plan: LogicalPlan,
    /// Columns of the plan around the subquery.
    keys: Vec<Column>,
    /// What they are called here, unqualified.
    names: Vec<String>,
}

/// A subquery expression taken apart.
enum Shape {
    Scalar,
    Exists { negated: bool },
    Compare { left: Expr, comparison: Comparison, any: bool, negated: bool },
}

impl Unnester {
    fn name(&mut self) -> String {
        self.next += 1;
        format!("__u{}", self.next)
    }

    /// Rewrites a plan from the leaves up.
    fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = plan.map_children(|child| self.plan(child).map(Transformed::yes)).data()?;
        match plan {
            LogicalPlan::Join(join) if is_lateral(&join.right) => self.lateral(join),
            LogicalPlan::Join(join) => self.condition(join),
            LogicalPlan::Sort(sort) => self.sort(sort),
            plan => self.expressions(plan),
        }
    }

    /// A subquery in the condition of an inner join is one in a filter above it.
    fn condition(&mut self, mut join: Join) -> Result<LogicalPlan> {
        let subquery = match &join.filter {
            Some(filter) if join.join_type == JoinType::Inner => has_subquery(filter)?,
            _ => false,
        };
        match join.filter.take_if(|_| subquery) {
            Some(filter) => {
                let filter = Filter::try_new(filter, Arc::new(LogicalPlan::Join(join)))?;
                self.expressions(LogicalPlan::Filter(filter))
            }
            None => Ok(LogicalPlan::Join(join)),
        }
    }

    /// ORDER BY may refer to columns that the list of output columns below it has dropped.
    fn sort(&mut self, mut sort: Sort) -> Result<LogicalPlan> {
        let LogicalPlan::Projection(projection) = sort.input.as_ref() else {
            return self.expressions(LogicalPlan::Sort(sort));
        };
        let mut dropped = BTreeSet::new();
        for key in &sort.expr {
            key.expr.apply(|expr| {
                if let Some((_, subquery)) = take_apart(expr) {
                    dropped.extend(outer_references(&subquery)?.into_iter().filter(|column| {
                        !projection.schema.has_column(column) && projection.input.schema().has_column(column)
                    }));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if dropped.is_empty() {
            return self.expressions(LogicalPlan::Sort(sort));
        }
        let columns = schema_columns(&projection.schema);
        let mut exprs = projection.expr.clone();
        exprs.extend(dropped.into_iter().map(Expr::Column));
        let widened = Projection::try_new(exprs, Arc::clone(&projection.input))?;
        sort.input = Arc::new(LogicalPlan::Projection(widened));
        let sorted = self.expressions(LogicalPlan::Sort(sort))?;
        project(sorted, columns)
    }

    /// `left JOIN LATERAL right`.
    fn lateral(&mut self, join: Join) -> Result<LogicalPlan> {
        let original = LogicalPlan::Join(join.clone());
        if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
            return Ok(original);
        }
        let keys = references_to(&join.right, join.left.schema())?;
        let right = strip_subquery(Arc::unwrap_or_clone(join.right))?;
        let (right, condition) = if keys.is_empty() {
            (right, None)
        } else {
            let domain = self.domain(&join.left, keys.clone())?;
            let Some(pushed) = self.push(&right, &Source::Domain(&domain))? else { return Ok(original) };
            let condition = keys
                .iter()
                .zip(&pushed.columns)
                .map(|(key, column)| same(Expr::Column(key.clone()), Expr::Column(column.clone())))
                .reduce(Expr::and);
            (pushed.plan, condition)
        };
        let filter = match (join.filter, condition) {
            (Some(filter), Some(condition)) => Some(condition.and(filter)),
            (filter, condition) => filter.or(condition),
        };
        let columns = schema_columns(&join.schema);
        let joined = Join::try_new(
            join.left,
            Arc::new(right),
            join.on,
            filter,
            join.join_type,
            JoinConstraint::On,
            join.null_equality,
            join.null_aware,
        )?;
        project(LogicalPlan::Join(joined), columns)
    }

    /// Replaces the subqueries in a node's expressions.
    fn expressions(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let inputs = plan.inputs();
        let [input] = inputs.as_slice() else { return Ok(plan) };
        let base = (*input).clone();
        let mut current = base.clone();
        let mut changed = false;
        let preserver = NamePreserver::new(&plan);
        let filter = matches!(plan, LogicalPlan::Filter(_));
        let mut rewritten = Vec::new();
        for expr in plan.expressions() {
            let name = preserver.save(&expr);
            let expr = expr
                .transform_up(|expr| {
                    let Some((shape, subquery)) = take_apart(&expr) else { return Ok(Transformed::no(expr)) };
                    let inner = self.plan(subquery)?;
                    let correlated = !outer_references(&inner)?.is_empty();
                    // What does not depend on the row the engine does itself, in the places it knows.
                    if !correlated && (filter || matches!(shape, Shape::Scalar)) {
                        return Ok(Transformed::no(expr));
                    }
                    match self.attach(&base, &current, inner, shape)? {
                        Some((plan, expr)) => {
                            current = plan;
                            changed = true;
                            Ok(Transformed::yes(expr))
                        }
                        None => Ok(Transformed::no(expr)),
                    }
                })
                .data()?;
            rewritten.push(name.restore(expr));
        }
        if !changed {
            return Ok(plan);
        }
        let columns = schema_columns(plan.schema());
        let passes_input_on =
            matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_));
        let plan = plan.with_new_exprs(rewritten, vec![current])?;
        if passes_input_on { project(plan, columns) } else { Ok(plan) }
    }

    /// Joins what a subquery gives to the plan around it; the expression that stands for the subquery there.
    fn attach(
        &mut self,
        base: &LogicalPlan,
        current: &LogicalPlan,
        inner: LogicalPlan,
        shape: Shape,
    ) -> Result<Option<(LogicalPlan, Expr)>> {
        let keys = references_to(&inner, base.schema())?;
        let single = inner.max_rows().is_some_and(|rows| rows <= 1);
        let Some((qualifier, field)) = inner.schema().iter().next() else { return Ok(None) };
        let value = Column::from((qualifier, field));
        let metadata = field.metadata().clone();
        let (inner, columns) = if keys.is_empty() {
            (inner, Vec::new())
        } else {
            let domain = self.domain(base, keys.clone())?;
            let Some(pushed) = self.push(&inner, &Source::Domain(&domain))? else { return Ok(None) };
            (pushed.plan, pushed.columns)
        };
        let result = self.name();
        // One row per value of the domain: the value, the list of values, or that there was one.
        let names: Vec<String> = columns.iter().map(|_| self.name()).collect();
        let mut output: Vec<Expr> = columns
            .iter()
            .zip(&names)
            .map(|(column, name)| Expr::Column(column.clone()).alias(name))
            .collect();
        let plan = match &shape {
            Shape::Exists { .. } => {
                output.push(lit(true).alias(&result));
                distinct(Projection::try_new(output, Arc::new(inner))?)
            }
            Shape::Scalar if single => {
                output.push(Expr::Column(value).alias(&result));
                LogicalPlan::Projection(Projection::try_new(output, Arc::new(inner))?)
            }
            Shape::Scalar | Shape::Compare { .. } => {
                let values = array_agg(Expr::Column(value));
                let collected = Column::new_unqualified(values.schema_name().to_string());
                let groups = columns.iter().cloned().map(Expr::Column).collect();
                let aggregate = Aggregate::try_new(Arc::new(inner), groups, vec![values])?;
                output.push(Expr::Column(collected).alias(&result));
                LogicalPlan::Projection(Projection::try_new(
                    output,
                    Arc::new(LogicalPlan::Aggregate(aggregate)),
                )?)
            }
        };
        let found = Expr::Column(Column::new_unqualified(&result));
        let expr = match shape {
            Shape::Exists { negated: false } => found.is_not_null(),
            Shape::Exists { negated: true } => found.is_null(),
            Shape::Scalar if single => found,
            Shape::Scalar => call(Operation::Only, &metadata, vec![found]),
            Shape::Compare { left, comparison, any, negated } => {
                let Some(compared) =
                    compare(left, found.clone(), comparison, any, base.schema(), plan.schema())?
                else {
                    return Ok(None);
                };
                // No rows: no value equals any of them, and every one equals all of them.
                let expr = when(found.is_null(), lit(!any)).otherwise(compared)?;
                if negated { Expr::Not(Box::new(expr)) } else { expr }
            }
        };
        let on = keys
            .into_iter()
            .zip(names)
            .map(|(key, name)| (Expr::Column(key), Expr::Column(Column::new_unqualified(name))))
            .collect();
        let join = Join::try_new(
            Arc::new(current.clone()),
            Arc::new(plan),
            on,
            None,
            JoinType::Left,
            JoinConstraint::On,
            NullEquality::NullEqualsNull,
            false,
        )?;
        Ok(Some((LogicalPlan::Join(join), expr)))
    }

    /// The distinct values of some columns of a plan.
    fn domain(&mut self, input: &LogicalPlan, keys: Vec<Column>) -> Result<Domain> {
        let names: Vec<String> = keys.iter().map(|_| self.name()).collect();
        let columns: Vec<Expr> =
            keys.iter().zip(&names).map(|(key, name)| Expr::Column(key.clone()).alias(name)).collect();
        let plan = distinct(Projection::try_new(columns, Arc::new(input.clone()))?);
        Ok(Domain { plan, keys, names })
    }

    /// The same domain under new names, for a second place in one plan.
    fn copy(&mut self, domain: &Domain) -> Result<Domain> {
        let names: Vec<String> = domain.names.iter().map(|_| self.name()).collect();
        let columns: Vec<Expr> = domain
            .names
            .iter()
            .zip(&names)
            .map(|(old, new)| Expr::Column(Column::new_unqualified(old)).alias(new))
            .collect();
        let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(domain.plan.clone()))?);
        Ok(Domain { plan, keys: domain.keys.clone(), names })
    }
}

fn distinct(projection: Projection) -> LogicalPlan {
    LogicalPlan::Distinct(Distinct::All(Arc::new(LogicalPlan::Projection(projection))))
}

fn take_apart(expr: &Expr) -> Option<(Shape, LogicalPlan)> {
    let (shape, subquery) = match expr {
        Expr::ScalarSubquery(subquery) => (Shape::Scalar, subquery),
        Expr::Exists(exists) => (Shape::Exists { negated: exists.negated }, &exists.subquery),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => (
            Shape::Compare {
                left: (**expr).clone(),
                comparison: Comparison::Eq,
                any: true,
                negated: *negated,
            },
            subquery,
        ),
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
            let comparison = match op {
                Operator::Eq => Comparison::Eq,
                Operator::NotEq => Comparison::NotEq,
                Operator::Lt => Comparison::Lt,
                Operator::LtEq => Comparison::LtEq,
                Operator::Gt => Comparison::Gt,
                Operator::GtEq => Comparison::GtEq,
                _ => return None,
            };
            let any = *quantifier == SetQuantifier::Any;
            (Shape::Compare { left: (**expr).clone(), comparison, any, negated: false }, subquery)
        }
        _ => return None,
    };
    Some((shape, (*subquery.subquery).clone()))
}

/// `left op ANY/ALL (values)`, both sides of one type.
fn compare(
    left: Expr,
    values: Expr,
    comparison: Comparison,
    any: bool,
    left_schema: &DFSchema,
    values_schema: &DFSchema,
) -> Result<Option<Expr>> {
    let left_type = left.get_type(left_schema)?;
    let list_type = values.get_type(values_schema)?;
    let datafusion::arrow::datatypes::DataType::List(item) = &list_type else { return Ok(None) };
    let Some(common) = comparison_coercion(&left_type, item.data_type()) else { return Ok(None) };
    let list = datafusion::arrow::datatypes::DataType::List(Arc::new(
        datafusion::arrow::datatypes::Field::new_list_field(common.clone(), true),
    ));
    let left = if left_type == common { left } else { left.cast_to(&common, left_schema)? };
    let values = if list_type == list { values } else { values.cast_to(&list, values_schema)? };
    let operation = if any { Operation::Any(comparison) } else { Operation::All(comparison) };
    Ok(Some(call(operation, &HashMap::new(), vec![left, values])))
}

fn call(operation: Operation, metadata: &HashMap<String, String>, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(internal(operation, metadata), args))
}

/// Equal, NULLs too.
fn same(left: Expr, right: Expr) -> Expr {
    Expr::BinaryExpr(datafusion::logical_expr::BinaryExpr::new(
        Box::new(left),
        Operator::IsNotDistinctFrom,
        Box::new(right),
    ))
}

fn is_lateral(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Subquery(_) => true,
        LogicalPlan::SubqueryAlias(alias) => is_lateral(&alias.input),
        LogicalPlan::Projection(projection) => is_lateral(&projection.input),
        _ => false,
    }
}

/// The plan without the marks of LATERAL.
fn strip_subquery(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|plan| {
        Ok(match plan {
            LogicalPlan::Subquery(subquery) => Transformed::yes(Arc::unwrap_or_clone(subquery.subquery)),
            plan => Transformed::no(plan),
        })
    })
    .data()
}

/// The columns of a schema that a plan refers to as outer.
fn references_to(plan: &LogicalPlan, schema: &DFSchema) -> Result<Vec<Column>> {
    Ok(outer_references(plan)?.into_iter().filter(|column| schema.has_column(column)).collect())
}

fn schema_columns(schema: &DFSchema) -> Vec<Column> {
    schema.iter().map(Column::from).collect()
}

/// Those columns and no others.
fn project(plan: LogicalPlan, columns: Vec<Column>) -> Result<LogicalPlan> {
    let exprs = columns.into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

/// Whether a plan, or anything it holds, refers to one of the columns as outer.
fn depends_on(plan: &LogicalPlan, keys: &[Column]) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found = found || contains_reference(expr, keys)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
