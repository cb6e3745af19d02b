//! Deletion vectors that a scan can read.

use std::sync::Arc;

use object_store::path::Path;

use crate::stores::Store;

/// A deletion vector whose place is known.
#[derive(Debug)]
pub(crate) struct PlacedVector {
    pub(crate) place: VectorPlace,
    /// Bytes of the serialised bitmap, with its magic number.
    pub(crate) size: u32,
    /// Rows that it has.
    pub(crate) cardinality: u64,
}

/// Where the bytes of a deletion vector are.
#[derive(Debug)]
pub(crate) enum VectorPlace {
    /// Here, in base 85.
    Inline(String),
    /// At `offset` of a file of vectors.
    File { store: Arc<Store>, path: Path, offset: u64 },
}
