//! Deletion vectors: which rows of a data file are no longer in the table.
//!
//! The log names a vector by a [`DeletionVector`]; [`DeletionVectors`] reads it where the file is
//! opened, and it becomes a row selection of the Parquet scan, so that pruning and splitting of
//! files work as without one.

mod cache;
mod descriptor;
mod format;
mod selection;

#[cfg(test)]
mod tests;

pub(crate) use cache::{DeletionVectors, ReadError};
pub(crate) use descriptor::{DeletionVector, Stored};
pub(crate) use format::{FormatError, MAX_SIZE as MAX_VECTOR_SIZE};
pub(crate) use selection::{live_rows, row_selection, selection_of};
