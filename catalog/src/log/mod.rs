//! From a table's log to its definition and file index: first load, probe, update.

mod gate;
mod kept;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use delta_kernel::Snapshot;
use delta_kernel::cancellation::{CancellationToken as KernelToken, CancellationTokenRef, CancelledFuture};
use delta_kernel::snapshot::SnapshotRef;
use futures::StreamExt as _;
use object_store::path::Path;
use tokio_util::sync::CancellationToken;

pub(crate) use self::kept::IndexMemory;
use self::kept::KeptIndex;
use crate::definition::TableDefinition;
use crate::deletion::DeletionVectors;
use crate::error::LoadError;
use crate::index::FileIndex;
use crate::options::TableAnnotation;
use crate::places::Places;
use crate::stores::{Location, ObjectIdentity, identity};
use crate::versions::VersionCache;

/// One version of a table as read from its log.
#[derive(Debug, Clone)]
pub(crate) struct LoadedLog {
    /// The kernel's view; what the next update starts from.
    pub(crate) snapshot: SnapshotRef,
    /// The newest commit this was read from.
    mark: CommitMark,
    pub(crate) definition: Arc<TableDefinition>,
    pub(crate) index: Arc<KeptIndex>,
    pub(crate) context: Arc<LoadContext>,
}

/// What all tables of a catalog are read with.
#[derive(Debug)]
pub(crate) struct LoadContext {
    pub(crate) limits: Limits,
    /// Where files outside a table's folder may lie.
    pub(crate) places: Arc<Places>,
    pub(crate) vectors: Arc<DeletionVectors>,
    /// The indexes of the newest versions.
    pub(crate) indexes: IndexMemory,
    pub(crate) versions: VersionCache,
}

impl LoadContext {
    /// For one table on its own, whose files are all in its folder.
    pub(crate) fn alone(limits: Limits) -> Self {
        /// Room for the deletion vectors that are looked at at once.
        const VECTOR_BYTES: u64 = 16 << 20;
        Self {
            limits,
            places: Arc::default(),
            vectors: Arc::new(DeletionVectors::new(VECTOR_BYTES)),
            // A single index is never put aside.
            indexes: IndexMemory::new(0),
            versions: VersionCache::new(0),
        }
    }
}

impl LoadedLog {
    /// The same files under another definition of the same columns.
    pub(crate) fn described(self, definition: Arc<TableDefinition>) -> Self {
        Self { definition, ..self }
    }

    pub(crate) fn version(&self) -> u64 {
        self.snapshot.version()
    }

    /// The file index, read again if it was put aside.
    pub(crate) async fn index(&self, location: &Location) -> Result<Arc<FileIndex>, LoadError> {
        self.index.get(&self.snapshot, location, &self.context).await
    }

    /// When the newest commit was written, if its object still exists.
    pub(crate) fn modified(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        self.mark.object.as_ref().map(|object| object.modified)
    }
}

/// A version and the identity of its commit object, to notice a table that was replaced by another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CommitMark {
    version: u64,
    /// None when the commit object was already cleaned up behind a checkpoint.
    object: Option<ObjectIdentity>,
}

/// What a look at the log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Still the version that is loaded.
    Unchanged,
    /// The same table has newer commits.
    Newer,
    /// Another log is at this place.
    Replaced,
}

/// Time-outs of the two kinds of work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// One replay.
    pub(crate) load: Duration,
    /// One request.
    pub(crate) request: Duration,
}

/// Reads the newest version from scratch.
pub(crate) async fn load(
    location: &Location,
    annotation: Option<&TableAnnotation>,
    context: &Arc<LoadContext>,
) -> Result<LoadedLog, LoadError> {
    let limits = context.limits;
    if !has_log(location, limits).await? {
        return Err(LoadError::NoLog);
    }
    let url = location.url.clone();
    let engine = Arc::clone(&location.store.engine);
    let annotation = annotation.cloned();
    let places = Arc::clone(&context.places);
    let failures = location.store.failures();
    let loaded = blocking(limits.load, move |stop| {
        let snapshot =
            Snapshot::builder_for(url).with_cancellation_token(Arc::clone(&stop)).build(engine.as_ref())?;
        let (definition, index) = read(&snapshot, engine.as_ref(), annotation.as_ref(), &places, &stop)?;
        Ok((snapshot, definition, index))
    });
    let (snapshot, definition, index) =
        loaded.await.map_err(|error| error.or_store(location.store.failures() != failures))?;
    let mark = mark(location, snapshot.version(), limits).await?;
    Ok(LoadedLog { snapshot, mark, definition, index, context: Arc::clone(context) })
}

/// Reads an older version from scratch, without annotations.
pub(crate) async fn load_at(
    location: &Location,
    context: &Arc<LoadContext>,
    version: u64,
) -> Result<LoadedLog, LoadError> {
    let url = location.url.clone();
    let engine = Arc::clone(&location.store.engine);
    let places = Arc::clone(&context.places);
    let failures = location.store.failures();
    let loaded = blocking(context.limits.load, move |stop| {
        let snapshot = Snapshot::builder_for(url)
            .at_version(version)
            .with_cancellation_token(Arc::clone(&stop))
            .build(engine.as_ref())?;
        let (definition, index) = read(&snapshot, engine.as_ref(), None, &places, &stop)?;
        Ok((snapshot, definition, index))
    });
    let (snapshot, definition, index) =
        loaded.await.map_err(|error| error.or_store(location.store.failures() != failures))?;
    let mark = CommitMark { version, object: None };
    Ok(LoadedLog { snapshot, mark, definition, index, context: Arc::clone(context) })
}

/// Reads what was committed since `loaded`. Gives `loaded` back when nothing was.
pub(crate) async fn update(
    location: &Location,
    loaded: &LoadedLog,
    annotation: Option<&TableAnnotation>,
    context: &Arc<LoadContext>,
) -> Result<LoadedLog, LoadError> {
    let limits = context.limits;
    let places = Arc::clone(&context.places);
    let engine = Arc::clone(&location.store.engine);
    let annotation = annotation.cloned();
    let base = loaded.clone();
    let failures = location.store.failures();
    let updated = blocking(limits.load, move |stop| {
        let snapshot = Snapshot::builder_from(Arc::clone(&base.snapshot))
            .with_cancellation_token(Arc::clone(&stop))
            .build(engine.as_ref())?;
        if snapshot.version() == base.snapshot.version() {
            return Ok((snapshot, base.definition, base.index));
        }
        let old = base.snapshot.table_configuration();
        let new = snapshot.table_configuration();
        let is_same = old.protocol() == new.protocol() && old.metadata() == new.metadata();
        let Some(base_index) = base.index.current() else {
            // Nobody asked for the files lately: they are read when somebody does.
            let definition = match is_same {
                true => base.definition,
                false => define(&snapshot, annotation.as_ref())?,
            };
            let index = Arc::new(KeptIndex::aside(&definition));
            return Ok((snapshot, definition, index));
        };
        if !is_same {
            let (definition, index) = read(&snapshot, engine.as_ref(), annotation.as_ref(), &places, &stop)?;
            return Ok((snapshot, definition, index));
        }
        let version = base.snapshot.version();
        let full = || replay::full(&snapshot, &base.definition, &places, engine.as_ref(), &stop);
        let index = match replay::incremental(&snapshot, version, &base_index, &places, engine.as_ref()) {
            Ok(Some(index)) => index,
            // Commits between the two versions are gone behind a checkpoint.
            Ok(None) => full()?,
            Err(error @ (LoadError::Unsupported(_) | LoadError::Misconfigured(_))) => return Err(error),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "incremental replay failed, replaying in full");
                full()?
            }
        };
        let index = Arc::new(KeptIndex::new(&base.definition, index));
        Ok((snapshot, base.definition, index))
    });
    let (snapshot, definition, index) =
        updated.await.map_err(|error| error.or_store(location.store.failures() != failures))?;
    let mark = mark(location, snapshot.version(), limits).await?;
    Ok(LoadedLog { snapshot, mark, definition, index, context: Arc::clone(context) })
}

/// Looks, with at most two small requests, whether `loaded` is still the newest version.
pub(crate) async fn probe(
    location: &Location,
    loaded: &LoadedLog,
    limits: Limits,
) -> Result<Probe, LoadError> {
    let next = commit_path(location, loaded.mark.version.saturating_add(1));
    let current = mark(location, loaded.mark.version, limits).await?;
    if current.object != loaded.mark.object {
        // Cleaning up behind a checkpoint removes the commit but not the table; a reload costs
        // little and is right in both cases.
        return Ok(Probe::Replaced);
    }
    Ok(match request(limits, identity(&location.store, &next)).await? {
        Some(_) => Probe::Newer,
        None => Probe::Unchanged,
    })
}

/// A digest of what the log folder holds: a table that failed to load is tried again when it changes.
pub(crate) async fn fingerprint(location: &Location, limits: Limits) -> Result<u64, LoadError> {
    use std::hash::{Hash as _, Hasher as _};
    let log = location.log();
    request(limits, async {
        let mut entries = location.store.objects.list(Some(&log));
        // Order-independent: stores list in different orders.
        let mut digest = 0_u64;
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            let mut hasher = std::hash::DefaultHasher::new();
            entry.location.as_ref().hash(&mut hasher);
            entry.size.hash(&mut hasher);
            entry.last_modified.hash(&mut hasher);
            digest = digest.wrapping_add(hasher.finish());
        }
        Ok(digest)
    })
    .await
}

/// Whether the folder has a log with anything in it.
pub(crate) async fn has_log(location: &Location, limits: Limits) -> Result<bool, LoadError> {
    let log = location.log();
    request(limits, async {
        location.store.objects.list(Some(&log)).next().await.transpose().map(|first| first.is_some())
    })
    .await
}

fn read(
    snapshot: &SnapshotRef,
    engine: &dyn delta_kernel::Engine,
    annotation: Option<&TableAnnotation>,
    places: &Places,
    stop: &CancellationTokenRef,
) -> Result<(Arc<TableDefinition>, Arc<KeptIndex>), LoadError> {
    let definition = define(snapshot, annotation)?;
    let index = replay::full(snapshot, &definition, places, engine, stop)?;
    let index = Arc::new(KeptIndex::new(&definition, index));
    Ok((definition, index))
}

fn define(
    snapshot: &SnapshotRef,
    annotation: Option<&TableAnnotation>,
) -> Result<Arc<TableDefinition>, LoadError> {
    gate::check_readable(snapshot)?;
    Ok(Arc::new(TableDefinition::new(snapshot, annotation)?))
}

pub(crate) fn commit_path(location: &Location, version: u64) -> Path {
    location.log().join(format!("{version:020}.json"))
}

async fn mark(location: &Location, version: u64, limits: Limits) -> Result<CommitMark, LoadError> {
    let path = commit_path(location, version);
    let object = request(limits, identity(&location.store, &path)).await?;
    Ok(CommitMark { version, object })
}

/// One request to a store, within its time-out.
pub(crate) async fn request<T>(
    limits: Limits,
    work: impl Future<Output = Result<T, object_store::Error>>,
) -> Result<T, LoadError> {
    match tokio::time::timeout(limits.request, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(LoadError::Unreachable("the store did not answer in time".to_owned())),
    }
}

/// Runs kernel work on a blocking thread; past the time-out it is told to stop and left behind.
pub(crate) async fn blocking<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce(CancellationTokenRef) -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let task = tokio::task::spawn_blocking(move || work(Arc::new(Stop(stop))));
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(done)) => done,
        Ok(Err(join)) if join.is_panic() => {
            Err(LoadError::Broken("the log replay failed on this log".to_owned()))
        }
        Ok(Err(_)) => Err(LoadError::Unreachable("shutting down".to_owned())),
        Err(_) => Err(LoadError::Unreachable("the log replay did not end in time".to_owned())),
    }
}

struct Stop(CancellationToken);

impl KernelToken for Stop {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn cancelled_future(&self) -> CancelledFuture<'_> {
        Box::pin(self.0.cancelled())
    }
}
