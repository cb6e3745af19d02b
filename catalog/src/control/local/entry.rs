//! A record as a file: one line of JSON that describes the value, then the value.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::control::{Entry, Key, MAX_VALUE, Version};

/// Format of record files.
pub(super) const FORMAT: u64 = 1;
/// Longest header line.
const MAX_HEADER: usize = 1024;
/// Largest record file.
pub(super) const MAX_FILE: usize = MAX_VALUE + MAX_HEADER;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u64,
    /// So that a file that was moved is noticed.
    key: String,
    version: String,
    bytes: usize,
    /// Of the value, in hexadecimal.
    sha256: String,
}

/// Why bytes are no record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Damaged(String),
    Format(u64),
}

/// The file's content.
pub(super) fn encode(key: &Key, version: &Version, value: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let header = Header {
        format: FORMAT,
        key: key.as_str().to_owned(),
        version: version.as_str().to_owned(),
        bytes: value.len(),
        sha256: digest(value),
    };
    let mut file = serde_json::to_vec(&header)?;
    file.push(b'\n');
    file.extend_from_slice(value);
    Ok(file)
}

/// The record in a file's content.
pub(super) fn decode(key: &Key, file: Vec<u8>) -> Result<Entry, Unreadable> {
    let damaged = |reason: &str| Unreadable::Damaged(reason.to_owned());
    let end =
        file.iter().take(MAX_HEADER).position(|byte| *byte == b'\n').ok_or_else(|| damaged("no header"))?;
    let file = Bytes::from(file);
    let header = file.slice(..end);
    // The format alone first: another format may have other fields.
    let header: serde_json::Value = serde_json::from_slice(&header).map_err(|_| damaged("no header"))?;
    match header.get("format").and_then(serde_json::Value::as_u64) {
        Some(FORMAT) => {}
        Some(other) => return Err(Unreadable::Format(other)),
        None => return Err(damaged("no format in the header")),
    }
    let header: Header =
        serde_json::from_value(header).map_err(|_| damaged("a field of the header is missing or wrong"))?;
    let value = file.slice(end + 1..);
    if header.key != key.as_str() {
        return Err(Unreadable::Damaged(format!("it was written as {}", header.key)));
    }
    if header.bytes != value.len() {
        return Err(Unreadable::Damaged(format!("{} bytes instead of {}", value.len(), header.bytes)));
    }
    if header.sha256 != digest(&value) {
        return Err(damaged("its checksum is wrong"));
    }
    Ok(Entry { value, version: Version::new(header.version) })
}

fn digest(value: &[u8]) -> String {
    Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect()
}
