//! Statement text at rest.

use std::fmt::Write;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::log::AuditError;
use super::verify::Head;

const MIN_KEY_LENGTH: usize = 32;

/// The key that statement texts are sealed with.
///
/// Each statement has a key of its own, derived from this one, so the number of statements that may
/// be sealed is not bounded by the length of a nonce.
pub struct AuditKey {
    texts: hmac::Key,
    digests: hmac::Key,
    heads: hmac::Key,
    id: String,
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A statement text that only the key opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedText {
    /// [`AuditKey::id`] of the key.
    pub key: String,
    /// 12 bytes in base64.
    pub nonce: String,
    /// Ciphertext and tag in base64.
    pub sealed: String,
}

/// A record's place in the chain, vouched for: kept elsewhere, it proves later that nothing before it was
/// changed and nothing up to it was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    /// The record.
    #[serde(flatten)]
    pub head: Head,
    /// When it was signed, RFC 3339.
    pub time: String,
    /// [`AuditKey::id`] of the key.
    pub key: String,
    /// HMAC-SHA-256 in hex.
    pub mac: String,
}

fn signed_text(head: &Head, time: &str) -> String {
    format!("{} {} {time}", head.seq, head.digest)
}

impl AuditKey {
    /// Takes a key of at least 32 bytes.
    ///
    /// # Errors
    /// The key is shorter.
    pub fn new(key: &[u8]) -> Result<Self, AuditError> {
        if key.len() < MIN_KEY_LENGTH {
            return Err(AuditError::Key);
        }
        let purpose = |label: &[u8]| {
            let root = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, label).as_ref())
        };
        let mut id = sha256_hex(key);
        id.truncate(8);
        Ok(Self {
            texts: purpose(b"lakeward audit text 1"),
            digests: purpose(b"lakeward audit digest 1"),
            heads: purpose(b"lakeward audit head 1"),
            id,
        })
    }

    /// First 8 hexadecimal digits of the key's SHA-256: tells keys apart, tells nothing of them.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Equal texts have equal digests. Keyed, because a plain digest of a short statement with one
    /// number in it gives the number away to whoever tries all of them.
    #[must_use]
    pub fn digest(&self, text: &str) -> String {
        hex(hmac::sign(&self.digests, text.as_bytes()).as_ref())
    }

    /// Vouches that a record was the newest at a time.
    #[must_use]
    pub fn sign(&self, head: &Head, time: &str) -> SignedHead {
        let mac = hmac::sign(&self.heads, signed_text(head, time).as_bytes());
        SignedHead { head: head.clone(), time: time.to_owned(), key: self.id.clone(), mac: hex(mac.as_ref()) }
    }

    /// Whether this key signed it, and nothing of it was changed.
    #[must_use]
    pub fn has_signed(&self, signed: &SignedHead) -> bool {
        let expected = self.sign(&signed.head, &signed.time);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.mac.as_bytes(), signed.mac.as_bytes())
            .is_ok()
    }

    /// Opens the text of a statement.
    ///
    /// # Errors
    /// Another key, another statement's text, or the text was changed.
    pub fn open(&self, statement_id: &str, text: &SealedText) -> Result<Zeroizing<String>, AuditError> {
        let nonce = STANDARD.decode(&text.nonce).map_err(|_| AuditError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| AuditError::Sealed)?;
        let mut data = Zeroizing::new(STANDARD.decode(&text.sealed).map_err(|_| AuditError::Sealed)?);
        let key = self.statement_key(statement_id).ok_or(AuditError::Sealed)?;
        let plain = key
            .open_in_place(nonce, Aad::from(statement_id.as_bytes()), &mut data)
            .map_err(|_| AuditError::Sealed)?;
        let plain = std::str::from_utf8(plain).map_err(|_| AuditError::Sealed)?;
        Ok(Zeroizing::new(plain.to_owned()))
    }

    pub(super) fn seal(&self, statement_id: &str, text: &str) -> Option<SealedText> {
        let key = self.statement_key(statement_id)?;
        let mut data = Vec::with_capacity(text.len() + AES_256_GCM.tag_len());
        data.extend_from_slice(text.as_bytes());
        let nonce = key.seal_in_place_append_tag(Aad::from(statement_id.as_bytes()), &mut data).ok()?;
        Some(SealedText {
            key: self.id.clone(),
            nonce: STANDARD.encode(nonce.as_ref()),
            sealed: STANDARD.encode(&data),
        })
    }

    fn statement_key(&self, statement_id: &str) -> Option<RandomizedNonceKey> {
        let key = hmac::sign(&self.texts, statement_id.as_bytes());
        RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok()
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
