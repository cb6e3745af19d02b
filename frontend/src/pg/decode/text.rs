//! Parameters in text format.

use datafusion::common::ScalarValue;

use super::super::error::WireError;
use super::super::message::frontend::not_utf8;
use super::super::types::{Scalar, UTC};
use super::{malformed, numeric, out_of_range, temporal};

/// Decodes the text of one value.
pub(super) fn decode(kind: Scalar, bytes: &[u8]) -> Result<ScalarValue, WireError> {
    let text = utf8(bytes)?;
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    Ok(match kind {
        Scalar::Bool => ScalarValue::Boolean(Some(boolean(trimmed).ok_or_else(|| malformed(kind))?)),
        Scalar::Int2 => ScalarValue::Int16(Some(integer(kind, trimmed)?)),
        Scalar::Int4 => ScalarValue::Int32(Some(integer(kind, trimmed)?)),
        Scalar::Int8 => ScalarValue::Int64(Some(integer(kind, trimmed)?)),
        Scalar::Oid => ScalarValue::Int64(Some(i64::from(integer::<u32>(kind, trimmed)?))),
        Scalar::Float4 => {
            let value: f32 = trimmed.parse().map_err(|_| malformed(kind))?;
            if value.is_infinite() && !names_infinity(trimmed) {
                return Err(out_of_range(kind));
            }
            ScalarValue::Float32(Some(value))
        }
        Scalar::Float8 => {
            let value: f64 = trimmed.parse().map_err(|_| malformed(kind))?;
            if value.is_infinite() && !names_infinity(trimmed) {
                return Err(out_of_range(kind));
            }
            ScalarValue::Float64(Some(value))
        }
        Scalar::Numeric => numeric::from_text(trimmed)?,
        Scalar::Bytea => ScalarValue::Binary(Some(bytea(bytes).ok_or_else(|| malformed(kind))?)),
        Scalar::Date => ScalarValue::Date32(Some(temporal::date(trimmed)?)),
        Scalar::Time => ScalarValue::Time64Microsecond(Some(temporal::time(trimmed)?)),
        Scalar::Timestamp => {
            ScalarValue::TimestampMicrosecond(Some(temporal::timestamp(trimmed, false)?), None)
        }
        Scalar::Timestamptz => {
            ScalarValue::TimestampMicrosecond(Some(temporal::timestamp(trimmed, true)?), Some(UTC.into()))
        }
        Scalar::Interval => temporal::interval(trimmed)?,
        Scalar::Uuid => ScalarValue::Utf8(Some(uuid_text(&uuid_bytes(trimmed)?))),
        Scalar::Char
        | Scalar::Name
        | Scalar::Text
        | Scalar::Json
        | Scalar::Jsonb
        | Scalar::Unknown
        | Scalar::Bpchar
        | Scalar::Varchar => ScalarValue::Utf8(Some(text.to_owned())),
    })
}

/// Text as PostgreSQL stores it: UTF-8 without zeros.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, WireError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Ok(text),
        _ => Err(not_utf8()),
    }
}

fn names_infinity(text: &str) -> bool {
    text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'))
}

/// Any unambiguous beginning of true, false, yes, no, on, off, or a digit.
fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    match text.as_str() {
        "" | "o" => None,
        "on" | "1" => Some(true),
        "of" | "off" | "0" => Some(false),
        _ if "true".starts_with(&text) || "yes".starts_with(&text) => Some(true),
        _ if "false".starts_with(&text) || "no".starts_with(&text) => Some(false),
        _ => None,
    }
}

fn integer<T: std::str::FromStr<Err = std::num::ParseIntError>>(
    kind: Scalar,
    text: &str,
) -> Result<T, WireError> {
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => out_of_range(kind),
        _ => malformed(kind),
    })
}

/// `\x` and hexadecimal digits, or the older form with octal escapes.
fn bytea(text: &[u8]) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix(b"\\x") {
        let mut out = Vec::with_capacity(digits.len() / 2);
        let mut high = None;
        for byte in digits.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            let digit = hex(*byte)?;
            match high.take() {
                None => high = Some(digit),
                Some(high) => out.push(high << 4 | digit),
            }
        }
        return high.is_none().then_some(out);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'\\' {
            out.push(byte);
            rest = tail;
            continue;
        }
        match tail {
            [b'\\', tail @ ..] => {
                out.push(b'\\');
                rest = tail;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => return None,
        }
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Thirty-two digits, with a hyphen after any group of four, in braces or not.
pub(super) fn uuid_bytes(text: &str) -> Result<[u8; 16], WireError> {
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let mut out = [0; 16];
    let mut digits = 0;
    let mut hyphen_allowed = false;
    for byte in text.bytes() {
        if byte == b'-' && hyphen_allowed {
            hyphen_allowed = false;
            continue;
        }
        let digit = hex(byte).ok_or_else(|| malformed(Scalar::Uuid))?;
        let slot = out.get_mut(digits / 2).ok_or_else(|| malformed(Scalar::Uuid))?;
        *slot = *slot << 4 | digit;
        digits += 1;
        hyphen_allowed = digits % 4 == 0 && digits < 32;
    }
    if digits == 32 { Ok(out) } else { Err(malformed(Scalar::Uuid)) }
}

/// The usual form: 8-4-4-4-12, lower case.
pub(super) fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for nibble in [byte >> 4, byte & 0x0f] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out
}
