//! Reading deletion vectors, once for all scans that need the same one.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use roaring::RoaringTreemap;

use super::format::{self, FormatError};
use super::placed::{PlacedVector, VectorPlace};
use super::selection::LeftRows;

/// A guess of the bytes of a usual vector, to size the cache's table.
const USUAL_BYTES: u64 = 4096;
/// Memory that a cached vector takes besides its bitmap.
const ENTRY_BYTES: u64 = 256;

/// Reads vectors and keeps them, within a budget of memory, for all scans of the process.
pub(crate) struct DeletionVectors {
    /// A vector never changes: its file is named by a UUID.
    kept: Cache<Key, Arc<RoaringTreemap>, Bytes>,
    /// What they leave of a file, made once for all scans of it.
    left: Cache<LeftKey, Arc<LeftRows>, Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    store: Arc<str>,
    path: Path,
    offset: u64,
    size: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LeftKey {
    vector: Key,
    cardinality: u64,
    /// Of the file.
    rows: u64,
    may_scatter: bool,
}

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Key, Arc<RoaringTreemap>> for Bytes {
    fn weight(&self, key: &Key, vector: &Arc<RoaringTreemap>) -> u64 {
        weight(vector.serialized_size(), key)
    }
}

impl Weighter<LeftKey, Arc<LeftRows>> for Bytes {
    fn weight(&self, key: &LeftKey, left: &Arc<LeftRows>) -> u64 {
        weight(left.size(), &key.vector)
    }
}

fn weight(value: usize, key: &Key) -> u64 {
    let bytes = value.saturating_add(key.path.as_ref().len());
    u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(ENTRY_BYTES)
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

    /// Keeps at most `budget` bytes of vectors and of what they leave.
    pub(crate) fn new(budget: u64) -> Self {
        let each = budget / 2;
        let items = usize::try_from(each / USUAL_BYTES).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Self {
            kept: Cache::with_weighter(items, each, Bytes),
            left: Cache::with_weighter(items, each, Bytes),
        }
    }

    /// What a vector leaves of a file of `rows` rows; scattered only if `may_scatter`.
    pub(crate) async fn left_rows(
        &self,
        vector: &PlacedVector,
        rows: u64,
        may_scatter: bool,
    ) -> Result<Arc<LeftRows>, ReadError> {
        let PlacedVector { place, size, cardinality } = vector;
        match place {
            VectorPlace::Inline(text) => {
                let removed = inline(text, *size, *cardinality)?;
                Ok(Arc::new(LeftRows::of(&removed, rows, may_scatter)?))
            }
            VectorPlace::File { store, path, offset } => {
                let key = Key { store: store.name(), path: path.clone(), offset: *offset, size: *size };
                let key = LeftKey { vector: key, cardinality: *cardinality, rows, may_scatter };
                let make = async {
                    let removed = self.read(vector).await?;
                    Ok::<_, ReadError>(Arc::new(LeftRows::of(&removed, rows, may_scatter)?))
                };
                self.left.get_or_insert_async(&key, make).await
            }
        }
    }

    /// The rows of a vector.
    pub(crate) async fn read(&self, vector: &PlacedVector) -> Result<Arc<RoaringTreemap>, ReadError> {
        let PlacedVector { place, size, cardinality } = vector;
        match place {
            VectorPlace::Inline(text) => Ok(Arc::new(inline(text, *size, *cardinality)?)),
            VectorPlace::File { store, path, offset } => {
                let key = Key { store: store.name(), path: path.clone(), offset: *offset, size: *size };
                self.stored(&store.objects, key, *cardinality).await
            }
        }
    }

    /// A vector in a file. Scans that ask at the same time share one read.
    async fn stored(
        &self,
        store: &dyn ObjectStore,
        key: Key,
        cardinality: u64,
    ) -> Result<Arc<RoaringTreemap>, ReadError> {
        let read = async {
            let end = key.offset.saturating_add(format::framed_size(key.size));
            let bytes = store.get_range(&key.path, key.offset..end).await?;
            Ok::<_, ReadError>(Arc::new(format::framed(&bytes, key.size)?))
        };
        let vector = self.kept.get_or_insert_async(&key, read).await?;
        // Judged for each log entry, not once for the bytes.
        if vector.len() != cardinality {
            return Err(FormatError::Cardinality.into());
        }
        Ok(vector)
    }
}

/// A vector that stands in the log.
fn inline(text: &str, size: u32, cardinality: u64) -> Result<RoaringTreemap, FormatError> {
    let vector = format::inline(text, size)?;
    if vector.len() == cardinality { Ok(vector) } else { Err(FormatError::Cardinality) }
}
