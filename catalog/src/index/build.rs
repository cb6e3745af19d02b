//! From scan metadata batches of the kernel to index columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, UInt64Array, new_null_array,
};
use arrow::compute::{cast, concat_batches, is_null, not, nullif};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use object_store::path::Path;

use super::FileIndex;
use super::layout::{BoundKind, Layout};
use crate::definition::TableDefinition;
use crate::error::LoadError;

/// Timestamps in statistics are rounded to milliseconds, in a direction that depends on the writer.
const TIMESTAMP_SLACK_MICROS: i64 = 999;

/// Collects the files of one replay.
pub(crate) struct IndexBuilder {
    definition: Arc<TableDefinition>,
    layout: Arc<Layout>,
    chunks: Vec<RecordBatch>,
}

impl IndexBuilder {
    pub(crate) fn new(definition: &Arc<TableDefinition>) -> Result<Self, LoadError> {
        let layout = Arc::new(Layout::new(definition));
        Ok(Self { definition: Arc::clone(definition), layout, chunks: Vec::new() })
    }

    /// Adds the files of one batch of the kernel's scan rows.
    pub(crate) fn push(&mut self, rows: &RecordBatch) -> Result<(), LoadError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        refuse_deletion_vectors(rows)?;
        let stats = Stats::new(rows);
        let mut columns: Vec<ArrayRef> = vec![
            paths(rows)?,
            sizes(rows)?,
            modified(rows)?,
            row_counts(rows, &stats)?,
            stats.tight(rows.num_rows()),
        ];
        columns.extend(self.partition_values(rows)?);
        for column in self.layout.indexed() {
            let field = self.layout.schema().field(column.bounds.min);
            let (min, max) = match column.bounds.kind {
                BoundKind::Unknown => {
                    let unknown = new_null_array(&DataType::Null, rows.num_rows());
                    (Arc::clone(&unknown), unknown)
                }
                _ => (
                    lower(&stats.of("minValues", &column.name, field.data_type())?),
                    upper(&stats.of("maxValues", &column.name, field.data_type())?),
                ),
            };
            columns.extend([min, max, stats.null_counts(&column.name)?]);
        }
        self.chunks.push(RecordBatch::try_new(Arc::clone(self.layout.schema()), columns)?);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<FileIndex, LoadError> {
        let files = concat_batches(self.layout.schema(), &self.chunks)?;
        FileIndex::ordered(&self.definition, &self.layout, &files)
    }

    fn partition_values(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, LoadError> {
        let names = &self.definition.partition_columns;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let parsed = struct_column(rows, "partitionValues_parsed")?;
        names
            .iter()
            .zip(self.layout.partitions())
            .map(|(name, column)| {
                let values = parsed.column_by_name(name).ok_or_else(|| missing(name))?;
                let values = cast(values, self.layout.schema().field(column).data_type())?;
                empty_is_null(&values)
            })
            .collect()
    }
}

/// A path of the log, URL-decoded, relative to the table.
pub(crate) fn decode_path(path: &str) -> Result<String, LoadError> {
    if path.starts_with('/') || path.split('/').next().is_some_and(|first| first.contains(':')) {
        return Err(LoadError::Unsupported(
            "data files outside the table's folder (shallow clone)".to_owned(),
        ));
    }
    // Rejects `..` too.
    let path = Path::from_url_path(path).map_err(|error| LoadError::Broken(error.to_string()))?;
    Ok(path.to_string())
}

/// The statistics of a batch; absent ones give nulls.
struct Stats<'a> {
    parsed: Option<&'a StructArray>,
    rows: usize,
}

impl<'a> Stats<'a> {
    fn new(rows: &'a RecordBatch) -> Self {
        let parsed = rows.column_by_name("stats_parsed").and_then(|stats| stats.as_struct_opt());
        Self { parsed, rows: rows.num_rows() }
    }

    /// The array at `stats_parsed.<field>`, null where the statistics as a whole are.
    fn field(&self, field: &str) -> Result<Option<ArrayRef>, LoadError> {
        let Some(parsed) = self.parsed else { return Ok(None) };
        parsed.column_by_name(field).map(|array| masked(array, parsed)).transpose()
    }

    /// The array at `stats_parsed.<group>.<column>` as `data_type`.
    fn of(&self, group: &str, column: &str, data_type: &DataType) -> Result<ArrayRef, LoadError> {
        let values = match self.field(group)? {
            Some(group) => match group.as_struct_opt() {
                Some(group) => {
                    group.column_by_name(column).map(|values| masked(values, group)).transpose()?
                }
                None => None,
            },
            None => None,
        };
        match values {
            Some(values) => Ok(cast(&values, data_type)?),
            None => Ok(new_null_array(data_type, self.rows)),
        }
    }

    /// Null counts, unknown where the statistics are not tight.
    fn null_counts(&self, column: &str) -> Result<ArrayRef, LoadError> {
        let counts = self.of("nullCount", column, &DataType::Int64)?;
        let tight = self.tight(self.rows);
        let counts = nullif(&counts, &not(tight.as_boolean())?)?;
        Ok(non_negative(counts.as_primitive::<Int64Type>()))
    }

    /// Whether the statistics describe exactly the rows of the file, which is the default.
    fn tight(&self, rows: usize) -> ArrayRef {
        let stated = self.field("tightBounds").ok().flatten();
        let tight: BooleanArray = match stated.as_ref().and_then(|stated| stated.as_boolean_opt()) {
            Some(stated) => stated.iter().map(|tight| Some(tight.unwrap_or(true))).collect(),
            None => BooleanArray::from(vec![true; rows]),
        };
        Arc::new(tight)
    }
}

/// Children of a null struct may hold anything.
fn masked(child: &ArrayRef, parent: &StructArray) -> Result<ArrayRef, LoadError> {
    if parent.null_count() == 0 {
        return Ok(Arc::clone(child));
    }
    if let Some(fields) = child.as_struct_opt() {
        let nulls = arrow::buffer::NullBuffer::union(parent.nulls(), fields.nulls());
        let (names, columns, _) = fields.clone().into_parts();
        return Ok(Arc::new(StructArray::try_new(names, columns, nulls)?));
    }
    Ok(nullif(child, &is_null(parent)?)?)
}

fn refuse_deletion_vectors(rows: &RecordBatch) -> Result<(), LoadError> {
    let Some(vectors) = rows.column_by_name("deletionVector").and_then(|v| v.as_struct_opt()) else {
        return Err(missing("deletionVector"));
    };
    let storage = vectors.column_by_name("storageType").ok_or_else(|| missing("storageType"))?;
    if masked(storage, vectors)?.null_count() == rows.num_rows() {
        return Ok(());
    }
    Err(LoadError::Unsupported("deletion vectors".to_owned()))
}

fn paths(rows: &RecordBatch) -> Result<ArrayRef, LoadError> {
    let paths = column(rows, "path", &DataType::Utf8)?;
    let decoded = paths
        .as_string::<i32>()
        .iter()
        .map(|path| decode_path(path.ok_or_else(|| missing("path"))?))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(StringArray::from(decoded)))
}

fn sizes(rows: &RecordBatch) -> Result<ArrayRef, LoadError> {
    let sizes = column(rows, "size", &DataType::Int64)?;
    let sizes = non_negative(sizes.as_primitive::<Int64Type>());
    if sizes.null_count() > 0 {
        return Err(LoadError::Broken("a file without a valid size".to_owned()));
    }
    Ok(sizes)
}

fn modified(rows: &RecordBatch) -> Result<ArrayRef, LoadError> {
    let modified = column(rows, "modificationTime", &DataType::Int64)?;
    let known = modified.as_primitive::<Int64Type>().iter().map(|time| time.unwrap_or(0));
    Ok(Arc::new(Int64Array::from_iter_values(known)))
}

fn row_counts(rows: &RecordBatch, stats: &Stats<'_>) -> Result<ArrayRef, LoadError> {
    if let Some(counts) = stats.field("numRecords")? {
        return Ok(non_negative(cast(&counts, &DataType::Int64)?.as_primitive::<Int64Type>()));
    }
    // Without a column to index, the kernel leaves statistics as the text of the log.
    let texts = column(rows, "stats", &DataType::Utf8)?;
    let counts: UInt64Array = texts
        .as_string::<i32>()
        .iter()
        .map(|text| {
            let stats: serde_json::Value = serde_json::from_str(text?).ok()?;
            stats.get("numRecords")?.as_u64()
        })
        .collect();
    Ok(Arc::new(counts))
}

/// Negative counts are no counts.
fn non_negative(counts: &Int64Array) -> ArrayRef {
    Arc::new(counts.iter().map(|count| count.and_then(|c| u64::try_from(c).ok())).collect::<UInt64Array>())
}

/// By the protocol an empty text is the null partition value, for every type.
fn empty_is_null(values: &ArrayRef) -> Result<ArrayRef, LoadError> {
    let empty: BooleanArray = match values.data_type() {
        DataType::Utf8View => {
            values.as_string_view().iter().map(|v| Some(v.is_some_and(str::is_empty))).collect()
        }
        DataType::BinaryView => {
            values.as_binary_view().iter().map(|v| Some(v.is_some_and(<[u8]>::is_empty))).collect()
        }
        _ => return Ok(Arc::clone(values)),
    };
    Ok(nullif(values, &empty)?)
}

/// A bound that no value of the file is below.
fn lower(min: &ArrayRef) -> ArrayRef {
    shifted(min, |time| time.checked_sub(TIMESTAMP_SLACK_MICROS), |value, slack| value.checked_sub(slack))
}

/// A bound that no value of the file is above.
fn upper(max: &ArrayRef) -> ArrayRef {
    shifted(max, |time| time.checked_add(TIMESTAMP_SLACK_MICROS), |value, slack| value.checked_add(slack))
}

fn shifted(
    bounds: &ArrayRef,
    time: impl Fn(i64) -> Option<i64>,
    decimal: impl Fn(i128, i128) -> Option<i128>,
) -> ArrayRef {
    match bounds.data_type() {
        DataType::Timestamp(..) => {
            let Some(times) = bounds.as_primitive_opt::<TimestampMicrosecondType>() else {
                return new_null_array(bounds.data_type(), bounds.len());
            };
            let moved: TimestampMicrosecondArray = times.unary_opt(time);
            Arc::new(moved.with_data_type(bounds.data_type().clone()))
        }
        DataType::Decimal128(precision, _) if *precision > 15 => {
            let values = bounds.as_primitive::<Decimal128Type>();
            // Twice the rounding of a 53 bit mantissa, and one digit for the text's own rounding.
            let moved: Decimal128Array =
                values.unary_opt(|value| decimal(value, (value.abs() >> 51).saturating_add(1)));
            Arc::new(moved.with_data_type(bounds.data_type().clone()))
        }
        _ => Arc::clone(bounds),
    }
}

fn column(rows: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef, LoadError> {
    Ok(cast(rows.column_by_name(name).ok_or_else(|| missing(name))?, data_type)?)
}

fn struct_column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a StructArray, LoadError> {
    rows.column_by_name(name).and_then(|c| c.as_struct_opt()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> LoadError {
    LoadError::Broken(format!("the log replay gave no {name}"))
}
