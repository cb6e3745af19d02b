//! Opening a file: its deletion vector becomes a selection of its rows.

use std::fmt;
use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource::morsel::{MorselPlan, MorselPlanner, Morselizer};

use super::keep::{KeepingPlanner, KeptRows};
use super::reader::FoundObject;
use crate::deletion::{DeletionVectors, LeftRows, PlacedVector, ReadError, selection_of};
use crate::error::DataFileError;

/// What a [`PartitionedFile`] carries when not all of its rows are wanted: those that `only` has (all,
/// without it) and `without` has not.
#[derive(Debug)]
pub(crate) struct ChosenRows {
    /// `schema.table`, for errors.
    pub(crate) table: Arc<str>,
    pub(crate) only: Option<PlacedVector>,
    pub(crate) without: Option<PlacedVector>,
}

/// Opens files as the Parquet source does, those with a deletion vector without the rows it removes.
pub(super) struct LakeMorselizer {
    inner: Arc<dyn Morselizer>,
    /// The same with a last column that numbers the rows of a file; None where rows must not be taken out
    /// later, or nothing is decoded.
    numbered: Option<Arc<dyn Morselizer>>,
    readers: Arc<dyn ParquetFileReaderFactory>,
    vectors: Arc<DeletionVectors>,
    partition: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl LakeMorselizer {
    pub(super) fn new(
        inner: Arc<dyn Morselizer>,
        numbered: Option<Arc<dyn Morselizer>>,
        readers: Arc<dyn ParquetFileReaderFactory>,
        vectors: Arc<DeletionVectors>,
        partition: usize,
        metrics: ExecutionPlanMetricsSet,
    ) -> Self {
        Self { inner, numbered, readers, vectors, partition, metrics }
    }
}

impl fmt::Debug for LakeMorselizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeMorselizer").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl Morselizer for LakeMorselizer {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let Some(chosen) = file.extensions.get_arc::<ChosenRows>() else {
            return self.inner.plan_file(file);
        };
        Ok(Box::new(SelectRows {
            inner: Arc::clone(&self.inner),
            numbered: self.numbered.clone(),
            readers: Arc::clone(&self.readers),
            vectors: Arc::clone(&self.vectors),
            partition: self.partition,
            metrics: self.metrics.clone(),
            file: Box::new(file),
            chosen,
        }))
    }
}

/// Reads a file's deletion vector, then plans the file with the rows that are left.
struct SelectRows {
    inner: Arc<dyn Morselizer>,
    numbered: Option<Arc<dyn Morselizer>>,
    readers: Arc<dyn ParquetFileReaderFactory>,
    vectors: Arc<DeletionVectors>,
    partition: usize,
    metrics: ExecutionPlanMetricsSet,
    file: Box<PartitionedFile>,
    chosen: Arc<ChosenRows>,
}

impl fmt::Debug for SelectRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectRows").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl MorselPlanner for SelectRows {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        Ok(Some(MorselPlan::new().with_pending_planner(self.select())))
    }
}

impl SelectRows {
    async fn select(self: Box<Self>) -> Result<Box<dyn MorselPlanner>> {
        let ChosenRows { table, only, without } = self.chosen.as_ref();
        let mut file = *self.file;
        file.extensions.insert(FoundObject::default());
        // The log's row count is a claim; the selection has to fit the file.
        let mut reader = self.readers.create_reader(
            self.partition,
            file.clone(),
            file.metadata_size_hint,
            &self.metrics,
        )?;
        let footer = reader.get_metadata(None).await?;
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        let left = match (only, without) {
            (None, None) => return self.inner.plan_file(file),
            (None, Some(without)) => {
                let left = self.vectors.left_rows(without, rows, self.numbered.is_some()).await;
                left.map_err(|error| damaged(table, error))?
            }
            (Some(only), without) => {
                let read = async {
                    let mut only = self.vectors.read(only).await?;
                    if let Some(without) = without {
                        only = Arc::new(only.as_ref() - self.vectors.read(without).await?.as_ref());
                    }
                    Ok::<_, ReadError>(selection_of(&only, rows)?)
                };
                let selection = read.await.map_err(|error| damaged(table, error))?;
                Arc::new(LeftRows::Runs(selection))
            }
        };
        match (left.as_ref(), &self.numbered) {
            (LeftRows::Scattered(bits), Some(numbered)) => {
                let kept = Arc::new(KeptRows(bits.clone()));
                let inner = numbered.plan_file(file)?;
                Ok(Box::new(KeepingPlanner { inner, kept }))
            }
            (LeftRows::Runs(selection), _) => {
                file.extensions.insert(ParquetRowSelection::new(selection.clone()));
                self.inner.plan_file(file)
            }
            (LeftRows::Scattered(_), None) => {
                Err(DataFusionError::Internal("scattered rows where none can be taken out".to_owned()))
            }
        }
    }
}

fn damaged(table: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DataFusionError {
    DataFusionError::External(Box::new(DataFileError::reported(table, source)))
}
