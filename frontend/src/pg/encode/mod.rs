//! Arrow batches into DataRow messages.
//!
//! A [`RowEncoder`] is made once per described result; for each batch the typed accessors of its columns are
//! chosen once ([`PlainBatch::cells`]), and every row is then written straight into the output buffer.

mod cell;
mod json;
mod list;
mod number;
mod temporal;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};

use super::error::{
    DATETIME_FIELD_OVERFLOW, FEATURE_NOT_SUPPORTED, INTERNAL_ERROR, PROGRAM_LIMIT_EXCEEDED, WireError,
};
use super::message::backend;
use super::types::{self, PgType};
use cell::Cell;

/// PostgreSQL clients refuse larger messages.
const MAX_ROW_BYTES: usize = 0x3fff_ffff;

/// How a column or parameter travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Binary,
}

impl Format {
    /// The format with this code.
    pub(super) fn from_code(code: i16) -> Result<Self, WireError> {
        match code {
            0 => Ok(Self::Text),
            1 => Ok(Self::Binary),
            _ => Err(WireError::error(
                super::error::INVALID_PARAMETER_VALUE,
                format!("unsupported format code: {code}"),
            )),
        }
    }

    /// Its code.
    pub(super) const fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

/// A value that has an Arrow representation and no PostgreSQL one. Never says which value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EncodeError {
    /// Before 4714 BC, after 294276 AD, or no time of day.
    OutOfRange,
    /// A row of more than a gibibyte.
    TooLarge,
    /// A batch that does not have the described columns.
    Mismatch,
}

impl From<EncodeError> for WireError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::OutOfRange => {
                Self::error(DATETIME_FIELD_OVERFLOW, "a date or time in the result is out of range")
                    .with_hint("Cast the column to text.")
            }
            EncodeError::TooLarge => {
                Self::error(PROGRAM_LIMIT_EXCEEDED, "a row of the result is larger than 1 GB")
            }
            EncodeError::Mismatch => {
                Self::error(INTERNAL_ERROR, "the result does not have the columns that were planned")
            }
        }
    }
}

/// One column of a RowDescription.
#[derive(Debug, Clone)]
pub(super) struct ResultColumn {
    pub(super) name: String,
    pub(super) kind: PgType,
    pub(super) modifier: i32,
    pub(super) format: Format,
    /// The column's type as planned.
    source: DataType,
    /// The same without dictionaries, runs and views of lists.
    plain: DataType,
    /// Says what a type alone does not: that sixteen bytes are a UUID.
    metadata: HashMap<String, String>,
}

/// A described result.
#[derive(Debug, Clone)]
pub(super) struct RowEncoder {
    columns: Vec<ResultColumn>,
}

impl RowEncoder {
    /// Decides how each column travels; all in text until [`Self::with_formats`].
    ///
    /// # Errors
    /// 0A000 where a column has no PostgreSQL form, so that nothing is sent wrongly later.
    pub(super) fn new(schema: &Schema) -> Result<Self, WireError> {
        if schema.fields().len() > usize::from(i16::MAX.unsigned_abs()) {
            return Err(WireError::error(PROGRAM_LIMIT_EXCEEDED, "the result has too many columns"));
        }
        let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
        Ok(Self { columns })
    }

    /// Applies the result format codes of a Bind message: none, one for all, or one each.
    pub(super) fn with_formats(mut self, codes: &[i16]) -> Result<Self, WireError> {
        match codes {
            [] => {}
            [all] => {
                let format = Format::from_code(*all)?;
                self.columns.iter_mut().for_each(|column| column.format = format);
            }
            each if each.len() == self.columns.len() => {
                for (column, code) in self.columns.iter_mut().zip(each) {
                    column.format = Format::from_code(*code)?;
                }
            }
            _ => {
                return Err(WireError::protocol(format!(
                    "bind message has {} result formats but query has {} columns",
                    codes.len(),
                    self.columns.len()
                )));
            }
        }
        Ok(self)
    }

    /// The same description over the columns that really come; they may differ in layout (a dictionary
    /// here, a view there) but not in what a client was told.
    ///
    /// # Errors
    /// 0A000 where a column was added, removed or changed its type since it was described.
    pub(super) fn adopt(&self, schema: &Schema) -> Result<Self, WireError> {
        let mut actual = Self::new(schema)?;
        let same = actual.columns.len() == self.columns.len()
            && actual.columns.iter().zip(&self.columns).all(|(now, then)| now.kind == then.kind);
        if !same {
            return Err(WireError::error(FEATURE_NOT_SUPPORTED, "cached plan must not change result type"));
        }
        for (now, then) in actual.columns.iter_mut().zip(&self.columns) {
            now.format = then.format;
        }
        Ok(actual)
    }

    /// Writes a RowDescription.
    pub(super) fn describe(&self, out: &mut Vec<u8>) {
        backend::row_description(out, &self.columns);
    }

    /// Unpacks what has no direct form (dictionaries, runs), once per batch.
    pub(super) fn plain(&self, batch: &RecordBatch) -> Result<PlainBatch, EncodeError> {
        if batch.num_columns() != self.columns.len() {
            return Err(EncodeError::Mismatch);
        }
        let columns = batch
            .columns()
            .iter()
            .zip(&self.columns)
            .map(|(array, column)| {
                let mut plain = column.plain.clone();
                if *array.data_type() != column.source {
                    // Another layout of the same thing is fine; another thing would be sent wrongly.
                    let actual = Field::new("", array.data_type().clone(), true)
                        .with_metadata(column.metadata.clone());
                    if types::result_type(&actual).ok() != Some(column.kind) {
                        return Err(EncodeError::Mismatch);
                    }
                    plain = plain_type(array.data_type());
                }
                if *array.data_type() == plain {
                    return Ok(ArrayRef::clone(array));
                }
                cast(array, &plain).map_err(|_| EncodeError::Mismatch)
            })
            .collect::<Result<_, _>>()?;
        Ok(PlainBatch { columns, rows: batch.num_rows() })
    }
}

fn column(field: &FieldRef) -> Result<ResultColumn, WireError> {
    let kind = types::result_type(field)?;
    let source = field.data_type().clone();
    let plain = plain_type(&source);
    if source != plain && !can_cast_types(&source, &plain) {
        return Err(WireError::error(
            FEATURE_NOT_SUPPORTED,
            format!("column \"{}\" has a type that the PostgreSQL protocol cannot carry", field.name()),
        )
        .with_hint("Cast it to text, or leave the column out."));
    }
    Ok(ResultColumn {
        name: field.name().clone(),
        kind,
        modifier: types::type_modifier(&source),
        format: Format::Text,
        source,
        plain,
        metadata: field.metadata().clone(),
    })
}

/// The type without dictionaries, runs, list views and half floats, at any depth.
fn plain_type(data_type: &DataType) -> DataType {
    let plain_field = |field: &FieldRef| -> FieldRef {
        let inner = plain_type(field.data_type());
        if inner == *field.data_type() {
            FieldRef::clone(field)
        } else {
            Field::new(field.name(), inner, field.is_nullable()).into()
        }
    };
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Float16 => DataType::Float32,
        DataType::List(field) | DataType::ListView(field) => DataType::List(plain_field(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => {
            DataType::LargeList(plain_field(field))
        }
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(plain_field(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

/// A batch whose columns are all of types with direct accessors.
#[derive(Debug)]
pub(super) struct PlainBatch {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl PlainBatch {
    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The accessors, one per column.
    pub(super) fn cells(&self, encoder: &RowEncoder) -> Result<Cells<'_>, EncodeError> {
        let cells = self
            .columns
            .iter()
            .zip(&encoder.columns)
            .map(|(array, column)| cell::cell(array.as_ref(), column.kind, column.format))
            .collect::<Result<_, _>>()?;
        Ok(Cells { cells })
    }
}

/// Accessors over one batch.
pub(super) struct Cells<'a> {
    cells: Vec<Cell<'a>>,
}

impl Cells<'_> {
    /// Appends one DataRow message; on error `out` is as it was.
    pub(super) fn row(&self, row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let message = out.len();
        let result = self.write(row, out);
        if result.is_err() {
            out.truncate(message);
        }
        result
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(b'D');
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        // At most i16::MAX columns: checked when the result was described.
        out.extend_from_slice(&(self.cells.len() as i16).to_be_bytes());
        for cell in &self.cells {
            write_field(cell, row, out)?;
        }
        let length = out.len() - start;
        if length > MAX_ROW_BYTES {
            return Err(EncodeError::TooLarge);
        }
        patch_length(out, start, length);
        Ok(())
    }
}

/// A length-prefixed value, -1 for NULL.
fn write_field(cell: &Cell<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if cell.is_null(row) {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    cell.write(row, out)?;
    let length = out.len() - start - 4;
    if length > MAX_ROW_BYTES {
        return Err(EncodeError::TooLarge);
    }
    patch_length(out, start, length);
    Ok(())
}

/// Fills in a length that was left open; the callers have checked that it fits.
fn patch_length(out: &mut [u8], at: usize, length: usize) {
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&(length as u32).to_be_bytes());
    }
}
