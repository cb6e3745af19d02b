//! Delta's per-file statistics: rows, bounds and null counts of each column.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use serde_json::{Map, Value};

use super::calendar::{DAY, date_text, instant_text};
use super::tables::{Kind, Table};

/// Texts longer than this get no bounds: they would have to be cut, and cut bounds are easily read wrongly.
const LONGEST_BOUND: usize = 64;

/// Statistics of one file.
pub(super) struct Statistics {
    rows: i64,
    columns: Vec<ColumnStatistics>,
}

struct ColumnStatistics {
    name: &'static str,
    kind: Kind,
    nulls: i64,
    bounds: Bounds,
}

enum Bounds {
    /// No value seen yet.
    None,
    Text(String, String),
    /// Days, microseconds, unscaled decimals or integers.
    Number(i128, i128),
    /// Not kept.
    Unbounded,
}

impl Statistics {
    /// Statistics of a file without rows.
    pub(super) fn new(table: &Table) -> Self {
        let columns = table
            .file_columns()
            .map(|column| ColumnStatistics {
                name: column.name,
                kind: column.kind,
                nulls: 0,
                bounds: if matches!(column.kind, Kind::Document | Kind::Bool) {
                    Bounds::Unbounded
                } else {
                    Bounds::None
                },
            })
            .collect();
        Self { rows: 0, columns }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> i64 {
        self.rows
    }

    /// Counts rows in.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        self.rows += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        for (column, values) in self.columns.iter_mut().zip(batch.columns()) {
            column.nulls += i64::try_from(values.null_count()).unwrap_or(i64::MAX);
            column.widen(values.as_ref());
        }
    }

    /// As Delta writes them.
    pub(super) fn json(&self) -> String {
        let mut lowest = Map::new();
        let mut highest = Map::new();
        let mut nulls = Map::new();
        for column in &self.columns {
            nulls.insert(column.name.to_owned(), Value::from(column.nulls));
            match &column.bounds {
                Bounds::Text(low, high) if high.len() <= LONGEST_BOUND && low.len() <= LONGEST_BOUND => {
                    lowest.insert(column.name.to_owned(), Value::from(low.as_str()));
                    highest.insert(column.name.to_owned(), Value::from(high.as_str()));
                }
                Bounds::Number(low, high) => {
                    lowest.insert(column.name.to_owned(), column.value(*low));
                    highest.insert(column.name.to_owned(), column.value(*high));
                }
                Bounds::None | Bounds::Text(..) | Bounds::Unbounded => {}
            }
        }
        let mut json = Map::new();
        json.insert("numRecords".to_owned(), Value::from(self.rows));
        json.insert("minValues".to_owned(), Value::Object(lowest));
        json.insert("maxValues".to_owned(), Value::Object(highest));
        json.insert("nullCount".to_owned(), Value::Object(nulls));
        Value::Object(json).to_string()
    }
}

impl ColumnStatistics {
    fn widen(&mut self, values: &dyn Array) {
        if matches!(self.bounds, Bounds::Unbounded) {
            return;
        }
        if self.kind == Kind::Text {
            let values = values.as_string::<i32>();
            if let (Some(low), Some(high)) = (min_string(values), max_string(values)) {
                match &mut self.bounds {
                    Bounds::Text(lowest, highest) => {
                        if low < lowest.as_str() {
                            low.clone_into(lowest);
                        }
                        if high > highest.as_str() {
                            high.clone_into(highest);
                        }
                    }
                    other => *other = Bounds::Text(low.to_owned(), high.to_owned()),
                }
            }
            return;
        }
        if let Some((low, high)) = number_bounds(self.kind, values) {
            match &mut self.bounds {
                Bounds::Number(lowest, highest) => {
                    *lowest = low.min(*lowest);
                    *highest = high.max(*highest);
                }
                other => *other = Bounds::Number(low, high),
            }
        }
    }

    fn value(&self, number: i128) -> Value {
        match self.kind {
            Kind::Date => Value::from(date_text(i32::try_from(number).unwrap_or_default())),
            // Instants are whole seconds, so that milliseconds are exact.
            Kind::Instant => {
                let mut text = instant_text(i64::try_from(number / 1_000_000).unwrap_or(DAY));
                text.truncate(text.len() - 1);
                Value::from(text + ".000Z")
            }
            // The shortest float that names a number of 12 digits prints as exactly these digits.
            Kind::Decimal(_, scale) => {
                let unscaled = number as f64;
                serde_json::Number::from_f64(unscaled / 10_f64.powi(i32::from(scale)))
                    .map_or(Value::Null, Value::Number)
            }
            _ => Value::from(i64::try_from(number).unwrap_or_default()),
        }
    }
}

fn number_bounds(kind: Kind, values: &dyn Array) -> Option<(i128, i128)> {
    macro_rules! bounds {
        ($type:ty) => {{
            let values = values.as_primitive::<$type>();
            Some((i128::from(min(values)?), i128::from(max(values)?)))
        }};
    }
    match kind {
        Kind::Int => bounds!(Int32Type),
        Kind::Long => bounds!(Int64Type),
        Kind::Date => bounds!(Date32Type),
        Kind::Instant => bounds!(TimestampMicrosecondType),
        Kind::Decimal(..) => bounds!(Decimal128Type),
        Kind::Text | Kind::Document | Kind::Bool => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, StringArray, TimestampMicrosecondArray};
    use serde_json::json;

    use super::super::tables::TableId;
    use super::*;

    #[test]
    #[expect(clippy::unwrap_used, reason = "tests")]
    fn bounds_cover_every_batch_and_skip_nulls() {
        let table = TableId::ObservationsFhir.table();
        let mut statistics = Statistics::new(table);
        for (tenant, seconds) in [("lakeside", 1_790_000_000_i64), ("harbourview", 1_780_000_001)] {
            let batch = RecordBatch::try_new(
                table.file_schema(),
                vec![
                    Arc::new(StringArray::from(vec![tenant])),
                    Arc::new(TimestampMicrosecondArray::from(vec![seconds * 1_000_000]).with_timezone("UTC")),
                    Arc::new(StringArray::from(vec!["Observation"])),
                    Arc::new(StringArray::from(vec!["{}"])),
                ],
            )
            .unwrap();
            statistics.add(&batch);
        }
        let parsed: Value = serde_json::from_str(&statistics.json()).unwrap();
        assert_eq!(
            parsed,
            json!({
                "numRecords": 2,
                "minValues": {"tenant_id": "harbourview", "received_at": "2026-05-28T20:26:41.000Z", "resource_type": "Observation"},
                "maxValues": {"tenant_id": "lakeside", "received_at": "2026-09-21T14:13:20.000Z", "resource_type": "Observation"},
                "nullCount": {"tenant_id": 0, "received_at": 0, "resource_type": 0, "resource": 0},
            })
        );
        let dates = Date32Array::from(vec![None, Some(3), Some(1)]);
        assert_eq!(number_bounds(Kind::Date, &dates), Some((1, 3)));
    }
}
