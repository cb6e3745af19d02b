//! What stands between the service and a store elsewhere.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart, coalesce_ranges,
};

use super::credentials::Renew;
use super::failure::{StoreFailure, is_refusal};

/// A store whose errors say what to do and repeat nothing that was sent, whose answers are whole, and
/// where new credentials take the place of refused ones without a failed request.
#[derive(Clone)]
pub(super) struct GuardedStore {
    /// Scheme and authority, for messages.
    name: Arc<str>,
    inner: Arc<dyn ObjectStore>,
    /// None where credentials never change under our eyes.
    credentials: Option<Arc<dyn Renew>>,
    failures: Arc<AtomicU64>,
}

impl GuardedStore {
    pub(super) fn new(
        name: &str,
        inner: Arc<dyn ObjectStore>,
        credentials: Option<Arc<dyn Renew>>,
        failures: Arc<AtomicU64>,
    ) -> Self {
        Self { name: Arc::from(name), inner, credentials, failures }
    }

    /// Runs a request; once more where it was refused and there are newer credentials.
    async fn run<T, F>(&self, request: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let generation = self.generation();
        let outcome = match request().await {
            Err(error) if self.renewed(&error, generation).await => request().await,
            outcome => outcome,
        };
        outcome.map_err(|error| self.explain(error))
    }

    fn generation(&self) -> u64 {
        self.credentials.as_ref().map_or(0, |credentials| credentials.generation())
    }

    async fn renewed(&self, error: &Error, generation: u64) -> bool {
        match &self.credentials {
            Some(credentials) if is_refusal(error) => credentials.renew(generation).await,
            _ => false,
        }
    }

    /// The same error with a [`StoreFailure`] for its cause.
    fn explain(&self, error: Error) -> Error {
        let failure = StoreFailure::of(&self.name, &error);
        if !matches!(
            error,
            Error::NotFound { .. }
                | Error::AlreadyExists { .. }
                | Error::Precondition { .. }
                | Error::NotModified { .. }
        ) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        let source = Box::new(failure);
        match error {
            Error::NotFound { path, .. } => Error::NotFound { path, source },
            Error::AlreadyExists { path, .. } => Error::AlreadyExists { path, source },
            Error::Precondition { path, .. } => Error::Precondition { path, source },
            Error::NotModified { path, .. } => Error::NotModified { path, source },
            Error::PermissionDenied { path, .. } => Error::PermissionDenied { path, source },
            Error::Unauthenticated { path, .. } => Error::Unauthenticated { path, source },
            Error::Generic { store, .. } => Error::Generic { store, source },
            Error::JoinError { .. } => Error::Generic { store: "store", source },
            // Nothing of these comes from the other side.
            local => local,
        }
    }

    fn truncated(&self, expected: u64, got: u64) -> Error {
        self.failures.fetch_add(1, Ordering::Relaxed);
        Error::Generic {
            store: "store",
            source: Box::new(StoreFailure::truncated(&self.name, expected, got)),
        }
    }

    /// A listing, begun once more where its first answer was a refusal and there are newer credentials.
    fn listing(
        &self,
        open: impl Fn(&dyn ObjectStore) -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        let end = self.clone();
        futures::stream::once(async move {
            let generation = this.generation();
            // Fused: an empty listing is asked again for what follows its end.
            let mut entries = open(this.inner.as_ref()).fuse();
            let mut first = entries.next().await;
            if let Some(Err(error)) = &first
                && this.renewed(error, generation).await
            {
                entries = open(this.inner.as_ref()).fuse();
                first = entries.next().await;
            }
            futures::stream::iter(first).chain(entries)
        })
        .flatten()
        .map(move |entry| entry.map_err(|error| end.explain(error)))
        .boxed()
    }

    /// The body of an answer; an error where it ends before all of `range` was there.
    fn whole(
        &self,
        body: BoxStream<'static, Result<Bytes>>,
        range: &Range<u64>,
    ) -> BoxStream<'static, Result<Bytes>> {
        let expected = range.end.saturating_sub(range.start);
        let state = (body, self.clone(), 0_u64);
        futures::stream::try_unfold(state, move |(mut body, this, got)| async move {
            match body.next().await {
                Some(Ok(bytes)) => {
                    let got = got.saturating_add(bytes.len() as u64);
                    Ok(Some((bytes, (body, this, got))))
                }
                Some(Err(error)) => Err(this.explain(error)),
                None if got == expected => Ok(None),
                None => Err(this.truncated(expected, got)),
            }
        })
        .boxed()
    }
}

impl fmt::Debug for GuardedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedStore").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Display for GuardedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedStore({})", self.name)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for GuardedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.run(|| self.inner.put_opts(location, payload.clone(), options.clone())).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.run(|| self.inner.put_multipart_opts(location, options.clone())).await?;
        Ok(Box::new(GuardedUpload { upload, store: self.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let mut result = self.run(|| self.inner.get_opts(location, options.clone())).await?;
        if !head {
            result.payload = match result.payload {
                GetResultPayload::Stream(body) => GetResultPayload::Stream(self.whole(body, &result.range)),
                file @ GetResultPayload::File(..) => file,
            };
        }
        Ok(result)
    }

    /// Merges ranges that lie close together, as the stores themselves do: but they cut an answer into
    /// its parts without a look at its length.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        coalesce_ranges(ranges, |range| self.get_range(location, range), OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        self.inner.delete_stream(locations).map(move |gone| gone.map_err(|error| this.explain(error))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.listing(move |store| store.list(prefix.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        self.listing(move |store| store.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run(|| self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run(|| self.inner.copy_opts(from, to, options.clone())).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.run(|| self.inner.rename_opts(from, to, options.clone())).await
    }
}

/// An upload whose errors are explained.
#[derive(Debug)]
struct GuardedUpload {
    upload: Box<dyn MultipartUpload>,
    store: GuardedStore,
}

#[async_trait]
impl MultipartUpload for GuardedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let store = self.store.clone();
        let part = self.upload.put_part(data);
        Box::pin(async move { part.await.map_err(|error| store.explain(error)) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.upload.complete().await.map_err(|error| self.store.explain(error))
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await.map_err(|error| self.store.explain(error))
    }
}
