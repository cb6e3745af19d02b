//! Which tables there are: children of layer roots, and explicit ones.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use object_store::ListResult;
use tokio::time::Instant;
use url::Url;

use crate::error::{CatalogError, LoadError};
use crate::log::{Limits, has_log};
use crate::options::{ExplicitTable, LayerRoot};
use crate::stores::{Location, StoreOptions, Stores};

/// Schema and name of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TableKey {
    pub(crate) schema: String,
    pub(crate) name: String,
}

impl std::fmt::Display for TableKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Folders of one layer that are looked into at once.
const PARALLEL_LOOKS: usize = 16;

/// Where tables come from, with their stores open.
#[derive(Debug)]
pub(crate) struct Sources {
    roots: Vec<(String, Location)>,
    explicit: BTreeMap<TableKey, Location>,
}

/// A name that two locations claim; the first keeps it.
#[derive(Debug)]
pub(crate) struct Conflict {
    pub(crate) key: TableKey,
    pub(crate) first: Location,
    pub(crate) second: Location,
}

impl From<Conflict> for CatalogError {
    fn from(conflict: Conflict) -> Self {
        Self::DuplicateTable {
            schema: conflict.key.schema,
            table: conflict.key.name,
            first: conflict.first.url.to_string(),
            second: conflict.second.url.to_string(),
        }
    }
}

/// What one look at all sources found.
#[derive(Debug, Default)]
pub(crate) struct Discovered {
    pub(crate) tables: BTreeMap<TableKey, Location>,
    pub(crate) conflicts: Vec<Conflict>,
    /// Roots that could not be listed: nothing is known of their tables.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A layer root that could not be listed.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) schema: String,
    pub(crate) root: Location,
    pub(crate) error: LoadError,
}

impl From<Unreadable> for CatalogError {
    fn from(unreadable: Unreadable) -> Self {
        Self::LayerUnreadable {
            schema: unreadable.schema,
            location: unreadable.root.url.to_string(),
            source: Box::new(unreadable.error),
        }
    }
}

impl Sources {
    /// The folders that the configuration names.
    pub(crate) fn folders(&self) -> impl Iterator<Item = Location> {
        self.roots.iter().map(|(_, root)| root).chain(self.explicit.values()).cloned()
    }

    /// The sources of a configuration and the stores that they are in. Looks for no tables, and sends
    /// nothing.
    pub(crate) async fn open(
        roots: Vec<LayerRoot>,
        tables: Vec<ExplicitTable>,
        copies: Vec<Url>,
        settings: Vec<StoreOptions>,
    ) -> Result<(Self, Stores), CatalogError> {
        // Clients of stores read certificates from disk.
        let opening = tokio::task::spawn_blocking(move || {
            let mut stores = Stores::new(settings);
            let sources = Self::locate(&roots, &tables, &mut stores)?;
            for folder in &copies {
                stores.locate(folder)?;
            }
            Ok((sources, stores))
        });
        opening.await.map_err(|_| CatalogError::NotOpened)?
    }

    fn locate(
        roots: &[LayerRoot],
        tables: &[ExplicitTable],
        stores: &mut Stores,
    ) -> Result<Self, CatalogError> {
        let roots = roots
            .iter()
            .map(|root| Ok((root.schema.clone(), stores.locate(&root.location)?)))
            .collect::<Result<Vec<_>, CatalogError>>()?;
        let mut explicit = BTreeMap::<TableKey, Location>::new();
        for table in tables {
            let location = stores.locate(&table.location)?;
            let key = TableKey { schema: table.schema.clone(), name: table.name.clone() };
            if let Some(first) = explicit.get(&key) {
                let first = first.clone();
                return Err(Conflict { key, first, second: location }.into());
            }
            explicit.insert(key, location);
        }
        Ok(Self { roots, explicit })
    }

    /// Schemas that exist whether or not they have tables.
    pub(crate) fn schemas(&self) -> BTreeSet<String> {
        let roots = self.roots.iter().map(|(schema, _)| schema.clone());
        roots.chain(self.explicit.keys().map(|key| key.schema.clone())).collect()
    }

    /// Whether the table is configured by itself, and so exists even without a log.
    pub(crate) fn is_explicit(&self, key: &TableKey) -> bool {
        self.explicit.contains_key(key)
    }

    /// Looks at all sources, at all roots at once: one that is slow to answer holds up no other.
    /// `known` are the URLs of tables already loaded, not looked into again.
    pub(crate) async fn discover(&self, known: &BTreeSet<String>, limits: Limits) -> Discovered {
        let mut found = Discovered { tables: self.explicit.clone(), ..Discovered::default() };
        let looks = self.roots.iter().map(|(_, root)| table_folders(root, known, limits));
        let looks = futures::future::join_all(looks).await;
        for ((schema, root), folders) in self.roots.iter().zip(looks) {
            let folders = match folders {
                Ok(folders) => folders,
                Err(error) => {
                    let (schema, root) = (schema.clone(), root.clone());
                    found.unreadable.push(Unreadable { schema, root, error });
                    continue;
                }
            };
            for (name, location) in named(&folders) {
                let key = TableKey { schema: schema.clone(), name };
                match found.tables.get(&key) {
                    Some(first) => {
                        found.conflicts.push(Conflict { key, first: first.clone(), second: location });
                    }
                    None => {
                        found.tables.insert(key, location);
                    }
                }
            }
        }
        found
    }
}

/// Direct children of the root that have a log, by folder name.
async fn table_folders(
    root: &Location,
    known: &BTreeSet<String>,
    limits: Limits,
) -> Result<BTreeMap<String, Location>, LoadError> {
    // A local store lists a folder that does not exist as empty; all its tables would vanish. A store
    // elsewhere has no folders, and says so of a bucket that does not exist.
    if root.is_local()
        && let Ok(folder) = root.url.to_file_path()
    {
        let metadata = tokio::time::timeout(limits.request, tokio::fs::metadata(&folder)).await;
        match metadata {
            Ok(Ok(metadata)) if metadata.is_dir() => {}
            Ok(Ok(_)) => return Err(LoadError::Unreachable("not a folder".to_owned())),
            Ok(Err(error)) => return Err(LoadError::Unreachable(error.to_string())),
            Err(_) => return Err(LoadError::Unreachable("no answer in time".to_owned())),
        }
    }
    let listing = list_root(root, limits).await?;
    let names = listing.common_prefixes.iter().filter_map(|folder| folder.filename());
    // Writers keep their own things in such folders.
    let names = names.filter(|name| !name.starts_with(['_', '.']) && !name.chars().any(char::is_control));
    let looks: Vec<_> = names
        .map(|name| {
            let (name, location) = (name.to_owned(), root.child(name));
            async move {
                // A folder that cannot be looked into is listed, with that as its reason.
                let listed =
                    known.contains(location.url.as_str()) || has_log(&location, limits).await.unwrap_or(true);
                listed.then_some((name, location))
            }
        })
        .collect();
    let folders = futures::stream::iter(looks).buffer_unordered(PARALLEL_LOOKS);
    Ok(folders.filter_map(|folder| async { folder }).collect().await)
}

/// Lists the root; not while its store rests after it did not answer.
async fn list_root(root: &Location, limits: Limits) -> Result<ListResult, LoadError> {
    if let Some(error) = root.store.resting() {
        return Err(error);
    }
    let started = Instant::now();
    let listing = root.store.objects.list_with_delimiter(Some(&root.path));
    let listing = match tokio::time::timeout(limits.request, listing).await {
        Ok(listing) => listing.map_err(LoadError::from),
        Err(_) => Err(LoadError::Unreachable("the listing did not end in time".to_owned())),
    };
    if let Err(error @ LoadError::Unreachable(_)) = &listing
        && !root.is_local()
    {
        root.store.rest(error.clone(), started.elapsed());
    }
    listing
}

/// Table names for folder names: in lower case where that makes a plain identifier, so that it needs
/// no quotes; other names, and those whose lower case is taken, stay as they are.
fn named(folders: &BTreeMap<String, Location>) -> Vec<(String, Location)> {
    let mut taken: BTreeSet<String> = folders.keys().filter(|name| is_plain(name)).cloned().collect();
    folders
        .iter()
        .map(|(folder, location)| {
            let lower = folder.to_lowercase();
            let name = if !is_plain(folder) && is_plain(&lower) && taken.insert(lower.clone()) {
                lower
            } else {
                folder.clone()
            };
            (name, location.clone())
        })
        .collect()
}

fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
