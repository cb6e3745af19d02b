//! Delta's statistics of a file: rows, bounds and null counts.

use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string_view, min, min_string_view};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, SchemaRef};
use chrono::{Days, NaiveDate};
use serde_json::{Map, Number, Value, json};

/// Texts longer than this get no bounds: they would have to be cut.
const LONGEST_BOUND: usize = 32;

/// Grows batch by batch.
pub(crate) struct Statistics {
    schema: SchemaRef,
    rows: usize,
    columns: Vec<Bounds>,
}

#[derive(Default)]
struct Bounds {
    nulls: usize,
    numbers: Option<(i128, i128)>,
    texts: Option<(String, String)>,
}

impl Statistics {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|_| Bounds::default()).collect();
        Self { schema, rows: 0, columns }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for (bounds, values) in self.columns.iter_mut().zip(batch.columns()) {
            bounds.add(values);
        }
    }

    pub(crate) fn json(&self) -> Result<Value> {
        let (mut lowest, mut highest, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (field, bounds) in self.schema.fields().iter().zip(&self.columns) {
            nulls.insert(field.name().clone(), json!(bounds.nulls));
            let found = match (&bounds.numbers, &bounds.texts) {
                (Some((low, high)), _) => {
                    Some((written(field.data_type(), *low)?, written(field.data_type(), *high)?))
                }
                (_, Some((low, high))) if low.len().max(high.len()) <= LONGEST_BOUND => {
                    Some((json!(low), json!(high)))
                }
                _ => None,
            };
            if let Some((low, high)) = found {
                lowest.insert(field.name().clone(), low);
                highest.insert(field.name().clone(), high);
            }
        }
        Ok(json!({ "numRecords": self.rows, "minValues": lowest, "maxValues": highest, "nullCount": nulls }))
    }
}

impl Bounds {
    fn add(&mut self, values: &ArrayRef) {
        self.nulls += values.null_count();
        macro_rules! numbers {
            ($kind:ty) => {{
                let values = values.as_primitive::<$kind>();
                if let (Some(low), Some(high)) = (min(values), max(values)) {
                    let (low, high) = (i128::from(low), i128::from(high));
                    self.numbers = Some(
                        self.numbers
                            .map_or((low, high), |(lowest, highest)| (low.min(lowest), high.max(highest))),
                    );
                }
            }};
        }
        match values.data_type() {
            DataType::Int32 => numbers!(Int32Type),
            DataType::Int64 => numbers!(Int64Type),
            DataType::Date32 => numbers!(Date32Type),
            DataType::Decimal128(_, _) => numbers!(Decimal128Type),
            DataType::Utf8View => {
                let values = values.as_string_view();
                if let (Some(low), Some(high)) = (min_string_view(values), max_string_view(values)) {
                    let (lowest, highest) =
                        self.texts.get_or_insert_with(|| (low.to_owned(), high.to_owned()));
                    if low < lowest.as_str() {
                        low.clone_into(lowest);
                    }
                    if high > highest.as_str() {
                        high.clone_into(highest);
                    }
                }
            }
            _ => {}
        }
    }
}

/// A bound as Delta writes it.
fn written(data_type: &DataType, value: i128) -> Result<Value> {
    Ok(match data_type {
        DataType::Date32 => {
            let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).context("the epoch")?;
            json!(epoch.checked_add_days(Days::new(u64::try_from(value)?)).context("a date")?.to_string())
        }
        // The shortest float that names a number of 15 digits prints as exactly these digits.
        DataType::Decimal128(_, scale) => {
            let value = value as f64 / 10_f64.powi(i32::from(*scale));
            Value::Number(Number::from_f64(value).context("a decimal")?)
        }
        _ => json!(i64::try_from(value)?),
    })
}
