//! What the engine runs in: sessions of its own, which reach the table and nothing else.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::object_store::DefaultObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, UNNAMED_TABLE, Volatility,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use deltalake_core::delta_datafusion::DeltaSessionContext;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::contents::OnlyContents;
use super::{Rows, WriteError, WriterOptions};

/// A session with the options' memory and spill files. Its stores and caches are its own: each attempt
/// registers a store that its gate guards.
pub(super) fn session(options: &WriterOptions) -> Result<SessionState, DataFusionError> {
    let runtime = RuntimeEnvBuilder::from_runtime_env(&options.runtime)
        .with_object_store_registry(Arc::new(DefaultObjectStoreRegistry::new()))
        .with_cache_manager(CacheManagerConfig::default())
        .build_arc()?;
    let state = DeltaSessionContext::with_runtime_env(runtime).state();
    // First of all: what follows goes by statistics.
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(OnlyContents)];
    rules.extend(state.physical_optimizers().iter().cloned());
    let mut state =
        SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build();
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

/// `predicate` with those of the table's columns hidden from file and row group skipping whose smallest
/// and largest values cannot be relied on: a rewrite that overlooks rows loses them.
///
/// Of floating-point columns they leave out NaN, which compares greater than everything; of large decimals
/// some writers round them. `table` is the qualifier of the table's columns, if they have one.
pub(super) fn hide_loose_bounds(
    predicate: Expr,
    schema: &Schema,
    table: Option<&str>,
) -> Result<Expr, DataFusionError> {
    let is_loose = |column: &Column| {
        let ours = column.relation.as_ref().map(TableReference::table) == table;
        ours && schema.field_with_name(&column.name).is_ok_and(|field| has_loose_bounds(field.data_type()))
    };
    let hidden = predicate.transform(|node| match node {
        Expr::Column(ref column) if is_loose(column) => {
            Ok(Transformed::new(hide(node), true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(hidden.data)
}

fn has_loose_bounds(data_type: &DataType) -> bool {
    /// Digits that go through a floating-point number unharmed.
    const EXACT_DIGITS: u8 = 15;
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::Decimal128(precision, _) => *precision > EXACT_DIGITS,
        DataType::Struct(fields) => fields.iter().any(|field| has_loose_bounds(field.data_type())),
        DataType::List(item) | DataType::Map(item, _) => has_loose_bounds(item.data_type()),
        _ => false,
    }
}

fn hide(value: Expr) -> Expr {
    static HIDDEN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Hidden::default())));
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&HIDDEN), vec![value]))
}

/// Gives its argument back. What nobody knows nobody can use to skip files.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Hidden {
    signature: Signature,
}

impl Default for Hidden {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Hidden {
    fn name(&self) -> &'static str {
        "lakeward_unskipped"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType, DataFusionError> {
        arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("no argument".to_owned()))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        call.args.into_iter().next().ok_or_else(|| DataFusionError::Internal("no argument".to_owned()))
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
