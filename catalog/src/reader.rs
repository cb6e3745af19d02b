//! Reading data files: cached footers, and no silent partial result.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::error::DataFileError;

/// Makes readers that hold a file to what the log says of it, over the runtime's footer cache.
#[derive(Debug)]
pub(crate) struct LakeReaderFactory {
    table: Arc<str>,
    store: Arc<dyn ObjectStore>,
    cached: CachedParquetFileReaderFactory,
}

impl LakeReaderFactory {
    pub(crate) fn new(table: &str, store: Arc<dyn ObjectStore>, footers: Arc<FileMetadataCache>) -> Self {
        let cached = CachedParquetFileReaderFactory::new(Arc::clone(&store), footers);
        Self { table: Arc::from(table), store, cached }
    }
}

impl ParquetFileReaderFactory for LakeReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::common::Result<Box<dyn AsyncFileReader + Send>> {
        let path = file.object_meta.location.clone();
        let size = file.object_meta.size;
        let reader = self.cached.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(LakeReader {
            table: Arc::clone(&self.table),
            store: Arc::clone(&self.store),
            path,
            size,
            reader,
        }))
    }
}

struct LakeReader {
    table: Arc<str>,
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// As the log says.
    size: u64,
    reader: Box<dyn AsyncFileReader + Send>,
}

impl AsyncFileReader for LakeReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let bytes =
                self.reader.get_bytes(range.clone()).await.map_err(|error| damaged(&self.table, error))?;
            check_length(&self.table, &range, &bytes)?;
            Ok(bytes)
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let all = self
                .reader
                .get_byte_ranges(ranges.clone())
                .await
                .map_err(|error| damaged(&self.table, error))?;
            if all.len() != ranges.len() {
                return Err(damaged(&self.table, "the store answered fewer ranges than asked"));
            }
            for (range, bytes) in ranges.iter().zip(&all) {
                check_length(&self.table, range, bytes)?;
            }
            Ok(all)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            // A cached footer, and a query that needs nothing else, would hide that the file is
            // gone or another.
            let object = self.store.head(&self.path).await.map_err(|error| damaged(&self.table, error))?;
            if object.size != self.size {
                let text = format!("size {} where the log says {}", object.size, self.size);
                return Err(damaged(&self.table, text));
            }
            self.reader.get_metadata(options).await.map_err(|error| damaged(&self.table, error))
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
    ParquetError::External(Box::new(DataFileError { table: table.to_owned(), source: source.into() }))
}
