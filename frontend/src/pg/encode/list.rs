//! One-dimensional arrays.

use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

use super::super::types::{PgType, Scalar};
use super::cell::{self, Cell};
use super::{EncodeError, Format, write_field};

/// The accessor for a list of scalars.
pub(super) fn cell(array: &dyn Array, element: Scalar, format: Format) -> Result<Cell<'_>, EncodeError> {
    let (values, range) = ranges(array)?;
    let inner = cell::cell(values, PgType::Scalar(element), format)?;
    Ok(match format {
        Format::Text => Cell::new(array, move |row, out| text(&inner, range(row), out)),
        Format::Binary => {
            let oid = element.oid();
            Cell::new(array, move |row, out| binary(&inner, range(row), oid, out))
        }
    })
}

type Ranges<'a> = Box<dyn Fn(usize) -> Range<usize> + Send + Sync + 'a>;

/// The values of a list array and, for each row, where its own are.
pub(super) fn ranges(array: &dyn Array) -> Result<(&dyn Array, Ranges<'_>), EncodeError> {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let range = move |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
            Ok((list.values().as_ref(), Box::new(range)))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            let range = move |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
            Ok((list.values().as_ref(), Box::new(range)))
        }
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            let size = list.value_length() as usize;
            let range = move |row: usize| {
                let start = list.value_offset(row) as usize;
                start..start + size
            };
            Ok((list.values().as_ref(), Box::new(range)))
        }
        _ => Err(EncodeError::Mismatch),
    }
}

/// `{1,NULL,"with, comma"}`
fn text(inner: &Cell<'_>, range: Range<usize>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.push(b'{');
    for (index, row) in range.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if inner.is_null(row) {
            out.extend_from_slice(b"NULL");
            continue;
        }
        let start = out.len();
        inner.write(row, out)?;
        if needs_quotes(&out[start..]) {
            quote(out, start);
        }
    }
    out.push(b'}');
    Ok(())
}

fn needs_quotes(element: &[u8]) -> bool {
    element.is_empty()
        || element.eq_ignore_ascii_case(b"null")
        || element.iter().any(|byte| {
            matches!(byte, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
        })
}

/// Puts everything from `start` on in double quotes.
fn quote(out: &mut Vec<u8>, start: usize) {
    let plain = out.split_off(start);
    out.push(b'"');
    for byte in plain {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Dimensions, null flag, element type, length, lower bound, elements.
fn binary(inner: &Cell<'_>, range: Range<usize>, oid: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let length = i32::try_from(range.len()).map_err(|_| EncodeError::TooLarge)?;
    let has_null = range.clone().any(|row| inner.is_null(row));
    out.extend_from_slice(&i32::from(length > 0).to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&oid.to_be_bytes());
    if length > 0 {
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
        for row in range {
            write_field(inner, row, out)?;
        }
    }
    Ok(())
}
