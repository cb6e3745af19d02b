//! [`LakeCatalog`]: keeps table versions current and publishes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use object_store::ObjectStore;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::deletion::DeletionVectors;
use crate::discovery::{Discovered, Sources, TableKey};
use crate::error::{CatalogError, LoadError};
use crate::log::{self, Limits, LoadContext, Probe};
use crate::options::{CatalogOptions, TableAnnotation};
use crate::places::Places;
use crate::snapshot::{CatalogSnapshot, TableEntry, TableSnapshot, TableState};
use crate::stores::{Location, Stores};
use crate::versions::VersionCache;

/// Tables that are loaded or probed at once.
const PARALLEL_LOADS: usize = 4;
/// Memory for deletion vectors that scans share.
const DELETION_VECTOR_BYTES: u64 = 64 << 20;
/// Memory for the file indexes of older versions that were read lately.
const OLDER_VERSION_BYTES: u64 = 128 << 20;

/// All tables, kept current.
///
/// One per process, shared by all sessions: reading it takes no lock, and a table's log is replayed
/// once for everybody.
#[derive(Debug)]
pub struct LakeCatalog {
    sources: Sources,
    stores: Stores,
    annotations: BTreeMap<TableKey, TableAnnotation>,
    refresh_interval: std::time::Duration,
    context: Arc<LoadContext>,
    current: ArcSwap<CatalogSnapshot>,
    /// Held for the whole of a refresh, so that two never overlap.
    tracked: Mutex<BTreeMap<TableKey, Tracked>>,
}

/// What a refresh knows of one table from the last one.
#[derive(Debug, Clone)]
struct Tracked {
    location: Location,
    state: TrackedState,
}

#[derive(Debug, Clone)]
enum TrackedState {
    Loaded(Arc<TableSnapshot>),
    Failed {
        error: LoadError,
        /// What the log folder held; None when even that could not be seen.
        fingerprint: Option<u64>,
    },
}

impl LakeCatalog {
    /// Finds and loads all tables. A table that cannot be loaded is listed as unavailable; only what
    /// is wrong with the configuration as a whole is an error.
    pub async fn open(options: CatalogOptions) -> Result<Arc<Self>, CatalogError> {
        let mut stores = Stores::default();
        let sources = Sources::open(&options.roots, &options.tables, &mut stores)?;
        let mut annotations = BTreeMap::new();
        for annotation in options.annotations {
            let key = TableKey { schema: annotation.schema.clone(), name: annotation.table.clone() };
            if annotations.insert(key.clone(), annotation).is_some() {
                return Err(CatalogError::DuplicateAnnotation { schema: key.schema, table: key.name });
            }
        }
        let context = Arc::new(LoadContext {
            limits: Limits { load: options.load_timeout, request: options.request_timeout },
            places: Arc::new(Places::new(sources.folders())),
            vectors: Arc::new(DeletionVectors::new(DELETION_VECTOR_BYTES)),
            versions: VersionCache::new(OLDER_VERSION_BYTES),
        });
        let catalog = Arc::new(Self {
            sources,
            stores,
            annotations,
            refresh_interval: options.refresh_interval,
            context,
            current: ArcSwap::default(),
            tracked: Mutex::default(),
        });
        let mut tracked = catalog.tracked.lock().await;
        let mut found = catalog.sources.discover(&BTreeSet::new(), catalog.context.limits).await;
        if let Some((_, error)) = found.unreadable.pop() {
            return Err(error);
        }
        if let Some(conflict) = found.conflicts.pop() {
            return Err(conflict.into());
        }
        for key in catalog.annotations.keys().filter(|key| !found.tables.contains_key(*key)) {
            tracing::warn!(table = %key, "annotation of a table that does not exist (yet)");
        }
        catalog.advance(&mut tracked, found.tables, BTreeMap::new()).await;
        drop(tracked);
        Ok(catalog)
    }

    /// The catalog now. Cheap; take one per statement, so that a statement sees one state.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.current.load_full()
    }

    /// Stores to register in an execution runtime, by URL.
    pub fn object_stores(&self) -> Vec<(Url, Arc<dyn ObjectStore>)> {
        self.stores.all()
    }

    /// Looks for new tables, vanished ones and new commits, and publishes what it finds.
    ///
    /// A layer that cannot be listed keeps its tables and is reported at the end; a table that
    /// cannot be read becomes unavailable. Neither keeps others from being refreshed.
    pub async fn refresh(&self) -> Result<(), CatalogError> {
        let mut tracked = self.tracked.lock().await;
        let known = tracked
            .values()
            .filter(|table| matches!(table.state, TrackedState::Loaded(_)))
            .map(|table| table.location.url.to_string())
            .collect();
        let Discovered { mut tables, conflicts, unreadable } =
            self.sources.discover(&known, self.context.limits).await;
        for conflict in conflicts {
            tracing::warn!(
                table = %conflict.key,
                first = %conflict.first.url,
                second = %conflict.second.url,
                "two locations claim one table name; the first keeps it",
            );
        }
        let mut frozen = BTreeMap::new();
        for (root, _) in &unreadable {
            for (key, table) in tracked.iter() {
                if table.location.url.as_str().starts_with(root) {
                    tables.remove(key);
                    frozen.insert(key.clone(), table.clone());
                }
            }
        }
        self.advance(&mut tracked, tables, frozen).await;
        unreadable.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Brings single tables, by schema and name, to their newest versions now. Names that the catalog
    /// does not have are passed over; an error means that what is published may be old.
    pub async fn refresh_tables(&self, names: &[(String, String)]) -> Result<(), CatalogError> {
        let mut tracked = self.tracked.lock().await;
        for (schema, name) in names {
            let key = TableKey { schema: schema.clone(), name: name.clone() };
            let Some(last) = tracked.get(&key).cloned() else { continue };
            let location = last.location.clone();
            let unreachable =
                |reason: String| CatalogError::TableUnreachable { table: key.to_string(), reason };
            let before = match &last.state {
                TrackedState::Loaded(table) => {
                    let seen = log::probe(&location, &table.log, self.context.limits).await;
                    if seen.map_err(|error| unreachable(error.to_string()))? == Probe::Unchanged {
                        continue;
                    }
                    Some(table.id())
                }
                TrackedState::Failed { .. } => None,
            };
            let Some(next) = self.advance_table(&key, location, Some(last)).await else { continue };
            if matches!(&next.state, TrackedState::Loaded(table) if Some(table.id()) == before) {
                return Err(unreachable("a newer version was seen and could not be read".to_owned()));
            }
            tracked.insert(key, next);
        }
        self.publish(&tracked);
        Ok(())
    }

    /// Refreshes until `stop`. Failures are logged and tried again.
    pub async fn run_refresh(self: Arc<Self>, stop: CancellationToken) {
        let refreshing = async {
            loop {
                tokio::time::sleep(self.refresh_interval).await;
                if let Err(error) = self.refresh().await {
                    tracing::warn!(%error, "catalog refresh is incomplete");
                }
            }
        };
        stop.run_until_cancelled(refreshing).await;
    }

    /// Brings `tracked` to `tables`, and `frozen` ones as they are, and publishes.
    async fn advance(
        &self,
        tracked: &mut BTreeMap<TableKey, Tracked>,
        tables: BTreeMap<TableKey, Location>,
        frozen: BTreeMap<TableKey, Tracked>,
    ) {
        let work: Vec<_> = tables
            .into_iter()
            .map(|(key, location)| {
                let last = tracked.get(&key).filter(|last| last.location.url == location.url);
                (key, location, last.cloned())
            })
            .collect();
        let next: Vec<(TableKey, Option<Tracked>)> = futures::stream::iter(work)
            .map(|(key, location, last)| async {
                let next = self.advance_table(&key, location, last).await;
                (key, next)
            })
            .buffer_unordered(PARALLEL_LOADS)
            .collect()
            .await;
        *tracked = next.into_iter().filter_map(|(key, next)| Some((key, next?))).collect();
        tracked.extend(frozen);
        self.publish(tracked);
    }

    /// The table's next state; None when it is gone.
    async fn advance_table(
        &self,
        key: &TableKey,
        location: Location,
        last: Option<Tracked>,
    ) -> Option<Tracked> {
        let annotation = self.annotations.get(key);
        let loaded = match &last {
            Some(Tracked { state: TrackedState::Loaded(table), .. }) => {
                let next = match log::probe(&location, &table.log, self.context.limits).await {
                    Ok(Probe::Unchanged) => return last,
                    Ok(Probe::Newer) => log::update(&location, &table.log, annotation, &self.context).await,
                    Ok(Probe::Replaced) => log::load(&location, annotation, &self.context).await,
                    Err(error) => Err(error),
                };
                match next {
                    // The version that is loaded stays readable while its store does not answer.
                    Err(error) if error.is_transient() => {
                        tracing::warn!(table = %key, %error, "table was not refreshed");
                        return last;
                    }
                    next => next,
                }
            }
            Some(Tracked { state: TrackedState::Failed { error, fingerprint }, .. })
                if !error.is_transient() && fingerprint.is_some() =>
            {
                let now = log::fingerprint(&location, self.context.limits).await.ok();
                if now == *fingerprint {
                    return last;
                }
                log::load(&location, annotation, &self.context).await
            }
            _ => log::load(&location, annotation, &self.context).await,
        };
        let state = match loaded {
            Ok(log) => {
                let table = TableSnapshot::new(key.to_string(), location.clone(), log);
                tracing::debug!(
                    table = %key,
                    version = table.version(),
                    files = table.files(),
                    index_bytes = table.index_memory(),
                    "table loaded",
                );
                TrackedState::Loaded(Arc::new(table))
            }
            Err(LoadError::NoLog) if !self.sources.is_explicit(key) => return None,
            Err(error) => {
                tracing::warn!(table = %key, %error, "table is unavailable");
                let fingerprint = log::fingerprint(&location, self.context.limits).await.ok();
                TrackedState::Failed { error, fingerprint }
            }
        };
        Some(Tracked { location, state })
    }

    fn publish(&self, tracked: &BTreeMap<TableKey, Tracked>) {
        let current = self.current.load();
        let tables = tracked.iter().map(|(key, table)| TableEntry {
            schema: key.schema.clone(),
            name: key.name.clone(),
            state: match &table.state {
                TrackedState::Loaded(table) => TableState::Available(Arc::clone(table)),
                TrackedState::Failed { error, .. } => TableState::Unavailable { reason: error.to_string() },
            },
        });
        let generation = current.generation.saturating_add(1);
        let next = CatalogSnapshot::new(generation, self.sources.schemas(), tables);
        if current.generation == 0 || !next.shows_same(&current) {
            self.current.store(Arc::new(next));
        }
    }
}
