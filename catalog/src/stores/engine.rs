//! The log engine over a store: the kernel's own, with its futures on the caller's thread, with listings
//! whose URLs mean the objects that were listed, and with large expressions on several cores.

use std::num::NonZero;
use std::sync::Arc;

use bytes::Bytes;
use delta_kernel::cancellation::CancellationTokenRef;
use delta_kernel::{
    DeltaResult, Engine, Error, EvaluationHandler, FileMeta, FileSlice, JsonHandler, ParquetHandler,
    StorageHandler,
};
use delta_kernel_engine::DefaultEngineBuilder;
use delta_kernel_engine::executor::TaskExecutor;
use futures::future::{BoxFuture, Either};
use futures::{FutureExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::runtime::{EnterGuard, Handle};
use url::Url;

use super::escapes::DecodedEscapes;
use super::evaluation::Evaluation;

/// Log files read ahead at once, and actions per batch: bounds the memory of a replay.
const READ_AHEAD: NonZero<usize> = NonZero::new(16).unwrap();
const ACTIONS_PER_BATCH: NonZero<usize> = NonZero::new(4096).unwrap();

/// An engine over `objects`. Its work blocks: only from `spawn_blocking`.
pub(super) fn engine(objects: &Arc<dyn ObjectStore>) -> Arc<dyn Engine> {
    let runtime = Handle::current();
    let decoded: Arc<dyn ObjectStore> = Arc::new(DecodedEscapes(Arc::clone(objects)));
    let inner = DefaultEngineBuilder::new(decoded)
        .with_task_executor(Arc::new(CallerThread { runtime: runtime.clone() }))
        .with_buffer_size(READ_AHEAD)
        .with_batch_size(ACTIONS_PER_BATCH)
        .build();
    let evaluation = Evaluation(inner.evaluation_handler());
    let storage = LogStorage { inner: inner.storage_handler(), objects: Arc::clone(objects), runtime };
    Arc::new(LogEngine {
        inner: Arc::new(inner),
        evaluation: Arc::new(evaluation),
        storage: Arc::new(storage),
    })
}

struct LogEngine {
    inner: Arc<dyn Engine>,
    evaluation: Arc<Evaluation>,
    storage: Arc<LogStorage>,
}

impl Engine for LogEngine {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        Arc::clone(&self.evaluation) as Arc<dyn EvaluationHandler>
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        Arc::clone(&self.storage) as Arc<dyn StorageHandler>
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        self.inner.json_handler()
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        self.inner.parquet_handler()
    }
}

/// Listings and small reads of log folders.
///
/// The kernel's own handler puts the names that a store lists into URLs as they are and decodes them
/// afterwards: with a `%` in the path of a table, it would look for the log of another one.
struct LogStorage {
    inner: Arc<dyn StorageHandler>,
    objects: Arc<dyn ObjectStore>,
    runtime: Handle,
}

impl LogStorage {
    /// Waits for `work`, or for `stop` to be told.
    fn wait<T>(
        &self,
        stop: Option<CancellationTokenRef>,
        work: impl Future<Output = DeltaResult<T>>,
    ) -> DeltaResult<T> {
        let Some(stop) = stop else { return self.runtime.block_on(work) };
        self.runtime.block_on(async {
            match futures::future::select(std::pin::pin!(work), stop.cancelled_future()).await {
                Either::Left((done, _)) => done,
                Either::Right(((), _)) => Err(Error::Cancelled),
            }
        })
    }

    async fn list(&self, from: &Url) -> DeltaResult<Vec<FileMeta>> {
        let offset = Path::from_url_path(from.path())?;
        let folder = match from.path().ends_with('/') {
            true => offset.clone(),
            false => Path::parse(offset.as_ref().rsplit_once('/').map_or("", |(folder, _)| folder))?,
        };
        let mut files: Vec<FileMeta> = self
            .objects
            .list_with_offset(Some(&folder), &offset)
            .map_err(Error::from)
            .map_ok(|object| {
                let location = location(from, &object.location);
                FileMeta::new(location, object.last_modified.timestamp_millis(), object.size)
            })
            .try_collect()
            .await?;
        // The order that the kernel relies on is no store's promise, and the local disk has none.
        files.sort_unstable_by(|a, b| a.location.path().cmp(b.location.path()));
        Ok(files)
    }
}

/// The URL of an object, in the store that `base` is in.
fn location(base: &Url, object: &Path) -> Url {
    let mut url = base.clone();
    url.set_path("/");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(object.as_ref().split('/'));
    }
    url
}

impl StorageHandler for LogStorage {
    fn list_from(&self, path: &Url) -> DeltaResult<Box<dyn Iterator<Item = DeltaResult<FileMeta>>>> {
        self.list_from_with_cancellation(path, None)
    }

    fn list_from_with_cancellation(
        &self,
        path: &Url,
        cancellation_token: Option<CancellationTokenRef>,
    ) -> DeltaResult<Box<dyn Iterator<Item = DeltaResult<FileMeta>>>> {
        let files = self.wait(cancellation_token, self.list(path))?;
        Ok(Box::new(files.into_iter().map(Ok)))
    }

    fn read_files(&self, files: Vec<FileSlice>) -> DeltaResult<Box<dyn Iterator<Item = DeltaResult<Bytes>>>> {
        self.read_files_with_cancellation(files, None)
    }

    /// One after the other: the kernel reads small files this way, one at a time.
    fn read_files_with_cancellation(
        &self,
        files: Vec<FileSlice>,
        cancellation_token: Option<CancellationTokenRef>,
    ) -> DeltaResult<Box<dyn Iterator<Item = DeltaResult<Bytes>>>> {
        let read = |(url, range): &FileSlice| {
            let (path, range) = (Path::from_url_path(url.path())?, range.clone());
            self.wait(cancellation_token.clone(), async {
                Ok(match range {
                    Some(range) => self.objects.get_range(&path, range).await?,
                    None => self.objects.get(&path).await?.bytes().await?,
                })
            })
        };
        let contents: Vec<DeltaResult<Bytes>> = files.iter().map(read).collect();
        Ok(Box::new(contents.into_iter()))
    }

    fn copy_atomic(&self, src: &Url, dest: &Url) -> DeltaResult<()> {
        self.inner.copy_atomic(src, dest)
    }

    fn put(&self, path: &Url, data: Bytes, overwrite: bool) -> DeltaResult<()> {
        self.inner.put(path, data, overwrite)
    }

    fn head(&self, path: &Url) -> DeltaResult<FileMeta> {
        self.inner.head(path)
    }

    fn delete(&self, path: &Url) -> DeltaResult<()> {
        self.inner.delete(path)
    }
}

/// Runs the engine's futures on the thread that asks, which is always one of `spawn_blocking`: no
/// thread of its own to own, and dropping a store never waits.
struct CallerThread {
    runtime: Handle,
}

impl TaskExecutor for CallerThread {
    type Guard<'a> = EnterGuard<'a>;

    fn block_on<T>(&self, task: T) -> T::Output
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        self.runtime.block_on(task)
    }

    fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.runtime.spawn(task);
    }

    fn spawn_blocking<T, R>(&self, task: T) -> BoxFuture<'_, DeltaResult<R>>
    where
        T: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.runtime
            .spawn_blocking(task)
            .map(|joined| joined.map_err(delta_kernel::Error::join_failure))
            .boxed()
    }

    fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_listed_object_keeps_its_name() {
        for base in ["s3://lake/x/", "file:///x/", "abfss://c@a.dfs.core.windows.net/x/"] {
            let base = Url::parse(base).unwrap();
            for name in ["a%20b/_delta_log/1.json", "a b/é~{x}^`|<>\\?#/1.json", "50%/x", "%%25"] {
                let object = Path::parse(name).unwrap();
                let url = location(&base, &object);
                assert_eq!(Path::from_url_path(url.path()).unwrap(), object, "{url}");
                assert_eq!(url[..url::Position::BeforePath], base[..url::Position::BeforePath]);
            }
        }
    }
}
