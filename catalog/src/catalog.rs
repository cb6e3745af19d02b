//! [`LakeCatalog`]: keeps table versions current and publishes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use object_store::ObjectStore;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::deletion::DeletionVectors;
use crate::discovery::{Discovered, Sources, TableKey, Unreadable};
use crate::error::{CatalogError, LoadError};
use crate::log::{self, IndexMemory, Limits, LoadContext, Probe};
use crate::options::{CatalogOptions, TableAnnotation};
use crate::places::Places;
use crate::scan::ScanPlaces;
use crate::snapshot::{CatalogSnapshot, TableEntry, TableSnapshot, TableState};
use crate::stores::{Location, Stores};
use crate::versions::VersionCache;

/// Tables of one store that are loaded or probed at once.
const PARALLEL_LOADS: usize = 4;
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
    refresh_interval: Duration,
    /// Of tables that have one of their own.
    refresh_intervals: BTreeMap<TableKey, Duration>,
    context: Arc<LoadContext>,
    current: ArcSwap<CatalogSnapshot>,
    /// Why layers could not be listed at the last look, by schema.
    unreadable: ArcSwap<BTreeMap<String, String>>,
    /// Held for the whole of a refresh, so that two never overlap.
    tracked: Mutex<BTreeMap<TableKey, Tracked>>,
}

/// What a refresh knows of one table from the last one.
#[derive(Debug, Clone)]
struct Tracked {
    location: Location,
    state: TrackedState,
    /// Why the last look at the table failed, although its version is kept.
    stale: Option<String>,
    /// When the last look began.
    looked: Instant,
}

impl Tracked {
    /// Whether the last look got no answer.
    fn is_silent(&self) -> bool {
        let failed = matches!(&self.state, TrackedState::Failed { error, .. } if matches!(error, LoadError::Unreachable(_)));
        failed || self.stale.is_some()
    }
}

/// A table to look at: its name, its place, and what is known of it at this place.
type Look = (TableKey, Location, Option<Tracked>);

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
    /// Finds and loads all tables. A table that cannot be loaded is listed as unavailable, and a layer
    /// whose store does not answer is empty until it does ([`Self::unreadable_layers`]); only what is
    /// wrong with the configuration as a whole is an error.
    pub async fn open(options: CatalogOptions) -> Result<Arc<Self>, CatalogError> {
        let (sources, stores) =
            Sources::open(options.roots, options.tables, options.copies, options.stores).await?;
        let mut annotations = BTreeMap::new();
        for annotation in options.annotations {
            let key = TableKey { schema: annotation.schema.clone(), name: annotation.table.clone() };
            if annotations.insert(key.clone(), annotation).is_some() {
                return Err(CatalogError::DuplicateAnnotation { schema: key.schema, table: key.name });
            }
        }
        let refresh_intervals = annotations
            .iter()
            .filter_map(|(key, annotation)| Some((key.clone(), annotation.refresh_interval?)))
            .collect();
        let context = Arc::new(LoadContext {
            limits: Limits { load: options.load_timeout, request: options.request_timeout },
            places: Arc::new(Places::new(sources.folders())),
            vectors: Arc::new(DeletionVectors::new(DeletionVectors::USUAL_BUDGET)),
            indexes: IndexMemory::new(options.index_memory),
            versions: VersionCache::new(OLDER_VERSION_BYTES),
        });
        let catalog = Arc::new(Self {
            sources,
            stores,
            annotations,
            refresh_interval: options.refresh_interval,
            refresh_intervals,
            context,
            current: ArcSwap::default(),
            unreadable: ArcSwap::default(),
            tracked: Mutex::default(),
        });
        let mut tracked = catalog.tracked.lock().await;
        let mut found = catalog.sources.discover(&BTreeSet::new(), catalog.context.limits).await;
        // A folder of this machine that is not there is a mistake; a store may only be silent for now.
        if let Some(local) = found.unreadable.iter().position(|layer| layer.root.is_local()) {
            return Err(found.unreadable.swap_remove(local).into());
        }
        for Unreadable { schema, error, .. } in &found.unreadable {
            tracing::error!(schema, %error, "a layer cannot be listed; it stays empty until it can");
        }
        catalog.note_unreadable(&found.unreadable);
        if let Some(conflict) = found.conflicts.pop() {
            return Err(conflict.into());
        }
        for key in catalog.annotations.keys().filter(|key| !found.tables.contains_key(*key)) {
            tracing::warn!(table = %key, "annotation of a table that does not exist (yet)");
        }
        catalog.advance(&mut tracked, found.tables, &BTreeSet::new()).await;
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

    /// What decoded scans read with in this process ([`LakeScanCodec`](crate::LakeScanCodec)).
    pub fn scan_places(&self) -> ScanPlaces {
        let LoadContext { places, vectors, .. } = self.context.as_ref();
        ScanPlaces::new(Arc::clone(places), Arc::clone(vectors), &self.stores)
    }

    /// The folder at `url`, if it is in a store that the configuration names.
    pub(crate) fn locate(&self, url: &Url) -> Option<Location> {
        self.stores.find(url)
    }

    /// Layers that could not be listed at the last look, by schema, each with the reason. For operators:
    /// may name locations.
    pub fn unreadable_layers(&self) -> Arc<BTreeMap<String, String>> {
        self.unreadable.load_full()
    }

    fn note_unreadable(&self, unreadable: &[Unreadable]) {
        let reasons = unreadable.iter().map(|layer| (layer.schema.clone(), layer.error.to_string()));
        self.unreadable.store(Arc::new(reasons.collect()));
    }

    /// Looks for new tables, vanished ones and new commits, and publishes what it finds.
    ///
    /// A layer that cannot be listed keeps its tables and is reported at the end; a table that
    /// cannot be read becomes unavailable. Neither keeps others from being refreshed.
    pub async fn refresh(&self) -> Result<(), CatalogError> {
        self.refresh_where(|_, _| true).await
    }

    /// [`Self::refresh`], but of the tables that are loaded only those that `is_due`.
    async fn refresh_where(&self, is_due: impl Fn(&TableKey, &Tracked) -> bool) -> Result<(), CatalogError> {
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
        self.note_unreadable(&unreadable);
        let discovered: BTreeSet<TableKey> = tables.keys().cloned().collect();
        let mut frozen = not_due(&tracked, is_due);
        tables.retain(|key, location| {
            let stays = tracked.get(key).is_some_and(|table| table.location.url == location.url);
            !(stays && frozen.contains(key))
        });
        // Those that are gone, or elsewhere now, are due in any case.
        frozen.retain(|key| !tables.contains_key(key) && discovered.contains(key));
        for Unreadable { root, .. } in &unreadable {
            for (key, table) in tracked.iter() {
                if table.location.url.as_str().starts_with(root.url.as_str()) {
                    tables.remove(key);
                    frozen.insert(key.clone());
                }
            }
        }
        self.advance(&mut tracked, tables, &frozen).await;
        unreadable.into_iter().next().map_or(Ok(()), |layer| Err(layer.into()))
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

    /// Looks at the tables alone that `is_due`: no new ones are found, and none vanish.
    async fn refresh_known(&self, is_due: impl Fn(&TableKey, &Tracked) -> bool) {
        let mut tracked = self.tracked.lock().await;
        let frozen = not_due(&tracked, is_due);
        let due = tracked.iter().filter(|(key, _)| !frozen.contains(*key));
        let due: BTreeMap<_, _> = due.map(|(key, table)| (key.clone(), table.location.clone())).collect();
        if !due.is_empty() {
            self.advance(&mut tracked, due, &frozen).await;
        }
    }

    fn interval(&self, key: &TableKey) -> Duration {
        self.refresh_intervals.get(key).copied().unwrap_or(self.refresh_interval)
    }

    /// Refreshes until `stop`, each table as often as it says. Failures are logged where they change, and
    /// tried again.
    pub async fn run_refresh(self: Arc<Self>, stop: CancellationToken) {
        let pause = self.refresh_intervals.values().copied().fold(self.refresh_interval, Duration::min);
        // What is due before the next look but one is due now.
        let is_due = |since: Instant, interval| since.elapsed().saturating_add(pause / 2) >= interval;
        let refreshing = async {
            let mut told = None;
            let mut searched = Instant::now();
            loop {
                tokio::time::sleep(pause).await;
                let table_is_due = |key: &TableKey, table: &Tracked| is_due(table.looked, self.interval(key));
                if !is_due(searched, self.refresh_interval) {
                    self.refresh_known(table_is_due).await;
                    continue;
                }
                searched = Instant::now();
                let problem = self.refresh_where(table_is_due).await.err().map(|error| error.to_string());
                match &problem {
                    Some(error) if problem != told => {
                        tracing::warn!(%error, "catalog refresh is incomplete");
                    }
                    None if told.is_some() => tracing::info!("catalog refresh is complete again"),
                    _ => {}
                }
                told = problem;
            }
        };
        stop.run_until_cancelled(refreshing).await;
    }

    /// Brings `tracked` to `tables`, leaves `frozen` ones as they are, and publishes.
    ///
    /// Stores are looked at side by side, and what one showed is published when it is there: a store
    /// that is slow to answer holds up no table of another.
    async fn advance(
        &self,
        tracked: &mut BTreeMap<TableKey, Tracked>,
        tables: BTreeMap<TableKey, Location>,
        frozen: &BTreeSet<TableKey>,
    ) {
        tracked.retain(|key, _| tables.contains_key(key) || frozen.contains(key));
        let mut by_store: BTreeMap<String, Vec<Look>> = BTreeMap::new();
        for (key, location) in tables {
            let last = tracked.get(&key).filter(|last| last.location.url == location.url).cloned();
            let store = location.store.url.as_str().to_owned();
            by_store.entry(store).or_default().push((key, location, last));
        }
        let mut looks: FuturesUnordered<_> =
            by_store.into_values().map(|looks| self.advance_store(looks)).collect();
        while let Some(seen) = looks.next().await {
            for (key, next) in seen {
                match next {
                    Some(next) => tracked.insert(key, next),
                    None => tracked.remove(&key),
                };
            }
            self.publish(tracked);
        }
        self.publish(tracked);
    }

    /// The next states of tables in one store. Where one table after the other gets no answer, the rest
    /// is left for a later look.
    async fn advance_store(&self, looks: Vec<Look>) -> Vec<(TableKey, Option<Tracked>)> {
        let silent = AtomicUsize::new(0);
        let started = Instant::now();
        let advanced = futures::stream::iter(looks).map(|(key, location, last)| {
            let silent = &silent;
            async move {
                if let Some(error) = location.store.resting() {
                    let next = last.unwrap_or_else(|| failed(location, error));
                    return (key, Some(next));
                }
                let (store, local) = (Arc::clone(&location.store), location.is_local());
                let next = self.advance_table(&key, location, last).await;
                if !local && next.as_ref().is_some_and(Tracked::is_silent) {
                    if silent.fetch_add(1, Ordering::Relaxed) + 1 >= PARALLEL_LOADS {
                        store.rest(
                            LoadError::Unreachable("its store does not answer".to_owned()),
                            started.elapsed(),
                        );
                    }
                } else {
                    silent.store(0, Ordering::Relaxed);
                }
                (key, next)
            }
        });
        advanced.buffer_unordered(PARALLEL_LOADS).collect().await
    }

    /// The table's next state; None when it is gone.
    async fn advance_table(
        &self,
        key: &TableKey,
        location: Location,
        last: Option<Tracked>,
    ) -> Option<Tracked> {
        let looked = Instant::now();
        let annotation = self.annotations.get(key);
        let loaded = match &last {
            Some(Tracked { state: TrackedState::Loaded(table), .. }) => {
                let next = match log::probe(&location, &table.log, self.context.limits).await {
                    Ok(Probe::Unchanged) => return last.map(|last| Tracked { stale: None, looked, ..last }),
                    Ok(Probe::Newer) => log::update(&location, &table.log, annotation, &self.context).await,
                    Ok(Probe::Replaced) => log::load(&location, annotation, &self.context).await,
                    Err(error) => Err(error),
                };
                match next {
                    // The version that is loaded stays readable while its store does not answer.
                    Err(error) if error.keeps_version() => {
                        let stale = error.to_string();
                        return last.map(|last| {
                            if last.stale.as_ref() != Some(&stale) {
                                tracing::warn!(table = %key, %error, "table was not refreshed");
                            }
                            Tracked { stale: Some(stale), looked, ..last }
                        });
                    }
                    next => next,
                }
            }
            Some(Tracked { state: TrackedState::Failed { error, fingerprint }, .. })
                if !error.is_transient() && fingerprint.is_some() =>
            {
                let now = log::fingerprint(&location, self.context.limits).await.ok();
                if now == *fingerprint {
                    return last.map(|last| Tracked { looked, ..last });
                }
                log::load(&location, annotation, &self.context).await
            }
            _ => log::load(&location, annotation, &self.context).await,
        };
        let state = match loaded {
            Ok(log) => {
                self.context.indexes.keep(&log.index);
                let table = TableSnapshot::new(key.to_string(), location.clone(), log);
                tracing::debug!(
                    table = %key,
                    version = table.version(),
                    files = table.files().unwrap_or_default(),
                    index_bytes = table.index_memory(),
                    "table loaded",
                );
                TrackedState::Loaded(Arc::new(table))
            }
            Err(LoadError::NoLog) if !self.sources.is_explicit(key) => return None,
            Err(error) => {
                let known = match last.as_ref().map(|last| &last.state) {
                    Some(TrackedState::Failed { error, .. }) => Some(error.to_string()),
                    _ => None,
                };
                if known.as_deref() != Some(error.to_string().as_str()) {
                    tracing::warn!(table = %key, %error, "table is unavailable");
                }
                let fingerprint = match error.is_transient() {
                    true => None,
                    false => log::fingerprint(&location, self.context.limits).await.ok(),
                };
                TrackedState::Failed { error, fingerprint }
            }
        };
        Some(Tracked { location, state, stale: None, looked })
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

/// A table that was not even looked at.
fn failed(location: Location, error: LoadError) -> Tracked {
    let state = TrackedState::Failed { error, fingerprint: None };
    Tracked { location, state, stale: None, looked: Instant::now() }
}

/// Tables that are loaded and whose turn it is not.
fn not_due(
    tracked: &BTreeMap<TableKey, Tracked>,
    is_due: impl Fn(&TableKey, &Tracked) -> bool,
) -> BTreeSet<TableKey> {
    tracked.iter().filter(|(key, table)| !is_due(key, table)).map(|(key, _)| key.clone()).collect()
}
