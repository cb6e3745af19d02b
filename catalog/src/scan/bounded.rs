//! A store that gives what is in one file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::error::BeyondEnd;

/// A store for reading one Parquet file of a known size. What a damaged file says of itself may point
/// anywhere, and the decoder of footers (parquet 59) subtracts it from the size without a look.
#[derive(Debug)]
pub(crate) struct BoundedFile {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Bytes.
    pub(crate) size: u64,
}

impl BoundedFile {
    fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.start <= range.end && range.end <= self.size {
            return Ok(());
        }
        Err(beyond_end())
    }

    /// Checks the end of a Parquet file: how long its metadata is, and four bytes of magic.
    fn check_end(&self, bytes: &[u8]) -> Result<()> {
        let Some((_, end)) = bytes.split_last_chunk::<8>() else { return Ok(()) };
        let [a, b, c, d, ..] = *end;
        let metadata = u64::from(u32::from_le_bytes([a, b, c, d]));
        if metadata.saturating_add(8) > self.size { Err(beyond_end()) } else { Ok(()) }
    }
}

impl fmt::Display for BoundedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoundedFile({})", self.store)
    }
}

fn beyond_end() -> Error {
    Error::Generic { store: "file", source: Box::new(BeyondEnd) }
}

fn unsupported(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "BoundedFile".to_owned() }
}

#[async_trait]
impl ObjectStore for BoundedFile {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(GetRange::Bounded(range)) = &options.range {
            self.check(range)?;
        }
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        ranges.iter().try_for_each(|range| self.check(range))?;
        let answers = self.store.get_ranges(location, ranges).await?;
        for (_, bytes) in ranges.iter().zip(&answers).filter(|(range, _)| range.end == self.size) {
            self.check_end(bytes)?;
        }
        Ok(answers)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(unsupported("put"))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(unsupported("put_multipart"))
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        paths.map(|_| Err(unsupported("delete"))).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::once(async { Err(unsupported("list")) }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(unsupported("list"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(unsupported("copy"))
    }
}
