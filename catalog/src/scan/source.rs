//! The file source of lake tables: Parquet's, with what Delta adds where a file is opened.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::config::{ConfigOptions, TableParquetOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::functions::core::file_row_index;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr,
};
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::morsel::Morselizer;
use object_store::ObjectStore;
use object_store::path::Path;

use super::adapter::LakeAdapterFactory;
use super::is_skippable;
use super::open::LakeMorselizer;
use super::reader::LakeReaderFactory;
use crate::deletion::DeletionVectors;
use crate::shape::FileColumns;
use crate::stores::Store;

/// Name of the column that numbers rows; nobody sees it.
const ROW_NUMBER: &str = "row number";

/// What the files of a table are read with. One for all that the engine makes of a scan.
#[derive(Debug)]
pub(super) struct LakeFiles {
    /// `schema.table`, for errors.
    pub(super) table: Arc<str>,
    /// The table's store.
    pub(super) store: Arc<Store>,
    /// The table's folder in its store.
    pub(super) folder: Path,
    readers: Arc<LakeReaderFactory>,
    adapter: Arc<LakeAdapterFactory>,
    vectors: Arc<DeletionVectors>,
}

impl LakeFiles {
    pub(super) fn new(
        table: Arc<str>,
        store: Arc<Store>,
        folder: Path,
        columns: Arc<FileColumns>,
        footers: Arc<FileMetadataCache>,
        vectors: Arc<DeletionVectors>,
    ) -> Self {
        let readers = LakeReaderFactory::new(Arc::clone(&table), Arc::clone(&store), footers);
        let adapter = LakeAdapterFactory { table: Arc::clone(&table), columns };
        Self { table, store, folder, readers: Arc::new(readers), adapter: Arc::new(adapter), vectors }
    }

    /// What a scan of these files has to be configured with.
    pub(super) fn adapter(&self) -> Arc<dyn PhysicalExprAdapterFactory> {
        Arc::clone(&self.adapter) as _
    }

    /// Shapes of the file columns.
    pub(super) fn columns(&self) -> &FileColumns {
        &self.adapter.columns
    }
}

/// [`ParquetSource`] with deletion vectors.
///
/// Column names are physical ones, as files have them; the projection gives them their advertised
/// names. All pruning, splitting and ordering is the engine's. `try_to_proto` stays the trait's, which
/// knows no form: the engine's own would lose deletion vectors without a word, so a plan travels through
/// [`LakeScanCodec`](super::codec::LakeScanCodec) or not at all.
#[derive(Clone)]
pub(crate) struct LakeSource {
    parquet: ParquetSource,
    files: Arc<LakeFiles>,
    /// The order that row groups are read in as far as bounds tell, where a sort above asked for one.
    /// The Parquet source knows it, too, and does not say.
    approximate_order: Option<LexOrdering>,
}

impl LakeSource {
    /// A source of all columns of `schema`. The predicate is over `schema`, too.
    pub(super) fn new(
        schema: TableSchema,
        options: TableParquetOptions,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        files: Arc<LakeFiles>,
    ) -> Self {
        let size_hint = options.global.metadata_size_hint;
        let readers = Arc::clone(&files.readers);
        let mut parquet = ParquetSource::new(schema)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(readers);
        if let Some(size_hint) = size_hint {
            parquet = parquet.with_metadata_size_hint(size_hint);
        }
        if let Some(predicate) = predicate {
            parquet = parquet.with_predicate(predicate);
        }
        Self { parquet, files, approximate_order: None }
    }

    pub(super) fn files(&self) -> &Arc<LakeFiles> {
        &self.files
    }

    pub(super) fn options(&self) -> &TableParquetOptions {
        self.parquet.table_parquet_options()
    }

    pub(super) fn approximate_order(&self) -> Option<&LexOrdering> {
        self.approximate_order.as_ref()
    }

    /// Whether files are read by the readers of [`Self::files`], and by no others.
    pub(super) fn has_own_readers(&self) -> bool {
        let readers = self.parquet.parquet_file_reader_factory();
        readers.is_some_and(|readers| is_same(readers, &self.files.readers))
    }

    /// Whether a scan is configured with the adapter of [`Self::files`].
    pub(super) fn is_adapted_by(&self, adapter: Option<&Arc<dyn PhysicalExprAdapterFactory>>) -> bool {
        adapter.is_some_and(|adapter| is_same(adapter, &self.files.adapter))
    }

    /// Columns that a scan gives.
    pub(super) fn output(&self) -> Result<Schema> {
        let schema = self.table_schema().table_schema();
        let projection = self
            .projection()
            .ok_or_else(|| DataFusionError::Internal("a Parquet source without a projection".to_owned()))?;
        projection.project_schema(schema)
    }

    /// The source with an [approximate order](Self::approximate_order), over its output.
    pub(super) fn ordered(&self, order: LexOrdering) -> Result<Arc<dyn FileSource>> {
        let output = EquivalenceProperties::new(Arc::new(self.output()?));
        let order: Vec<_> = order.into_iter().collect();
        match self.try_pushdown_sort(&order, &output)? {
            SortOrderPushdownResult::Inexact { inner } => Ok(inner),
            _ => Err(DataFusionError::NotImplemented(
                "an order of row groups that bounds do not tell".to_owned(),
            )),
        }
    }

    /// The same source, made of what it tells of itself.
    pub(super) fn remade(&self) -> Result<Arc<dyn FileSource>> {
        let (schema, options) = (self.table_schema().clone(), self.options().clone());
        let all: Arc<dyn FileSource> =
            Arc::new(Self::new(schema, options, self.filter(), Arc::clone(&self.files)));
        let projected = match self.projection() {
            Some(projection) => all.try_pushdown_projection(projection)?.unwrap_or(all),
            None => all,
        };
        match (&self.approximate_order, projected.downcast_ref::<Self>()) {
            (Some(order), Some(projected)) => projected.ordered(order.clone()),
            _ => Ok(projected),
        }
    }

    /// The Parquet source with one more column, the number of a row in its file.
    fn numbered(&self) -> Result<Arc<dyn FileSource>> {
        let output = self.output()?;
        let columns = output.fields().iter().enumerate().map(|(index, field)| {
            ProjectionExpr::new(Arc::new(Column::new(field.name(), index)), field.name().clone())
        });
        let number: Arc<dyn PhysicalExpr> = Arc::new(ScalarFunctionExpr::try_new(
            file_row_index(),
            Vec::new(),
            &output,
            Arc::new(ConfigOptions::default()),
        )?);
        let number = ProjectionExpr::new(number, ROW_NUMBER.to_owned());
        let projection: Vec<_> = columns.chain(std::iter::once(number)).collect();
        self.parquet
            .try_pushdown_projection(&projection.into())?
            .ok_or_else(|| DataFusionError::Internal("a Parquet source that does not number rows".to_owned()))
    }

    /// What the engine made of the inner source, wrapped again.
    fn wrap(&self, inner: &Arc<dyn FileSource>) -> Result<Arc<dyn FileSource>> {
        self.wrap_ordered(inner, self.approximate_order.clone())
    }

    fn wrap_ordered(
        &self,
        inner: &Arc<dyn FileSource>,
        approximate_order: Option<LexOrdering>,
    ) -> Result<Arc<dyn FileSource>> {
        let parquet = inner.downcast_ref::<ParquetSource>().ok_or_else(|| {
            DataFusionError::Internal("a Parquet source became another kind of source".to_owned())
        })?;
        let files = Arc::clone(&self.files);
        Ok(Arc::new(Self { parquet: parquet.clone(), files, approximate_order }))
    }
}

fn is_empty(projection: &ProjectionExprs) -> bool {
    projection.iter().next().is_none()
}

/// Whether both are one object, whatever is known of its type.
fn is_same<A: ?Sized, B>(a: &Arc<A>, b: &Arc<B>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
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
        let inner = self.parquet.create_morselizer(Arc::clone(&object_store), base_config, partition)?;
        // A limit counts rows where they are decoded, so none may be taken out after that.
        let may_take_out = base_config.limit.is_none() && !self.parquet.projection().is_none_or(is_empty);
        let numbered = match may_take_out {
            true => Some(self.numbered()?.create_morselizer(object_store, base_config, partition)?.into()),
            false => None,
        };
        Ok(Box::new(LakeMorselizer::new(
            inner.into(),
            numbered,
            readers,
            Arc::clone(&self.files.vectors),
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
                let order = LexOrdering::new(order.iter().cloned());
                SortOrderPushdownResult::Inexact { inner: self.wrap_ordered(&inner, order)? }
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
