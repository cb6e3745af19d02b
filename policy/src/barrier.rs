//! The sealed leaf of every governed scan.
//!
//! One physical node evaluates the row filter and the masks itself. The engine's optimizer can
//! neither take them apart nor move anything across, because below the barrier there is nothing but
//! the scan: no filter to merge with, no projection to swap with, no expression to inline. What goes
//! down is decided here and only here: nothing, except dynamic filters over bare unmasked columns.
//! What comes up is row counts and sizes, as estimates.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{BatchCoalescer, prep_null_mask_filter};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, conjunction};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase,
    FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::{Stream, StreamExt};

use crate::access::TablePolicy;
use crate::compact::compacted;
use crate::mask::Mask;
use crate::mutation::{Mutation, active};
use crate::total::is_flat;
use crate::view::ViewFailed;

/// One column that leaves the barrier.
#[derive(Debug, Clone)]
pub struct BarrierColumn {
    /// Index in the input.
    pub input: usize,
    /// What its values become; None shows them as they are.
    pub mask: Option<Arc<dyn Mask>>,
}

/// Row filter, masks and seal over one scan.
#[derive(Debug)]
pub struct PolicyBarrierExec {
    /// `schema.table`, for plans and errors.
    table: Arc<str>,
    /// What it carries out, for the verifier.
    policy: Option<Arc<TablePolicy>>,
    input: Arc<dyn ExecutionPlan>,
    /// Total predicate over the input's columns; rows for which it is not TRUE do not exist.
    row_filter: Option<Arc<dyn PhysicalExpr>>,
    /// What is evaluated: the row filter and those of the statement's predicates that are leakproof, so
    /// that rows are copied once. The statement evaluates its own again above.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    /// The engine's own filter node over the same input: asked for estimates, never run.
    estimator: Option<FilterExec>,
    columns: Arc<[BarrierColumn]>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PolicyBarrierExec {
    /// Seals `input`. `schema` has one field per entry of `columns`, of the masked types.
    pub fn try_new(
        table: Arc<str>,
        input: Arc<dyn ExecutionPlan>,
        row_filter: Option<Arc<dyn PhysicalExpr>>,
        columns: Arc<[BarrierColumn]>,
        schema: SchemaRef,
    ) -> Result<Self> {
        let raw = input.schema();
        if columns.len() != schema.fields().len() {
            return internal_err!("the barrier's columns and schema disagree");
        }
        for (column, field) in columns.iter().zip(schema.fields()) {
            let Some(source) = raw.fields().get(column.input) else {
                return internal_err!("the barrier names a column that its input does not have");
            };
            let shown = column
                .mask
                .as_ref()
                .map_or_else(|| source.data_type().clone(), |m| m.output_type(source.data_type()));
            if shown != *field.data_type() {
                return internal_err!("the barrier's schema disagrees with its columns");
            }
        }
        // No ordering, no constants, no equivalences: all of them can depend on raw values.
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let estimator = row_filter
            .as_ref()
            .map(|filter| FilterExec::try_new(Arc::clone(filter), Arc::clone(&input)))
            .transpose()?;
        let metrics = ExecutionPlanMetricsSet::new();
        let predicate = row_filter.clone();
        let policy = None;
        Ok(Self {
            table,
            policy,
            input,
            row_filter,
            predicate,
            estimator,
            columns,
            schema,
            properties,
            metrics,
        })
    }

    /// Names the decision that it carries out; without one it is not verified.
    #[must_use]
    pub(crate) fn for_policy(mut self, policy: &Arc<TablePolicy>) -> Self {
        self.policy = Some(Arc::clone(policy));
        self
    }

    /// Evaluates leakproof predicates of the statement together with the row filter, where there is one.
    #[must_use]
    pub(crate) fn with_leakproof(mut self, predicates: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        if let Some(filter) = &self.row_filter {
            self.predicate = Some(conjunction(std::iter::once(Arc::clone(filter)).chain(predicates)));
        }
        self
    }

    /// `schema.table`.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The raw scan. For the verifier and for operators' plans only.
    #[must_use]
    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    /// The decision that it carries out.
    pub(crate) fn policy(&self) -> Option<&Arc<TablePolicy>> {
        self.policy.as_ref()
    }

    /// Whether rows are filtered.
    #[must_use]
    pub fn has_row_filter(&self) -> bool {
        self.row_filter.is_some()
    }

    /// The predicate that decides over rows.
    #[cfg(test)]
    pub(crate) fn row_filter(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        self.row_filter.as_ref()
    }

    /// Whether every row is dropped for which the row filter, if there is one, is not TRUE.
    pub(crate) fn evaluates_row_filter(&self) -> bool {
        let Some(filter) = &self.row_filter else { return true };
        self.predicate.as_ref().is_some_and(|predicate| {
            let evaluated = split_conjunction(predicate);
            split_conjunction(filter).iter().all(|part| evaluated.contains(part))
        })
    }

    /// What leaves it.
    #[must_use]
    pub fn columns(&self) -> &[BarrierColumn] {
        &self.columns
    }

    /// Output indices of the columns shown as they are whose values cannot fail to be compared.
    fn comparable(&self) -> HashSet<usize> {
        let all = active(Mutation::DynamicFiltersOfAny);
        let fields = self.columns.iter().zip(self.schema.fields()).enumerate();
        fields
            .filter(|(_, (column, field))| all || (column.mask.is_none() && is_flat(field.data_type())))
            .map(|(index, _)| index)
            .collect()
    }

    /// Whether a filter from above may go below: one that the engine itself made (from join keys, a
    /// top-k threshold or an aggregate's bound) and whose operands are bare unmasked columns. Its
    /// present form says nothing (it starts as `true`), its operands stay.
    fn lets_through(&self, filter: &Arc<dyn PhysicalExpr>, comparable: &HashSet<usize>) -> bool {
        filter.downcast_ref::<DynamicFilterPhysicalExpr>().is_some_and(|dynamic| {
            let operands = dynamic.children();
            !operands.is_empty()
                && operands.iter().all(|operand| {
                    operand
                        .downcast_ref::<Column>()
                        .is_some_and(|column| comparable.contains(&column.index()))
                })
        })
    }
}

impl DisplayAs for PolicyBarrierExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = self.columns.iter().filter(|c| c.mask.is_some()).count();
        write!(
            f,
            "PolicyBarrierExec: table={}, row_filter={}, masked_columns={masked}",
            self.table,
            self.row_filter.is_some()
        )
    }
}

impl ExecutionPlan for PolicyBarrierExec {
    fn name(&self) -> &'static str {
        "PolicyBarrierExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.predicate {
            Some(filter) => f(filter),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // No exchange below a barrier: raw rows stay in the task that read them.
        vec![false]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("a barrier has one input");
        };
        if input.schema() != self.input.schema() {
            return internal_err!("the input of a barrier changed its columns");
        }
        let mut replaced = Self::try_new(
            Arc::clone(&self.table),
            input,
            self.row_filter.clone(),
            Arc::clone(&self.columns),
            Arc::clone(&self.schema),
        )?;
        replaced.predicate.clone_from(&self.predicate);
        replaced.policy.clone_from(&self.policy);
        Ok(Arc::new(replaced))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batch_size = context.session_config().batch_size();
        let input = self.input.execute(partition, context)?;
        let raw: Vec<usize> = self.columns.iter().map(|c| c.input).collect();
        let raw_schema = Arc::new(Schema::new(
            raw.iter().map(|index| Arc::clone(&input.schema().fields()[*index])).collect::<Vec<_>>(),
        ));
        let coalescer = (self.row_filter.is_some() && !raw.is_empty()).then(|| {
            BatchCoalescer::new(Arc::clone(&raw_schema), batch_size)
                .with_biggest_coalesce_batch_size(Some(batch_size / 2))
        });
        Ok(Box::pin(BarrierStream {
            table: Arc::clone(&self.table),
            input: Some(input),
            predicate: self.predicate.clone(),
            raw,
            columns: Arc::clone(&self.columns),
            schema: Arc::clone(&self.schema),
            coalescer,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        // Row count and size only, as estimates. Bounds, null counts and distinct counts would let the
        // planner evaluate a user's expression on hidden values.
        let mut shown = Statistics::new_unknown(&self.schema);
        let estimate = match (&self.estimator, inputs.first()) {
            (Some(filter), _) => filter.statistics_from_inputs(inputs, args)?,
            (None, Some(input)) => Arc::clone(input),
            (None, None) => return Ok(Arc::new(shown)),
        };
        shown.num_rows = estimate.num_rows.to_inexact();
        shown.total_byte_size = estimate.total_byte_size.to_inexact();
        if let (Some(input), true) = (inputs.first(), active(Mutation::BoundsPass)) {
            for (column, shown) in self.columns.iter().zip(&mut shown.column_statistics) {
                shown.clone_from(&input.column_statistics[column.input]);
            }
        }
        if let (Some(input), true) = (inputs.first(), active(Mutation::ExactCounts)) {
            shown.num_rows = input.num_rows.get_value().map_or(Precision::Absent, |n| Precision::Exact(*n));
        }
        Ok(Arc::new(shown))
    }

    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        if phase != FilterPushdownPhase::Post {
            return Ok(FilterDescription::all_unsupported(&parent_filters, &self.children()));
        }
        let comparable = self.comparable();
        // The optimizer matches answers to filters by position, so a refused one is stood for by a
        // column that no input has.
        let refused: Arc<dyn PhysicalExpr> =
            Arc::new(Column::new("refused at the policy barrier", usize::MAX));
        let offered: Vec<_> = parent_filters
            .iter()
            .map(|filter| {
                if self.lets_through(filter, &comparable) { Arc::clone(filter) } else { Arc::clone(&refused) }
            })
            .collect();
        let child =
            ChildFilterDescription::from_child_with_allowed_indices(&offered, comparable, &self.input)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(child_pushdown_result))
    }
}

/// A governed table could not be read. Paths and values stay in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table {table} cannot be read")]
pub struct ScanFailed {
    /// `schema.table`.
    pub table: String,
    /// Whether the table may be well and only its store did not give the data.
    pub store_failed: bool,
}

/// What leaves a barrier of an error below it: the table's name.
fn scan_failed(table: &str, error: DataFusionError) -> DataFusionError {
    if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
        return error;
    }
    // A view inside another is named by who wrote that; this one is what the statement names.
    if let DataFusionError::External(source) = error.find_root()
        && source.is::<ViewFailed>()
    {
        return DataFusionError::External(Box::new(ViewFailed { view: table.to_owned() }));
    }
    // Errors of files name paths and sizes; those of values would put a patient's data into the log.
    let detail = match error.find_root() {
        DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::External(_) => error.strip_backtrace(),
        _ => "a value could not be read as the table declares it".to_owned(),
    };
    tracing::error!(table, detail, "a scan failed");
    let store_failed = store_failed(&error);
    DataFusionError::External(Box::new(ScanFailed { table: table.to_owned(), store_failed }))
}

/// Whether a store's error other than "there is no such object" is among the causes.
fn store_failed(error: &DataFusionError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error.find_root());
    while let Some(cause) = next {
        if let Some(store) = cause.downcast_ref::<object_store::Error>() {
            return !matches!(store, object_store::Error::NotFound { .. });
        }
        next = cause.source();
    }
    false
}

/// Filters, coalesces, then masks what is left.
struct BarrierStream {
    table: Arc<str>,
    /// None once it has ended: its resources go with it.
    input: Option<SendableRecordBatchStream>,
    predicate: Option<Arc<dyn PhysicalExpr>>,
    raw: Vec<usize>,
    columns: Arc<[BarrierColumn]>,
    schema: SchemaRef,
    coalescer: Option<BatchCoalescer>,
    metrics: BaselineMetrics,
}

impl BarrierStream {
    /// Masks a batch of raw columns in output order.
    fn mask(&self, raw: &[ArrayRef], rows: usize) -> Result<RecordBatch> {
        let columns = self
            .columns
            .iter()
            .zip(raw)
            .map(|(column, values)| match &column.mask {
                Some(mask) => compacted(&mask.apply(values)?),
                None => compacted(values),
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// The rows of `batch` that the filter shows.
    fn selected(filter: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
        let verdict = filter.evaluate(batch)?.into_array(batch.num_rows())?;
        let verdict = datafusion::common::cast::as_boolean_array(&verdict)?;
        // Unknown is not TRUE.
        Ok(if verdict.null_count() > 0 { prep_null_mask_filter(verdict) } else { verdict.clone() })
    }

    /// Takes one input batch; answers what can leave at once.
    fn accept(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        let Some(filter) = &self.predicate else {
            let raw: Vec<_> = self.raw.iter().map(|index| Arc::clone(batch.column(*index))).collect();
            return self.mask(&raw, batch.num_rows()).map(Some);
        };
        let selected = Self::selected(filter, batch)?;
        let shown = selected.true_count();
        if shown == 0 {
            return Ok(None);
        }
        match &mut self.coalescer {
            // Only the number of rows is asked for.
            None => self.mask(&[], shown).map(Some),
            Some(coalescer) => {
                let projected = batch.project(&self.raw)?;
                if shown == batch.num_rows() {
                    coalescer.push_batch(projected)?;
                } else {
                    coalescer.push_batch_with_filter(projected, &selected)?;
                }
                Ok(None)
            }
        }
    }

    fn completed(&mut self) -> Option<Result<RecordBatch>> {
        let batch = self.coalescer.as_mut()?.next_completed_batch()?;
        Some(self.mask(batch.columns(), batch.num_rows()))
    }
}

impl Stream for BarrierStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let elapsed = self.metrics.elapsed_compute().clone();
        loop {
            let timer = elapsed.timer();
            let completed = self.completed();
            timer.done();
            if let Some(batch) = completed {
                return self.metrics.record_poll(Poll::Ready(Some(batch)));
            }
            let Some(input) = &mut self.input else { return Poll::Ready(None) };
            match ready!(input.poll_next_unpin(cx)) {
                Some(Ok(batch)) => {
                    let timer = elapsed.timer();
                    let taken = self.accept(&batch);
                    timer.done();
                    if let Some(taken) = taken.transpose() {
                        return self.metrics.record_poll(Poll::Ready(Some(taken)));
                    }
                }
                Some(Err(error)) => {
                    self.input = None;
                    return Poll::Ready(Some(Err(scan_failed(&self.table, error))));
                }
                None => {
                    self.input = None;
                    if let Some(coalescer) = &mut self.coalescer {
                        coalescer.finish_buffered_batch()?;
                    }
                }
            }
        }
    }
}

impl RecordBatchStream for BarrierStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
