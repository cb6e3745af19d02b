//! Which columns of which tables the columns of a query derive from.
//!
//! An output column derives from every column that the expression behind it names, through subqueries, set
//! operations and nested views. What conditions tell of (WHERE, ON, EXISTS) is not followed. Where the way of
//! a column is not known, it derives from everything that the query reads.

use std::collections::BTreeSet;

use datafusion::catalog::TableProvider as _;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};

use super::query::OwnerTable;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceColumn {
    /// Schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

type Sources = BTreeSet<SourceColumn>;

/// For each output column of `plan`, not yet optimised, the columns it derives from.
#[must_use]
pub fn lineage(plan: &LogicalPlan) -> Vec<BTreeSet<SourceColumn>> {
    let mut all = Sources::new();
    let walked = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source)?;
            if let Some(table) = provider.downcast_ref::<OwnerTable>() {
                let columns = table.schema();
                all.extend(columns.fields().iter().map(|field| source(table, field.name())));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if walked.is_err() {
        // No answer for any column: whoever asked for one for each refuses the view.
        return Vec::new();
    }
    Tracer { all }.of(plan)
}

fn source(table: &OwnerTable, column: &str) -> SourceColumn {
    let (schema, name) = table.schema_and_name();
    SourceColumn { schema: schema.to_owned(), table: name.to_owned(), column: column.to_owned() }
}

struct Tracer {
    /// Every column of every table in the whole plan.
    all: Sources,
}

impl Tracer {
    fn unknown(&self, plan: &LogicalPlan) -> Vec<Sources> {
        vec![self.all.clone(); plan.schema().fields().len()]
    }

    fn of(&self, plan: &LogicalPlan) -> Vec<Sources> {
        let traced = match plan {
            LogicalPlan::TableScan(scan) => source_as_provider(&scan.source).ok().and_then(|provider| {
                let table = provider.downcast_ref::<OwnerTable>()?;
                let fields = scan.projected_schema.fields();
                Some(fields.iter().map(|field| [source(table, field.name())].into()).collect())
            }),
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Distinct(Distinct::All(_)) => plan.inputs().first().map(|input| self.of(input)),
            LogicalPlan::Subquery(subquery) => Some(self.of(&subquery.subquery)),
            LogicalPlan::Projection(projection) => {
                Some(self.expressions(&projection.expr, &projection.input))
            }
            LogicalPlan::Aggregate(aggregate) => {
                let mut columns = self.expressions(&aggregate.group_expr, &aggregate.input);
                columns.extend(self.expressions(&aggregate.aggr_expr, &aggregate.input));
                let sets = aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)));
                (!sets).then_some(columns)
            }
            LogicalPlan::Window(window) => {
                let mut columns = self.of(&window.input);
                columns.extend(self.expressions(&window.window_expr, &window.input));
                Some(columns)
            }
            LogicalPlan::Join(join) => {
                let (left, right) = (self.of(&join.left), self.of(&join.right));
                match join.join_type {
                    JoinType::LeftSemi | JoinType::LeftAnti => Some(left),
                    JoinType::RightSemi | JoinType::RightAnti => Some(right),
                    JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                        Some(left.into_iter().chain(right).collect())
                    }
                    _ => None,
                }
            }
            LogicalPlan::Union(union) => {
                let mut columns = vec![Sources::new(); plan.schema().fields().len()];
                let inputs: Vec<_> = union.inputs.iter().map(|input| self.of(input)).collect();
                let same = inputs.iter().all(|input| input.len() == columns.len());
                for input in inputs {
                    for (column, more) in columns.iter_mut().zip(input) {
                        column.extend(more);
                    }
                }
                same.then_some(columns)
            }
            LogicalPlan::EmptyRelation(_) => Some(vec![Sources::new(); plan.schema().fields().len()]),
            _ => None,
        };
        traced
            .filter(|columns: &Vec<Sources>| columns.len() == plan.schema().fields().len())
            .unwrap_or_else(|| self.unknown(plan))
    }

    fn expressions(&self, expressions: &[Expr], input: &LogicalPlan) -> Vec<Sources> {
        let below = self.of(input);
        expressions.iter().map(|expression| self.expression(expression, input.schema(), &below)).collect()
    }

    fn expression(&self, expression: &Expr, schema: &DFSchema, below: &[Sources]) -> Sources {
        let mut found = Sources::new();
        let walked = expression.apply(|part| {
            match part {
                Expr::Column(column) => {
                    let index = schema.maybe_index_of_column(column);
                    let sources = index.and_then(|index| below.get(index));
                    found.extend(sources.unwrap_or(&self.all).iter().cloned());
                }
                Expr::OuterReferenceColumn(..) => found.extend(self.all.iter().cloned()),
                Expr::ScalarSubquery(subquery) => {
                    found.extend(self.of(&subquery.subquery).into_iter().flatten());
                }
                Expr::InSubquery(test) => {
                    found.extend(self.of(&test.subquery.subquery).into_iter().flatten());
                }
                Expr::SetComparison(_) => found.extend(self.all.iter().cloned()),
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        if walked.is_err() { self.all.clone() } else { found }
    }
}
