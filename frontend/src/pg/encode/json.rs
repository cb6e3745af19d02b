//! Structs, maps and lists of lists, as one JSON document each: PostgreSQL has no anonymous type for them
//! that clients could read. Scalars inside look as `to_json` would write them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};

use super::super::types::{PgType, Scalar};
use super::cell::{self, Cell};
use super::{EncodeError, Format, list, temporal};

/// The accessor for a nested value.
pub(super) fn cell(array: &dyn Array) -> Result<Cell<'_>, EncodeError> {
    match array.data_type() {
        DataType::Struct(fields) => {
            let record = array.as_struct();
            let mut members = Vec::with_capacity(fields.len());
            for (field, column) in fields.iter().zip(record.columns()) {
                let mut name = Vec::new();
                string(field.name().as_bytes(), &mut name);
                name.push(b':');
                members.push((name, cell(column.as_ref())?));
            }
            Ok(Cell::new(array, move |row, out| {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name);
                    or_null(value, row, out)?;
                }
                out.push(b'}');
                Ok(())
            }))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            // A key is a JSON string whatever its type.
            let keys = text(map.keys().as_ref())?;
            let values = cell(map.values().as_ref())?;
            let offsets = map.value_offsets();
            Ok(Cell::new(array, move |row, out| {
                out.push(b'{');
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                for entry in start..end {
                    if entry > start {
                        out.push(b',');
                    }
                    quoted(&keys, entry, out)?;
                    out.push(b':');
                    or_null(&values, entry, out)?;
                }
                out.push(b'}');
                Ok(())
            }))
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let (values, range) = list::ranges(array)?;
            let values = cell(values)?;
            Ok(Cell::new(array, move |row, out| {
                out.push(b'[');
                for (index, entry) in range(row).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    or_null(&values, entry, out)?;
                }
                out.push(b']');
                Ok(())
            }))
        }
        _ => scalar(array),
    }
}

fn or_null(value: &Cell<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if value.is_null(row) {
        out.extend_from_slice(b"null");
        Ok(())
    } else {
        value.write(row, out)
    }
}

fn text(array: &dyn Array) -> Result<Cell<'_>, EncodeError> {
    // Any scalar will do for the type: the accessor follows the Arrow type.
    cell::cell(array, PgType::Scalar(Scalar::Text), Format::Text)
}

fn scalar(array: &dyn Array) -> Result<Cell<'_>, EncodeError> {
    match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean();
            Ok(Cell::new(array, move |row, out| {
                let word: &[u8] = if values.value(row) { b"true" } else { b"false" };
                out.extend_from_slice(word);
                Ok(())
            }))
        }
        DataType::Timestamp(unit, zone) => Ok(timestamp(array, *unit, zone.is_some())),
        data_type if data_type.is_integer() || data_type.is_decimal() => text(array),
        data_type if data_type.is_floating() => {
            let inner = text(array)?;
            Ok(Cell::new(array, move |row, out| {
                let start = out.len();
                inner.write(row, out)?;
                // NaN and the infinities are no JSON numbers.
                if out[start..].iter().any(u8::is_ascii_uppercase) {
                    out.insert(start, b'"');
                    out.push(b'"');
                }
                Ok(())
            }))
        }
        _ => {
            let inner = text(array)?;
            // The null type has no null buffer: its accessor knows.
            if array.data_type() == &DataType::Null {
                return Ok(inner);
            }
            Ok(Cell::new(array, move |row, out| quoted(&inner, row, out)))
        }
    }
}

fn timestamp(array: &dyn Array, unit: TimeUnit, zoned: bool) -> Cell<'_> {
    let write = move |micros: Option<i64>, out: &mut Vec<u8>| {
        out.push(b'"');
        temporal::timestamp_json(micros, zoned, out)?;
        out.push(b'"');
        Ok(())
    };
    match unit {
        TimeUnit::Second => {
            let values = array.as_primitive::<TimestampSecondType>();
            Cell::new(array, move |row, out| write(values.value(row).checked_mul(1_000_000), out))
        }
        TimeUnit::Millisecond => {
            let values = array.as_primitive::<TimestampMillisecondType>();
            Cell::new(array, move |row, out| write(values.value(row).checked_mul(1_000), out))
        }
        TimeUnit::Microsecond => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            Cell::new(array, move |row, out| write(Some(values.value(row)), out))
        }
        TimeUnit::Nanosecond => {
            let values = array.as_primitive::<TimestampNanosecondType>();
            Cell::new(array, move |row, out| write(Some(values.value(row).div_euclid(1_000)), out))
        }
    }
}

/// The text of a value as a JSON string.
fn quoted(inner: &Cell<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    inner.write(row, out)?;
    let plain = out.split_off(start);
    string(&plain, out);
    Ok(())
}

fn string(plain: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in plain {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                for nibble in [byte >> 4, byte & 0x0f] {
                    out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
                }
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
