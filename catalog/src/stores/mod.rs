//! Object stores and the log engine over each, by URL.
//!
//! One [`Store`] per root: `file://`, `s3://bucket`, `az://container`,
//! `abfss://container@account.dfs.core.windows.net`, `gs://bucket`. Its requests go through the layers
//! of [`connection`]: the limit on concurrent requests, [`guarded`] (errors in words, new credentials
//! for refused ones, whole answers), then object_store's own retries and merging of ranges.

mod azure;
mod connection;
mod credentials;
mod engine;
mod environment;
mod escapes;
mod evaluation;
mod failure;
mod gcs;
mod guarded;
mod options;
mod s3;
mod sts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use datafusion::execution::object_store::ObjectStoreUrl;
use delta_kernel::Engine;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::time::Instant;
use url::{Position, Url};

use crate::error::{CatalogError, LoadError};
use azure::Container;
use connection::{Connection, Opened};

pub(crate) use escapes::has_escaped_pair;
pub(crate) use failure::{StoreFailure, chain};
pub use options::{
    AzureCredentials, AzureOptions, ConnectionOptions, GcsCredentials, GcsOptions, S3Addressing,
    S3ConditionalPut, S3Credentials, S3Encryption, S3Options, S3Role, Secret, SecretSource, StoreOptions,
    StoreProvider,
};

/// How long a store that does not answer is left alone at most.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// One object store.
pub(crate) struct Store {
    /// What an execution runtime registers the store under: scheme and authority, told apart where
    /// settings hold for a part of a bucket only.
    pub(crate) url: ObjectStoreUrl,
    /// Data files, listings, probes.
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Log replay over the same store. Blocking: only from `spawn_blocking`.
    pub(crate) engine: Arc<dyn Engine>,
    /// Counts requests that failed for the store's sake, after their retries.
    failures: Arc<AtomicU64>,
    /// Until when, and why, the store is not looked at.
    resting: ArcSwapOption<(Instant, LoadError)>,
}

impl Store {
    /// What tells this store from others.
    pub(crate) fn name(&self) -> Arc<str> {
        Arc::from(self.url.as_str())
    }

    /// Scheme and authority of the URLs of what it holds: `file://`, `s3://bucket`. Unlike its name this
    /// says nothing of the settings, and means the same in another process.
    pub(crate) fn root(&self) -> String {
        let (scheme, authority) = self.url.as_str().split_once("://").unwrap_or((self.url.as_str(), ""));
        let (scheme, _) = scheme.split_once('+').unwrap_or((scheme, ""));
        format!("{scheme}://{}", authority.trim_end_matches('/'))
    }

    /// Leaves the store alone for as long as it took (`took`) to learn that it does not answer: looks at
    /// other stores, which wait for that, come at least as often as the vain ones.
    pub(crate) fn rest(&self, error: LoadError, took: Duration) {
        self.resting.store(Some(Arc::new((Instant::now() + took.min(LONGEST_REST), error))));
    }

    /// Why the store is not looked at now, if it is not.
    pub(crate) fn resting(&self) -> Option<LoadError> {
        let resting = self.resting.load();
        let (until, error) = resting.as_deref()?;
        (Instant::now() < *until).then(|| error.clone())
    }

    /// How many requests have failed for the store's sake. What went wrong while it grew may be the
    /// store's fault, whatever the reader of the data says.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("url", &self.url).finish_non_exhaustive()
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
        // Not `join`: it would encode a name that is one already.
        let path = Path::from_url_path(url.path()).unwrap_or_else(|_| self.path.clone().join(name));
        Self { url, path, store: Arc::clone(&self.store) }
    }

    /// The folder at `url`, which ends in `/`, in a store that someone opened.
    pub(crate) fn within(url: &Url, objects: &Arc<dyn ObjectStore>) -> Result<Self, String> {
        let path = Path::from_url_path(url.path()).map_err(|error| error.to_string())?;
        let root = root(url, None)?;
        let store = Store {
            url: ObjectStoreUrl::parse(root).map_err(|error| error.to_string())?,
            engine: engine::engine(objects),
            objects: Arc::clone(objects),
            failures: Arc::default(),
            resting: ArcSwapOption::empty(),
        };
        Ok(Self { url: url.clone(), path, store: Arc::new(store) })
    }

    /// The folder of the table's log.
    pub(crate) fn log(&self) -> Path {
        self.path.clone().join("_delta_log")
    }

    /// Whether the folder is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.url.scheme() == "file"
    }
}

/// All stores that the configuration needs, opened once.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    settings: Vec<StoreOptions>,
    by_root: BTreeMap<String, Arc<Store>>,
}

impl Stores {
    /// No store yet; those to come are opened with the settings that fit them.
    pub(crate) fn new(settings: Vec<StoreOptions>) -> Self {
        Self { settings, by_root: BTreeMap::new() }
    }

    /// The folder at `url`, opening its store when it is the first there. Sends nothing, but may read
    /// certificates from disk.
    pub(crate) fn locate(&mut self, url: &Url) -> Result<Location, CatalogError> {
        let shown = shown(url);
        let unsupported =
            |reason: String| CatalogError::UnsupportedLocation { location: shown.clone(), reason };
        let mut url = url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let path = Path::from_url_path(url.path()).map_err(|e| unsupported(e.to_string()))?;
        let settings = fitting(&self.settings, &url);
        let root = root(&url, settings).map_err(&unsupported)?;
        let store = match self.by_root.get(&root) {
            Some(store) => Arc::clone(store),
            None => {
                let store = open(&root, &url, settings).map_err(&unsupported)?;
                self.by_root.insert(root, Arc::clone(&store));
                store
            }
        };
        Ok(Location { url, path, store })
    }

    /// The folder at `url`, which ends in `/`, if its store is open.
    pub(crate) fn find(&self, url: &Url) -> Option<Location> {
        let path = Path::from_url_path(url.path()).ok()?;
        let root = root(url, fitting(&self.settings, url)).ok()?;
        let store = Arc::clone(self.by_root.get(&root)?);
        Some(Location { url: url.clone(), path, store })
    }

    /// Every open store with the URL to register it under.
    pub(crate) fn all(&self) -> Vec<(Url, Arc<dyn ObjectStore>)> {
        self.by_root
            .values()
            .map(|store| (AsRef::<Url>::as_ref(&store.url).clone(), Arc::clone(&store.objects)))
            .collect()
    }
}

/// The settings with the longest prefix that `url` begins with.
fn fitting<'s>(settings: &'s [StoreOptions], url: &Url) -> Option<&'s StoreOptions> {
    settings
        .iter()
        .filter(|settings| url.as_str().starts_with(&settings.prefix))
        .max_by_key(|settings| settings.prefix.len())
}

/// What the store of `url` is registered under. Two settings for parts of one bucket make two stores.
fn root(url: &Url, settings: Option<&StoreOptions>) -> Result<String, String> {
    if url.scheme() == "file" {
        return Ok("file://".to_owned());
    }
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(
            "credentials do not belong into URLs: a reference to them belongs into `stores`".to_owned()
        );
    }
    if url.host_str().unwrap_or_default().is_empty() {
        return Err("expected the name of a bucket or container".to_owned());
    }
    let authority = &url[Position::BeforeUsername..Position::BeforePath];
    let part = settings.filter(|settings| {
        Url::parse(&settings.prefix).is_ok_and(|prefix| !matches!(prefix.path(), "" | "/"))
    });
    Ok(match part {
        // A scheme has no underscores, a name no hyphens.
        Some(part) => format!("{}+{}://{authority}", url.scheme(), part.name.replace('_', "-")),
        None => format!("{}://{authority}", url.scheme()),
    })
}

/// `url` as errors may show it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() && url.set_password(None).and_then(|()| url.set_username("")).is_err() {
        return format!("{}://", url.scheme());
    }
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn open(root: &str, url: &Url, settings: Option<&StoreOptions>) -> Result<Arc<Store>, String> {
    let opened = match url.scheme() {
        "file" => Opened { objects: Arc::new(LocalFileSystem::new()), failures: Arc::default() },
        _ => elsewhere(url, settings)?,
    };
    let Opened { objects, failures } = opened;
    Ok(Arc::new(Store {
        url: ObjectStoreUrl::parse(root).map_err(|error| error.to_string())?,
        engine: engine::engine(&objects),
        objects,
        failures,
        resting: ArcSwapOption::empty(),
    }))
}

/// A store that is reached over the network.
fn elsewhere(url: &Url, settings: Option<&StoreOptions>) -> Result<Opened, String> {
    let connection = match settings {
        Some(settings) => Connection::new(&settings.connection),
        None => Connection::new(&ConnectionOptions::default()),
    }?;
    let name = &url[..Position::BeforePath];
    let bucket = url.host_str().unwrap_or_default();
    let for_other =
        |settings: &StoreOptions| format!("the settings `{}` are for another kind of store", settings.name);
    let provider = settings.map(|settings| (settings, &settings.provider));
    match (url.scheme(), provider) {
        ("s3" | "s3a", None) => s3::open(name, bucket, &S3Options::default(), &connection),
        ("s3" | "s3a", Some((_, StoreProvider::S3(options)))) => s3::open(name, bucket, options, &connection),
        ("az" | "abfs" | "abfss", None) => {
            azure::open(name, &Container::of(url)?, &AzureOptions::default(), &connection)
        }
        ("az" | "abfs" | "abfss", Some((_, StoreProvider::Azure(options)))) => {
            azure::open(name, &Container::of(url)?, options, &connection)
        }
        ("gs", None) => gcs::open(name, bucket, &GcsOptions::default(), &connection),
        ("gs", Some((_, StoreProvider::Gcs(options)))) => gcs::open(name, bucket, options, &connection),
        ("s3" | "s3a" | "az" | "abfs" | "abfss" | "gs", Some((settings, _))) => Err(for_other(settings)),
        _ => Err("expected a local path or a URL that begins with file://, s3://, az://, abfss:// or gs://"
            .to_owned()),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn settings(name: &str, prefix: &str) -> StoreOptions {
        StoreOptions {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            provider: StoreProvider::S3(S3Options {
                credentials: S3Credentials::Anonymous,
                ..S3Options::default()
            }),
            connection: ConnectionOptions::default(),
        }
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[tokio::test]
    async fn the_longest_prefix_wins_and_makes_a_store_of_its_own() {
        let mut stores = Stores::new(vec![
            settings("all", "s3://"),
            settings("silver_only", "s3://lake/silver/"),
            settings("lake", "s3://lake/"),
        ]);
        let root = |location: Location| location.store.url.as_str().to_owned();
        assert_eq!(root(stores.locate(&url("s3://other/x")).unwrap()), "s3://other/");
        assert_eq!(root(stores.locate(&url("s3://lake/gold")).unwrap()), "s3://lake/");
        assert_eq!(root(stores.locate(&url("s3://lake/silver/a")).unwrap()), "s3+silver-only://lake/");
        assert_eq!(root(stores.locate(&url("s3://lake/silvery")).unwrap()), "s3://lake/");
        assert_eq!(root(stores.locate(&url("file:///data")).unwrap()), "file:///");
        assert_eq!(stores.all().len(), 4, "one store per root");
        // Elsewhere the settings are other ones.
        let mut root = |text| stores.locate(&url(text)).unwrap().store.root();
        assert_eq!(root("s3://lake/silver/a"), "s3://lake");
        assert_eq!(root("s3://lake/gold"), "s3://lake");
        assert_eq!(root("file:///data"), "file://");
    }

    #[tokio::test]
    async fn what_is_no_location_is_refused_without_repeating_a_secret() {
        let mut stores = Stores::new(vec![settings("lake", "gs://lake/")]);
        for text in ["s3://AKIA:hunter2@lake/x", "az://lake/x?sig=hunter2", "s3://lake/#hunter2"] {
            let error = stores.locate(&url(text)).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("`stores`"), "{error}");
        }
        for text in ["https://example.org/x", "s3:///x", "gs://lake/x", "hdfs://a/b"] {
            assert!(stores.locate(&url(text)).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn children_are_where_they_are_called_so() {
        let mut stores = Stores::new(vec![settings("lake", "s3://")]);
        for base in ["s3://lake", "s3://lake/a%20b", "file:///tmp"] {
            let base = stores.locate(&url(base)).unwrap();
            for name in ["plain", "a b", "50%", "a%20b", "é~{x}^`|<>\\?#&+", "tenant=a:b"] {
                let child = base.child(name);
                assert_eq!(child.path.filename(), Some(name));
                assert_eq!(Path::from_url_path(child.url.path()).unwrap(), child.path);
            }
        }
    }
}
