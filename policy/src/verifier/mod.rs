//! Checks that nothing in a plan reaches data but through a barrier. Whatever is not known is refused.

mod physical;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;

pub use self::physical::verify_physical;
use crate::access::TablePolicy;
use crate::table::PolicyTable;
use crate::view::{OwnerTable, ReadTable, Reads, ViewQuery};

/// A plan that reaches data past the policies, or that the verifier does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan was not verified: {reason}")]
pub struct NotVerified {
    /// For operators; holds names of nodes and tables, no values.
    pub reason: String,
}

impl NotVerified {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// What a verified plan reads.
#[derive(Debug, Default)]
pub struct Verified {
    /// Governed tables, one entry per scan.
    pub scans: Vec<GovernedScan>,
}

/// One governed scan of a verified plan.
#[derive(Debug, Clone)]
pub struct GovernedScan {
    /// `schema.table`.
    pub table: String,
    /// Version that is read; None of a view.
    pub version: Option<u64>,
    /// Columns that leave the barrier.
    pub columns: Vec<String>,
    /// Rules that apply.
    pub rules: Vec<String>,
    /// Whether its rows may be read.
    pub readable: bool,
    /// What was decided; the barrier over the scan must be made of this and of nothing else.
    pub(crate) policy: Arc<TablePolicy>,
    /// The query of a view: nothing else may stand below its barrier.
    pub(crate) query: Option<Arc<ViewQuery>>,
}

impl GovernedScan {
    /// Whether it is one of a view.
    #[must_use]
    pub fn is_view(&self) -> bool {
        self.query.is_some()
    }

    /// Raw tables that a view reads with its owner's rights.
    #[must_use]
    pub fn below(&self) -> &[ReadTable] {
        self.query.as_ref().map_or(&[], |query| query.tables())
    }
}

/// Says whether a provider that is no [`PolicyTable`] may be scanned: generated system tables.
pub type IsSystemTable<'a> = &'a dyn Fn(&dyn TableProvider) -> bool;

/// Checks a logical plan, subqueries included: each scan is of a governed or a system table, each node
/// is one that only reads.
pub fn verify_logical(plan: &LogicalPlan, is_system: IsSystemTable<'_>) -> Result<Verified, NotVerified> {
    let mut verified = Verified::default();
    let mut problem = None;
    let walked = plan.apply_with_subqueries(|node| {
        match check_logical(node, is_system) {
            Ok(Some(scan)) => {
                // What a view reads with the rights of whoever asks is read by this statement.
                if let Some(Reads::Invoker(below)) = scan.query.as_deref().map(ViewQuery::reads) {
                    verified.scans.extend(below.scans.iter().cloned());
                }
                verified.scans.push(scan);
            }
            Ok(None) => {}
            Err(reason) => problem = Some(reason),
        }
        Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (problem, walked) {
        (Some(reason), _) => Err(reason),
        (None, Err(_)) => Err(NotVerified::new("the plan could not be walked")),
        (None, Ok(_)) => Ok(verified),
    }
}

fn check_logical(
    node: &LogicalPlan,
    is_system: IsSystemTable<'_>,
) -> Result<Option<GovernedScan>, NotVerified> {
    match node {
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source)
                .map_err(|_| NotVerified::new(format!("the source of {} is unknown", scan.table_name)))?;
            if let Some(table) = provider.downcast_ref::<PolicyTable>() {
                let columns = match &scan.projection {
                    Some(indices) => {
                        let schema = table.schema();
                        indices
                            .iter()
                            .filter_map(|i| schema.fields().get(*i).map(|f| f.name().clone()))
                            .collect()
                    }
                    None => table.schema().fields().iter().map(|f| f.name().clone()).collect(),
                };
                return Ok(Some(GovernedScan {
                    table: table.name().to_owned(),
                    version: table.version(),
                    columns,
                    rules: table.policy().rules().to_vec(),
                    readable: table.is_readable(),
                    policy: Arc::clone(table.policy()),
                    query: table.query().cloned(),
                }));
            }
            if is_system(provider.as_ref()) {
                return Ok(None);
            }
            Err(NotVerified::new(format!("{} is not a governed table", scan.table_name)))
        }
        node if only_reads(node) => Ok(None),
        other => Err(NotVerified::new(format!("node {} is not one that only reads", node_name(other)))),
    }
}

/// Checks the query of a view with owner's rights, subqueries included: each scan is of a table as the owner
/// reads it, or of a system table.
pub(crate) fn verify_owner(
    plan: &LogicalPlan,
    is_system: IsSystemTable<'_>,
) -> Result<Vec<ReadTable>, NotVerified> {
    let mut tables: Vec<ReadTable> = Vec::new();
    let mut problem = None;
    let walked = plan.apply_with_subqueries(|node| {
        match check_owner(node, is_system) {
            Ok(Some(read)) => match tables
                .iter_mut()
                .find(|known| (&known.schema, &known.name) == (&read.schema, &read.name))
            {
                Some(known) => {
                    let more = read.columns.into_iter().filter(|column| !known.columns.contains(column));
                    let more: Vec<_> = more.collect();
                    known.columns.extend(more);
                }
                None => tables.push(read),
            },
            Ok(None) => {}
            Err(reason) => problem = Some(reason),
        }
        Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (problem, walked) {
        (Some(reason), _) => Err(reason),
        (None, Err(_)) => Err(NotVerified::new("the query of a view could not be walked")),
        (None, Ok(_)) => Ok(tables),
    }
}

fn check_owner(node: &LogicalPlan, is_system: IsSystemTable<'_>) -> Result<Option<ReadTable>, NotVerified> {
    let LogicalPlan::TableScan(scan) = node else {
        return if only_reads(node) {
            Ok(None)
        } else {
            Err(NotVerified::new(format!("node {} is not one that only reads", node_name(node))))
        };
    };
    let provider = source_as_provider(&scan.source)
        .map_err(|_| NotVerified::new(format!("the source of {} is unknown", scan.table_name)))?;
    match provider.downcast_ref::<OwnerTable>() {
        Some(table) => {
            let columns = scan.projected_schema.fields().iter().map(|field| field.name().clone());
            Ok(Some(table.read(columns.collect())))
        }
        None if is_system(provider.as_ref()) => Ok(None),
        None => {
            Err(NotVerified::new(format!("{} is not a table that an owner's view reads", scan.table_name)))
        }
    }
}

fn only_reads(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_)
    )
}

/// The kind of a node, without what it holds.
fn node_name(node: &LogicalPlan) -> &'static str {
    match node {
        LogicalPlan::Statement(_) => "Statement",
        LogicalPlan::Explain(_) => "Explain",
        LogicalPlan::Analyze(_) => "Analyze",
        LogicalPlan::Extension(_) => "Extension",
        LogicalPlan::Dml(_) => "Dml",
        LogicalPlan::Ddl(_) => "Ddl",
        LogicalPlan::Copy(_) => "Copy",
        LogicalPlan::DescribeTable(_) => "DescribeTable",
        _ => "of an unknown kind",
    }
}

impl From<NotVerified> for DataFusionError {
    fn from(problem: NotVerified) -> Self {
        Self::External(Box::new(problem))
    }
}
