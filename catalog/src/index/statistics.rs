//! Statistics for planning, of single files and of the files that a scan keeps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, UInt64Array, new_empty_array};
use arrow::compute::{bool_and, interleave, sum};
use arrow::datatypes::UInt64Type;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;

use super::layout::{BoundKind, Bounds, ColumnSource, Layout};
use super::{FileId, FileIndex};

/// Guess for files whose row count the log does not say.
const BYTES_PER_ROW: u64 = 64;
/// Guess for how much a column of varying width grows when it is decoded.
const DECODED_FACTOR: u64 = 2;

impl FileIndex {
    /// Statistics of one file over the scan's schema; `columns` are those worth filling.
    pub(crate) fn file_statistics(
        &self,
        file: FileId,
        columns: &[usize],
    ) -> Result<Arc<Statistics>, DataFusionError> {
        let schema = self.definition.scan_schema.table_schema();
        let entry = self.file(file);
        let mut statistics = Statistics::new_unknown(schema);
        let rows = entry.live_rows().map(to_usize);
        statistics.num_rows = rows.map_or(Precision::Absent, Precision::Exact);
        for &column in columns {
            let filled = match self.layout.source(schema.field(column).name()) {
                None => continue,
                Some(ColumnSource::Partition(values)) => partition_statistics(entry.scalar(values)?, rows),
                Some(ColumnSource::Indexed(bounds)) => {
                    let exact = entry.is_tight() && bounds.kind == BoundKind::Exact;
                    let bound = |column| match bounds.kind {
                        BoundKind::Unknown => Ok(Precision::Absent),
                        _ => entry.scalar(column).map(|value| precise(value, exact)),
                    };
                    let nulls = entry.number(bounds.nulls).map(to_usize);
                    ColumnStatistics {
                        null_count: nulls.map_or(Precision::Absent, Precision::Exact),
                        min_value: bound(bounds.min)?,
                        max_value: bound(bounds.max)?,
                        ..ColumnStatistics::new_unknown()
                    }
                }
            };
            if let Some(slot) = statistics.column_statistics.get_mut(column) {
                *slot = filled;
            }
        }
        Ok(Arc::new(statistics))
    }

    /// Statistics of `files` together over the scan's schema. `read` are the columns that the scan
    /// reads, and `known` those of them whose values are worth knowing.
    pub(crate) fn scan_statistics(
        &self,
        files: &[FileId],
        read: &[usize],
        known: &[usize],
    ) -> Result<Statistics, DataFusionError> {
        let schema = self.definition.scan_schema.table_schema();
        let pick = Pick::new(self, files);
        let bytes: u64 = sum(pick.take(Layout::SIZE)?.as_primitive::<UInt64Type>()).unwrap_or(0);
        let rows = pick.rows(bytes)?;
        let tight = bool_and(pick.take(Layout::TIGHT)?.as_boolean()).unwrap_or(true);

        let mut statistics = Statistics::new_unknown(schema);
        statistics.num_rows = rows;
        let fields = u64::try_from(schema.fields().len().max(1)).unwrap_or(1);
        let varying = to_usize(bytes.saturating_mul(DECODED_FACTOR) / fields);
        let mut decoded = Precision::Inexact(0);
        for &column in read {
            let field = schema.field(column);
            let byte_size = match field.data_type().primitive_width() {
                Some(width) => rows.multiply(&Precision::Exact(width)),
                None => Precision::Inexact(varying),
            };
            decoded = decoded.add(&byte_size);
            let source = known.contains(&column).then(|| self.layout.source(field.name())).flatten();
            let mut filled = match source {
                None => ColumnStatistics::new_unknown(),
                Some(ColumnSource::Partition(values)) => pick.partition(values, rows)?,
                Some(ColumnSource::Indexed(bounds)) => pick.indexed(bounds, tight)?,
            };
            filled.byte_size = byte_size;
            if let Some(slot) = statistics.column_statistics.get_mut(column) {
                *slot = filled;
            }
        }
        statistics.total_byte_size = decoded.to_inexact();
        Ok(statistics)
    }
}

/// The chosen files of an index.
struct Pick<'a> {
    index: &'a FileIndex,
    /// None for all of the only segment.
    files: Option<&'a [FileId]>,
}

impl<'a> Pick<'a> {
    fn new(index: &'a FileIndex, files: &'a [FileId]) -> Self {
        let whole = matches!(&index.segments[..], [one] if one.live.is_none() && one.len == files.len());
        Self { index, files: (!whole).then_some(files) }
    }

    fn take(&self, column: usize) -> Result<ArrayRef, DataFusionError> {
        let segments = self.index.segments.iter().map(|segment| segment.segment.column(column));
        match self.files {
            None => segments.into_iter().next().cloned().ok_or_else(|| {
                DataFusionError::Internal("a file index without segments was taken as whole".to_owned())
            }),
            Some([]) => Ok(new_empty_array(self.index.layout.schema().field(column).data_type())),
            Some(files) => {
                let arrays: Vec<&dyn Array> = segments.map(AsRef::as_ref).collect();
                Ok(interleave(&arrays, files)?)
            }
        }
    }

    /// Exact when the log says it for every file, else estimated from sizes.
    fn rows(&self, bytes: u64) -> Result<Precision<usize>, DataFusionError> {
        let rows = self.take(Layout::LIVE_ROWS)?;
        let rows = rows.as_primitive::<UInt64Type>();
        let known = sum(rows).unwrap_or(0);
        if rows.null_count() == 0 {
            return Ok(Precision::Exact(to_usize(known)));
        }
        let sizes = self.take(Layout::SIZE)?;
        let known_bytes: u64 = rows
            .iter()
            .zip(sizes.as_primitive::<UInt64Type>().values())
            .filter(|(rows, _)| rows.is_some())
            .map(|(_, size)| size)
            .sum();
        let per_row = known_bytes.checked_div(known).filter(|&n| n > 0).unwrap_or(BYTES_PER_ROW);
        let guessed = bytes.saturating_sub(known_bytes) / per_row;
        Ok(Precision::Inexact(to_usize(known.saturating_add(guessed))))
    }

    fn partition(&self, column: usize, rows: Precision<usize>) -> Result<ColumnStatistics, DataFusionError> {
        let values = self.take(column)?;
        let null_count = if values.null_count() == 0 {
            Precision::Exact(0)
        } else if values.null_count() == values.len() {
            rows
        } else {
            let counts = self.take(Layout::LIVE_ROWS)?;
            let counts = counts.as_primitive::<UInt64Type>();
            let nulls = (0..values.len()).filter(|&file| values.is_null(file));
            nulls
                .map(|file| value_of(counts, file))
                .sum::<Option<usize>>()
                .map_or(Precision::Absent, Precision::Exact)
        };
        Ok(ColumnStatistics {
            null_count,
            min_value: precise(smallest(&values)?, true),
            max_value: precise(largest(&values)?, true),
            ..ColumnStatistics::new_unknown()
        })
    }

    fn indexed(&self, bounds: Bounds, tight: bool) -> Result<ColumnStatistics, DataFusionError> {
        let counts = self.take(bounds.nulls)?;
        let counts = counts.as_primitive::<UInt64Type>();
        let mut filled = ColumnStatistics::new_unknown();
        if counts.null_count() == 0 {
            filled.null_count = Precision::Exact(to_usize(sum(counts).unwrap_or(0)));
        }
        if bounds.kind == BoundKind::Unknown {
            return Ok(filled);
        }
        let rows = self.take(Layout::LIVE_ROWS)?;
        let rows = rows.as_primitive::<UInt64Type>();
        let exact = tight && bounds.kind == BoundKind::Exact;
        let min = self.take(bounds.min)?;
        let max = self.take(bounds.max)?;
        // A file whose values are all null adds nothing to the bounds; one without statistics
        // makes them unknown.
        let all_null = |file| value_of(rows, file).is_some_and(|rows| value_of(counts, file) == Some(rows));
        let unknown = (0..min.len()).any(|file| (min.is_null(file) || max.is_null(file)) && !all_null(file));
        if !unknown {
            filled.min_value = precise(smallest(&min)?, exact);
            filled.max_value = precise(largest(&max)?, exact);
        }
        Ok(filled)
    }
}

fn partition_statistics(value: ScalarValue, rows: Option<usize>) -> ColumnStatistics {
    let null_count =
        if value.is_null() { rows.map_or(Precision::Absent, Precision::Exact) } else { Precision::Exact(0) };
    ColumnStatistics {
        null_count,
        min_value: precise(value.clone(), true),
        max_value: precise(value, true),
        ..ColumnStatistics::new_unknown()
    }
}

fn precise(value: ScalarValue, exact: bool) -> Precision<ScalarValue> {
    match (value.is_null(), exact) {
        (true, _) => Precision::Absent,
        (false, true) => Precision::Exact(value),
        (false, false) => Precision::Inexact(value),
    }
}

fn smallest(values: &ArrayRef) -> Result<ScalarValue, DataFusionError> {
    let mut smallest = MinAccumulator::try_new(values.data_type())?;
    smallest.update_batch(std::slice::from_ref(values))?;
    smallest.evaluate()
}

fn largest(values: &ArrayRef) -> Result<ScalarValue, DataFusionError> {
    let mut largest = MaxAccumulator::try_new(values.data_type())?;
    largest.update_batch(std::slice::from_ref(values))?;
    largest.evaluate()
}

fn value_of(counts: &UInt64Array, file: usize) -> Option<usize> {
    counts.is_valid(file).then(|| to_usize(counts.value(file)))
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
