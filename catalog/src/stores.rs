//! Object stores and the log engine over each, by URL.

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use delta_kernel::{DeltaResult, Engine};
use delta_kernel_engine::DefaultEngineBuilder;
use delta_kernel_engine::executor::TaskExecutor;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::runtime::{EnterGuard, Handle};
use url::Url;

use crate::error::CatalogError;

/// Log files read ahead at once, and actions per batch: bounds the memory of a replay.
const READ_AHEAD: NonZero<usize> = NonZero::new(16).unwrap();
const ACTIONS_PER_BATCH: NonZero<usize> = NonZero::new(4096).unwrap();

/// One object store.
pub(crate) struct Store {
    /// Scheme and authority; what an execution runtime registers the store under.
    pub(crate) url: ObjectStoreUrl,
    /// Data files, listings, probes.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Log replay over the same store. Blocking: only from `spawn_blocking`.
    pub(crate) engine: Arc<dyn Engine>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Store {
    /// What tells this store from others.
    pub(crate) fn name(&self) -> Arc<str> {
        Arc::from(self.url.as_str())
    }
}

/// A folder in a store.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// Ends in `/`.
    pub(crate) url: Url,
    /// The same place inside the store.
    pub(crate) path: Path,
    pub(crate) store: Arc<Store>,
}

impl Location {
    /// A direct child folder. `name` is a plain name, not URL-encoded.
    pub(crate) fn child(&self, name: &str) -> Self {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(name).push("");
        }
        Self { url, path: self.path.clone().join(name), store: Arc::clone(&self.store) }
    }

    /// The folder of the table's log.
    pub(crate) fn log(&self) -> Path {
        self.path.clone().join("_delta_log")
    }
}

/// All stores that the configuration needs, opened once.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    by_root: BTreeMap<String, Arc<Store>>,
}

impl Stores {
    /// The folder at `url`, opening its store when it is the first there.
    pub(crate) fn locate(&mut self, url: &Url) -> Result<Location, CatalogError> {
        let unsupported =
            |reason: String| CatalogError::UnsupportedLocation { location: url.to_string(), reason };
        if url.scheme() != "file" {
            return Err(unsupported("expected a local path or a file:/// URL".to_owned()));
        }
        let mut url = url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let path = Path::from_url_path(url.path()).map_err(|e| unsupported(e.to_string()))?;
        let root = "file://".to_owned();
        let store = match self.by_root.get(&root) {
            Some(store) => Arc::clone(store),
            None => {
                let store =
                    open(&root, Arc::new(LocalFileSystem::new())).map_err(|e| unsupported(e.to_string()))?;
                self.by_root.insert(root, Arc::clone(&store));
                store
            }
        };
        Ok(Location { url, path, store })
    }

    /// Every open store with the URL to register it under.
    pub(crate) fn all(&self) -> Vec<(Url, Arc<dyn ObjectStore>)> {
        self.by_root
            .values()
            .map(|store| (AsRef::<Url>::as_ref(&store.url).clone(), Arc::clone(&store.objects)))
            .collect()
    }
}

fn open(root: &str, objects: Arc<dyn ObjectStore>) -> Result<Arc<Store>, datafusion::error::DataFusionError> {
    let engine = DefaultEngineBuilder::new(Arc::clone(&objects))
        .with_task_executor(Arc::new(CallerThread { runtime: Handle::current() }))
        .with_buffer_size(READ_AHEAD)
        .with_batch_size(ACTIONS_PER_BATCH)
        .build();
    Ok(Arc::new(Store { url: ObjectStoreUrl::parse(root)?, objects, engine: Arc::new(engine) }))
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

/// Whether an object exists, and which one: a new object under an old name has another identity.
pub(crate) async fn identity(
    store: &Store,
    path: &Path,
) -> Result<Option<ObjectIdentity>, object_store::Error> {
    match store.objects.head(path).await {
        Ok(meta) => {
            Ok(Some(ObjectIdentity { size: meta.size, modified: meta.last_modified, tag: meta.e_tag }))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What tells two objects under one name apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ObjectIdentity {
    pub(crate) size: u64,
    pub(crate) modified: chrono::DateTime<chrono::Utc>,
    pub(crate) tag: Option<String>,
}
