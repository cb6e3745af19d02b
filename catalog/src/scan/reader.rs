//! Reading data files: cached footers, and no silent partial result.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::bounded::BoundedFile;
use crate::error::DataFileError;
use crate::footers::FootersOfObject;
use crate::stores::Store;

/// Makes readers that hold a file to what the log says of it, over the runtime's footer cache.
#[derive(Debug)]
pub(crate) struct LakeReaderFactory {
    table: Arc<str>,
    source: Source,
}

/// Where a reader gets bytes and footers from.
#[derive(Clone)]
struct Source {
    store: Arc<Store>,
    footers: Arc<FileMetadataCache>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("store", &self.store).finish_non_exhaustive()
    }
}

impl LakeReaderFactory {
    pub(crate) fn new(table: Arc<str>, store: Arc<Store>, footers: Arc<FileMetadataCache>) -> Self {
        Self { table, source: Source { store, footers } }
    }
}

/// What a [`PartitionedFile`] carries that lies in another store than its table.
#[derive(Debug)]
pub(crate) struct OtherStore(pub(crate) Arc<Store>);

/// What a [`PartitionedFile`] carries that is opened more than once within a scan: what the first
/// reader found at the store, for those after it.
#[derive(Debug, Default)]
pub(super) struct FoundObject(OnceLock<ObjectMeta>);

impl ParquetFileReaderFactory for LakeReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::common::Result<Box<dyn AsyncFileReader + Send>> {
        let mut source = self.source.clone();
        if let Some(OtherStore(store)) = file.extensions.get::<OtherStore>() {
            source.store = Arc::clone(store);
        }
        Ok(Box::new(LakeReader {
            table: Arc::clone(&self.table),
            source,
            partition_index,
            file,
            metadata_size_hint,
            metrics: metrics.clone(),
            reader: None,
        }))
    }
}

struct LakeReader {
    /// `schema.table`, for errors.
    table: Arc<str>,
    source: Source,
    partition_index: usize,
    /// Size as the log says.
    file: PartitionedFile,
    metadata_size_hint: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
    /// Opened at the first use.
    reader: Option<Box<dyn AsyncFileReader + Send>>,
}

impl LakeReader {
    /// The reader, once the file was found to be the size that the log says.
    ///
    /// Looked at for every scan: a cached footer, and a query that needs nothing else, would hide
    /// that the file is gone. The footer cache compares the time and the tag of the object itself,
    /// because the log of a table that was made anew may repeat names, sizes and times.
    async fn open(&mut self) -> parquet::errors::Result<&mut Box<dyn AsyncFileReader + Send>> {
        if self.reader.is_none() {
            let location = &self.file.object_meta.location;
            let Source { store, footers } = &self.source;
            let found = self.file.extensions.get_arc::<FoundObject>();
            let object = match found.as_ref().and_then(|found| found.0.get()) {
                Some(object) => object.clone(),
                None => {
                    let head = store.objects.head(location).await;
                    head.map_err(|error| damaged(&self.table, error))?
                }
            };
            let expected = self.file.object_meta.size;
            if object.size != expected {
                let text = format!("size {} where the log says {expected}", object.size);
                return Err(damaged(&self.table, text));
            }
            self.file.object_meta.last_modified = object.last_modified;
            let tag = object.e_tag.clone();
            if let Some(found) = found {
                found.0.get_or_init(|| object);
            }
            let footers = FootersOfObject::new(footers, &store.url, tag.as_deref());
            let bounded = BoundedFile { store: Arc::clone(&store.objects), size: expected };
            let reader = CachedParquetFileReaderFactory::new(Arc::new(bounded), Arc::new(footers))
                .create_reader(
                    self.partition_index,
                    self.file.clone(),
                    self.metadata_size_hint,
                    &self.metrics,
                )
                .map_err(|error| damaged(&self.table, error))?;
            self.reader = Some(reader);
        }
        self.reader.as_mut().ok_or_else(|| damaged(&self.table, "the file was not opened"))
    }
}

impl AsyncFileReader for LakeReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let table = Arc::clone(&self.table);
            let reader = self.open().await?;
            let bytes = reader.get_bytes(range.clone()).await.map_err(|error| damaged(&table, error))?;
            check_length(&table, &range, &bytes)?;
            Ok(bytes)
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let table = Arc::clone(&self.table);
            let reader = self.open().await?;
            let all = reader.get_byte_ranges(ranges.clone()).await.map_err(|error| damaged(&table, error))?;
            if all.len() != ranges.len() {
                return Err(damaged(&table, "the store answered fewer ranges than asked"));
            }
            for (range, bytes) in ranges.iter().zip(&all) {
                check_length(&table, range, bytes)?;
            }
            Ok(all)
        }
        .boxed()
    }

    /// With the page index, whatever `_options` say: they come from an opener that asks for the footer
    /// alone and for the index itself later, past the cache, for every scan anew. Files are not encrypted.
    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let (table, store) = (Arc::clone(&self.table), Arc::clone(&self.source.store));
            let reader = self.open().await?;
            let failures = store.failures();
            reader.get_metadata(None).await.map_err(|error| match store.failures() == failures {
                true => damaged(&table, error),
                // The engine makes a text of what the store said.
                false => {
                    let source = Box::new(std::io::Error::other(error));
                    damaged(&table, object_store::Error::Generic { store: "store", source })
                }
            })
        }
        .boxed()
    }
}

fn check_length(table: &str, range: &Range<u64>, bytes: &Bytes) -> parquet::errors::Result<()> {
    let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if got == range.end.saturating_sub(range.start) {
        return Ok(());
    }
    Err(damaged(table, "the file ends before the data"))
}

fn damaged(table: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ParquetError {
    ParquetError::External(Box::new(DataFileError::reported(table, source)))
}
