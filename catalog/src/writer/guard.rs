//! A store that cannot do harm: what the engine gets while it plans and writes data files.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::location::LOG;

/// What may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    /// Nothing.
    None,
    /// Files outside the log. Paths are relative to the table.
    DataFiles,
}

/// Reads everything, writes what it was told, removes nothing.
///
/// The engine would otherwise clean up the log after a commit without asking for pins, and commit or
/// write checkpoints on paths of its own.
#[derive(Debug)]
pub(super) struct Guarded {
    inner: Arc<dyn ObjectStore>,
    writes: Writes,
}

impl Guarded {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, writes: Writes) -> Self {
        Self { inner, writes }
    }

    fn check(&self, path: &Path) -> Result<()> {
        let in_log = path.parts().next().is_some_and(|part| part.as_ref() == LOG);
        if self.writes == Writes::DataFiles && !in_log {
            return Ok(());
        }
        Err(refused("write", path))
    }
}

fn refused(what: &str, path: &Path) -> Error {
    Error::NotSupported { source: format!("the engine must not {what} {path}").into() }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guarded({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Guarded {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.check(path)?;
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check(path)?;
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        paths.map(|path| Err(refused("remove", &path?))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        Err(refused("copy to", to))
    }

    async fn rename_opts(&self, from: &Path, _: &Path, _: RenameOptions) -> Result<()> {
        Err(refused("rename", from))
    }
}
