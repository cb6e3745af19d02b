//! A store that fails, or never answers, at one of its requests.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Fails,
    Hangs,
}

/// A local store whose request number `at`, from 0, goes wrong.
pub(crate) struct FaultStore {
    inner: LocalFileSystem,
    fault: Fault,
    at: usize,
    requests: Arc<AtomicUsize>,
    /// Told when a request hangs.
    pub(crate) hung: Arc<Notify>,
    /// Ends the hanging: threads that cannot be cancelled would wait for ever.
    pub(crate) over: CancellationToken,
}

impl FaultStore {
    pub(crate) fn new(fault: Fault, at: usize) -> Arc<Self> {
        let (requests, hung, over) = Default::default();
        Arc::new(Self { inner: LocalFileSystem::new(), fault, at, requests, hung, over })
    }

    /// Whether there was a request that went wrong.
    pub(crate) fn struck(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > self.at
    }

    fn request(&self) -> impl Future<Output = Result<()>> + Send + 'static {
        let strikes = self.requests.fetch_add(1, Ordering::Relaxed) == self.at;
        let (fault, hung, over) = (self.fault, Arc::clone(&self.hung), self.over.clone());
        async move {
            if !strikes {
                return Ok(());
            }
            if fault == Fault::Hangs {
                hung.notify_one();
                over.cancelled().await;
            }
            Err(Error::Generic { store: "test", source: "connection reset".into() })
        }
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultStore")
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.request().await?;
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.request().await?;
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.request().await?;
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.request().await?;
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // Each object is a request.
        let (inner, requests) = (LocalFileSystem::new(), Arc::clone(&self.requests));
        let (at, fault, hung, over) = (self.at, self.fault, Arc::clone(&self.hung), self.over.clone());
        let store = Arc::new(Self { inner, fault, at, requests, hung, over });
        paths
            .then(move |path| {
                let store = Arc::clone(&store);
                async move {
                    let path = path?;
                    store.request().await?;
                    let one = futures::stream::once(async move { Ok(path) }).boxed();
                    store.inner.delete_stream(one).next().await.unwrap()
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list(prefix);
        self.request().map(move |asked| asked.map(|()| listed)).into_stream().try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.request().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.request().await?;
        self.inner.copy_opts(from, to, options).await
    }
}
