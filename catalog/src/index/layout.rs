//! Which column of the index holds what.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::definition::TableDefinition;

/// Positions of an index's columns.
#[derive(Debug)]
pub(super) struct Layout {
    schema: SchemaRef,
    partitions: Range<usize>,
    columns: HashMap<String, ColumnSource>,
    /// File columns with statistics, in the order of their index columns.
    indexed: Vec<IndexedColumn>,
}

/// Where the index knows something about a table's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnSource {
    /// Its one value in each file.
    Partition(usize),
    /// Bounds and null counts.
    Indexed(Bounds),
}

/// Index columns of one file column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) nulls: usize,
    pub(super) kind: BoundKind,
}

/// What a file's smallest and largest value in the log are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BoundKind {
    /// They are values of the file.
    Exact,
    /// No value lies outside, but they need not occur: writers cut strings, round timestamps to
    /// milliseconds and pass large decimals through floating point.
    Loose,
    /// Not kept. Floating point bounds leave out NaN, which compares greater than all: a file
    /// skipped by them could hold matching rows.
    Unknown,
}

impl BoundKind {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 => {
                Self::Exact
            }
            DataType::Decimal128(precision, _) if *precision <= 15 => Self::Exact,
            DataType::Decimal128(..) | DataType::Timestamp(..) | DataType::Utf8View => Self::Loose,
            _ => Self::Unknown,
        }
    }
}

/// A file column with statistics.
#[derive(Debug)]
pub(super) struct IndexedColumn {
    pub(super) name: String,
    pub(super) bounds: Bounds,
}

impl Layout {
    /// [`crate::places::PlaceId`] of a file outside the table's folder.
    pub(super) const PLACE: usize = 0;
    /// Paths, decoded.
    pub(super) const PATH: usize = 1;
    /// Bytes.
    pub(super) const SIZE: usize = 2;
    /// Milliseconds since the epoch.
    pub(super) const MODIFIED: usize = 3;
    /// Rows without those that a deletion vector removes, where the log says.
    pub(super) const LIVE_ROWS: usize = 4;
    /// Whether the statistics describe exactly the live rows of the file.
    pub(super) const TIGHT: usize = 5;
    /// Deletion vector: its kind of storage (one letter), then its path or itself.
    pub(super) const VECTOR: usize = 6;
    /// Its offset in its file.
    pub(super) const VECTOR_OFFSET: usize = 7;
    /// Its bytes.
    pub(super) const VECTOR_SIZE: usize = 8;
    /// Rows that it removes.
    pub(super) const VECTOR_ROWS: usize = 9;
    const FIXED: usize = 10;

    pub(super) fn new(definition: &TableDefinition) -> Self {
        let mut fields = vec![
            field("place", DataType::UInt16, true),
            field("path", DataType::Utf8, false),
            field("size", DataType::UInt64, false),
            field("modified", DataType::Int64, false),
            field("live_rows", DataType::UInt64, true),
            field("tight", DataType::Boolean, false),
            field("vector", DataType::Utf8, true),
            field("vector_offset", DataType::Int32, true),
            field("vector_size", DataType::Int32, true),
            field("vector_rows", DataType::Int64, true),
        ];
        let mut columns = HashMap::new();
        for partition in definition.scan_schema.table_partition_cols() {
            columns.insert(partition.name().clone(), ColumnSource::Partition(fields.len()));
            fields.push(field("partition", partition.data_type().clone(), true));
        }
        let partitions = Self::FIXED..fields.len();
        let mut indexed = Vec::new();
        for column in definition.scan_schema.file_schema().fields() {
            if !definition.indexed_columns.contains(column.name()) {
                continue;
            }
            let kind = BoundKind::of(column.data_type());
            let bound_type = match kind {
                // A null array takes no memory.
                BoundKind::Unknown => DataType::Null,
                _ => column.data_type().clone(),
            };
            let min = fields.len();
            let bounds = Bounds { min, max: min + 1, nulls: min + 2, kind };
            fields.push(field("min", bound_type.clone(), true));
            fields.push(field("max", bound_type, true));
            fields.push(field("nulls", DataType::UInt64, true));
            columns.insert(column.name().clone(), ColumnSource::Indexed(bounds));
            indexed.push(IndexedColumn { name: column.name().clone(), bounds });
        }
        Self { schema: Arc::new(Schema::new(fields)), partitions, columns, indexed }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn partitions(&self) -> Range<usize> {
        self.partitions.clone()
    }

    pub(super) fn indexed(&self) -> &[IndexedColumn] {
        &self.indexed
    }

    /// What is known of the table's column that is called `name` in its files.
    pub(super) fn source(&self, name: &str) -> Option<ColumnSource> {
        self.columns.get(name).copied()
    }
}

fn field(name: &str, data_type: DataType, nullable: bool) -> FieldRef {
    Arc::new(Field::new(name, data_type, nullable))
}
