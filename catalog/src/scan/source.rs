//! The file source of lake tables: Parquet's, with what Delta adds where a file is opened.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::morsel::Morselizer;
use object_store::ObjectStore;

use super::is_skippable;
use super::open::LakeMorselizer;
use crate::deletion::DeletionVectors;

/// [`ParquetSource`] with deletion vectors.
///
/// Column names are physical ones, as files have them; the projection gives them their advertised
/// names. All pruning, splitting and ordering is the engine's. There is no protobuf form on purpose:
/// the engine's own would lose deletion vectors without a word, so a plan travels through
/// a codec of ours or not at all.
#[derive(Clone)]
pub(crate) struct LakeSource {
    parquet: ParquetSource,
    vectors: Arc<DeletionVectors>,
}

impl LakeSource {
    pub(super) fn new(parquet: ParquetSource, vectors: Arc<DeletionVectors>) -> Self {
        Self { parquet, vectors }
    }

    /// What the engine made of the inner source, wrapped again.
    fn wrap(&self, inner: &Arc<dyn FileSource>) -> Result<Arc<dyn FileSource>> {
        let parquet = inner.downcast_ref::<ParquetSource>().ok_or_else(|| {
            DataFusionError::Internal("a Parquet source became another kind of source".to_owned())
        })?;
        Ok(Arc::new(Self { parquet: parquet.clone(), vectors: Arc::clone(&self.vectors) }))
    }
}

impl FileSource for LakeSource {
    fn create_file_opener(
        &self,
        _object_store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        _partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        Err(DataFusionError::Internal("lake files are opened by a morselizer".to_owned()))
    }

    fn create_morselizer(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let readers =
            self.parquet.parquet_file_reader_factory().cloned().ok_or_else(|| {
                DataFusionError::Internal("a lake scan without a reader of its own".to_owned())
            })?;
        let inner = self.parquet.create_morselizer(object_store, base_config, partition)?;
        Ok(Box::new(LakeMorselizer::new(
            inner.into(),
            readers,
            Arc::clone(&self.vectors),
            partition,
            self.parquet.metrics().clone(),
        )))
    }

    fn table_schema(&self) -> &TableSchema {
        self.parquet.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        let inner = self.parquet.with_batch_size(batch_size);
        // Only the batch size differs, so a source of another kind cannot come back.
        self.wrap(&inner).unwrap_or_else(|_| Arc::new(self.clone()))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.parquet.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.parquet.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.parquet.metrics()
    }

    fn file_type(&self) -> &str {
        self.parquet.file_type()
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parquet.fmt_extra(t, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.parquet.supports_repartitioning()
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        repartition_file_min_size: usize,
        output_ordering: Option<LexOrdering>,
        config: &FileScanConfig,
    ) -> Result<Option<FileScanConfig>> {
        self.parquet.repartitioned(target_partitions, repartition_file_min_size, output_ordering, config)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        // What comes here late, dynamic filters for one, is held to the same rule as what came first.
        let schema = self.table_schema().table_schema();
        let skippable: Vec<bool> = filters.iter().map(|filter| is_skippable(filter, schema)).collect();
        let offered = filters.into_iter().zip(&skippable).filter(|(_, may)| **may).map(|(filter, _)| filter);
        let pushed = self.parquet.try_pushdown_filters(offered.collect(), config)?;
        let mut answers = pushed.filters.into_iter();
        let filters = skippable
            .into_iter()
            .map(|may| may.then(|| answers.next()).flatten().unwrap_or(PushedDown::No))
            .collect();
        let updated_node = pushed.updated_node.map(|inner| self.wrap(&inner)).transpose()?;
        Ok(FilterPushdownPropagation { filters, updated_node })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        eq_properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        Ok(match self.parquet.try_pushdown_sort(order, eq_properties)? {
            SortOrderPushdownResult::Exact { inner } => {
                SortOrderPushdownResult::Exact { inner: self.wrap(&inner)? }
            }
            SortOrderPushdownResult::Inexact { inner } => {
                SortOrderPushdownResult::Inexact { inner: self.wrap(&inner)? }
            }
            SortOrderPushdownResult::Unsupported => SortOrderPushdownResult::Unsupported,
        })
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.parquet.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let inner = self.parquet.try_pushdown_projection(projection)?;
        inner.map(|inner| self.wrap(&inner)).transpose()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.parquet.apply_expressions(f)
    }
}
