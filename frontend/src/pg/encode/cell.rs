//! Typed accessors: one closure per column of a batch.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};

use super::super::types::{PgType, Scalar};
use super::{EncodeError, Format, json, list, number, temporal};

type Write<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<(), EncodeError> + Send + Sync + 'a>;

/// Writes the values of one column, without their length.
pub(super) struct Cell<'a> {
    nulls: Nulls<'a>,
    write: Write<'a>,
}

enum Nulls<'a> {
    None,
    All,
    Some(&'a NullBuffer),
}

impl<'a> Cell<'a> {
    /// A cell over `array`'s own nulls.
    pub(super) fn new(
        array: &'a dyn Array,
        write: impl Fn(usize, &mut Vec<u8>) -> Result<(), EncodeError> + Send + Sync + 'a,
    ) -> Self {
        let nulls = array.nulls().map_or(Nulls::None, Nulls::Some);
        Self { nulls, write: Box::new(write) }
    }

    /// Whether the value is NULL.
    pub(super) fn is_null(&self, row: usize) -> bool {
        match self.nulls {
            Nulls::None => false,
            Nulls::All => true,
            Nulls::Some(nulls) => nulls.is_null(row),
        }
    }

    /// Writes a value that is not NULL.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        (self.write)(row, out)
    }
}

/// The accessor for an array of a plain type, sent as `kind`.
pub(super) fn cell(array: &dyn Array, kind: PgType, format: Format) -> Result<Cell<'_>, EncodeError> {
    match kind {
        PgType::Array(element) => list::cell(array, element, format),
        PgType::Scalar(Scalar::Uuid) => uuid(array, format),
        PgType::Scalar(Scalar::Json) => json::cell(array),
        PgType::Scalar(_) => scalar(array, format),
    }
}

/// A primitive column whose two forms are pure functions of the value.
fn primitive<'a, T: ArrowPrimitiveType>(
    array: &'a dyn Array,
    format: Format,
    text: impl Fn(T::Native, &mut Vec<u8>) -> Result<(), EncodeError> + Send + Sync + 'a,
    binary: impl Fn(T::Native, &mut Vec<u8>) -> Result<(), EncodeError> + Send + Sync + 'a,
) -> Cell<'a> {
    let values = array.as_primitive::<T>();
    match format {
        Format::Text => Cell::new(array, move |row, out| text(values.value(row), out)),
        Format::Binary => Cell::new(array, move |row, out| binary(values.value(row), out)),
    }
}

/// An integer column; `$wide` is the Rust type whose big-endian bytes are the binary form.
macro_rules! integer {
    ($array:expr, $format:expr, $arrow:ty, $wide:ty) => {
        primitive::<$arrow>(
            $array,
            $format,
            |value, out| number::integer(value, out),
            |value, out| {
                out.extend_from_slice(&<$wide>::from(value).to_be_bytes());
                Ok(())
            },
        )
    };
}

/// A column of integers scaled by a power of ten.
macro_rules! decimal {
    ($array:expr, $format:expr, $arrow:ty, $scale:expr, $text:path, $binary:path) => {
        primitive::<$arrow>(
            $array,
            $format,
            move |value, out| $text(value.into(), $scale, out),
            move |value, out| $binary(value.into(), $scale, out),
        )
    };
}

fn scalar(array: &dyn Array, format: Format) -> Result<Cell<'_>, EncodeError> {
    Ok(match array.data_type() {
        DataType::Null => Cell { nulls: Nulls::All, write: Box::new(|_, _| Ok(())) },
        DataType::Boolean => boolean(array, array.as_boolean(), format),
        DataType::Int8 => integer!(array, format, Int8Type, i16),
        DataType::Int16 => integer!(array, format, Int16Type, i16),
        DataType::Int32 => integer!(array, format, Int32Type, i32),
        DataType::Int64 => integer!(array, format, Int64Type, i64),
        DataType::UInt8 => integer!(array, format, UInt8Type, i16),
        DataType::UInt16 => integer!(array, format, UInt16Type, i32),
        DataType::UInt32 => integer!(array, format, UInt32Type, i64),
        DataType::UInt64 => primitive::<UInt64Type>(array, format, number::integer, |value, out| {
            number::decimal_binary(value.into(), 0, out)
        }),
        DataType::Float32 => primitive::<Float32Type>(array, format, number::float4, |value, out| {
            out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }),
        DataType::Float64 => primitive::<Float64Type>(array, format, number::float8, |value, out| {
            out.extend_from_slice(&value.to_be_bytes());
            Ok(())
        }),
        DataType::Decimal32(_, scale) => {
            let scale = i32::from(*scale);
            decimal!(array, format, Decimal32Type, scale, number::decimal_text, number::decimal_binary)
        }
        DataType::Decimal64(_, scale) => {
            let scale = i32::from(*scale);
            decimal!(array, format, Decimal64Type, scale, number::decimal_text, number::decimal_binary)
        }
        DataType::Decimal128(_, scale) => {
            let scale = i32::from(*scale);
            decimal!(array, format, Decimal128Type, scale, number::decimal_text, number::decimal_binary)
        }
        DataType::Decimal256(_, scale) => {
            let scale = i32::from(*scale);
            decimal!(
                array,
                format,
                Decimal256Type,
                scale,
                number::wide_decimal_text,
                number::wide_decimal_binary
            )
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            Cell::new(array, move |row, out| raw(values.value(row).as_bytes(), out))
        }
        DataType::LargeUtf8 => {
            let values = array.as_string::<i64>();
            Cell::new(array, move |row, out| raw(values.value(row).as_bytes(), out))
        }
        DataType::Utf8View => {
            let values = array.as_string_view();
            Cell::new(array, move |row, out| raw(values.value(row).as_bytes(), out))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            bytea(array, format, move |row| values.value(row))
        }
        DataType::LargeBinary => {
            let values = array.as_binary::<i64>();
            bytea(array, format, move |row| values.value(row))
        }
        DataType::BinaryView => {
            let values = array.as_binary_view();
            bytea(array, format, move |row| values.value(row))
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            bytea(array, format, move |row| values.value(row))
        }
        _ => return time(array, format),
    })
}

fn time(array: &dyn Array, format: Format) -> Result<Cell<'_>, EncodeError> {
    use temporal::{
        date_binary, date_text, interval_binary, interval_text, time_binary, time_text, timestamp_binary,
        timestamp_text,
    };
    Ok(match array.data_type() {
        DataType::Date32 => primitive::<Date32Type>(
            array,
            format,
            |days, out| date_text(days.into(), out),
            |days, out| date_binary(days.into(), out),
        ),
        DataType::Date64 => {
            let days = |millis: i64| millis.div_euclid(86_400_000);
            primitive::<Date64Type>(
                array,
                format,
                move |value, out| date_text(days(value), out),
                move |value, out| date_binary(days(value), out),
            )
        }
        DataType::Time32(TimeUnit::Second) => primitive::<Time32SecondType>(
            array,
            format,
            |value, out| time_text(i64::from(value) * 1_000_000, out),
            |value, out| time_binary(i64::from(value) * 1_000_000, out),
        ),
        DataType::Time32(_) => primitive::<Time32MillisecondType>(
            array,
            format,
            |value, out| time_text(i64::from(value) * 1_000, out),
            |value, out| time_binary(i64::from(value) * 1_000, out),
        ),
        DataType::Time64(TimeUnit::Nanosecond) => primitive::<Time64NanosecondType>(
            array,
            format,
            |value, out| time_text(value.div_euclid(1_000), out),
            |value, out| time_binary(value.div_euclid(1_000), out),
        ),
        DataType::Time64(_) => primitive::<Time64MicrosecondType>(array, format, time_text, time_binary),
        DataType::Timestamp(unit, zone) => {
            let zoned = zone.is_some();
            match unit {
                TimeUnit::Second => primitive::<TimestampSecondType>(
                    array,
                    format,
                    move |value, out| timestamp_text(value.checked_mul(1_000_000), zoned, out),
                    |value, out| timestamp_binary(value.checked_mul(1_000_000), out),
                ),
                TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(
                    array,
                    format,
                    move |value, out| timestamp_text(value.checked_mul(1_000), zoned, out),
                    |value, out| timestamp_binary(value.checked_mul(1_000), out),
                ),
                TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(
                    array,
                    format,
                    move |value, out| timestamp_text(Some(value), zoned, out),
                    |value, out| timestamp_binary(Some(value), out),
                ),
                TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(
                    array,
                    format,
                    move |value, out| timestamp_text(Some(value.div_euclid(1_000)), zoned, out),
                    |value, out| timestamp_binary(Some(value.div_euclid(1_000)), out),
                ),
            }
        }
        DataType::Interval(IntervalUnit::YearMonth) => primitive::<IntervalYearMonthType>(
            array,
            format,
            |months, out| interval_text(months, 0, Some(0), out),
            |months, out| interval_binary(months, 0, Some(0), out),
        ),
        DataType::Interval(IntervalUnit::DayTime) => primitive::<IntervalDayTimeType>(
            array,
            format,
            |value, out| interval_text(0, value.days, Some(i64::from(value.milliseconds) * 1_000), out),
            |value, out| interval_binary(0, value.days, Some(i64::from(value.milliseconds) * 1_000), out),
        ),
        DataType::Interval(IntervalUnit::MonthDayNano) => primitive::<IntervalMonthDayNanoType>(
            array,
            format,
            |value, out| interval_text(value.months, value.days, Some(value.nanoseconds / 1_000), out),
            |value, out| interval_binary(value.months, value.days, Some(value.nanoseconds / 1_000), out),
        ),
        DataType::Duration(TimeUnit::Second) => primitive::<DurationSecondType>(
            array,
            format,
            |value, out| interval_text(0, 0, value.checked_mul(1_000_000), out),
            |value, out| interval_binary(0, 0, value.checked_mul(1_000_000), out),
        ),
        DataType::Duration(TimeUnit::Millisecond) => primitive::<DurationMillisecondType>(
            array,
            format,
            |value, out| interval_text(0, 0, value.checked_mul(1_000), out),
            |value, out| interval_binary(0, 0, value.checked_mul(1_000), out),
        ),
        DataType::Duration(TimeUnit::Microsecond) => primitive::<DurationMicrosecondType>(
            array,
            format,
            |value, out| interval_text(0, 0, Some(value), out),
            |value, out| interval_binary(0, 0, Some(value), out),
        ),
        DataType::Duration(TimeUnit::Nanosecond) => primitive::<DurationNanosecondType>(
            array,
            format,
            |value, out| interval_text(0, 0, Some(value / 1_000), out),
            |value, out| interval_binary(0, 0, Some(value / 1_000), out),
        ),
        _ => return Err(EncodeError::Mismatch),
    })
}

fn raw(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.extend_from_slice(bytes);
    Ok(())
}

fn boolean<'a>(array: &'a dyn Array, values: &'a BooleanArray, format: Format) -> Cell<'a> {
    match format {
        Format::Text => Cell::new(array, move |row, out| {
            out.push(if values.value(row) { b't' } else { b'f' });
            Ok(())
        }),
        Format::Binary => Cell::new(array, move |row, out| {
            out.push(u8::from(values.value(row)));
            Ok(())
        }),
    }
}

fn bytea<'a>(
    array: &'a dyn Array,
    format: Format,
    value: impl Fn(usize) -> &'a [u8] + Send + Sync + 'a,
) -> Cell<'a> {
    match format {
        Format::Text => Cell::new(array, move |row, out| {
            out.extend_from_slice(b"\\x");
            hex(value(row), out);
            Ok(())
        }),
        Format::Binary => Cell::new(array, move |row, out| raw(value(row), out)),
    }
}

fn uuid(array: &dyn Array, format: Format) -> Result<Cell<'_>, EncodeError> {
    let Some(values) = array.as_fixed_size_binary_opt() else {
        return Err(EncodeError::Mismatch);
    };
    Ok(match format {
        Format::Text => Cell::new(array, move |row, out| {
            let value = values.value(row);
            for (index, group) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
                if index > 0 {
                    out.push(b'-');
                }
                hex(value.get(group).unwrap_or_default(), out);
            }
            Ok(())
        }),
        Format::Binary => Cell::new(array, move |row, out| raw(values.value(row), out)),
    })
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 0x0f)]);
    }
}
