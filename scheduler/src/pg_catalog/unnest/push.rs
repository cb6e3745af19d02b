//! The domain on its way down: every operator keeps the rows of different outer values apart.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, NullEquality, Result, ScalarValue};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, FetchType, Filter, Join, JoinConstraint, JoinType, Limit,
    LogicalPlan, LogicalPlanBuilder, Projection, RecursiveQuery, SkipType, Sort, SubqueryAlias, Union,
    Unnest, Window, lit, when,
};

use super::{Domain, Unnester, depends_on, project, same, schema_columns};

/// Where the outer values come from.
pub(super) enum Source<'a> {
    /// From the domain: joined in where the plan refers to it, and beside what does not.
    Domain(&'a Domain),
    /// From a recursive query's working table, which has carried them since its first step.
    WorkTable {
        /// The query's name.
        name: &'a str,
        /// The scan with the added columns.
        scan: &'a LogicalPlan,
        /// The added columns.
        names: &'a [String],
    },
}

/// A plan with the outer values beside its own columns.
pub(super) struct Pushed {
    pub(super) plan: LogicalPlan,
    /// The outer values' columns, in the order of the domain's keys.
    pub(super) columns: Vec<Column>,
}

/// All columns a plan refers to as outer, each once.
pub(super) fn outer_references(plan: &LogicalPlan) -> Result<BTreeSet<Column>> {
    let mut columns = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::OuterReferenceColumn(_, column) = expr {
                    columns.insert(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(columns)
}

/// Whether an expression refers to one of the columns as outer.
pub(super) fn contains_reference(expr: &Expr, keys: &[Column]) -> Result<bool> {
    expr.exists(|expr| Ok(matches!(expr, Expr::OuterReferenceColumn(_, column) if keys.contains(column))))
}

/// Whether an expression holds a subquery.
pub(super) fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
        ))
    })
}

impl Source<'_> {
    /// Whether a plan needs the outer values.
    fn needed_by(&self, plan: &LogicalPlan) -> Result<bool> {
        match self {
            Self::Domain(domain) => depends_on(plan, &domain.keys),
            Self::WorkTable { name, .. } => {
                let mut found = false;
                plan.apply_with_subqueries(|node| {
                    found = found || is_work_table(node, name);
                    Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
                })?;
                Ok(found)
            }
        }
    }

    fn keys(&self) -> &[Column] {
        match self {
            Self::Domain(domain) => &domain.keys,
            Self::WorkTable { .. } => &[],
        }
    }

    /// Puts the columns in the place of the references.
    fn resolve(&self, expr: Expr, columns: &[Column]) -> Result<Expr> {
        let keys = self.keys();
        expr.transform_up(|expr| {
            if let Expr::OuterReferenceColumn(_, column) = &expr
                && let Some(position) = keys.iter().position(|key| key == column)
                && let Some(replacement) = columns.get(position)
            {
                return Ok(Transformed::yes(Expr::Column(replacement.clone())));
            }
            Ok(Transformed::no(expr))
        })
        .data()
    }
}

fn is_work_table(plan: &LogicalPlan, name: &str) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => source_as_provider(&scan.source).is_ok_and(|provider| {
            provider.downcast_ref::<CteWorkTable>().is_some_and(|table| table.name() == name)
        }),
        _ => false,
    }
}

/// The columns by their unqualified names, which are unique.
fn find(schema: &DFSchema, columns: &[Column]) -> Result<Vec<Column>> {
    columns
        .iter()
        .map(|column| schema.qualified_field_with_unqualified_name(&column.name).map(Column::from))
        .collect()
}

fn as_exprs(columns: &[Column]) -> Vec<Expr> {
    columns.iter().cloned().map(Expr::Column).collect()
}

impl Unnester {
    /// The plan, evaluated for all outer values at once. None for a shape that is not known.
    pub(super) fn push(&mut self, plan: &LogicalPlan, source: &Source<'_>) -> Result<Option<Pushed>> {
        // A subquery that could not be unnested itself may hide references.
        let mut hidden = false;
        plan.apply_expressions(|expr| {
            if has_subquery(expr)? {
                expr.apply(|expr| {
                    if let Expr::ScalarSubquery(inner) = expr {
                        hidden = hidden || source.needed_by(&inner.subquery)?;
                    }
                    if let Expr::Exists(exists) = expr {
                        hidden = hidden || source.needed_by(&exists.subquery.subquery)?;
                    }
                    if let Expr::InSubquery(inner) = expr {
                        hidden = hidden || source.needed_by(&inner.subquery.subquery)?;
                    }
                    if let Expr::SetComparison(inner) = expr {
                        hidden = hidden || source.needed_by(&inner.subquery.subquery)?;
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if hidden {
            return Ok(None);
        }
        if !source.needed_by(plan)? {
            return match source {
                Source::Domain(domain) => {
                    let joined =
                        LogicalPlanBuilder::from(domain.plan.clone()).cross_join(plan.clone())?.build()?;
                    let columns = domain.names.iter().map(Column::new_unqualified).collect();
                    Ok(Some(Pushed { plan: joined, columns }))
                }
                Source::WorkTable { .. } => Ok(None),
            };
        }
        match plan {
            LogicalPlan::Projection(projection) => self.push_projection(projection, source),
            LogicalPlan::Filter(filter) => {
                let Some(input) = self.push(&filter.input, source)? else { return Ok(None) };
                let predicate = source.resolve(filter.predicate.clone(), &input.columns)?;
                let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input.plan))?);
                Ok(Some(Pushed { plan, columns: input.columns }))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(input) = self.push(&alias.input, source)? else { return Ok(None) };
                let plan = SubqueryAlias::try_new(Arc::new(input.plan), alias.alias.clone())?;
                let columns = find(&plan.schema, &input.columns)?;
                Ok(Some(Pushed { plan: LogicalPlan::SubqueryAlias(plan), columns }))
            }
            LogicalPlan::Subquery(subquery) => self.push(&subquery.subquery, source),
            LogicalPlan::Aggregate(aggregate) => self.push_aggregate(aggregate, source),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some(input) = self.push(input, source)? else { return Ok(None) };
                let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(input.plan)));
                Ok(Some(Pushed { plan, columns: input.columns }))
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                let Some(input) = self.push(&sort.input, source)? else { return Ok(None) };
                let mut expr = sort.expr.clone();
                for key in &mut expr {
                    key.expr = source.resolve(key.expr.clone(), &input.columns)?;
                }
                let plan = LogicalPlan::Sort(Sort { expr, input: Arc::new(input.plan), fetch: None });
                Ok(Some(Pushed { plan, columns: input.columns }))
            }
            LogicalPlan::Limit(limit) => self.push_limit(limit, source),
            LogicalPlan::Join(join) => self.push_join(join, source),
            LogicalPlan::Union(union) => self.push_union(union, source),
            LogicalPlan::Window(window) => {
                let Some(input) = self.push(&window.input, source)? else { return Ok(None) };
                let mut exprs = Vec::new();
                for expr in &window.window_expr {
                    let name = NamePreserver::new_for_projection().save(expr);
                    let expr = source.resolve(expr.clone(), &input.columns)?;
                    exprs.push(name.restore(partition(expr, &input.columns)?));
                }
                let plan = LogicalPlan::Window(Window::try_new(exprs, Arc::new(input.plan))?);
                Ok(Some(Pushed { plan, columns: input.columns }))
            }
            LogicalPlan::Unnest(unnest) => {
                let Some(input) = self.push(&unnest.input, source)? else { return Ok(None) };
                let plan = Unnest::try_new(
                    Arc::new(input.plan),
                    unnest.exec_columns.clone(),
                    unnest.options.clone(),
                )?;
                let columns = find(&plan.schema, &input.columns)?;
                Ok(Some(Pushed { plan: LogicalPlan::Unnest(plan), columns }))
            }
            LogicalPlan::RecursiveQuery(query) => self.push_recursive(query, source),
            LogicalPlan::TableScan(_) => match source {
                Source::WorkTable { scan, names, .. } => {
                    let columns: Vec<Column> = names.iter().map(Column::new_unqualified).collect();
                    Ok(Some(Pushed { plan: (*scan).clone(), columns: find(scan.schema(), &columns)? }))
                }
                Source::Domain(_) => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn push_projection(&mut self, projection: &Projection, source: &Source<'_>) -> Result<Option<Pushed>> {
        let Some(input) = self.push(&projection.input, source)? else { return Ok(None) };
        let preserver = NamePreserver::new_for_projection();
        let mut exprs = Vec::new();
        for expr in &projection.expr {
            let name = preserver.save(expr);
            exprs.push(name.restore(source.resolve(expr.clone(), &input.columns)?));
        }
        exprs.extend(as_exprs(&input.columns));
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input.plan))?);
        Ok(Some(Pushed { plan, columns: input.columns }))
    }

    fn push_aggregate(&mut self, aggregate: &Aggregate, source: &Source<'_>) -> Result<Option<Pushed>> {
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return Ok(None);
        }
        let Some(input) = self.push(&aggregate.input, source)? else { return Ok(None) };
        let preserver = NamePreserver::new_for_projection();
        let resolve = |exprs: &[Expr]| -> Result<Vec<Expr>> {
            exprs
                .iter()
                .map(|expr| {
                    let name = preserver.save(expr);
                    Ok(name.restore(source.resolve(expr.clone(), &input.columns)?))
                })
                .collect()
        };
        let mut groups = resolve(&aggregate.group_expr)?;
        let aggregates = resolve(&aggregate.aggr_expr)?;
        groups.extend(as_exprs(&input.columns));
        let grouped = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input.plan), groups, aggregates)?);
        if !aggregate.group_expr.is_empty() {
            return Ok(Some(Pushed { plan: grouped, columns: input.columns }));
        }
        // Without GROUP BY there is a row even where nothing was found: the domain brings it back.
        let Source::Domain(domain) = source else { return Ok(None) };
        let whole = self.copy(domain)?;
        let marker = self.name();
        let names = aggregate.schema.field_names();
        let mut exprs = as_exprs(&schema_columns(grouped.schema()));
        exprs.push(lit(true).alias(&marker));
        let marked = Projection::try_new(exprs, Arc::new(grouped))?;
        let on = whole
            .names
            .iter()
            .zip(&input.columns)
            .map(|(name, column)| (Expr::Column(Column::new_unqualified(name)), Expr::Column(column.clone())))
            .collect();
        let joined = Join::try_new(
            Arc::new(whole.plan),
            Arc::new(LogicalPlan::Projection(marked)),
            on,
            None,
            JoinType::Left,
            JoinConstraint::On,
            NullEquality::NullEqualsNull,
            false,
        )?;
        let missing = Expr::Column(Column::new_unqualified(&marker)).is_null();
        let mut output = Vec::new();
        debug_assert_eq!(names.len(), aggregate.aggr_expr.len());
        for ((qualifier, field), expr) in aggregate.schema.iter().zip(&aggregate.aggr_expr) {
            let column = Expr::Column(Column::from((qualifier, field)));
            let default = default_of(expr, field.data_type())?;
            output.push(if default.is_null() {
                column
            } else {
                when(missing.clone(), lit(default))
                    .otherwise(column)?
                    .alias_qualified(qualifier.cloned(), field.name())
            });
        }
        let columns: Vec<Column> = whole.names.iter().map(Column::new_unqualified).collect();
        output.extend(as_exprs(&columns));
        let plan = LogicalPlan::Projection(Projection::try_new(output, Arc::new(LogicalPlan::Join(joined)))?);
        Ok(Some(Pushed { plan, columns }))
    }

    /// So many rows of each outer value.
    fn push_limit(&mut self, limit: &Limit, source: &Source<'_>) -> Result<Option<Pushed>> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        // The order that decides which rows stay may lie below a projection, which a limit may pass.
        let lowered = |input: &Arc<LogicalPlan>| {
            Arc::new(LogicalPlan::Limit(Limit {
                skip: limit.skip.clone(),
                fetch: limit.fetch.clone(),
                input: Arc::clone(input),
            }))
        };
        match limit.input.as_ref() {
            LogicalPlan::Projection(projection) => {
                let lowered = Projection::try_new(projection.expr.clone(), lowered(&projection.input))?;
                return self.push_projection(&lowered, source);
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let lowered = SubqueryAlias::try_new(lowered(&alias.input), alias.alias.clone())?;
                return self.push(&LogicalPlan::SubqueryAlias(lowered), source);
            }
            _ => {}
        }
        let (input, order) = match limit.input.as_ref() {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => (&sort.input, sort.expr.clone()),
            _ => (&limit.input, Vec::new()),
        };
        let original = schema_columns(input.schema());
        let Some(input) = self.push(input, source)? else { return Ok(None) };
        let mut order = order;
        for key in &mut order {
            key.expr = source.resolve(key.expr.clone(), &input.columns)?;
        }
        let number = row_number().partition_by(as_exprs(&input.columns)).order_by(order).build()?;
        let position = Expr::Column(Column::new_unqualified(number.schema_name().to_string()));
        let numbered = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(input.plan))?);
        let mut predicate = position.clone().gt(lit(skip as u64));
        if let Some(fetch) = fetch {
            predicate = predicate.and(position.lt_eq(lit(skip.saturating_add(fetch) as u64)));
        }
        let kept = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(numbered))?);
        let mut columns = original;
        columns.extend(input.columns.iter().cloned());
        Ok(Some(Pushed { plan: project(kept, columns)?, columns: input.columns }))
    }

    fn push_join(&mut self, join: &Join, source: &Source<'_>) -> Result<Option<Pushed>> {
        let left_needs = source.needed_by(&join.left)?;
        let right_needs = source.needed_by(&join.right)?;
        // The side whose rows are kept must carry the outer values.
        let (push_left, push_right) = match join.join_type {
            JoinType::Inner => (left_needs || !right_needs, right_needs),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                (true, right_needs)
            }
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                (left_needs, true)
            }
            JoinType::Full => return Ok(None),
        };
        let left_carries = match join.join_type {
            JoinType::Inner => push_left,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => true,
            _ => false,
        };
        let left = if push_left { self.push(&join.left, source)? } else { None };
        if push_left && left.is_none() {
            return Ok(None);
        }
        let right = match (push_right, push_left, source) {
            (false, ..) => None,
            (true, false, _) => self.push(&join.right, source)?,
            (true, true, Source::Domain(domain)) => {
                let copy = self.copy(domain)?;
                self.push(&join.right, &Source::Domain(&copy))?
            }
            (true, true, Source::WorkTable { .. }) => None,
        };
        if push_right && right.is_none() {
            return Ok(None);
        }
        let columns = match (&left, &right) {
            (Some(left), _) if left_carries => left.columns.clone(),
            (_, Some(right)) => right.columns.clone(),
            _ => return Ok(None),
        };
        let mut on = Vec::new();
        for (l, r) in &join.on {
            on.push((source.resolve(l.clone(), &columns)?, source.resolve(r.clone(), &columns)?));
        }
        let mut filter = join.filter.clone().map(|filter| source.resolve(filter, &columns)).transpose()?;
        if let (Some(left), Some(right)) = (&left, &right) {
            for (l, r) in left.columns.iter().zip(&right.columns) {
                let equal = same(Expr::Column(l.clone()), Expr::Column(r.clone()));
                filter = Some(match filter {
                    Some(filter) => filter.and(equal),
                    None => equal,
                });
            }
        }
        let original = schema_columns(&join.schema);
        let left = left.map_or_else(|| Arc::clone(&join.left), |left| Arc::new(left.plan));
        let right = right.map_or_else(|| Arc::clone(&join.right), |right| Arc::new(right.plan));
        let joined = Join::try_new(
            left,
            right,
            on,
            filter,
            join.join_type,
            JoinConstraint::On,
            join.null_equality,
            join.null_aware,
        )?;
        let mut output = original;
        output.extend(columns.iter().cloned());
        Ok(Some(Pushed { plan: project(LogicalPlan::Join(joined), output)?, columns }))
    }

    fn push_union(&mut self, union: &Union, source: &Source<'_>) -> Result<Option<Pushed>> {
        let Source::Domain(domain) = source else { return Ok(None) };
        let names = self.copy(domain)?.names;
        let mut inputs = Vec::new();
        for input in &union.inputs {
            let Some(pushed) = self.push(input, source)? else { return Ok(None) };
            let mut exprs = as_exprs(&schema_columns(input.schema()));
            exprs.extend(
                pushed
                    .columns
                    .iter()
                    .zip(&names)
                    .map(|(column, name)| Expr::Column(column.clone()).alias(name)),
            );
            inputs
                .push(Arc::new(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(pushed.plan))?)));
        }
        let plan = Union::try_new(inputs)?;
        let columns: Vec<Column> = names.iter().map(Column::new_unqualified).collect();
        let columns = find(&plan.schema, &columns)?;
        Ok(Some(Pushed { plan: LogicalPlan::Union(plan), columns }))
    }

    /// The first step takes the outer values from the domain, the others from the working table.
    fn push_recursive(&mut self, query: &RecursiveQuery, source: &Source<'_>) -> Result<Option<Pushed>> {
        let Source::Domain(domain) = source else { return Ok(None) };
        if depends_on(&query.recursive_term, &domain.keys)? {
            return Ok(None);
        }
        let Some(first) = self.push(&query.static_term, source)? else { return Ok(None) };
        let names: Vec<String> = first.columns.iter().map(|_| self.name()).collect();
        let mut exprs = as_exprs(&schema_columns(query.static_term.schema()));
        exprs.extend(
            first.columns.iter().zip(&names).map(|(column, name)| Expr::Column(column.clone()).alias(name)),
        );
        let first = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(first.plan))?);
        let Some(scan) = work_table_scan(&query.recursive_term, &query.name, &first, names.len())? else {
            return Ok(None);
        };
        let table = Source::WorkTable { name: &query.name, scan: &scan, names: &names };
        let Some(next) = self.push(&query.recursive_term, &table)? else { return Ok(None) };
        let mut output = schema_columns(query.recursive_term.schema());
        output.extend(next.columns);
        let next = project(next.plan, output)?;
        let plan =
            RecursiveQuery::try_new(query.name.clone(), Arc::new(first), Arc::new(next), query.is_distinct)?;
        let columns: Vec<Column> = names.iter().map(Column::new_unqualified).collect();
        let columns = find(&plan.schema, &columns)?;
        Ok(Some(Pushed { plan: LogicalPlan::RecursiveQuery(plan), columns }))
    }
}

/// A scan of the working table as it is once the first step's last columns are added to it.
fn work_table_scan(
    term: &LogicalPlan,
    name: &str,
    first: &LogicalPlan,
    added: usize,
) -> Result<Option<LogicalPlan>> {
    let mut original = None;
    term.apply_with_subqueries(|node| {
        if is_work_table(node, name) {
            original = Some(node.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(LogicalPlan::TableScan(scan)) = original else { return Ok(None) };
    let mut fields: Vec<_> = source_as_provider(&scan.source)?.schema().fields().iter().cloned().collect();
    let schema = first.schema();
    let start = schema.fields().len() - added;
    for field in schema.fields().iter().skip(start) {
        fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
    }
    let table = CteWorkTable::new(name, Arc::new(datafusion::arrow::datatypes::Schema::new(fields)));
    let plan =
        LogicalPlanBuilder::scan(scan.table_name, provider_as_source(Arc::new(table)), None)?.build()?;
    Ok(Some(plan))
}

/// What an aggregate gives where it sees no rows.
fn default_of(expr: &Expr, data_type: &datafusion::arrow::datatypes::DataType) -> Result<ScalarValue> {
    match expr {
        Expr::Alias(alias) => default_of(&alias.expr, data_type),
        Expr::AggregateFunction(function) => function.func.default_value(data_type),
        _ => ScalarValue::try_from(data_type),
    }
}

/// A window function that starts anew with every outer value.
fn partition(expr: Expr, columns: &[Column]) -> Result<Expr> {
    expr.transform_up(|expr| {
        Ok(match expr {
            Expr::WindowFunction(mut function) => {
                add_partition(&mut function, columns);
                Transformed::yes(Expr::WindowFunction(function))
            }
            expr => Transformed::no(expr),
        })
    })
    .data()
}

fn add_partition(function: &mut WindowFunction, columns: &[Column]) {
    function.params.partition_by.extend(as_exprs(columns));
}
