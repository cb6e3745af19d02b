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
    /// Version that is read.
    pub version: u64,
    /// Columns that leave the barrier.
    pub columns: Vec<String>,
    /// Those of them that leave it masked.
    pub masked: Vec<String>,
    /// Rules that apply.
    pub rules: Vec<String>,
    /// Whether its rows may be read.
    pub readable: bool,
    /// What was decided; the barrier over the scan must be made of this and of nothing else.
    pub(crate) policy: Arc<TablePolicy>,
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
            Ok(Some(scan)) => verified.scans.push(scan),
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
                let schema = table.schema();
                let read: Vec<usize> = match &scan.projection {
                    Some(indices) => indices.clone(),
                    None => (0..schema.fields().len()).collect(),
                };
                let names = |wanted: &dyn Fn(&usize) -> bool| -> Vec<String> {
                    let fields = read.iter().filter(|index| wanted(index));
                    fields.filter_map(|index| Some(schema.fields().get(*index)?.name().clone())).collect()
                };
                let masked = names(&|index| table.policy().masks.contains_key(index));
                let columns = names(&|_| true);
                return Ok(Some(GovernedScan {
                    table: table.name().to_owned(),
                    version: table.version(),
                    columns,
                    masked,
                    rules: table.policy().rules().to_vec(),
                    readable: table.is_readable(),
                    policy: Arc::clone(table.policy()),
                }));
            }
            if is_system(provider.as_ref()) {
                return Ok(None);
            }
            Err(NotVerified::new(format!("{} is not a governed table", scan.table_name)))
        }
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
        | LogicalPlan::RecursiveQuery(_) => Ok(None),
        other => Err(NotVerified::new(format!("node {} is not one that only reads", node_name(other)))),
    }
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
