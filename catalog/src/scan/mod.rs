//! A table version as a DataFusion provider: native Parquet scans over the files worth reading.

mod adapter;
mod bounded;
mod codec;
mod groups;
mod keep;
mod open;
mod plan;
mod reader;
mod reshape;
mod source;
mod variant;

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::unnormalize_col;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction_opt};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectMeta;

pub(crate) use bounded::BoundedFile;
pub use codec::{LakeScanCodec, ScanCodecError, ScanPlaces};
pub(crate) use open::ChosenRows;
pub(crate) use plan::LakeScan;

use crate::definition::TableDefinition;
use crate::index::{FileId, FileIndex};
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

    fn definition(&self) -> &TableDefinition {
        &self.snapshot.log.definition
    }

    /// The filters that can be written over the scan's schema, joined by AND.
    fn predicate(&self, state: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        if filters.is_empty() {
            return Ok(None);
        }
        let physical = self.definition().scan_schema.table_schema();
        let advertised = physical
            .fields()
            .iter()
            .zip(&self.definition().scan_names)
            .map(|(field, name)| Arc::new(field.as_ref().clone().with_name(name)))
            .collect::<Vec<_>>();
        let advertised = DFSchema::try_from(Schema::new(advertised))?;
        let usable = filters.iter().filter(|filter| may_help(filter)).filter_map(|filter| {
            // A hint that cannot be used is no error: the filter is applied above anyway.
            let filter = state.create_physical_expr(unnormalize_col(filter.clone()), &advertised).ok()?;
            by_physical_names(filter, physical).ok().filter(|filter| is_skippable(filter, physical))
        });
        Ok(conjunction_opt(usable))
    }

    fn partitioned_file(
        &self,
        index: &FileIndex,
        file: FileId,
        statistics: Arc<Statistics>,
    ) -> Result<PartitionedFile> {
        let entry = index.file(file);
        let modified = DateTime::<Utc>::from_timestamp_millis(entry.modified());
        let (location, other) = self.snapshot.place(&entry.file_path())?;
        let mut partitioned = PartitionedFile::new_from_meta(ObjectMeta {
            location,
            last_modified: modified.unwrap_or_default(),
            size: entry.size(),
            e_tag: None,
            version: None,
        });
        partitioned.partition_values = entry.partition_values()?;
        // Assigned, not through the setter: that one counts no nulls in partition columns.
        partitioned.statistics = Some(statistics);
        if let Some(other) = other {
            partitioned.extensions.insert(other);
        }
        if let Some(vector) = entry.deletion_vector().map_err(|error| self.snapshot.damaged(error))? {
            partitioned.extensions.insert(ChosenRows {
                table: self.snapshot.shared_name(),
                only: None,
                without: Some(self.snapshot.place_vector(vector)?),
            });
        }
        Ok(partitioned)
    }

    fn partitioned_files(
        &self,
        index: &FileIndex,
        files: &[FileId],
        columns: &[usize],
    ) -> Result<Vec<PartitionedFile>> {
        let schema = self.definition().scan_schema.table_schema();
        let unknown = Arc::new(Statistics::new_unknown(schema));
        files
            .iter()
            .map(|&file| {
                let statistics = if columns.is_empty() {
                    Arc::clone(&unknown)
                } else {
                    index.file_statistics(file, columns)?
                };
                self.partitioned_file(index, file, statistics)
            })
            .collect()
    }

    /// The columns at `positions` of the scan's schema, by their advertised names.
    fn projection(&self, positions: &[usize]) -> ProjectionExprs {
        let schema = self.definition().scan_schema.table_schema();
        positions
            .iter()
            .zip(positions.iter().filter_map(|&position| self.definition().scan_names.get(position)))
            .map(|(&position, name)| {
                let column = Column::new(schema.field(position).name(), position);
                ProjectionExpr::new(Arc::new(column), name.clone())
            })
            .collect::<Vec<_>>()
            .into()
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
        let definition = self.definition();
        let positions: Vec<usize> = match projection {
            None => definition.scan_positions.clone(),
            Some(chosen) => {
                chosen.iter().filter_map(|&column| definition.scan_positions.get(column).copied()).collect()
            }
        };
        let predicate = self.predicate(state, filters)?;
        let index = self.snapshot.index().await.map_err(|error| self.snapshot.unloadable(error))?;
        let files = match &predicate {
            Some(predicate) => index.prune(predicate),
            None => index.all(),
        };
        let filtered: Vec<usize> =
            predicate.iter().flat_map(collect_columns).map(|column| column.index()).collect();
        let mut read: Vec<usize> = positions.iter().chain(&filtered).copied().collect();
        read.sort_unstable();
        read.dedup();
        // What the values of columns are is worth knowing for those that filters name, always; for
        // all others while it costs little.
        let affordable = files.len().saturating_mul(read.len()) <= FILE_STATISTICS_LIMIT;
        let known = if affordable { &read } else { &filtered };
        let per_file = if affordable { &read[..] } else { &[] };

        LakeScan {
            schema: definition.scan_schema.clone(),
            file_columns: Arc::clone(&definition.file_columns),
            projection: self.projection(&positions),
            predicate,
            statistics: index.scan_statistics(&files, &read, known)?,
            files: self.partitioned_files(&index, &files, per_file)?,
            // Filters are hints: rows that a limit counts may be filtered away above.
            limit: limit.filter(|_| filters.is_empty()),
        }
        .plan(&self.snapshot, state)
    }
}

/// Whether files, row groups and pages may be skipped by an expression over `schema`.
///
/// Not by one over floating point columns: bounds leave out NaN, in Delta's statistics and in
/// Parquet's, and NaN is greater than all numbers to a comparison.
pub(super) fn is_skippable(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    collect_columns(expr)
        .iter()
        .all(|column| schema.fields().get(column.index()).is_some_and(|field| !has_floats(field.data_type())))
}

fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        DataType::List(inner) | DataType::Map(inner, _) => has_floats(inner.data_type()),
        other => other.is_floating(),
    }
}

/// The expression with each column called what the files call it.
fn by_physical_names(expr: Arc<dyn PhysicalExpr>, physical: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    expr.transform_up(|node| {
        let Some(column) = node.downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
        let field = physical.fields().get(column.index()).ok_or_else(|| {
            DataFusionError::Internal("a filter on a column that the scan does not have".to_owned())
        })?;
        Ok(Transformed::yes(Arc::new(Column::new(field.name(), column.index())) as _))
    })
    .data()
}

/// Whether a filter can rule out files, row groups or pages: it gives the same answer whenever and
/// wherever it is asked, and needs nothing but the row.
fn may_help(filter: &Expr) -> bool {
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
