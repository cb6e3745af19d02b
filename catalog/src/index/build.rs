//! From scan metadata batches of the kernel to index columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringBuilder,
    StructArray, TimestampMicrosecondArray, UInt16Builder, UInt64Array, new_null_array,
};
use arrow::compute::{cast, concat_batches, is_null, nullif};
use arrow::datatypes::{DataType, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use url::Url;

use super::file::rows_left;
use super::layout::{BoundKind, Layout};
use super::partition::partition_values;
use super::segment::Segment;
use super::{FileIndex, LiveSegment};
use crate::definition::TableDefinition;
use crate::deletion::DeletionVector;
use crate::error::LoadError;
use crate::places::{FilePath, Places};
use crate::stores::has_escaped_pair;

/// Timestamps in statistics are rounded to milliseconds, in a direction that depends on the writer.
const TIMESTAMP_SLACK_MICROS: i64 = 999;

/// Collects the files of one replay.
pub(crate) struct IndexBuilder<'a> {
    definition: Arc<TableDefinition>,
    layout: Arc<Layout>,
    site: Site<'a>,
    chunks: Vec<RecordBatch>,
}

/// What paths of a log are relative to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The table's folder, ending in `/`.
    pub(crate) table: &'a Url,
    pub(crate) places: &'a Places,
}

impl<'a> IndexBuilder<'a> {
    pub(crate) fn new(definition: &Arc<TableDefinition>, site: Site<'a>) -> Self {
        let layout = Arc::new(Layout::new(definition));
        Self { definition: Arc::clone(definition), layout, site, chunks: Vec::new() }
    }

    /// For files that come on top of those of `base`.
    pub(crate) fn on(base: &FileIndex, site: Site<'a>) -> Self {
        Self {
            definition: Arc::clone(&base.definition),
            layout: Arc::clone(&base.layout),
            site,
            chunks: Vec::new(),
        }
    }

    /// Adds the files of one batch of the kernel's scan rows.
    pub(crate) fn push(&mut self, rows: &RecordBatch) -> Result<(), LoadError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let vectors = Vectors::new(rows)?;
        let stats = Stats::new(rows, &vectors)?;
        let (places, paths) = self.paths(rows)?;
        let mut columns: Vec<ArrayRef> = vec![
            places,
            paths,
            sizes(rows)?,
            modified(rows)?,
            stats.live_rows(),
            stats.tight(),
            Arc::clone(&vectors.stored),
            Arc::clone(&vectors.offset),
            Arc::clone(&vectors.size),
            Arc::clone(&vectors.rows),
        ];
        columns.extend(partition_values(rows, &self.definition, &self.layout)?);
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
        let segment = LiveSegment::whole(Segment::ordered(&files)?);
        FileIndex::new(&self.definition, &self.layout, vec![segment])
    }

    /// Places and paths.
    fn paths(&self, rows: &RecordBatch) -> Result<(ArrayRef, ArrayRef), LoadError> {
        let raw = column(rows, "path", &DataType::Utf8)?;
        let raw = raw.as_string::<i32>();
        let mut places = UInt16Builder::with_capacity(raw.len());
        let mut paths = StringBuilder::with_capacity(raw.len(), raw.values().len());
        for path in raw {
            let path = self.site.parse(path.ok_or_else(|| missing("path"))?)?;
            places.append_option(path.place);
            paths.append_value(path.path);
        }
        Ok((Arc::new(places.finish()), Arc::new(paths.finish())))
    }
}

impl Site<'_> {
    /// A path as the log writes it.
    pub(crate) fn parse(&self, raw: &str) -> Result<FilePath, LoadError> {
        FilePath::parse(raw, self.table, self.places)
    }
}

/// The deletion vectors of a batch.
struct Vectors {
    /// Kind of storage and path, see [`Layout::VECTOR`].
    stored: ArrayRef,
    offset: ArrayRef,
    size: ArrayRef,
    rows: ArrayRef,
}

impl Vectors {
    fn new(rows: &RecordBatch) -> Result<Self, LoadError> {
        let Some(vectors) = rows.column_by_name("deletionVector").and_then(|v| v.as_struct_opt()) else {
            return Err(missing("deletionVector"));
        };
        let field = |name: &str, data_type: &DataType| -> Result<ArrayRef, LoadError> {
            let values = vectors.column_by_name(name).ok_or_else(|| missing(name))?;
            Ok(cast(&masked(values, vectors)?, data_type)?)
        };
        let storage = field("storageType", &DataType::Utf8)?;
        let path = field("pathOrInlineDv", &DataType::Utf8)?;
        let offset = field("offset", &DataType::Int32)?;
        let size = field("sizeInBytes", &DataType::Int32)?;
        let cardinality = field("cardinality", &DataType::Int64)?;
        let mut stored = StringBuilder::new();
        for row in 0..rows.num_rows() {
            let (storage, path) = (storage.as_string::<i32>(), path.as_string::<i32>());
            if storage.is_null(row) {
                stored.append_null();
                continue;
            }
            let (offsets, sizes) = (offset.as_primitive::<Int32Type>(), size.as_primitive::<Int32Type>());
            let cardinalities = cardinality.as_primitive::<Int64Type>();
            if path.is_null(row) || sizes.is_null(row) || cardinalities.is_null(row) {
                return Err(LoadError::Broken("an incomplete deletion vector".to_owned()));
            }
            let (storage, path) = (storage.value(row), path.value(row));
            // Made only to see that it can be: a table is refused when it is loaded, not when it is read.
            let at = offsets.is_valid(row).then(|| offsets.value(row));
            DeletionVector::new(storage, path, at, sizes.value(row), cardinalities.value(row))?;
            stored.append_value(format!("{storage}{path}"));
        }
        Ok(Self { stored: Arc::new(stored.finish()), offset, size, rows: cardinality })
    }

    /// Rows that the file's vector removes; None without one.
    fn removed(&self, row: usize) -> Option<i64> {
        let removed = self.rows.as_primitive::<Int64Type>();
        self.stored.is_valid(row).then(|| removed.value(row))
    }
}

/// The statistics of a batch; absent ones give nulls.
struct Stats<'a> {
    parsed: Option<&'a StructArray>,
    /// Rows in the file, those that a vector removes included.
    file_rows: UInt64Array,
    live_rows: UInt64Array,
    tight: BooleanArray,
    /// Files whose statistics name or hold characters that the JSON reader takes for others, if there are
    /// any: only their row counts are used.
    misread: Option<BooleanArray>,
}

impl<'a> Stats<'a> {
    fn new(rows: &'a RecordBatch, vectors: &Vectors) -> Result<Self, LoadError> {
        let parsed = rows.column_by_name("stats_parsed").and_then(|stats| stats.as_struct_opt());
        let mut stats = Self {
            parsed,
            file_rows: UInt64Array::new_null(rows.num_rows()),
            live_rows: UInt64Array::new_null(0),
            tight: BooleanArray::new_null(0),
            misread: misread(rows)?,
        };
        stats.file_rows = match stats.field("numRecords")? {
            Some(counts) => non_negative(cast(&counts, &DataType::Int64)?.as_primitive::<Int64Type>()),
            None => row_counts_of_text(rows)?,
        };
        stats.live_rows = (0..rows.num_rows())
            .map(|row| {
                let rows = stats.file_rows.is_valid(row).then(|| stats.file_rows.value(row));
                rows_left(rows, vectors.removed(row))
            })
            .collect();
        // Tight is the default. A file that has lost rows was described before.
        let stated = stats.field("tightBounds")?;
        let stated = stated.as_ref().and_then(|stated| stated.as_boolean_opt());
        stats.tight = (0..rows.num_rows())
            .map(|row| {
                let stated = stated.is_none_or(|stated| stated.is_null(row) || stated.value(row));
                Some(stated && vectors.removed(row).is_none_or(|removed| removed == 0))
            })
            .collect();
        Ok(stats)
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
        let Some(values) = values else { return Ok(new_null_array(data_type, self.file_rows.len())) };
        let values = cast(&values, data_type)?;
        Ok(match &self.misread {
            Some(misread) => nullif(&values, misread)?,
            None => values,
        })
    }

    /// Nulls among the live rows.
    ///
    /// Where the statistics are not tight, counts tell only of no row and of all rows (the
    /// protocol's section "Per-file Statistics").
    fn null_counts(&self, column: &str) -> Result<ArrayRef, LoadError> {
        let counts = self.of("nullCount", column, &DataType::Int64)?;
        let counts = non_negative(counts.as_primitive::<Int64Type>());
        if self.tight.false_count() == 0 {
            return Ok(Arc::new(counts));
        }
        let counts: UInt64Array = (0..counts.len())
            .map(|row| match counts.is_valid(row).then(|| counts.value(row))? {
                count if self.tight.value(row) => Some(count),
                0 => Some(0),
                count if self.file_rows.is_valid(row) && self.file_rows.value(row) == count => {
                    self.live_rows.is_valid(row).then(|| self.live_rows.value(row))
                }
                _ => None,
            })
            .collect();
        Ok(Arc::new(counts))
    }

    fn live_rows(&self) -> ArrayRef {
        Arc::new(self.live_rows.clone())
    }

    fn tight(&self) -> ArrayRef {
        Arc::new(self.tight.clone())
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

fn sizes(rows: &RecordBatch) -> Result<ArrayRef, LoadError> {
    let sizes = column(rows, "size", &DataType::Int64)?;
    let sizes = non_negative(sizes.as_primitive::<Int64Type>());
    if sizes.null_count() > 0 {
        return Err(LoadError::Broken("a file without a valid size".to_owned()));
    }
    Ok(Arc::new(sizes))
}

fn modified(rows: &RecordBatch) -> Result<ArrayRef, LoadError> {
    let modified = column(rows, "modificationTime", &DataType::Int64)?;
    let known = modified.as_primitive::<Int64Type>().iter().map(|time| time.unwrap_or(0));
    Ok(Arc::new(Int64Array::from_iter_values(known)))
}

/// Without a column to index, the kernel leaves statistics as the text of the log.
fn row_counts_of_text(rows: &RecordBatch) -> Result<UInt64Array, LoadError> {
    let texts = column(rows, "stats", &DataType::Utf8)?;
    let counts = texts.as_string::<i32>().iter().map(|text| {
        let stats: serde_json::Value = serde_json::from_str(text?).ok()?;
        stats.get("numRecords")?.as_u64()
    });
    Ok(counts.collect())
}

/// Statistics as text with escaped characters beyond U+FFFF.
fn misread(rows: &RecordBatch) -> Result<Option<BooleanArray>, LoadError> {
    if rows.column_by_name("stats").is_none() {
        return Ok(None);
    }
    let texts = column(rows, "stats", &DataType::Utf8)?;
    let misread: BooleanArray =
        texts.as_string::<i32>().iter().map(|text| Some(text.is_some_and(has_escaped_pair))).collect();
    Ok((misread.true_count() > 0).then_some(misread))
}

/// Negative counts are no counts.
fn non_negative(counts: &Int64Array) -> UInt64Array {
    counts.iter().map(|count| count.and_then(|count| u64::try_from(count).ok())).collect()
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
        DataType::Decimal128(precision, scale) if *precision > 15 => {
            // A writer that passes bounds through 64 bit integers leaves their ends in place of what
            // lies beyond.
            let end = u32::try_from(*scale).ok().and_then(|scale| 10_i128.checked_pow(scale));
            let end = end.and_then(|unit| unit.checked_mul(i128::from(i64::MAX)));
            let saturated = |value: i128| end.is_some_and(|end| (value.abs() - end).abs() <= (end >> 51) + 1);
            let values = bounds.as_primitive::<Decimal128Type>();
            // Twice the rounding of a 53 bit mantissa, and one digit for the text's own rounding.
            let moved: Decimal128Array = values.unary_opt(|value| match saturated(value) {
                true => None,
                false => decimal(value, (value.abs() >> 51).saturating_add(1)),
            });
            Arc::new(moved.with_data_type(bounds.data_type().clone()))
        }
        _ => Arc::clone(bounds),
    }
}

fn column(rows: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef, LoadError> {
    Ok(cast(rows.column_by_name(name).ok_or_else(|| missing(name))?, data_type)?)
}

pub(super) fn struct_column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a StructArray, LoadError> {
    rows.column_by_name(name).and_then(|c| c.as_struct_opt()).ok_or_else(|| missing(name))
}

pub(super) fn missing(name: &str) -> LoadError {
    LoadError::Broken(format!("the log replay gave no {name}"))
}
