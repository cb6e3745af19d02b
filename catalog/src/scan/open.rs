//! Opening a file: its deletion vector becomes a selection of its rows.

use std::fmt;
use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::error::Result;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource::morsel::{MorselPlan, MorselPlanner, Morselizer};
use object_store::path::Path;
use roaring::RoaringTreemap;

use super::keep::{KeepingPlanner, KeptRows};
use crate::deletion::{DeletionVectors, ReadError, row_selection, selection_of};
use crate::error::DataFileError;
use crate::stores::Store;

/// What a [`PartitionedFile`] carries when not all of its rows are wanted: those that `only` has (all,
/// without it) and `without` has not.
#[derive(Debug)]
pub(crate) struct ChosenRows {
    /// `schema.table`, for errors.
    pub(crate) table: Arc<str>,
    pub(crate) only: Option<PlacedVector>,
    pub(crate) without: Option<PlacedVector>,
}

/// A deletion vector whose place is known.
#[derive(Debug)]
pub(crate) struct PlacedVector {
    pub(crate) place: VectorPlace,
    /// Bytes of the serialised bitmap, with its magic number.
    pub(crate) size: u32,
    /// Rows that it has.
    pub(crate) cardinality: u64,
}

/// Where the bytes of a deletion vector are.
#[derive(Debug)]
pub(crate) enum VectorPlace {
    /// Here, in base 85.
    Inline(String),
    /// At `offset` of a file of vectors.
    File { store: Arc<Store>, path: Path, offset: u64 },
}

impl PlacedVector {
    /// The rows of the vector.
    pub(crate) async fn read(&self, vectors: &DeletionVectors) -> Result<Arc<RoaringTreemap>, ReadError> {
        let Self { place, size, cardinality } = self;
        match place {
            VectorPlace::Inline(text) => Ok(vectors.inline(text, *size, *cardinality)?),
            VectorPlace::File { store, path, offset } => {
                let store = (&store.name(), &store.objects);
                vectors.stored(store, path, *offset, *size, *cardinality).await
            }
        }
    }
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
        let only = self.read(table, only.as_ref()).await?;
        let without = self.read(table, without.as_ref()).await?;
        let mut file = *self.file;
        // The log's row count is a claim; the selection has to fit the file.
        let mut reader = self.readers.create_reader(
            self.partition,
            file.clone(),
            file.metadata_size_hint,
            &self.metrics,
        )?;
        let footer = reader.get_metadata(None).await?;
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        if let (None, Some(without), Some(numbered)) = (&only, &without, &self.numbered) {
            let kept = KeptRows::of_scattered(without, rows).map_err(|error| damaged(table, error))?;
            if let Some(kept) = kept {
                let inner = numbered.plan_file(file)?;
                return Ok(Box::new(KeepingPlanner { inner, kept: Arc::new(kept) }));
            }
        }
        let selection = match (only, without) {
            (None, None) => return self.inner.plan_file(file),
            (None, Some(without)) => row_selection(&without, rows),
            (Some(only), None) => selection_of(&only, rows),
            (Some(only), Some(without)) => selection_of(&(only.as_ref() - without.as_ref()), rows),
        };
        let selection = selection.map_err(|error| damaged(table, error))?;
        file.extensions.insert(ParquetRowSelection::new(selection));
        self.inner.plan_file(file)
    }

    async fn read(&self, table: &str, placed: Option<&PlacedVector>) -> Result<Option<Arc<RoaringTreemap>>> {
        let Some(placed) = placed else { return Ok(None) };
        placed.read(&self.vectors).await.map(Some).map_err(|error| damaged(table, error))
    }
}

fn damaged(
    table: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> datafusion::error::DataFusionError {
    datafusion::error::DataFusionError::External(Box::new(DataFileError::reported(table, source)))
}
