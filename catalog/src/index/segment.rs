//! A batch of files that never changes.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::{SortColumn, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, UInt16Type};

use super::layout::Layout;
use crate::error::LoadError;
use crate::places::{FilePath, PlaceId};

/// Files in columns as [`Layout`] says, ordered by place and path.
#[derive(Debug)]
pub(super) struct Segment {
    files: RecordBatch,
    /// Bytes that the columns take.
    memory: usize,
}

impl Segment {
    /// Orders the files. One path twice is an error: a version has a file once or not at all.
    pub(super) fn ordered(files: &RecordBatch) -> Result<Self, LoadError> {
        let keys = [Layout::PLACE, Layout::PATH]
            .map(|key| SortColumn { values: Arc::clone(files.column(key)), options: None });
        let order = lexsort_to_indices(&keys, None)?;
        let files = compact(&take_record_batch(files, &order)?)?;
        let memory = files.get_array_memory_size();
        let segment = Self { files, memory };
        let twice = (1..segment.len()).find(|&row| segment.key(row) == segment.key(row - 1));
        if twice.is_some() {
            return Err(LoadError::Broken("the log lists one file twice".to_owned()));
        }
        Ok(segment)
    }

    pub(super) fn len(&self) -> usize {
        self.files.num_rows()
    }

    pub(super) fn batch(&self) -> &RecordBatch {
        &self.files
    }

    pub(super) fn memory_size(&self) -> usize {
        self.memory
    }

    pub(super) fn column(&self, column: usize) -> &ArrayRef {
        self.files.column(column)
    }

    pub(super) fn place(&self, row: usize) -> Option<PlaceId> {
        let places = self.files.column(Layout::PLACE).as_primitive::<UInt16Type>();
        places.is_valid(row).then(|| places.value(row))
    }

    pub(super) fn path(&self, row: usize) -> &str {
        self.files.column(Layout::PATH).as_string::<i32>().value(row)
    }

    /// The row of the file of this path.
    pub(super) fn find(&self, path: &FilePath) -> Option<usize> {
        let wanted = (path.place, path.path.as_str());
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Sorts as the rows are sorted: nulls first, texts by their bytes.
    fn key(&self, row: usize) -> (Option<PlaceId>, &str) {
        (self.place(row), self.path(row))
    }
}

/// Views point into the buffers of every batch they came from; an index that is updated for months
/// would keep all of them.
fn compact(files: &RecordBatch) -> Result<RecordBatch, LoadError> {
    let columns = files.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    });
    Ok(RecordBatch::try_new(files.schema(), columns.collect())?)
}
