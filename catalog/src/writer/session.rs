//! What the engine runs in: sessions of its own, which reach the table and nothing else.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::object_store::DefaultObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, UNNAMED_TABLE, Volatility};
use deltalake_core::delta_datafusion::DeltaSessionContext;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Rows, WriteError, WriterOptions};

/// A session with the options' memory and spill files. Its stores and caches are its own: each attempt
/// registers a store that its gate guards.
pub(super) fn session(options: &WriterOptions) -> Result<SessionState, DataFusionError> {
    let runtime = RuntimeEnvBuilder::from_runtime_env(&options.runtime)
        .with_object_store_registry(Arc::new(DefaultObjectStoreRegistry::new()))
        .with_cache_manager(CacheManagerConfig::default())
        .build_arc()?;
    let mut state = DeltaSessionContext::with_runtime_env(runtime).state();
    let config = state.config_mut().options_mut();
    config.execution.target_partitions = options.partitions.max(1);
    // Files say the types that tables have.
    config.execution.parquet.schema_force_view_types = false;
    Ok(state)
}

/// How data files are written.
pub(super) fn file_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(format!("Lakeward {}", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Rows {
    /// A plan that gives the rows.
    pub(super) fn plan(&self) -> Result<LogicalPlan, WriteError> {
        let provider = match self {
            Self::Provider(provider) => Arc::clone(provider),
            Self::Batches(batches) => {
                let Some(first) = batches.first() else {
                    return Err(WriteError::InvalidRequest(
                        "rows are given as no batch at all, so they have no schema: give an empty one"
                            .to_owned(),
                    ));
                };
                let table = MemTable::try_new(first.schema(), vec![batches.clone()])
                    .map_err(|error| WriteError::InvalidRequest(format!("rows: {error}")))?;
                Arc::new(table)
            }
        };
        LogicalPlanBuilder::scan(UNNAMED_TABLE, provider_as_source(provider), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| WriteError::InvalidRequest(format!("rows: {error}")))
    }
}

/// Refuses expressions that could give one row two answers: the engine evaluates them more than once,
/// to find files, to rewrite them, and again when others committed meanwhile.
pub(super) fn check_immutable(expr: &Expr) -> Result<(), WriteError> {
    let mut wrong = None;
    let walked = expr.apply(|node| {
        wrong = match node {
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
                Some(format!("the function {} does not always give the same answer", call.func.name()))
            }
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
                Some("subqueries are not supported".to_owned())
            }
            Expr::Placeholder(_) => Some("a parameter has no value".to_owned()),
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => {
                Some("aggregate and window functions are not supported".to_owned())
            }
            _ => None,
        };
        Ok(if wrong.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (walked, wrong) {
        (Ok(_), None) => Ok(()),
        (_, Some(reason)) => Err(WriteError::InvalidRequest(format!("expression: {reason}"))),
        (Err(error), None) => Err(WriteError::InvalidRequest(format!("expression: {error}"))),
    }
}
