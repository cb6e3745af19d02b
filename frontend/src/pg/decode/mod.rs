//! Parameters: what clients send, in text or binary, into the engine's scalars. No bytes make it panic.
//!
//! Messages name the parameter's type, never its value.

mod array;
mod binary;
mod numeric;
mod temporal;
mod text;

#[cfg(test)]
mod tests;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::encode::Format;
use super::error::{
    INTERNAL_ERROR, INVALID_BINARY_REPRESENTATION, INVALID_TEXT_REPRESENTATION, NUMERIC_VALUE_OUT_OF_RANGE,
    WireError,
};
use super::types::{PgType, Scalar};

/// Decodes one parameter (None: NULL). The value has the planned type `target` where that holds it exactly,
/// and otherwise the type of `kind` itself.
///
/// # Errors
/// 22P02, 22P03, 22003, 22007, 22008, 22021, 0A000.
pub(super) fn parameter(
    kind: PgType,
    format: Format,
    bytes: Option<&[u8]>,
    target: &DataType,
) -> Result<ScalarValue, WireError> {
    let Some(bytes) = bytes else {
        return ScalarValue::try_from(target)
            .map_err(|_| WireError::error(INTERNAL_ERROR, "a parameter's type has no NULL"));
    };
    let value = match kind {
        PgType::Scalar(scalar) => self::scalar(scalar, format, bytes)?,
        PgType::Array(element) => array::decode(element, format, bytes)?,
    };
    if kind == PgType::Scalar(Scalar::Uuid)
        && *target == DataType::FixedSizeBinary(16)
        && let ScalarValue::Utf8(Some(text)) = &value
    {
        let bytes = text::uuid_bytes(text)?.to_vec();
        return Ok(ScalarValue::FixedSizeBinary(16, Some(bytes)));
    }
    Ok(fit(value, target))
}

fn scalar(kind: Scalar, format: Format, bytes: &[u8]) -> Result<ScalarValue, WireError> {
    match format {
        Format::Text => text::decode(kind, bytes),
        Format::Binary => binary::decode(kind, bytes),
    }
}

/// The value in the target type, if that changes nothing about it.
fn fit(value: ScalarValue, target: &DataType) -> ScalarValue {
    let own = value.data_type();
    if own == *target || *target == DataType::Null {
        return value;
    }
    let Ok(cast) = value.cast_to(target) else { return value };
    let same = cast.cast_to(&own).is_ok_and(|back| back == value);
    if same { cast } else { value }
}

/// 22P02 for a type.
fn malformed(kind: Scalar) -> WireError {
    WireError::error(INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {}", kind.name()))
}

/// 22P03: the bytes are not a value of the type.
fn malformed_binary() -> WireError {
    WireError::error(INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
}

/// 22003 for a type.
fn out_of_range(kind: Scalar) -> WireError {
    WireError::error(NUMERIC_VALUE_OUT_OF_RANGE, format!("value is out of range for type {}", kind.name()))
}
