//! Reading deletion vectors, once for all scans that need the same one.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use roaring::RoaringTreemap;

use super::format::{self, FormatError};

/// A guess of the bytes of a usual vector, to size the cache's table.
const USUAL_BYTES: u64 = 4096;
/// Memory that a cached vector takes besides its bitmap.
const ENTRY_BYTES: u64 = 256;

/// Reads vectors and keeps them, within a budget of memory, for all scans of the process.
pub(crate) struct DeletionVectors {
    /// A vector never changes: its file is named by a UUID.
    kept: Cache<Key, Arc<RoaringTreemap>, Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    store: Arc<str>,
    path: Path,
    offset: u64,
    size: u32,
}

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Key, Arc<RoaringTreemap>> for Bytes {
    fn weight(&self, key: &Key, vector: &Arc<RoaringTreemap>) -> u64 {
        let bitmap = u64::try_from(vector.serialized_size()).unwrap_or(u64::MAX);
        let path = u64::try_from(key.path.as_ref().len()).unwrap_or(u64::MAX);
        bitmap.saturating_add(path).saturating_add(ENTRY_BYTES)
    }
}

impl std::fmt::Debug for DeletionVectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeletionVectors").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

/// Why a vector could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Store(#[from] object_store::Error),
    #[error("{0}")]
    Format(#[from] FormatError),
}

impl DeletionVectors {
    /// Bytes of vectors that a process keeps.
    pub(crate) const USUAL_BUDGET: u64 = 64 << 20;

    /// Keeps at most `budget` bytes of vectors.
    pub(crate) fn new(budget: u64) -> Self {
        let items = usize::try_from(budget / USUAL_BYTES).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        let kept = Cache::with_weighter(items, budget, Bytes);
        Self { kept }
    }

    /// A vector that stands in the log.
    pub(crate) fn inline(
        &self,
        text: &str,
        size: u32,
        cardinality: u64,
    ) -> Result<Arc<RoaringTreemap>, FormatError> {
        counted(format::inline(text, size)?, cardinality).map(Arc::new)
    }

    /// A vector in a file. Scans that ask at the same time share one read.
    pub(crate) async fn stored(
        &self,
        (name, store): (&Arc<str>, &Arc<dyn ObjectStore>),
        path: &Path,
        offset: u64,
        size: u32,
        cardinality: u64,
    ) -> Result<Arc<RoaringTreemap>, ReadError> {
        let key = Key { store: Arc::clone(name), path: path.clone(), offset, size };
        let read = async {
            let end = offset.saturating_add(format::framed_size(size));
            let bytes = store.get_range(path, offset..end).await?;
            Ok::<_, ReadError>(Arc::new(format::framed(&bytes, size)?))
        };
        let vector = self.kept.get_or_insert_async(&key, read).await?;
        // Judged for each log entry, not once for the bytes.
        if vector.len() != cardinality {
            return Err(FormatError::Cardinality.into());
        }
        Ok(vector)
    }
}

fn counted(vector: RoaringTreemap, cardinality: u64) -> Result<RoaringTreemap, FormatError> {
    if vector.len() == cardinality { Ok(vector) } else { Err(FormatError::Cardinality) }
}
