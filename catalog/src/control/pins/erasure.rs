//! Erasure wins over pins.
//!
//! A pin and an erasure must not miss each other. Each erasure counts itself in a record of the table,
//! then reads the pins; who pins reads the count, then the version, writes the pin, and reads the count
//! again before the pin counts for anything. As each record is linearizable, either the erasure sees the
//! pin, or the pin sees the erasure and is given up.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Pin, PinError, Pins, TRIES, pin_key};
use crate::control::document::{self, Document};
use crate::control::state::list_all;
use crate::control::{Condition, ControlError, TableId};

const FOLDER: &str = "erasures";

/// How many erasures a table has had.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    table: String,
    count: u64,
    /// When the last one began.
    last: DateTime<Utc>,
}

impl Document for Record {
    const FORMAT: u64 = 1;

    fn table(&self) -> &str {
        &self.table
    }
}

impl Pins {
    /// How many erasures the table has had.
    ///
    /// # Errors
    /// When the control state fails or the record is damaged.
    pub async fn erasures(&self, table: &TableId) -> Result<u64, PinError> {
        let key = table.key(FOLDER)?;
        let Some(entry) = self.state.get(&key).await? else { return Ok(0) };
        let record: Record = document::decode(&key, table, &entry.value)?;
        Ok(record.count)
    }

    /// Invalidates every pin whose manifest has one of `files` (paths as in a manifest), and gives those,
    /// also when they were invalid before. The files must be gone from the table's newest version.
    ///
    /// # Errors
    /// When the count of erasures cannot be written, nothing was done; a pin that cannot be read or
    /// changed does not keep others from being invalidated. [`Erased::failed`] has the first error.
    pub(crate) async fn erase(
        &self,
        table: &TableId,
        files: &HashSet<String>,
        reason: &str,
    ) -> Result<Erased, PinError> {
        self.count_erasure(table).await?;
        let mut erased = Erased::default();
        for key in list_all(self.state.as_ref(), &table.key("pins")?).await? {
            match self.erase_pin(table, key.last_segment(), files, reason).await {
                Ok(pin) => erased.pins.extend(pin),
                // Released meanwhile.
                Err(PinError::NotFound { .. }) => {}
                Err(error) => {
                    tracing::error!(table = %table, pin = key.last_segment(), %error, "pin not invalidated");
                    erased.failed.get_or_insert(error);
                }
            }
        }
        Ok(erased)
    }

    async fn erase_pin(
        &self,
        table: &TableId,
        id: &str,
        files: &HashSet<String>,
        reason: &str,
    ) -> Result<Option<Pin>, PinError> {
        for _ in 0..TRIES {
            let Some(pin) = self.get(table, id).await? else { return Ok(None) };
            let manifest = match self.manifest(table, &pin).await {
                Ok(manifest) => manifest,
                Err(error) => match self.get(table, id).await? {
                    // Removed or replaced between the two reads.
                    Some(now) if now.upload == pin.upload => return Err(error),
                    _ => continue,
                },
            };
            if !manifest.files().iter().any(|file| files.contains(&file.path)) {
                return Ok(None);
            }
            let invalid = self.invalidate(table, id, reason).await?;
            if invalid.upload == pin.upload {
                return Ok(Some(invalid));
            }
        }
        Err(ControlError::Conflict { key: pin_key(table, id)? }.into())
    }

    async fn count_erasure(&self, table: &TableId) -> Result<(), PinError> {
        let key = table.key(FOLDER)?;
        for _ in 0..TRIES {
            let (count, condition) = match self.state.get(&key).await? {
                None => (0, Condition::Absent),
                Some(entry) => {
                    let record: Record = document::decode(&key, table, &entry.value)?;
                    (record.count, Condition::Is(entry.version))
                }
            };
            let record = Record {
                table: table.location().to_owned(),
                count: count.saturating_add(1),
                last: self.clock.wall(),
            };
            match self.state.put(&key, document::encode(&key, &record)?, condition).await {
                Ok(_) => return Ok(()),
                Err(ControlError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ControlError::Conflict { key }.into())
    }
}

/// What an erasure did to pins.
#[derive(Debug, Default)]
pub(crate) struct Erased {
    /// Invalid now.
    pub(crate) pins: Vec<Pin>,
    /// Why some pin may not be.
    pub(crate) failed: Option<PinError>,
}
