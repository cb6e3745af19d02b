//! From chosen files to a plan node: what all scans of lake tables have in common.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::Statistics;
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, FileSource as _};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::ExecutionPlan;
use object_store::path::Path;

use super::groups::file_groups;
use super::reader::OtherStore;
use super::source::{LakeFiles, LakeSource};
use crate::deletion::{DeletionVector, PlacedVector, Stored, VectorPlace};
use crate::error::{DataFileError, LoadError};
use crate::places::FilePath;
use crate::shape::FileColumns;
use crate::snapshot::TableSnapshot;

/// A scan of some files of a table.
pub(crate) struct LakeScan {
    /// By physical names.
    pub(crate) schema: TableSchema,
    /// Shapes of the schema's file columns.
    pub(crate) file_columns: Arc<FileColumns>,
    /// Over the schema.
    pub(crate) projection: ProjectionExprs,
    /// Over the schema; skips what cannot match, and filters nothing.
    pub(crate) predicate: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) files: Vec<PartitionedFile>,
    /// Over the schema.
    pub(crate) statistics: Statistics,
    pub(crate) limit: Option<usize>,
}

impl LakeScan {
    pub(crate) fn plan(self, table: &TableSnapshot, state: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let mut options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        // Legacy 96 bit timestamps are UTC, and in nanoseconds would not reach beyond 2262.
        options.global.coerce_int96 = Some("us".to_owned());
        options.global.coerce_int96_tz = Some("UTC".to_owned());

        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let files = LakeFiles::new(
            table.shared_name(),
            Arc::clone(&table.location.store),
            table.location.path.clone(),
            self.file_columns,
            footers,
            Arc::clone(&table.log.context.vectors),
        );
        let adapter = files.adapter();
        let source = LakeSource::new(self.schema, options, self.predicate, Arc::new(files));
        let source = source
            .try_pushdown_projection(&self.projection)?
            .ok_or_else(|| DataFusionError::Internal("the Parquet source took no projection".to_owned()))?;
        let config = FileScanConfigBuilder::new(table.location.store.url.clone(), source)
            .with_file_groups(file_groups(self.files, state.config().target_partitions()))
            .with_statistics(self.statistics)
            .with_expr_adapter(Some(adapter))
            .with_limit(self.limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl TableSnapshot {
    /// `schema.table`, to be shared by what a scan is made of.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::from(self.qualified_name.as_str())
    }

    /// Where a file is: its path in its store, and that store unless it is the table's.
    pub(crate) fn place(&self, file: &FilePath) -> Result<(Path, Option<OtherStore>)> {
        let Some(place) = file.place else {
            return Ok((Path::parse(format!("{}/{}", self.location.path, file.path))?, None));
        };
        let store = self.log.context.places.store(place).ok_or_else(|| {
            DataFusionError::Internal("a file in a place that is not configured".to_owned())
        })?;
        Ok((Path::parse(&file.path)?, Some(OtherStore(Arc::clone(store)))))
    }

    /// The deletion vector with its place. One that cannot be found is an error, not a file without.
    pub(crate) fn place_vector(&self, vector: DeletionVector) -> Result<PlacedVector> {
        let DeletionVector { stored, size, cardinality } = vector;
        let (file, offset) = match stored {
            Stored::Inline(text) => {
                return Ok(PlacedVector { place: VectorPlace::Inline(text), size, cardinality });
            }
            Stored::Beside { path, offset } => (FilePath { place: None, path }, offset),
            Stored::Elsewhere { url, offset } => {
                let file = FilePath::parse(url.as_str(), &self.location.url, &self.log.context.places)
                    .map_err(|error| self.damaged(error))?;
                (file, offset)
            }
        };
        let (path, other) = self.place(&file)?;
        let store = other.map_or_else(|| Arc::clone(&self.location.store), |other| other.0);
        Ok(PlacedVector { place: VectorPlace::File { store, path, offset }, size, cardinality })
    }

    /// The error of a table whose log can no longer be read.
    pub(crate) fn unloadable(&self, error: LoadError) -> DataFusionError {
        let table = self.qualified_name.as_str();
        let error = match error {
            error if error.is_transient() => {
                let source = Box::new(std::io::Error::other(error));
                DataFileError::reported(table, object_store::Error::Generic { store: "store", source })
            }
            error => DataFileError::reported(table, error),
        };
        DataFusionError::External(Box::new(error))
    }

    /// The error of a table whose log describes a file as none can be.
    pub(crate) fn damaged(&self, error: LoadError) -> DataFusionError {
        let table = self.qualified_name.clone();
        DataFusionError::External(Box::new(DataFileError { table, source: Box::new(error) }))
    }
}
