//! Keyed tokens: HMAC-SHA-256 (RFC 2104, FIPS 198-1) of the value under a key and a domain.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Int8Type, Int16Type, Int32Type, Int64Type};
use datafusion::error::Result;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

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

/// The keyed state is prepared once; each value clones it.
struct TokenMask {
    mac: Hmac<Sha256>,
}

impl fmt::Debug for TokenMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenMask(…)")
    }
}

pub(super) fn build(domain: &str, key: Arc<MaskKey>, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    let supported =
        is_text(raw) || matches!(raw, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64);
    if !supported {
        return Err(wrong_type("token", "text and integer", raw));
    }
    if domain.is_empty() {
        return Err("mask `token` needs a domain that is not empty".to_owned());
    }
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key.0).map_err(|_| "the key has an unusable length".to_owned())?;
    // The length keeps (domain, value) pairs apart whatever they contain.
    mac.update(&(domain.len() as u64).to_le_bytes());
    mac.update(domain.as_bytes());
    Ok(Arc::new(TokenMask { mac }))
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
}

impl Mask for TokenMask {
    fn name(&self) -> &'static str {
        "token"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        if is_text(raw) { raw.clone() } else { DataType::Utf8 }
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        if is_text(raw.data_type()) {
            return super::map_text(raw, |value, out| self.token(value.as_bytes(), out));
        }
        let mut builder = StringBuilder::with_capacity(raw.len(), raw.len() * TOKEN_CHARACTERS);
        let mut scratch = String::new();
        // Integers are tokenised by their decimal text, so that `7` in a text column of the same
        // domain and 7 in an integer column of any width give the same token and join.
        macro_rules! integers {
            ($kind:ty) => {
                for value in raw.as_primitive::<$kind>().iter() {
                    match value {
                        Some(value) => {
                            self.token(value.to_string().as_bytes(), &mut scratch);
                            builder.append_value(&scratch);
                        }
                        None => builder.append_null(),
                    }
                }
            };
        }
        match raw.data_type() {
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Int64 => integers!(Int64Type),
            other => return datafusion::common::internal_err!("token mask on {other}"),
        }
        Ok(Arc::new(builder.finish()))
    }
}
