//! Where a table is, and the ways to its store.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use delta_kernel::Engine;
use deltalake_core::logstore::{LogStore, LogStoreConfig, ObjectStoreRef, StorageConfig, default_logstore};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use super::WriteError;
use super::guard::{Guarded, Writes};
use crate::control::TableId;

/// Folder of the log, relative to the table.
pub(super) const LOG: &str = "_delta_log";

/// Time-outs of calls to the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// One small request.
    pub(super) request: Duration,
    /// One reading of the log.
    pub(super) load: Duration,
}

/// One table's place.
#[derive(Debug)]
pub(super) struct TableLocation {
    pub(super) id: TableId,
    /// Ends in `/`.
    pub(super) url: Url,
    /// The store that [`Self::url`]'s path is in.
    root: ObjectStoreRef,
    /// The folder in [`Self::root`].
    path: Path,
    /// The same with paths relative to the table. Not guarded: for commits, checkpoints and vacuum.
    pub(super) files: ObjectStoreRef,
    /// The folder, where the store is this machine's file system: such a store does not force
    /// anything to disk by itself.
    pub(super) local: Option<PathBuf>,
    pub(super) limits: Limits,
}

impl TableLocation {
    /// The table at `url` in `root`, which has the paths of such URLs.
    pub(super) async fn new(root: ObjectStoreRef, url: &Url, limits: Limits) -> Result<Self, WriteError> {
        let wrong = |reason: &str| WriteError::InvalidRequest(format!("table location {url}: {reason}"));
        let mut url = url.clone();
        if url.cannot_be_a_base() {
            return Err(wrong("it is not the URL of a folder"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let local = match url.scheme() {
            "file" => Some(url.to_file_path().map_err(|()| wrong("it is not a path of this machine"))?),
            _ => None,
        };
        let id = table_id(&url, limits.request).await;
        let path = Path::from_url_path(url.path()).map_err(|error| wrong(&error.to_string()))?;
        let files: ObjectStoreRef = Arc::new(PrefixStore::new(Arc::clone(&root), path.clone()));
        Ok(Self { id, url, root, path, files, local, limits })
    }

    /// The location, for messages.
    pub(super) fn name(&self) -> &str {
        self.id.location()
    }

    /// The store that [`Self::url`]'s path is in.
    pub(super) fn root(&self) -> &ObjectStoreRef {
        &self.root
    }

    /// Where `file`, relative to the table, is in [`Self::root`].
    pub(super) fn absolute(&self, file: &Path) -> Path {
        self.path.parts().chain(file.parts()).collect()
    }

    /// What the engine works on: it can read everything and write new data files. It can neither
    /// write to the log nor remove anything.
    pub(super) fn guarded_log_store(&self) -> Arc<dyn LogStore> {
        let files = Guarded::new(Arc::clone(&self.files), Writes::DataFiles);
        let root = Guarded::new(Arc::clone(&self.root), Writes::None);
        default_logstore(Arc::new(files), Arc::new(root), &self.url, &StorageConfig::default())
    }

    pub(super) fn log_store_config(&self) -> LogStoreConfig {
        LogStoreConfig::new(&self.url, StorageConfig::default())
    }

    /// A kernel engine that may write, for checkpoints. Blocking: only from `spawn_blocking`.
    pub(super) fn engine(&self) -> Arc<dyn Engine> {
        let store = Arc::clone(&self.files);
        default_logstore(store, Arc::clone(&self.root), &self.url, &StorageConfig::default()).engine(None)
    }

    pub(super) fn store_failed(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> WriteError {
        WriteError::Store { location: self.name().to_owned(), source: source.into() }
    }

    /// The path of `raw`, a path as the log has it (relative or a URL), relative to the table; None for
    /// one outside.
    pub(super) fn relative(&self, raw: &str) -> Result<Option<Path>, object_store::path::Error> {
        relative_path(&self.url, raw)
    }
}

/// See [`TableLocation::relative`]. `table` ends in `/`.
pub(super) fn relative_path(table: &Url, raw: &str) -> Result<Option<Path>, object_store::path::Error> {
    // A relative path may have a colon in a file name, so only what has a scheme and a root is absolute.
    let absolute = match raw.split_once(":/") {
        Some((scheme, _)) if is_scheme(scheme) => Url::parse(raw).ok(),
        _ if raw.starts_with('/') => table.join(raw).ok(),
        _ => None,
    };
    let Some(absolute) = absolute else { return Path::from_url_path(raw).map(Some) };
    let same_store = absolute.scheme() == table.scheme() && absolute.authority() == table.authority();
    let folder = Path::from_url_path(table.path())?;
    let file = Path::from_url_path(absolute.path())?;
    if !same_store {
        return Ok(None);
    }
    Ok(file
        .prefix_match(&folder)
        .map(|parts| parts.collect())
        .filter(|path: &Path| !path.as_ref().is_empty()))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// The table at `url` as leases and pins name it. Looks at this machine's folders for at most `timeout`.
pub(crate) async fn table_id(url: &Url, timeout: Duration) -> TableId {
    let folder = if url.scheme() == "file" { url.to_file_path().ok() } else { None };
    let resolved = match folder {
        Some(folder) => canonical(folder, timeout).await,
        None => None,
    };
    TableId::new(resolved.as_ref().unwrap_or(url))
}

/// The folder without symbolic links, as far as it exists: leases go by it.
async fn canonical(folder: PathBuf, timeout: Duration) -> Option<Url> {
    let work = tokio::task::spawn_blocking(move || {
        let existing = folder.ancestors().find(|part| part.exists())?;
        let rest = folder.strip_prefix(existing).ok()?;
        let resolved: PathBuf = std::fs::canonicalize(existing).ok()?.join(rest);
        Url::from_directory_path(FilePath::new(&resolved)).ok()
    });
    tokio::time::timeout(timeout, work).await.ok()?.ok()?
}
