//! Keyed tokens: HMAC-SHA-256 (RFC 2104, FIPS 198-1) of the value under a key and a domain.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, DecimalType, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::error::Result;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::date::{DAY_MILLISECONDS, calendar_day};
use super::number::is_integer;
use super::{Mask, is_text, wrong_type};

/// Hexadecimal characters of a token: 128 of the 256 bits, so that collisions need 2^64 values.
const TOKEN_CHARACTERS: usize = 32;

/// The bytes of a key; never printed.
pub struct MaskKey(Zeroizing<Vec<u8>>);

impl MaskKey {
    /// At least 32 bytes.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, String> {
        if bytes.len() < 32 {
            return Err(format!("a mask key needs at least 32 bytes, this one has {}", bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// Tells whether a key changed; says nothing of its bytes.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        use sha2::Digest;
        let mut hash = Sha256::new();
        hash.update(b"lakeward mask key fingerprint");
        hash.update(self.0.as_slice());
        hash.finalize().into()
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(…)")
    }
}

/// What the keyed bits are for. Token and noise of one key and domain must have nothing in common:
/// whoever sees a value's token would else know its noise.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Token,
    Noise,
}

/// HMAC under `key` after `domain`; values are to be appended to a clone of it.
pub(super) fn keyed(purpose: Purpose, domain: &str, key: &MaskKey) -> Result<Hmac<Sha256>, String> {
    let mask = match purpose {
        Purpose::Token => "token",
        Purpose::Noise => "noise",
    };
    if domain.is_empty() {
        return Err(format!("mask `{mask}` needs a domain that is not empty"));
    }
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key.0).map_err(|_| "the key has an unusable length".to_owned())?;
    if let Purpose::Noise = purpose {
        // As the length of a token's domain these eight bytes would be more than any memory holds.
        mac.update(&u64::MAX.to_le_bytes());
    }
    // The length keeps (domain, value) pairs apart whatever they contain.
    mac.update(&(domain.len() as u64).to_le_bytes());
    mac.update(domain.as_bytes());
    Ok(mac)
}

/// The keyed state is prepared once; each value clones it.
struct TokenMask {
    mac: Hmac<Sha256>,
}

impl fmt::Debug for TokenMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenMask(…)")
    }
}

pub(super) fn build(domain: &str, key: &MaskKey, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    let supported = is_text(raw)
        || is_integer(raw)
        || matches!(
            raw,
            DataType::Decimal128(_, _)
                | DataType::Decimal256(_, _)
                | DataType::Date32
                | DataType::Date64
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
                | DataType::FixedSizeBinary(_)
        );
    if !supported {
        return Err(wrong_type("token", "text, integer, decimal, date and binary", raw));
    }
    Ok(Arc::new(TokenMask { mac: keyed(Purpose::Token, domain, key)? }))
}

impl TokenMask {
    fn token(&self, value: &[u8], out: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.mac.clone();
        mac.update(value);
        let digest = mac.finalize().into_bytes();
        out.clear();
        for byte in &digest[..TOKEN_CHARACTERS / 2] {
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }

    /// Tokens of `values`, as many as there are.
    fn tokens<V: AsRef<[u8]>>(&self, values: impl Iterator<Item = Option<V>>, rows: usize) -> ArrayRef {
        let mut builder = StringBuilder::with_capacity(rows, rows * TOKEN_CHARACTERS);
        let mut scratch = String::with_capacity(TOKEN_CHARACTERS);
        for value in values {
            match value {
                Some(value) => {
                    self.token(value.as_ref(), &mut scratch);
                    builder.append_value(&scratch);
                }
                None => builder.append_null(),
            }
        }
        Arc::new(builder.finish())
    }
}

/// A decimal without the zeros that only its scale asks for: 7.00 is the integer 7.
fn plain_decimal(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A day in the way of ISO 8601; beyond the calendar a text that no other value has.
fn iso_day(day: i64) -> String {
    calendar_day(day).map_or_else(|| format!("day {day}"), |date| date.format("%Y-%m-%d").to_string())
}

impl Mask for TokenMask {
    fn name(&self) -> &'static str {
        "token"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        if is_text(raw) { raw.clone() } else { DataType::Utf8 }
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        // Numbers and dates are tokenised by their text, so that `7` in a text column of the same
        // domain and 7 in an integer column of any width give the same token and join.
        macro_rules! texts {
            ($kind:ty, $text:expr) => {
                self.tokens(raw.as_primitive::<$kind>().iter().map(|value| value.map($text)), raw.len())
            };
        }
        macro_rules! bytes {
            ($values:expr) => {
                self.tokens($values.iter(), raw.len())
            };
        }
        Ok(match raw.data_type() {
            text if is_text(text) => {
                return super::map_text(raw, |value, out| self.token(value.as_bytes(), out));
            }
            DataType::Int8 => texts!(Int8Type, |value| value.to_string()),
            DataType::Int16 => texts!(Int16Type, |value| value.to_string()),
            DataType::Int32 => texts!(Int32Type, |value| value.to_string()),
            DataType::Int64 => texts!(Int64Type, |value| value.to_string()),
            DataType::UInt8 => texts!(UInt8Type, |value| value.to_string()),
            DataType::UInt16 => texts!(UInt16Type, |value| value.to_string()),
            DataType::UInt32 => texts!(UInt32Type, |value| value.to_string()),
            DataType::UInt64 => texts!(UInt64Type, |value| value.to_string()),
            DataType::Decimal128(precision, scale) => texts!(Decimal128Type, |value| plain_decimal(
                Decimal128Type::format_decimal(value, *precision, *scale)
            )),
            DataType::Decimal256(precision, scale) => texts!(Decimal256Type, |value| plain_decimal(
                Decimal256Type::format_decimal(value, *precision, *scale)
            )),
            DataType::Date32 => texts!(Date32Type, |day| iso_day(i64::from(day))),
            DataType::Date64 => texts!(Date64Type, |value| iso_day(value.div_euclid(DAY_MILLISECONDS))),
            DataType::Binary => bytes!(raw.as_binary::<i32>()),
            DataType::LargeBinary => bytes!(raw.as_binary::<i64>()),
            DataType::BinaryView => bytes!(raw.as_binary_view()),
            DataType::FixedSizeBinary(_) => bytes!(raw.as_fixed_size_binary()),
            other => return datafusion::common::internal_err!("token mask on {other}"),
        })
    }
}
