//! Where data files may lie.

use object_store::path::Path;
use std::sync::Arc;
use url::Url;

use crate::error::LoadError;
use crate::stores::{Location, Store};

/// Bytes of the longest path that is read: no store takes as many, even URL-encoded.
const LONGEST_PATH: usize = 16 << 10;

/// The folders that the configuration names.
///
/// A log may list files outside its table's folder (shallow clones do). They are read only when they
/// lie in one of these folders: who writes a table's log must not thereby choose what this process
/// reads with its credentials.
#[derive(Debug, Default)]
pub(crate) struct Places {
    folders: Vec<Location>,
}

/// Number of a folder of [`Places`].
pub(crate) type PlaceId = u16;

impl Places {
    pub(crate) fn new(folders: impl IntoIterator<Item = Location>) -> Self {
        let mut folders: Vec<Location> = folders.into_iter().take(usize::from(PlaceId::MAX)).collect();
        folders.sort_by(|a, b| a.url.cmp(&b.url));
        folders.dedup_by(|a, b| a.url == b.url);
        Self { folders }
    }

    /// The store of a folder.
    pub(crate) fn store(&self, place: PlaceId) -> Option<&Arc<Store>> {
        self.folders.get(usize::from(place)).map(|folder| &folder.store)
    }

    /// The innermost folder that holds `path` of the store with this [root](Store::root).
    pub(crate) fn holding(&self, root: &str, path: &Path) -> Option<&Location> {
        let holding = |folder: &&Location| path.prefix_matches(&folder.path) && folder.store.root() == root;
        self.folders.iter().filter(holding).max_by_key(|folder| folder.path.as_ref().len())
    }

    /// The folder that `url` lies in, and its path inside the folder's store, decoded.
    fn find(&self, url: &Url) -> Result<(PlaceId, Path), LoadError> {
        // The innermost: a folder in a folder may have a store, and so credentials, of its own.
        let folders = self.folders.iter().enumerate();
        let found = folders
            .filter(|(_, folder)| url.as_str().starts_with(folder.url.as_str()))
            .max_by_key(|(_, folder)| folder.url.as_str().len());
        let place = found.and_then(|(found, _)| PlaceId::try_from(found).ok()).ok_or_else(|| {
            LoadError::Misconfigured(
                "the log lists files outside the table's folder, in a place that is no configured layer \
                 or table; configure that place to read them"
                    .to_owned(),
            )
        })?;
        Ok((place, decode(url.path())?))
    }
}

/// A path of the log, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FilePath {
    /// None for the table's own folder, which `path` is then relative to. Else `path` is the whole
    /// path inside the store of that place.
    pub(crate) place: Option<PlaceId>,
    pub(crate) path: String,
}

impl FilePath {
    /// Reads a path as the protocol writes it: URL-encoded, relative to the table or absolute.
    pub(crate) fn parse(raw: &str, table: &Url, places: &Places) -> Result<Self, LoadError> {
        if raw.len() > LONGEST_PATH {
            return Err(LoadError::Broken(format!("a file path of {} bytes", raw.len())));
        }
        let absolute = match raw.split('/').next() {
            // `/folder/file`, in the store of the table.
            Some("") => table.join(raw).ok(),
            Some(first) if has_scheme(first) => Url::parse(raw).ok(),
            _ => return Ok(Self { place: None, path: decode(raw)?.to_string() }),
        };
        let absolute = absolute.ok_or_else(|| LoadError::Broken("a file path that is no URL".to_owned()))?;
        if let Some(own) = absolute.as_str().strip_prefix(table.as_str()) {
            return Ok(Self { place: None, path: decode(own)?.to_string() });
        }
        Self::of_url(&absolute, places)
    }

    pub(crate) fn of_url(url: &Url, places: &Places) -> Result<Self, LoadError> {
        // `file:/a` and `file:///a` parse alike; `..` is resolved by the parser.
        let (place, path) = places.find(url)?;
        Ok(Self { place: Some(place), path: path.to_string() })
    }
}

/// Whether the first segment of a path is the scheme of a URL (RFC 3986, section 3.1).
fn has_scheme(first: &str) -> bool {
    let Some((scheme, _)) = first.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn decode(path: &str) -> Result<Path, LoadError> {
    // Rejects `..` too.
    Path::from_url_path(path).map_err(|error| LoadError::Broken(shortened(&error.to_string())))
}

/// A path in a log may be of any length; a message about it may not.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
