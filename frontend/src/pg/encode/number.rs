//! Integers, floats and numerics as PostgreSQL writes them.

use arrow::datatypes::i256;

use super::EncodeError;

/// Decimal digits of an integer.
pub(super) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    Ok(())
}

/// Shortest text that reads back as the same `float4`.
pub(super) fn float4(value: f32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if value.is_finite() {
        // From a million on PostgreSQL changes to an exponent.
        finite(ryu::Buffer::new().format_finite(value), 6, out);
    } else {
        special(f64::from(value), out);
    }
    Ok(())
}

/// Shortest text that reads back as the same `float8`.
pub(super) fn float8(value: f64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if value.is_finite() {
        finite(ryu::Buffer::new().format_finite(value), 15, out);
    } else {
        special(value, out);
    }
    Ok(())
}

fn special(value: f64, out: &mut Vec<u8>) {
    let text = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    out.extend_from_slice(text.as_bytes());
}

/// Rewrites ryu's notation into PostgreSQL's: the same digits, an exponent below 1e-4 and from
/// `10^fixed_limit` on, with a sign and at least two digits.
fn finite(shortest: &str, fixed_limit: i32, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 32];
    let mut count = 0;
    let mut exponent = 0;
    // Digits before the point, and zeros after it before the first other digit.
    let mut integral = 0;
    let mut after_point = false;
    let mut bytes = shortest.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'-' => out.push(b'-'),
            b'.' => after_point = true,
            b'e' => {
                exponent = bytes.as_str_exponent();
                break;
            }
            digit => {
                if count == 0 && digit == b'0' {
                    if after_point {
                        integral -= 1;
                    }
                    continue;
                }
                if !after_point {
                    integral += 1;
                }
                if let Some(slot) = digits.get_mut(count) {
                    *slot = digit;
                    count += 1;
                }
            }
        }
    }
    while count > 0 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let Some((first, rest)) = digits.get(..count).and_then(<[u8]>::split_first) else {
        out.push(b'0');
        return;
    };
    let exponent = exponent + integral - 1;
    if exponent < -4 || exponent >= fixed_limit {
        out.push(*first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(exponent.abs()).as_bytes());
    } else {
        fixed(&digits[..count], count as i32 - 1 - exponent, out);
    }
}

/// What is left of ryu's output after the `e`.
trait Exponent {
    fn as_str_exponent(&mut self) -> i32;
}

impl Exponent for std::str::Bytes<'_> {
    fn as_str_exponent(&mut self) -> i32 {
        let mut negative = false;
        let mut value = 0;
        for byte in self {
            match byte {
                b'-' => negative = true,
                digit => value = value * 10 + i32::from(digit - b'0'),
            }
        }
        if negative { -value } else { value }
    }
}

/// Digits with a point `scale` places from their right; a negative scale appends zeros.
fn fixed(digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    let scale_places = usize::try_from(scale).unwrap_or(0);
    if scale <= 0 {
        out.extend_from_slice(digits);
        out.resize(out.len() + usize::try_from(-scale).unwrap_or(0), b'0');
    } else if digits.len() > scale_places {
        let (integral, fraction) = digits.split_at(digits.len() - scale_places);
        out.extend_from_slice(integral);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale_places - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

/// A numeric in text, with exactly its declared scale.
pub(super) fn decimal_text(value: i128, scale: i32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    text_digits(value < 0, itoa::Buffer::new().format(value.unsigned_abs()).as_bytes(), scale, out);
    Ok(())
}

/// A numeric of up to 76 digits in text.
pub(super) fn wide_decimal_text(value: i256, scale: i32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(value) = value.to_i128() {
        return decimal_text(value, scale, out);
    }
    let text = value.to_string();
    let digits = text.trim_start_matches('-');
    text_digits(value.is_negative(), digits.as_bytes(), scale, out);
    Ok(())
}

fn text_digits(negative: bool, digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    // 0 with a negative scale is 0, not 000.
    fixed(digits, if digits == b"0" { scale.max(0) } else { scale }, out);
}

/// A numeric in PostgreSQL's binary form.
pub(super) fn decimal_binary(value: i128, scale: i32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    binary_digits(value < 0, itoa::Buffer::new().format(value.unsigned_abs()).as_bytes(), scale, out);
    Ok(())
}

/// A numeric of up to 76 digits in PostgreSQL's binary form.
pub(super) fn wide_decimal_binary(value: i256, scale: i32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(value) = value.to_i128() {
        return decimal_binary(value, scale, out);
    }
    let text = value.to_string();
    binary_digits(value.is_negative(), text.trim_start_matches('-').as_bytes(), scale, out);
    Ok(())
}

/// Groups decimal digits (no leading zeros) by ten thousands around the point:
/// count, weight of the first group, sign, display scale, groups; all 16 bits.
fn binary_digits(negative: bool, digits: &[u8], scale: i32, out: &mut Vec<u8>) {
    let display_scale = scale.max(0) as u16;
    if digits == b"0" {
        for word in [0, 0, 0, display_scale] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        return;
    }
    // At most 76 digits and a scale of 8 bits: everything below fits 16 bits.
    let integral = digits.len() as i32 - scale;
    let weight = (integral + 3).div_euclid(4) - 1;
    let padding = ((weight + 1) * 4 - integral) as usize;
    let groups = (padding + digits.len()).div_ceil(4);
    let header = out.len();
    out.extend_from_slice(&[0; 8]);
    let mut kept = 0_u16;
    let mut kept_end = out.len();
    for group in 0..groups {
        let mut value = 0_u16;
        for place in group * 4..group * 4 + 4 {
            let digit = place.checked_sub(padding).and_then(|index| digits.get(index));
            value = value * 10 + digit.map_or(0, |digit| u16::from(digit - b'0'));
        }
        out.extend_from_slice(&value.to_be_bytes());
        // Groups of zeros at the end are not sent.
        if value != 0 {
            kept = group as u16 + 1;
            kept_end = out.len();
        }
    }
    out.truncate(kept_end);
    let sign = if negative { 0x4000_u16 } else { 0 };
    for (index, word) in [kept, weight as i16 as u16, sign, display_scale].into_iter().enumerate() {
        let at = header + index * 2;
        if let Some(slot) = out.get_mut(at..at + 2) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
    }
}
