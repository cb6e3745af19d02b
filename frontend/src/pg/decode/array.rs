//! One-dimensional array parameters.

use arrow::array::new_empty_array;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;

use super::super::encode::Format;
use super::super::error::{FEATURE_NOT_SUPPORTED, INVALID_TEXT_REPRESENTATION, WireError};
use super::super::types::{PgType, Scalar};
use super::{malformed_binary, out_of_range, scalar};

/// Decodes a list of scalars.
pub(super) fn decode(element: Scalar, format: Format, bytes: &[u8]) -> Result<ScalarValue, WireError> {
    let values = match format {
        Format::Text => from_text(bytes)?
            .into_iter()
            .map(|value| value.map(|bytes| scalar(element, Format::Text, &bytes)).transpose())
            .collect::<Result<Vec<_>, _>>()?,
        Format::Binary => from_binary(element, bytes)?,
    };
    list(element, values)
}

fn list(element: Scalar, values: Vec<Option<ScalarValue>>) -> Result<ScalarValue, WireError> {
    let data_type = match element {
        Scalar::Numeric => common_decimal(&values)?,
        other => other.arrow().unwrap_or(DataType::Utf8),
    };
    if values.is_empty() {
        return Ok(SingleRowListArrayBuilder::new(new_empty_array(&data_type)).build_list_scalar());
    }
    let internal = |_| WireError::error(super::INTERNAL_ERROR, "an array parameter could not be built");
    let values = values
        .into_iter()
        .map(|value| match value {
            Some(value) => value.cast_to(&data_type),
            None => ScalarValue::try_from(&data_type),
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(internal)?;
    let array = ScalarValue::iter_to_array(values).map_err(internal)?;
    Ok(SingleRowListArrayBuilder::new(array).build_list_scalar())
}

/// The narrowest decimal that holds all values exactly.
fn common_decimal(values: &[Option<ScalarValue>]) -> Result<DataType, WireError> {
    let (mut integral, mut scale) = (1, 0);
    for value in values.iter().flatten() {
        if let DataType::Decimal128(precision, places) | DataType::Decimal256(precision, places) =
            value.data_type()
        {
            integral = integral.max(i32::from(precision) - i32::from(places));
            scale = scale.max(i32::from(places));
        }
    }
    match (u8::try_from(integral + scale), i8::try_from(scale)) {
        (Ok(precision @ 0..=38), Ok(scale)) => Ok(DataType::Decimal128(precision, scale)),
        (Ok(precision @ 39..=76), Ok(scale)) => Ok(DataType::Decimal256(precision, scale)),
        _ => Err(out_of_range(Scalar::Numeric)),
    }
}

fn malformed() -> WireError {
    WireError::error(INVALID_TEXT_REPRESENTATION, "malformed array literal")
}

fn one_dimension_only() -> WireError {
    WireError::error(FEATURE_NOT_SUPPORTED, "only one-dimensional array parameters are supported")
}

/// `{a,"b, c",NULL}`
fn from_text(bytes: &[u8]) -> Result<Vec<Option<Vec<u8>>>, WireError> {
    let bytes = bytes.trim_ascii();
    if bytes.first() == Some(&b'[') {
        // Explicit bounds.
        return Err(one_dimension_only());
    }
    let inner = bytes.strip_prefix(b"{").and_then(|bytes| bytes.strip_suffix(b"}")).ok_or_else(malformed)?;
    let mut values = Vec::new();
    let mut rest = inner.trim_ascii();
    if rest.is_empty() {
        return Ok(values);
    }
    loop {
        let (value, after) = one(rest.trim_ascii_start())?;
        values.push(value);
        rest = after.trim_ascii_start();
        match rest.split_first() {
            None => return Ok(values),
            Some((b',', after)) => rest = after,
            Some(_) => return Err(malformed()),
        }
    }
}

type Element<'a> = (Option<Vec<u8>>, &'a [u8]);

/// One element, and what follows it.
fn one(text: &[u8]) -> Result<Element<'_>, WireError> {
    if text.first() == Some(&b'{') {
        return Err(one_dimension_only());
    }
    let quoted = text.first() == Some(&b'"');
    let mut value = Vec::new();
    let mut escaped = false;
    let mut bytes = text.iter().enumerate().skip(usize::from(quoted));
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'\\' => {
                let (_, &next) = bytes.next().ok_or_else(malformed)?;
                value.push(next);
                escaped = true;
            }
            b'"' if quoted => return Ok((Some(value), text.get(at + 1..).unwrap_or_default())),
            b',' if !quoted => return plain(value, escaped, text.get(at..).unwrap_or_default()),
            b'"' | b'{' | b'}' if !quoted => return Err(malformed()),
            other => value.push(other),
        }
    }
    if quoted { Err(malformed()) } else { plain(value, escaped, &[]) }
}

fn plain(mut value: Vec<u8>, escaped: bool, rest: &[u8]) -> Result<Element<'_>, WireError> {
    if !escaped {
        value.truncate(value.trim_ascii_end().len());
        if value.is_empty() {
            return Err(malformed());
        }
        if value.eq_ignore_ascii_case(b"null") {
            return Ok((None, rest));
        }
    }
    Ok((Some(value), rest))
}

/// Dimensions, null flag, element type; length and lower bound of each dimension; elements.
fn from_binary(element: Scalar, bytes: &[u8]) -> Result<Vec<Option<ScalarValue>>, WireError> {
    let mut rest = bytes;
    let word = |rest: &mut &[u8]| -> Result<u32, WireError> {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(malformed_binary)?;
        *rest = tail;
        Ok(u32::from_be_bytes(*head))
    };
    let (dimensions, _has_null, oid) = (word(&mut rest)?, word(&mut rest)?, word(&mut rest)?);
    // Text in one of its other names is as good.
    let sent = match PgType::from_oid(oid) {
        Some(PgType::Scalar(sent)) if sent == element || sent.arrow() == element.arrow() => sent,
        _ => return Err(malformed_binary()),
    };
    match dimensions {
        0 if rest.is_empty() => return Ok(Vec::new()),
        0 => return Err(malformed_binary()),
        1 => {}
        _ => return Err(one_dimension_only()),
    }
    let (length, _lower_bound) = (word(&mut rest)? as usize, word(&mut rest)?);
    // Every element takes four bytes at least: nothing is reserved for a length that cannot be.
    if length > rest.len() / 4 {
        return Err(malformed_binary());
    }
    let mut values = Vec::with_capacity(length);
    for _ in 0..length {
        let size = word(&mut rest)? as i32;
        if size == -1 {
            values.push(None);
            continue;
        }
        let size = usize::try_from(size).map_err(|_| malformed_binary())?;
        let (value, tail) = rest.split_at_checked(size).ok_or_else(malformed_binary)?;
        rest = tail;
        values.push(Some(scalar(sent, Format::Binary, value)?));
    }
    if rest.is_empty() { Ok(values) } else { Err(malformed_binary()) }
}
