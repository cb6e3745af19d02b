//! The file index: every live file of one table version, in columns, shared by all sessions.
//!
//! One row per file: path, size, row count, partition values and per-column bounds, as Arrow arrays
//! that file skipping reads directly. An index never changes; an update makes a new one.

mod build;
mod layout;
mod pruning;
mod statistics;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion::common::ScalarValue;

pub(crate) use build::{IndexBuilder, decode_path};
use layout::Layout;

use crate::definition::TableDefinition;
use crate::error::LoadError;

/// The files of one table version.
#[derive(Debug)]
pub(crate) struct FileIndex {
    definition: Arc<TableDefinition>,
    layout: Arc<Layout>,
    /// Columns as [`Layout`] says, one row per file, ordered by path.
    files: RecordBatch,
}

impl FileIndex {
    /// Number of files.
    pub(crate) fn len(&self) -> usize {
        self.files.num_rows()
    }

    pub(crate) fn definition(&self) -> &Arc<TableDefinition> {
        &self.definition
    }

    /// Bytes that the index takes.
    pub(crate) fn memory_size(&self) -> usize {
        self.files.get_array_memory_size()
    }

    /// Path relative to the table's folder, decoded.
    pub(crate) fn path(&self, file: usize) -> &str {
        self.files.column(Layout::PATH).as_string::<i32>().value(file)
    }

    /// Bytes, as the log says.
    pub(crate) fn size(&self, file: usize) -> u64 {
        self.files.column(Layout::SIZE).as_primitive::<UInt64Type>().value(file)
    }

    /// Milliseconds since the epoch, as the log says.
    pub(crate) fn modified(&self, file: usize) -> i64 {
        self.files.column(Layout::MODIFIED).as_primitive::<Int64Type>().value(file)
    }

    /// One value for each partition column, in partition order.
    pub(crate) fn partition_values(
        &self,
        file: usize,
    ) -> Result<Vec<ScalarValue>, datafusion::error::DataFusionError> {
        self.layout
            .partitions()
            .map(|column| ScalarValue::try_from_array(self.files.column(column), file))
            .collect()
    }

    /// This index without the files of `gone`, plus those of `added`.
    pub(crate) fn replace(&self, gone: &HashSet<String>, added: &Self) -> Result<Self, LoadError> {
        let paths = self.files.column(Layout::PATH).as_string::<i32>();
        let stays: BooleanArray =
            paths.iter().map(|path| Some(path.is_some_and(|path| !gone.contains(path)))).collect();
        let kept = filter_record_batch(&self.files, &stays)?;
        let files = concat_batches(self.layout.schema(), [&kept, &added.files])?;
        Self::ordered(&self.definition, &self.layout, &files)
    }

    /// Orders by path, so that the same version always has the same index however it was read.
    fn ordered(
        definition: &Arc<TableDefinition>,
        layout: &Arc<Layout>,
        files: &RecordBatch,
    ) -> Result<Self, LoadError> {
        let order = arrow::compute::sort_to_indices(files.column(Layout::PATH), None, None)?;
        let files = compact(&arrow::compute::take_record_batch(files, &order)?)?;
        let paths = files.column(Layout::PATH).as_string::<i32>();
        let twice = (1..paths.len()).find(|&file| paths.value(file) == paths.value(file - 1));
        if twice.is_some() {
            return Err(LoadError::Broken("the log lists one file twice".to_owned()));
        }
        Ok(Self { definition: Arc::clone(definition), layout: Arc::clone(layout), files })
    }

    /// All columns.
    #[cfg(test)]
    pub(crate) fn files(&self) -> &RecordBatch {
        &self.files
    }

    fn rows(&self) -> &ArrayRef {
        self.files.column(Layout::ROWS)
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
