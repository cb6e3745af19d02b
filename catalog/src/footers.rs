//! The cache of Parquet footers, shared by all stores.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::{HashMap, TableReference};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::cache::{Cache, CacheEntryInfo};
use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::path::Path;

/// The footers of one object.
///
/// The engine's cache knows a footer by its path within a store, size and time: two stores that
/// hold copies of one lake, or an object that was replaced within the second that a store counts in,
/// would be read with each other's footers. Here the store and the object's tag belong to the key.
pub(crate) struct FootersOfObject {
    footers: Arc<FileMetadataCache>,
    /// What the path is put behind.
    prefix: String,
}

impl FootersOfObject {
    pub(crate) fn new(footers: &Arc<FileMetadataCache>, store: &ObjectStoreUrl, tag: Option<&str>) -> Self {
        let prefix = format!("{}{}/", store.as_str(), tag.unwrap_or_default());
        Self { footers: Arc::clone(footers), prefix }
    }

    fn key(&self, path: &Path) -> Path {
        Path::from(format!("{}{path}", self.prefix))
    }
}

impl Cache<Path, CachedFileMetadataEntry> for FootersOfObject {
    fn get(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.footers.get(&self.key(path))
    }

    fn put(&self, path: &Path, value: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        self.footers.put(&self.key(path), value)
    }

    fn remove(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.footers.remove(&self.key(path))
    }

    fn contains_key(&self, path: &Path) -> bool {
        self.footers.contains_key(&self.key(path))
    }

    fn len(&self) -> usize {
        self.footers.len()
    }

    fn clear(&self) {
        self.footers.clear();
    }

    fn name(&self) -> String {
        self.footers.name()
    }

    fn cache_limit(&self) -> usize {
        self.footers.cache_limit()
    }

    fn update_cache_limit(&self, limit: usize) {
        self.footers.update_cache_limit(limit);
    }

    fn cache_ttl(&self) -> Option<Duration> {
        self.footers.cache_ttl()
    }

    fn update_cache_ttl(&self, ttl: Option<Duration>) {
        self.footers.update_cache_ttl(ttl);
    }

    fn drop_table_entries(&self, table: &TableReference) -> datafusion::common::Result<()> {
        self.footers.drop_table_entries(table)
    }

    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        self.footers.list_entries()
    }
}
