//! Parameters in binary format.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;

use super::super::calendar::{DAY_MICROS, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS, is_date, is_timestamp};
use super::super::error::WireError;
use super::super::types::{Scalar, UTC};
use super::text::{utf8, uuid_text};
use super::{malformed_binary, numeric, temporal};

/// Decodes the binary form of one value.
pub(super) fn decode(kind: Scalar, bytes: &[u8]) -> Result<ScalarValue, WireError> {
    Ok(match kind {
        Scalar::Bool => match bytes {
            [value] => ScalarValue::Boolean(Some(*value != 0)),
            _ => return Err(malformed_binary()),
        },
        Scalar::Int2 => ScalarValue::Int16(Some(i16::from_be_bytes(exact(bytes)?))),
        Scalar::Int4 => ScalarValue::Int32(Some(i32::from_be_bytes(exact(bytes)?))),
        Scalar::Int8 => ScalarValue::Int64(Some(i64::from_be_bytes(exact(bytes)?))),
        Scalar::Oid => ScalarValue::Int64(Some(u32::from_be_bytes(exact(bytes)?).into())),
        Scalar::Float4 => ScalarValue::Float32(Some(f32::from_be_bytes(exact(bytes)?))),
        Scalar::Float8 => ScalarValue::Float64(Some(f64::from_be_bytes(exact(bytes)?))),
        Scalar::Numeric => numeric::from_binary(bytes)?,
        Scalar::Bytea => ScalarValue::Binary(Some(bytes.to_vec())),
        Scalar::Date => {
            // Any 32-bit number of days fits 64 bits; the infinities are out of range like the rest.
            let days = i64::from(i32::from_be_bytes(exact(bytes)?)) + POSTGRES_EPOCH_DAYS;
            let in_range = i32::try_from(days).ok().filter(|_| is_date(days));
            ScalarValue::Date32(Some(in_range.ok_or_else(|| temporal::out_of_range(kind))?))
        }
        Scalar::Time => {
            let micros = i64::from_be_bytes(exact(bytes)?);
            if !(0..=DAY_MICROS).contains(&micros) {
                return Err(temporal::out_of_range(kind));
            }
            ScalarValue::Time64Microsecond(Some(micros))
        }
        Scalar::Timestamp => ScalarValue::TimestampMicrosecond(Some(timestamp(kind, bytes)?), None),
        Scalar::Timestamptz => {
            ScalarValue::TimestampMicrosecond(Some(timestamp(kind, bytes)?), Some(UTC.into()))
        }
        Scalar::Interval => {
            let Some((micros, rest)) = bytes.split_first_chunk::<8>() else {
                return Err(malformed_binary());
            };
            let Some((days, months)) = rest.split_first_chunk::<4>() else {
                return Err(malformed_binary());
            };
            let nanoseconds =
                i64::from_be_bytes(*micros).checked_mul(1_000).ok_or_else(|| temporal::out_of_range(kind))?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano {
                months: i32::from_be_bytes(exact(months)?),
                days: i32::from_be_bytes(*days),
                nanoseconds,
            }))
        }
        Scalar::Uuid => ScalarValue::Utf8(Some(uuid_text(&exact(bytes)?))),
        Scalar::Jsonb => match bytes.split_first() {
            // The version of the format.
            Some((1, json)) => ScalarValue::Utf8(Some(utf8(json)?.to_owned())),
            _ => return Err(malformed_binary()),
        },
        Scalar::Char
        | Scalar::Name
        | Scalar::Text
        | Scalar::Json
        | Scalar::Unknown
        | Scalar::Bpchar
        | Scalar::Varchar => ScalarValue::Utf8(Some(utf8(bytes)?.to_owned())),
    })
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| malformed_binary())
}

fn timestamp(kind: Scalar, bytes: &[u8]) -> Result<i64, WireError> {
    i64::from_be_bytes(exact(bytes)?)
        .checked_add(POSTGRES_EPOCH_MICROS)
        .filter(|&micros| is_timestamp(micros))
        .ok_or_else(|| temporal::out_of_range(kind))
}
