//! A table as it was.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::VersionError;
use super::history;
use crate::error::LoadError;
use crate::log::{self, LoadedLog};
use crate::snapshot::TableSnapshot;
use crate::stores::{ObjectIdentity, identity};

/// A guess of the bytes of a usual index, to size the cache's table.
const USUAL_BYTES: u64 = 256 << 10;
/// Memory that a cached version takes besides its index.
const ENTRY_BYTES: u64 = 64 << 10;

/// Which version of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableVersion {
    /// This one.
    Number(u64),
    /// The newest one that was committed at this time or before.
    Time(DateTime<Utc>),
}

/// Older versions that were read lately.
pub(crate) struct VersionCache {
    kept: Cache<Key, LoadedLog, Bytes>,
}

/// A version of a table that was not replaced by another: its commit is the very object it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    table: String,
    version: u64,
    commit: Option<ObjectIdentity>,
}

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Key, LoadedLog> for Bytes {
    fn weight(&self, _: &Key, log: &LoadedLog) -> u64 {
        u64::try_from(log.index.memory_size()).unwrap_or(u64::MAX).saturating_add(ENTRY_BYTES)
    }
}

impl std::fmt::Debug for VersionCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VersionCache").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

impl VersionCache {
    /// Keeps versions whose indexes take at most `budget` bytes.
    pub(crate) fn new(budget: u64) -> Self {
        let items = usize::try_from(budget / USUAL_BYTES).unwrap_or(usize::MAX).clamp(16, 4096);
        Self { kept: Cache::with_weighter(items, budget, Bytes) }
    }
}

impl TableSnapshot {
    /// The table at another version, with the columns that it still has, under today's names and with
    /// today's tags, so that today's policies apply to it.
    pub async fn at(self: &Arc<Self>, version: TableVersion) -> Result<Arc<Self>, VersionError> {
        let number = match version {
            TableVersion::Number(number) => number,
            TableVersion::Time(time) => self.version_at(time).await?,
        };
        if number == self.version() {
            return Ok(Arc::clone(self));
        }
        let log = self.log_at(number).await?;
        let definition = Arc::new(log.definition.as_of_today(&self.log.definition));
        let log = log.described(definition);
        Ok(Arc::new(Self::new(self.qualified_name.clone(), self.location.clone(), log)))
    }

    /// The version as its log has it.
    async fn log_at(&self, version: u64) -> Result<LoadedLog, VersionError> {
        let context = &self.log.context;
        let commit = log::commit_path(&self.location, version);
        let object = log::request(context.limits, identity(&self.location.store, &commit));
        let object = object.await.map_err(|error| self.unreadable(version, &error))?;
        let key = Key { table: self.location.url.to_string(), version, commit: object };
        let cache = &context.versions.kept;
        let loaded = cache.get_or_insert_async(&key, async {
            if version > self.version() {
                return Err(LoadError::Broken("a version that does not exist yet".to_owned()));
            }
            log::load_at(&self.location, context, version).await
        });
        match loaded.await {
            Ok(loaded) => Ok(loaded),
            Err(error @ LoadError::Unreachable(_)) => Err(self.unreadable(version, &error)),
            Err(error) => {
                let oldest = history::oldest(self).await.map_err(|e| self.unreadable(version, &e))?;
                if (oldest..=self.version()).contains(&version) {
                    return Err(self.unreadable(version, &error));
                }
                let (table, newest) = (self.qualified_name.clone(), self.version());
                Err(VersionError::NoVersion { table, version, oldest, newest })
            }
        }
    }

    async fn version_at(&self, time: DateTime<Utc>) -> Result<u64, VersionError> {
        let found = history::version_at(self, time).await;
        found
            .map_err(|error| self.unreadable(self.version(), &error))?
            .ok_or_else(|| VersionError::NoVersionThen { table: self.qualified_name.clone(), time })
    }

    pub(super) fn unreadable(&self, version: u64, error: &LoadError) -> VersionError {
        tracing::warn!(table = self.qualified_name, version, %error, "an older version cannot be read");
        VersionError::Unreadable { table: self.qualified_name.clone(), version, reason: error.to_string() }
    }
}
