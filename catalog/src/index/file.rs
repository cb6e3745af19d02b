//! One file of an index.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Int32Type, Int64Type, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;

use super::FileIndex;
use super::layout::Layout;
use super::segment::Segment;
use crate::deletion::{DeletionVector, live_rows};
use crate::error::LoadError;
use crate::places::{FilePath, PlaceId};

/// A file of one [`FileIndex`]: its segment and its row there.
pub(crate) type FileId = (usize, usize);

/// What an index knows of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileEntry<'a> {
    index: &'a FileIndex,
    segment: &'a Segment,
    row: usize,
}

impl<'a> FileEntry<'a> {
    pub(super) fn new(index: &'a FileIndex, segment: &'a Segment, row: usize) -> Self {
        Self { index, segment, row }
    }

    /// Path, decoded; relative to the table's folder, or else inside the store of [`Self::place`].
    pub(crate) fn path(&self) -> &'a str {
        self.segment.path(self.row)
    }

    /// None for the table's own folder.
    pub(crate) fn place(&self) -> Option<PlaceId> {
        self.segment.place(self.row)
    }

    pub(crate) fn file_path(&self) -> FilePath {
        FilePath { place: self.place(), path: self.path().to_owned() }
    }

    /// Bytes, as the log says.
    pub(crate) fn size(&self) -> u64 {
        self.segment.column(Layout::SIZE).as_primitive::<UInt64Type>().value(self.row)
    }

    /// Milliseconds since the epoch, as the log says.
    pub(crate) fn modified(&self) -> i64 {
        self.segment.column(Layout::MODIFIED).as_primitive::<Int64Type>().value(self.row)
    }

    /// Rows of the file that the table still has, where the log says.
    pub(crate) fn live_rows(&self) -> Option<u64> {
        self.number(Layout::LIVE_ROWS)
    }

    /// Whether the statistics describe exactly the rows of the file.
    pub(super) fn is_tight(&self) -> bool {
        self.segment.column(Layout::TIGHT).as_boolean().value(self.row)
    }

    /// The rows that the file has lost.
    pub(crate) fn deletion_vector(&self) -> Result<Option<DeletionVector>, LoadError> {
        let Some((storage, path, offset)) = self.vector_parts() else { return Ok(None) };
        let size = self.segment.column(Layout::VECTOR_SIZE).as_primitive::<Int32Type>().value(self.row);
        let rows = self.segment.column(Layout::VECTOR_ROWS).as_primitive::<Int64Type>().value(self.row);
        DeletionVector::new(storage, path, offset, size, rows).map(Some)
    }

    /// The protocol's unique id of the file's deletion vector.
    pub(crate) fn vector_id(&self) -> Option<String> {
        let (storage, path, offset) = self.vector_parts()?;
        Some(match offset {
            Some(offset) => format!("{storage}{path}@{offset}"),
            None => format!("{storage}{path}"),
        })
    }

    fn vector_parts(&self) -> Option<(&'a str, &'a str, Option<i32>)> {
        let stored = self.segment.column(Layout::VECTOR).as_string::<i32>();
        if stored.is_null(self.row) {
            return None;
        }
        let offsets = self.segment.column(Layout::VECTOR_OFFSET).as_primitive::<Int32Type>();
        let offset = offsets.is_valid(self.row).then(|| offsets.value(self.row));
        // The kind of storage is one ASCII letter, which the builder checked.
        let (storage, path) = stored.value(self.row).split_at_checked(1)?;
        Some((storage, path, offset))
    }

    /// One value for each partition column, in partition order.
    pub(crate) fn partition_values(&self) -> Result<Vec<ScalarValue>, DataFusionError> {
        self.index
            .layout
            .partitions()
            .map(|column| ScalarValue::try_from_array(self.segment.column(column), self.row))
            .collect()
    }

    pub(super) fn scalar(&self, column: usize) -> Result<ScalarValue, DataFusionError> {
        ScalarValue::try_from_array(self.segment.column(column), self.row)
    }

    pub(super) fn number(&self, column: usize) -> Option<u64> {
        let numbers = self.segment.column(column).as_primitive::<UInt64Type>();
        numbers.is_valid(self.row).then(|| numbers.value(self.row))
    }
}

/// Rows of a file that stay; None where the log does not say, or contradicts itself.
pub(super) fn rows_left(rows: Option<u64>, removed: Option<i64>) -> Option<u64> {
    match removed {
        None => rows,
        Some(removed) => live_rows(rows?, u64::try_from(removed).ok()?),
    }
}
