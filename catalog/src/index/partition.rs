//! Partition values of a batch, typed.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, MapArray, RecordBatch, TimestampMicrosecondArray,
};
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Field};
use chrono::offset::LocalResult;
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _};

use super::build::{missing, struct_column};
use super::layout::Layout;
use crate::definition::TableDefinition;
use crate::error::LoadError;

/// Forms of a timestamp without a zone in a partition value: the protocol's, and with a `T`.
const LOCAL_FORMATS: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];

/// One array for each partition column.
pub(super) fn partition_values(
    rows: &RecordBatch,
    definition: &TableDefinition,
    layout: &Layout,
) -> Result<Vec<ArrayRef>, LoadError> {
    let columns = definition.scan_schema.table_partition_cols();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let parsed = struct_column(rows, "partitionValues_parsed")?;
    columns
        .iter()
        .zip(layout.partitions())
        .map(|(column, position)| {
            if let (Some(zone), DataType::Timestamp(_, Some(_))) =
                (definition.partition_zone, column.data_type())
            {
                return local_timestamps(rows, column, zone);
            }
            let values = parsed.column_by_name(column.name()).ok_or_else(|| missing(column.name()))?;
            let values = cast(values, layout.schema().field(position).data_type())?;
            empty_is_null(&values)
        })
        .collect()
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

/// Timestamps from their text, those without a zone read in `zone`.
fn local_timestamps(rows: &RecordBatch, column: &Field, zone: Tz) -> Result<ArrayRef, LoadError> {
    let constants = struct_column(rows, "fileConstantValues")?;
    let texts = constants.column_by_name("partitionValues").and_then(|values| values.as_map_opt());
    let texts = texts.ok_or_else(|| missing("partitionValues"))?;
    let times = (0..rows.num_rows())
        .map(|row| match text(texts, row, column.name()) {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => instant(&text, zone).map(Some).ok_or_else(|| {
                LoadError::Broken(format!("a value of partition column {} is no timestamp", column.name()))
            }),
        })
        .collect::<Result<TimestampMicrosecondArray, _>>()?;
    Ok(Arc::new(times.with_data_type(column.data_type().clone())))
}

fn text(values: &MapArray, row: usize, name: &str) -> Option<String> {
    let entries = values.value(row);
    let keys = cast(entries.column(0), &DataType::Utf8).ok()?;
    let texts = cast(entries.column(1), &DataType::Utf8).ok()?;
    let found = keys.as_string::<i32>().iter().position(|key| key == Some(name))?;
    let texts = texts.as_string::<i32>();
    texts.is_valid(found).then(|| texts.value(found).to_owned())
}

/// Microseconds since the epoch of a timestamp in a partition value; one without a zone is in `zone`.
pub(crate) fn instant(text: &str, zone: Tz) -> Option<i64> {
    if let Some(local) =
        LOCAL_FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    {
        return match zone.from_local_datetime(&local) {
            LocalResult::Single(time) => Some(time.timestamp_micros()),
            // Java, and so Spark, takes the earlier of two instants, and moves a time that the clock
            // jumped over forward by the jump.
            LocalResult::Ambiguous(earlier, _) => Some(earlier.timestamp_micros()),
            LocalResult::None => {
                let jump = TimeDelta::hours(1);
                let before = zone.from_local_datetime(&local.checked_sub_signed(jump)?).earliest()?;
                Some(before.checked_add_signed(jump)?.timestamp_micros())
            }
        };
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::instant;

    #[test]
    fn times_without_a_zone_are_read_in_the_one_given() {
        let london = "Europe/London".parse().unwrap();
        let utc = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
        for (text, expected) in [
            ("2024-01-15 10:00:00", "2024-01-15T10:00:00Z"),
            ("2024-07-15 10:00:00.5", "2024-07-15T09:00:00.5Z"),
            ("2024-07-15T10:00:00", "2024-07-15T09:00:00Z"),
            // With a zone of its own.
            ("2024-07-15T10:00:00Z", "2024-07-15T10:00:00Z"),
            ("2024-07-15T10:00:00+02:00", "2024-07-15T08:00:00Z"),
            // The hour that occurs twice, and the one that does not.
            ("2024-10-27 01:30:00", "2024-10-27T00:30:00Z"),
            ("2024-03-31 01:30:00", "2024-03-31T01:30:00Z"),
        ] {
            assert_eq!(instant(text, london), Some(utc(expected)), "{text}");
        }
        assert_eq!(instant("yesterday", london), None);
    }
}
