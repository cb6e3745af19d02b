//! The runtime's footer cache, for several stores.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::{HashMap, TableReference};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::cache::{Cache, CacheEntryInfo};
use object_store::path::Path;

/// A view of the cache for one object of one store.
///
/// The cache tells objects apart by their paths alone. Two stores may hold different objects at one
/// path, and a store another one under an old path, so the store's name and the object's tag become
/// part of the key.
#[derive(Debug)]
pub(super) struct Footers {
    cache: Arc<FileMetadataCache>,
    store: Arc<str>,
    tag: Option<String>,
}

impl Footers {
    pub(super) fn new(cache: Arc<FileMetadataCache>, store: Arc<str>, tag: Option<String>) -> Self {
        Self { cache, store, tag }
    }

    fn key(&self, path: &Path) -> Path {
        let tag = self.tag.as_deref().unwrap_or_default();
        // Parts are escaped, so that no two triples give one key.
        Path::from_iter([self.store.as_ref(), tag]).parts().chain(path.parts()).collect()
    }
}

impl Cache<Path, CachedFileMetadataEntry> for Footers {
    fn get(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.cache.get(&self.key(path))
    }

    fn put(&self, path: &Path, value: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        self.cache.put(&self.key(path), value)
    }

    fn remove(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.cache.remove(&self.key(path))
    }

    fn contains_key(&self, path: &Path) -> bool {
        self.cache.contains_key(&self.key(path))
    }

    fn len(&self) -> usize {
        self.cache.len()
    }

    fn clear(&self) {
        self.cache.clear();
    }

    fn name(&self) -> String {
        self.cache.name()
    }

    fn cache_limit(&self) -> usize {
        self.cache.cache_limit()
    }

    fn update_cache_limit(&self, limit: usize) {
        self.cache.update_cache_limit(limit);
    }

    fn cache_ttl(&self) -> Option<Duration> {
        self.cache.cache_ttl()
    }

    fn update_cache_ttl(&self, ttl: Option<Duration>) {
        self.cache.update_cache_ttl(ttl);
    }

    fn drop_table_entries(&self, table: &TableReference) -> datafusion::error::Result<()> {
        self.cache.drop_table_entries(table)
    }

    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        self.cache.list_entries()
    }
}
