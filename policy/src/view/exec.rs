//! The leaf of a view: its whole query, planned by itself.
//!
//! It has no children, so the optimizer finds nothing in it to rewrite, to push into or to move out; the
//! verifier alone looks inside.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType, reset_plan_states,
};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt as _;

use super::query::{Reads, ViewQuery};

/// The physical plan of a view's query, as a leaf. Only a barrier may stand over it.
#[derive(Debug)]
pub struct ViewExec {
    query: Arc<ViewQuery>,
    plan: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl ViewExec {
    /// Seals `plan`. `schema` has the names of the view's columns and the types of the plan's.
    pub(crate) fn try_new(
        query: Arc<ViewQuery>,
        plan: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
    ) -> Result<Self> {
        let types = |schema: &SchemaRef| -> Vec<_> {
            schema.fields().iter().map(|field| field.data_type().clone()).collect()
        };
        if types(&plan.schema()) != types(&schema) {
            return internal_err!("the query of a view gives other columns than the view has");
        }
        // As at the barrier: no ordering and no equivalences pass.
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(plan.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        // The plan inside yields by itself; else the optimizer would put a node below the barrier.
        let properties = Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative));
        Ok(Self { query, plan, schema, properties })
    }

    /// The query that it carries out.
    pub(crate) fn query(&self) -> &Arc<ViewQuery> {
        &self.query
    }

    /// What is inside. For the verifier.
    pub(crate) fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }
}

impl DisplayAs for ViewExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables: Vec<String> = match self.query.reads() {
            Reads::Owner(tables) => {
                tables.iter().map(|read| format!("{}@{}", read.full_name(), read.version)).collect()
            }
            Reads::Invoker(verified) => verified.scans.iter().map(|scan| scan.table.clone()).collect(),
        };
        write!(f, "ViewExec: view={}, tables=[{}]", self.query.name(), tables.join(", "))
    }
}

impl ExecutionPlan for ViewExec {
    fn name(&self) -> &'static str {
        "ViewExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("the query of a view has no inputs") }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("the query of a view has no inputs") }
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            query: Arc::clone(&self.query),
            plan: reset_plan_states(Arc::clone(&self.plan))?,
            schema: Arc::clone(&self.schema),
            properties: Arc::clone(&self.properties),
        }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let view = self.query.shared_name();
        let input = self.plan.execute(partition, context).map_err(|error| failed(&view, error))?;
        let schema = Arc::clone(&self.schema);
        let rows = input.map(move |batch| {
            let batch = batch.map_err(|error| failed(&view, error))?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), batch.columns().to_vec(), &options)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut shown = Statistics::new_unknown(&self.schema);
        let inner = StatisticsContext::new().compute(self.plan.as_ref(), args)?;
        shown.num_rows = inner.num_rows.to_inexact();
        shown.total_byte_size = inner.total_byte_size.to_inexact();
        Ok(Arc::new(shown))
    }
}

/// The query of a view failed on a value. Which, and how, is for who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("view {view} cannot be computed")]
pub struct ViewFailed {
    /// `schema.view`.
    pub view: String,
}

/// What leaves a view of an error inside: memory is the statement's, files are told of by the barrier.
fn failed(view: &str, error: DataFusionError) -> DataFusionError {
    let root = error.find_root();
    let of_files = matches!(
        root,
        DataFusionError::ParquetError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::IoError(_)
            | DataFusionError::External(_)
            | DataFusionError::ResourcesExhausted(_)
    );
    if of_files {
        return error;
    }
    // The engine's text may quote a value.
    let class = match root {
        DataFusionError::ArrowError(..) => "a value does not fit an expression",
        DataFusionError::Execution(_) => "an expression failed",
        _ => "the engine failed",
    };
    tracing::error!(view, class, "the query of a view failed");
    DataFusionError::External(Box::new(ViewFailed { view: view.to_owned() }))
}
