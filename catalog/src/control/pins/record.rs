//! The record of a pin.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::NewPin;
use super::manifest::{Part, digest};
use crate::control::document::Document;

/// A table version whose files must stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Name, unique for the table.
    pub id: String,
    /// Location of the table, without a trailing `/`.
    pub table: String,
    /// The version.
    pub version: u64,
    /// Who pinned it.
    pub who: String,
    /// What for.
    pub why: String,
    /// When.
    pub created: DateTime<Utc>,
    /// Whether it holds.
    pub state: PinState,
    /// Number of files in its manifest.
    pub files: usize,
    /// Number of parts that the manifest is kept in.
    pub(super) parts: usize,
    /// Which parts.
    pub(super) upload: Uuid,
    /// Of the manifest, in hexadecimal.
    pub(super) digest: String,
}

/// Whether a pin holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinState {
    /// Its files stay.
    Valid,
    /// Its version must not be read any more.
    Invalid {
        /// Why, for people.
        reason: String,
        /// Since when.
        at: DateTime<Utc>,
    },
}

impl Document for Pin {
    const FORMAT: u64 = 1;

    fn table(&self) -> &str {
        &self.table
    }
}

impl Pin {
    pub(super) fn new(new: &NewPin, created: DateTime<Utc>, upload: Uuid, parts: &[Part]) -> Self {
        Self {
            id: new.id.clone(),
            table: new.table.location().to_owned(),
            version: new.version,
            who: new.who.clone(),
            why: new.why.clone(),
            created,
            state: PinState::Valid,
            files: parts.iter().map(|part| part.files.len()).sum(),
            parts: parts.len(),
            upload,
            digest: digest(parts.iter().flat_map(|part| &part.files)),
        }
    }

    /// Whether its files must stay.
    pub fn is_valid(&self) -> bool {
        self.state == PinState::Valid
    }
}
