//! The record of a pin.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;
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
    /// Where its files are copied to, if they are.
    #[serde(default)]
    pub copies: Option<Copies>,
    /// Number of files in its manifest.
    pub files: usize,
    /// Number of parts that the manifest is kept in.
    pub(super) parts: usize,
    /// Which parts.
    pub(super) upload: Uuid,
    /// Of the manifest, in hexadecimal.
    pub(super) digest: String,
    /// Erasures of the table before the manifest was made.
    #[serde(default)]
    pub(super) erasures: u64,
}

/// Copies of a pinned version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// URL of their folder, a Delta table of its own with this one version; ends in `/`.
    pub folder: Url,
    /// Until when files may be being written to it; None when nobody writes.
    pub until: Option<DateTime<Utc>>,
    /// Who writes them.
    pub(super) maker: Uuid,
}

/// Whether a pin holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinState {
    /// It was written, and whether it counts is being found out. What a process left behind that died
    /// meanwhile; pinning under the same name replaces it.
    Making,
    /// Its files stay, and are being copied. Cannot be read yet; pinning again goes on with it.
    Copying,
    /// Its files stay.
    Valid,
    /// Its copies are being removed, and then it.
    Releasing,
    /// Its version must not be read any more.
    Invalid {
        /// Why, for people.
        reason: String,
        /// Since when.
        at: DateTime<Utc>,
    },
}

impl Document for Pin {
    /// Format 1 has no copies; who knows only that must not remove a pin with copies.
    const FORMAT: u64 = 2;
    const OLDEST: u64 = 1;

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
            state: PinState::Making,
            copies: None,
            files: parts.iter().map(|part| part.files.len()).sum(),
            parts: parts.len(),
            upload,
            digest: digest(parts.iter().flat_map(|part| &part.files)),
            erasures: new.erasures,
        }
    }

    /// Whether its version may be read.
    pub fn is_valid(&self) -> bool {
        self.state == PinState::Valid
    }

    /// Whether its files must stay in the table, which has had so many `erasures`: an unfinished pin that
    /// an erasure may have overlooked never counts.
    pub(super) fn protects(&self, erasures: u64) -> bool {
        match self.state {
            PinState::Valid | PinState::Copying => true,
            PinState::Making => self.erasures == erasures,
            PinState::Releasing | PinState::Invalid { .. } => false,
        }
    }

    /// Name of the folder of its copies, unlike that of any other pin ever made.
    pub(super) fn folder_name(&self) -> String {
        format!("{}-{}", self.id, self.upload.simple())
    }
}
