//! What the log says of a deletion vector.

use url::Url;
use uuid::Uuid;

use super::format;
use crate::error::LoadError;

/// Characters of a UUID in base 85.
const UUID_CHARACTERS: usize = 20;
/// The first byte of a file of vectors is its version, so the first vector starts after it.
const FIRST_OFFSET: u64 = 1;

/// One deletion vector, as the protocol's section "Deletion Vector Descriptor Schema" describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeletionVector {
    pub(crate) stored: Stored,
    /// Bytes of the serialised bitmap, with its magic number.
    pub(crate) size: u32,
    /// Rows that it removes.
    pub(crate) cardinality: u64,
}

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    /// In the log itself, in base 85.
    Inline(String),
    /// At `offset` of a file, by a path relative to the table's folder (not URL-encoded).
    Beside { path: String, offset: u64 },
    /// At `offset` of a file anywhere.
    Elsewhere { url: Url, offset: u64 },
}

impl DeletionVector {
    /// From the fields of an `add` action's `deletionVector`.
    pub(crate) fn new(
        storage_type: &str,
        path_or_inline: &str,
        offset: Option<i32>,
        size: i32,
        cardinality: i64,
    ) -> Result<Self, LoadError> {
        let size = u32::try_from(size).map_err(|_| broken("a negative size"))?;
        if size > format::MAX_SIZE {
            return Err(broken("a size beyond what rows of one file need"));
        }
        let cardinality = u64::try_from(cardinality).map_err(|_| broken("a negative row count"))?;
        let at = match offset {
            None => FIRST_OFFSET,
            Some(offset) => u64::try_from(offset).map_err(|_| broken("a negative offset"))?,
        };
        let stored = match storage_type {
            "i" if offset.is_some() => return Err(broken("an offset although it is inline")),
            "i" => Stored::Inline(path_or_inline.to_owned()),
            "u" => Stored::Beside { path: relative_path(path_or_inline)?, offset: at },
            "p" => {
                let url = Url::parse(path_or_inline).map_err(|_| broken("a path that is no URL"))?;
                Stored::Elsewhere { url, offset: at }
            }
            _ => return Err(broken("an unknown kind of storage")),
        };
        Ok(Self { stored, size, cardinality })
    }
}

/// `<prefix><UUID in base 85>` stands for `<prefix>/deletion_vector_<UUID>.bin`.
fn relative_path(encoded: &str) -> Result<String, LoadError> {
    let start = encoded.len().checked_sub(UUID_CHARACTERS).filter(|&at| encoded.is_char_boundary(at));
    let (prefix, uuid) = encoded.split_at(start.ok_or_else(|| broken("a file name that is too short"))?);
    let uuid = z85::decode(uuid).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok());
    let uuid = uuid.ok_or_else(|| broken("a file name that is no UUID"))?;
    if prefix.contains("..") {
        return Err(broken("a folder outside the table"));
    }
    Ok(match prefix {
        "" => format!("deletion_vector_{uuid}.bin"),
        prefix => format!("{prefix}/deletion_vector_{uuid}.bin"),
    })
}

fn broken(what: &str) -> LoadError {
    LoadError::Broken(format!("a deletion vector with {what}"))
}
