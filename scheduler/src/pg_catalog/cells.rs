//! Values of generated rows, and the arrays made of them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, ListArray, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};

use super::relations::RelationDefinition;
use super::types::oid;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// SQL NULL.
    Null,
    Bool(bool),
    /// Any integer, and timestamps in microseconds since 1970.
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Cell>),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<i16> for Cell {
    fn from(value: i16) -> Self {
        Self::Int(i64::from(value))
    }
}
impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_string())
    }
}
impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
impl<T: Into<Cell>> From<Vec<T>> for Cell {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl Cell {
    fn int<T: TryFrom<i64>>(&self) -> Option<T> {
        match self {
            Self::Int(value) => T::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The text of a text value.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// An array of a type; a value of another kind becomes NULL.
pub(super) fn array(data_type: &DataType, cells: &[&Cell]) -> Result<ArrayRef> {
    let array: ArrayRef = match data_type {
        DataType::Boolean => Arc::new(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Bool(value) => Some(*value),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        DataType::Int16 => Arc::new(cells.iter().map(|cell| cell.int()).collect::<Int16Array>()),
        DataType::Int32 => Arc::new(cells.iter().map(|cell| cell.int()).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(cells.iter().map(|cell| cell.int()).collect::<Int64Array>()),
        DataType::UInt32 => Arc::new(cells.iter().map(|cell| cell.int()).collect::<UInt32Array>()),
        DataType::Float32 => {
            Arc::new(cells.iter().map(|cell| float(cell).map(|value| value as f32)).collect::<Float32Array>())
        }
        DataType::Float64 => Arc::new(cells.iter().map(|cell| float(cell)).collect::<Float64Array>()),
        DataType::Utf8 => Arc::new(cells.iter().map(|cell| cell.text()).collect::<StringArray>()),
        DataType::Binary => {
            Arc::new(cells.iter().map(|cell| cell.text().map(str::as_bytes)).collect::<BinaryArray>())
        }
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, zone) => Arc::new(
            cells
                .iter()
                .map(|cell| cell.int::<i64>())
                .collect::<TimestampMicrosecondArray>()
                .with_timezone_opt(zone.clone()),
        ),
        DataType::Decimal128(precision, scale) => Arc::new(
            cells
                .iter()
                .map(|cell| {
                    cell.int::<i64>()
                        .map(|value| i128::from(value) * 10_i128.pow(u32::from(scale.unsigned_abs())))
                })
                .collect::<Decimal128Array>()
                .with_precision_and_scale(*precision, *scale)?,
        ),
        DataType::List(item) => {
            let mut items = Vec::new();
            let mut lengths = Vec::with_capacity(cells.len());
            let mut valid = Vec::with_capacity(cells.len());
            for cell in cells {
                if let Cell::List(values) = cell {
                    items.extend(values.iter());
                    lengths.push(values.len());
                    valid.push(true);
                } else {
                    lengths.push(0);
                    valid.push(false);
                }
            }
            Arc::new(ListArray::try_new(
                Arc::clone(item),
                OffsetBuffer::from_lengths(lengths),
                array(item.data_type(), &items)?,
                Some(NullBuffer::from(valid)),
            )?)
        }
        DataType::Null => Arc::new(NullArray::new(cells.len())),
        other if cells.iter().all(|cell| matches!(cell, Cell::Null)) => new_null_array(other, cells.len()),
        other => return internal_err!("no generated values of type {other}"),
    };
    Ok(array)
}

fn float(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Float(value) => Some(*value),
        Cell::Int(value) => Some(*value as f64),
        _ => None,
    }
}

/// Rows of one system relation in the making.
pub(super) struct Rows {
    definition: &'static RelationDefinition,
    columns: Vec<Vec<Cell>>,
    positions: HashMap<&'static str, usize>,
}

impl Rows {
    pub(super) fn new(definition: &'static RelationDefinition) -> Self {
        let positions = definition
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| (column.name.as_str(), index))
            .collect();
        Self { definition, columns: vec![Vec::new(); definition.columns.len()], positions }
    }

    /// Adds a row. Columns that are not named are NULL, or the zero of their type where NULL is not allowed.
    pub(super) fn push<const N: usize>(&mut self, values: [(&str, Cell); N]) {
        for (column, cells) in self.definition.columns.iter().zip(&mut self.columns) {
            cells.push(if column.not_null { zero(column.type_oid) } else { Cell::Null });
        }
        for (name, value) in values {
            debug_assert!(self.positions.contains_key(name), "{} has no column {name}", self.definition.name);
            if let Some(cell) = self
                .positions
                .get(name)
                .and_then(|index| self.columns.get_mut(*index))
                .and_then(|cells| cells.last_mut())
            {
                *cell = value;
            }
        }
    }

    /// The rows as one batch.
    pub(super) fn finish(self) -> Result<Vec<RecordBatch>> {
        let schema = Arc::clone(&self.definition.arrow);
        let arrays = schema
            .fields()
            .iter()
            .zip(&self.columns)
            .map(|(field, cells)| array(field.data_type(), &cells.iter().collect::<Vec<_>>()))
            .collect::<Result<Vec<_>>>()?;
        Ok(vec![RecordBatch::try_new(schema, arrays)?])
    }
}

fn zero(type_oid: u32) -> Cell {
    match type_oid {
        oid::BOOL => Cell::Bool(false),
        oid::FLOAT4 | oid::FLOAT8 => Cell::Float(0.0),
        _ => match super::types::arrow_type(type_oid) {
            DataType::Utf8 | DataType::Binary => Cell::Text(String::new()),
            DataType::List(_) => Cell::List(Vec::new()),
            _ => Cell::Int(0),
        },
    }
}
