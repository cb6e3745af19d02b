//! Values as the suite makes them, before they are Arrow arrays.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder, RecordBatch,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::{Value, json};

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// SQL's NULL.
    Null,
    /// `long`.
    Long(i64),
    /// `double`.
    Double(f64),
    /// `string`.
    Text(String),
    /// `boolean`.
    Bool(bool),
    /// `date`, as days since 1970-01-01.
    Date(i32),
    /// `timestamp`, as microseconds since 1970-01-01.
    Instant(i64),
    /// `decimal(12,2)`, in hundredths.
    Decimal(i128),
    /// A struct of a name and an age.
    Person(Option<String>, Option<i64>),
    /// A list of texts.
    Texts(Vec<String>),
}

/// One row.
pub type Row = Vec<Cell>;

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `long`.
    Long,
    /// `double`.
    Double,
    /// `string`.
    Text,
    /// `boolean`.
    Bool,
    /// `date`.
    Date,
    /// `timestamp`.
    Instant,
    /// `decimal(12,2)`.
    Decimal,
    /// `struct<name: string, age: long>`.
    Person,
    /// `array<string>`.
    Texts,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Tags in the table's metadata, comma separated.
    pub tags: &'static str,
}

/// A text.
pub fn text(value: impl Into<String>) -> Cell {
    Cell::Text(value.into())
}

fn person_fields() -> Fields {
    Fields::from(vec![Field::new("name", DataType::Utf8, true), Field::new("age", DataType::Int64, true)])
}

impl Kind {
    fn arrow(self) -> DataType {
        match self {
            Self::Long => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal => DataType::Decimal128(12, 2),
            Self::Person => DataType::Struct(person_fields()),
            Self::Texts => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        }
    }

    /// The type as a Delta schema writes it.
    #[must_use]
    pub fn delta(self) -> Value {
        let field =
            |name: &str, kind: &str| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
        match self {
            Self::Long => json!("long"),
            Self::Double => json!("double"),
            Self::Text => json!("string"),
            Self::Bool => json!("boolean"),
            Self::Date => json!("date"),
            Self::Instant => json!("timestamp"),
            Self::Decimal => json!("decimal(12,2)"),
            Self::Person => {
                json!({"type": "struct", "fields": [field("name", "string"), field("age", "long")]})
            }
            Self::Texts => json!({"type": "array", "elementType": "string", "containsNull": true}),
        }
    }
}

/// The Arrow schema of `columns`.
#[must_use]
pub fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(
        columns.iter().map(|column| Field::new(column.name, column.kind.arrow(), true)).collect::<Vec<_>>(),
    ))
}

/// Rows as one batch.
pub fn batch(columns: &[Column], rows: &[Row]) -> Result<RecordBatch> {
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(index, column)| array(column.kind, rows.iter().map(|row| &row[index])))
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema(columns), arrays)?)
}

fn array<'a>(kind: Kind, cells: impl Iterator<Item = &'a Cell>) -> Result<ArrayRef> {
    macro_rules! values {
        ($variant:ident, $array:ty) => {
            cells
                .map(|cell| match cell {
                    Cell::$variant(value) => Some(value.clone()),
                    _ => None,
                })
                .collect::<$array>()
        };
    }
    Ok(match kind {
        Kind::Long => Arc::new(values!(Long, Int64Array)),
        Kind::Double => Arc::new(values!(Double, Float64Array)),
        Kind::Text => Arc::new(values!(Text, StringArray)),
        Kind::Bool => Arc::new(values!(Bool, BooleanArray)),
        Kind::Date => Arc::new(values!(Date, Date32Array)),
        Kind::Instant => Arc::new(values!(Instant, TimestampMicrosecondArray).with_timezone("UTC")),
        Kind::Decimal => Arc::new(values!(Decimal, Decimal128Array).with_precision_and_scale(12, 2)?),
        Kind::Person => {
            let people: Vec<_> = cells
                .map(|cell| match cell {
                    Cell::Person(name, age) => (name.clone(), *age, true),
                    _ => (None, None, false),
                })
                .collect();
            let names: StringArray = people.iter().map(|(name, _, _)| name.clone()).collect();
            let ages: Int64Array = people.iter().map(|(_, age, _)| *age).collect();
            let valid = people.iter().map(|(_, _, valid)| *valid).collect();
            Arc::new(StructArray::try_new(
                person_fields(),
                vec![Arc::new(names), Arc::new(ages)],
                Some(valid),
            )?)
        }
        Kind::Texts => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for cell in cells {
                match cell {
                    Cell::Texts(texts) => {
                        texts.iter().for_each(|text| lists.values().append_value(text));
                        lists.append(true);
                    }
                    _ => lists.append(false),
                }
            }
            Arc::new(lists.finish())
        }
    })
}
