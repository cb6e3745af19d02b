//! A table version as a DataFusion provider: native Parquet scans over the files worth reading.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction_opt};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::index::FileIndex;
use crate::reader::LakeReaderFactory;
use crate::snapshot::TableSnapshot;

/// Per-file statistics are for skipping files while a query runs; past this many column entries
/// (some hundred bytes each) a plan would carry more statistics than it is worth.
const FILE_STATISTICS_LIMIT: usize = 50_000;

/// One table version. Reveals nothing but its columns, and takes filters only as hints.
#[derive(Debug)]
pub(crate) struct LakeTable {
    snapshot: Arc<TableSnapshot>,
}

impl LakeTable {
    pub(crate) fn new(snapshot: Arc<TableSnapshot>) -> Self {
        Self { snapshot }
    }

    fn index(&self) -> &FileIndex {
        &self.snapshot.log.index
    }

    /// The filters that can be written over the scan's schema, joined by AND.
    fn predicate(&self, state: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        if filters.is_empty() {
            return Ok(None);
        }
        let scan_schema = self.snapshot.log.definition.scan_schema.table_schema();
        let scan_schema = DFSchema::try_from(Arc::clone(scan_schema))?;
        let usable = filters.iter().filter(|filter| may_help(filter)).filter_map(|filter| {
            // A hint that cannot be used is no error: the filter is applied above anyway.
            state.create_physical_expr(unnormalize_col(filter.clone()), &scan_schema).ok()
        });
        Ok(conjunction_opt(usable))
    }

    fn partitioned_file(&self, file: usize, statistics: Arc<Statistics>) -> Result<PartitionedFile> {
        let index = self.index();
        let folder = &self.snapshot.location.path;
        let modified = DateTime::<Utc>::from_timestamp_millis(index.modified(file));
        let mut partitioned = PartitionedFile::new_from_meta(ObjectMeta {
            location: Path::parse(format!("{folder}/{}", index.path(file)))?,
            last_modified: modified.unwrap_or_default(),
            size: index.size(file),
            e_tag: None,
            version: None,
        });
        partitioned.partition_values = index.partition_values(file)?;
        // Assigned, not through the setter: that one counts no nulls in partition columns.
        partitioned.statistics = Some(statistics);
        Ok(partitioned)
    }

    fn partitioned_files(&self, files: &[usize], columns: &[usize]) -> Result<Vec<PartitionedFile>> {
        let schema = self.snapshot.log.definition.scan_schema.table_schema();
        let affordable = files.len().saturating_mul(schema.fields().len()) <= FILE_STATISTICS_LIMIT;
        let unknown = Arc::new(Statistics::new_unknown(schema));
        files
            .iter()
            .map(|&file| {
                let statistics = if affordable {
                    self.index().file_statistics(file, columns)?
                } else {
                    Arc::clone(&unknown)
                };
                self.partitioned_file(file, statistics)
            })
            .collect()
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.snapshot.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match may_help(filter) {
                true => TableProviderFilterPushDown::Inexact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let definition = &self.snapshot.log.definition;
        let positions: Vec<usize> = match projection {
            None => definition.scan_positions.clone(),
            Some(chosen) => {
                chosen.iter().filter_map(|&column| definition.scan_positions.get(column).copied()).collect()
            }
        };
        let predicate = self.predicate(state, filters)?;
        let files = match &predicate {
            Some(predicate) => self.index().prune(predicate),
            None => (0..self.index().len()).collect(),
        };
        let mut columns = positions.clone();
        if let Some(predicate) = &predicate {
            columns.extend(collect_columns(predicate).iter().map(|column| column.index()));
        }
        columns.sort_unstable();
        columns.dedup();

        let mut options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        // Legacy 96 bit timestamps are UTC, and in nanoseconds would not reach beyond 2262.
        options.global.coerce_int96 = Some("us".to_owned());
        options.global.coerce_int96_tz = Some("UTC".to_owned());

        let store = &self.snapshot.location.store;
        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let readers = LakeReaderFactory::new(&self.snapshot.qualified_name, store, footers);
        let size_hint = options.global.metadata_size_hint;
        let mut source = ParquetSource::new(definition.scan_schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(size_hint) = size_hint {
            source = source.with_metadata_size_hint(size_hint);
        }
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }

        let statistics = self.index().scan_statistics(&files, &columns)?;
        let groups =
            file_groups(self.partitioned_files(&files, &columns)?, state.config().target_partitions());
        let config = FileScanConfigBuilder::new(store.url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(positions))?
            // Filters are hints: rows that a limit counts may be filtered away above.
            .with_limit(limit.filter(|_| filters.is_empty()))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Whether a filter can rule out files, row groups or pages: it gives the same answer whenever and
/// wherever it is asked, and needs nothing but the row.
fn may_help(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode as _;
    let elsewhere = filter.exists(|part| {
        Ok(matches!(
            part,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::ScalarSubquery(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
        ))
    });
    matches!(elsewhere, Ok(false)) && !filter.is_volatile()
}

/// Spreads files over at most `target` groups of about equal bytes, the same way every time. A scan
/// without files is one empty group, so that plans look alike whether or not all files were skipped.
fn file_groups(mut files: Vec<PartitionedFile>, target: usize) -> Vec<FileGroup> {
    let groups = target.max(1).min(files.len().max(1));
    files.sort_by(|a, b| {
        let order = b.object_meta.size.cmp(&a.object_meta.size);
        order.then_with(|| a.object_meta.location.cmp(&b.object_meta.location))
    });
    let mut filled: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); groups];
    for file in files {
        if let Some((bytes, group)) = filled.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes = bytes.saturating_add(file.object_meta.size);
            group.push(file);
        }
    }
    filled
        .into_iter()
        .map(|(_, mut group)| {
            group.sort_by(|a, b| a.object_meta.location.cmp(&b.object_meta.location));
            FileGroup::new(group)
        })
        .collect()
}
