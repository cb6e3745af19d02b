//! Deletion vectors: which rows of a data file are no longer in the table.
//!
//! The log names a vector by a [`DeletionVector`]; [`DeletionVectors`] reads it where the file is
//! opened, and it becomes a row selection of the Parquet scan, or bits by which decoded rows are
//! filtered, so that pruning and splitting of files work as without one.

mod cache;
mod descriptor;
mod format;
mod placed;
mod selection;

#[cfg(test)]
mod tests;

pub(crate) use cache::{DeletionVectors, ReadError};
pub(crate) use descriptor::{DeletionVector, Stored};
pub(crate) use format::MAX_SIZE as MAX_VECTOR_SIZE;
pub(crate) use placed::{PlacedVector, VectorPlace};
pub(crate) use selection::{LeftRows, live_rows, selection_of};
