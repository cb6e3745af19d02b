//! Control records about a table, as JSON with a format.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ControlError, Key, TableId};

/// Field that says the format of a document.
const FORMAT_FIELD: &str = "format";

/// A record about one table.
pub(super) trait Document: Serialize + DeserializeOwned {
    /// Format that this release writes.
    const FORMAT: u64;
    /// Oldest format that it reads.
    const OLDEST: u64 = Self::FORMAT;

    /// Location of the table, to notice a record in the wrong place.
    fn table(&self) -> &str;
}

pub(super) fn encode<D: Document>(key: &Key, document: &D) -> Result<Bytes, ControlError> {
    let unwritable = |error: serde_json::Error| ControlError::Unavailable {
        place: key.to_string(),
        source: Box::new(error),
    };
    let mut value = serde_json::to_value(document).map_err(unwritable)?;
    if let Value::Object(fields) = &mut value {
        fields.insert(FORMAT_FIELD.to_owned(), D::FORMAT.into());
    }
    serde_json::to_vec(&value).map(Bytes::from).map_err(unwritable)
}

pub(super) fn decode<D: Document>(key: &Key, table: &TableId, value: &[u8]) -> Result<D, ControlError> {
    let value: Value = serde_json::from_slice(value).map_err(|_| damaged(key, "it is no JSON"))?;
    match value.get(FORMAT_FIELD).and_then(Value::as_u64) {
        Some(format) if (D::OLDEST..=D::FORMAT).contains(&format) => {}
        Some(found) => {
            return Err(ControlError::UnsupportedFormat { place: key.to_string(), found, known: D::FORMAT });
        }
        None => return Err(damaged(key, "it does not say its format")),
    }
    let document: D =
        serde_json::from_value(value).map_err(|_| damaged(key, "a field is missing or wrong"))?;
    if document.table() != table.location() {
        return Err(damaged(key, "it is about another table"));
    }
    Ok(document)
}

pub(super) fn damaged(key: &Key, reason: &str) -> ControlError {
    ControlError::Damaged { key: key.to_string(), place: "its record".to_owned(), reason: reason.to_owned() }
}
