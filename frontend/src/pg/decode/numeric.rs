//! Numeric parameters, exactly as sent: up to 76 digits, each value with its own precision and scale.

use arrow::datatypes::i256;
use datafusion::common::ScalarValue;

use super::super::error::WireError;
use super::super::types::Scalar;
use super::{malformed, malformed_binary, out_of_range};

/// More digits than this have no decimal type.
const MAX_DIGITS: usize = 76;

/// `[+-]digits[.digits][e[+-]digits]`
pub(super) fn from_text(text: &str) -> Result<ScalarValue, WireError> {
    let kind = Scalar::Numeric;
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let mut digits = Vec::with_capacity(unsigned.len());
    let mut scale = 0_i64;
    let mut after_point = false;
    let mut exponent = 0_i64;
    let mut bytes = unsigned.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'0'..=b'9' => {
                digits.push(byte);
                scale += i64::from(after_point);
            }
            b'.' if !after_point => after_point = true,
            b'e' | b'E' if !digits.is_empty() => {
                let text = std::str::from_utf8(bytes.as_slice()).map_err(|_| malformed(kind))?;
                exponent = text.parse::<i32>().map_err(|_| malformed(kind))?.into();
                break;
            }
            _ => {
                let special = ["nan", "infinity", "inf"]
                    .iter()
                    .any(|word| unsigned.eq_ignore_ascii_case(word.as_bytes()));
                return Err(if special { out_of_range(kind) } else { malformed(kind) });
            }
        }
    }
    if digits.is_empty() {
        return Err(malformed(kind));
    }
    decimal(negative, digits, scale - exponent)
}

/// PostgreSQL's form: count of groups, weight of the first, sign, display scale, groups of four digits.
pub(super) fn from_binary(bytes: &[u8]) -> Result<ScalarValue, WireError> {
    let mut words = bytes.chunks_exact(2).map(|word| match word {
        [high, low] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    });
    let mut next = || words.next().ok_or_else(malformed_binary);
    let (count, weight, sign, display_scale) = (next()?, next()? as i16, next()?, next()?);
    if bytes.len() != 8 + usize::from(count) * 2 || display_scale > 0x3fff {
        return Err(malformed_binary());
    }
    let negative = match sign {
        0x0000 => false,
        0x4000 => true,
        // Not a number, and the infinities.
        0xc000 | 0xd000 | 0xf000 => return Err(out_of_range(Scalar::Numeric)),
        _ => return Err(malformed_binary()),
    };
    let mut digits = Vec::with_capacity(usize::from(count) * 4);
    for group in words {
        if group > 9_999 {
            return Err(malformed_binary());
        }
        digits.extend([group / 1_000, group / 100 % 10, group / 10 % 10, group % 10].map(|d| b'0' + d as u8));
    }
    if digits.is_empty() {
        digits.push(b'0');
        return decimal(false, digits, display_scale.into());
    }
    let scale = (i64::from(count) - 1 - i64::from(weight)) * 4;
    // Digits beyond the display scale are only the rest of a group; those within it are shown as zeros.
    let display_scale = i64::from(display_scale);
    let surplus = usize::try_from(scale - display_scale).unwrap_or(0);
    let kept = digits.len().saturating_sub(surplus.min(3));
    if digits.iter().skip(kept).all(|&digit| digit == b'0') && surplus <= 3 {
        digits.truncate(kept.max(1));
        let scale = scale - (surplus as i64);
        return decimal(negative, digits, scale);
    }
    decimal(negative, digits, scale)
}

/// A decimal of the digits with the point `scale` places from the right.
fn decimal(negative: bool, mut digits: Vec<u8>, mut scale: i64) -> Result<ScalarValue, WireError> {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    digits.drain(..zeros);
    // Zeros at the end of the fraction can go when there are too many digits otherwise.
    while scale > 0 && scale.max(digits.len() as i64) > 38 && digits.last() == Some(&b'0') {
        digits.pop();
        scale -= 1;
    }
    if digits.is_empty() {
        // Zero, with at most as many places as a decimal has.
        scale = scale.clamp(0, 38);
    }
    if scale < 0 {
        let places = usize::try_from(-scale).unwrap_or(usize::MAX);
        if digits.len().saturating_add(places) > MAX_DIGITS {
            return Err(out_of_range(Scalar::Numeric));
        }
        digits.resize(digits.len() + places, b'0');
        scale = 0;
    }
    let precision = digits.len().max(usize::try_from(scale).unwrap_or(usize::MAX)).max(1);
    if precision > MAX_DIGITS {
        return Err(out_of_range(Scalar::Numeric));
    }
    let mut text = String::with_capacity(digits.len() + 1);
    if negative {
        text.push('-');
    }
    if digits.is_empty() {
        text.push('0');
    }
    text.extend(digits.iter().map(|&digit| char::from(digit)));
    // At most 76, checked above.
    let (precision, scale) = (precision as u8, scale as i8);
    if precision <= 38 {
        let value: i128 = text.parse().map_err(|_| malformed(Scalar::Numeric))?;
        Ok(ScalarValue::Decimal128(Some(value), precision, scale))
    } else {
        let value = i256::from_string(&text).ok_or_else(|| malformed(Scalar::Numeric))?;
        Ok(ScalarValue::Decimal256(Some(value), precision, scale))
    }
}
