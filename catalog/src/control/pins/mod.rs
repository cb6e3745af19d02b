//! Pins: table versions whose files must stay.
//!
//! Lakeward's vacuum and log cleanup keep what a valid pin needs. Other writers of a table do not ask:
//! their VACUUM removes files under a pin, and the pin's manifest is how that is noticed. A pin may have
//! copies of its files for that; making and removing those is the writer's, and module `copying` has the
//! steps of their record.
//!
//! An erasure wins over every pin (module `erasure`).

mod copying;
mod erasure;
mod manifest;
mod record;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) use self::copying::{Copying, is_copies_folder};
pub use self::manifest::{Manifest, ManifestFile};
use self::manifest::{Part, parts};
pub use self::record::{Copies, Pin, PinState};
use super::document::{self, damaged};
use super::retention::removing_until;
use super::state::list_all;
use super::{Clock, Condition, ControlError, ControlState, Key, SystemClock, TableId};

/// Parts of a manifest whose pin was never written are garbage after this long.
const ABANDONED: chrono::Duration = chrono::Duration::days(1);

/// How often a record is tried that others keep changing: pins change a few times in their lives.
const TRIES: usize = 100;

/// Why a pin was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A pin of that name exists.
    #[error("table {table} already has a pin named {id}")]
    Exists {
        /// The table.
        table: String,
        /// The name.
        id: String,
    },
    /// There is no pin of that name.
    #[error("table {table} has no pin named {id}")]
    NotFound {
        /// The table.
        table: String,
        /// The name.
        id: String,
    },
    /// Files of the table are being removed right now, perhaps those of the version to pin.
    #[error("files of table {table} are being removed (until {until} at the latest): pin it after that")]
    Removing {
        /// The table.
        table: String,
        /// When the removal ends, or its owner is taken for dead.
        until: DateTime<Utc>,
    },
    /// Files are being copied for the pin, so its copies cannot be removed, nor be made by someone else.
    #[error(
        "copies for pin {id} of table {table} are being made (until {until} at the latest): try again after that"
    )]
    Copying {
        /// The table.
        table: String,
        /// The name.
        id: String,
        /// When the copying ends, or its owner is taken for dead.
        until: DateTime<Utc>,
    },
    /// The pin has copies, which must be removed before its record.
    #[error("pin {id} of table {table} has copies: release it instead")]
    HasCopies {
        /// The table.
        table: String,
        /// The name.
        id: String,
    },
    /// Someone else invalidated, released or replaced the pin while it was being made.
    #[error("pin {id} of table {table} was changed by someone else while it was being made")]
    Changed {
        /// The table.
        table: String,
        /// The name.
        id: String,
    },
    /// An erasure began while the version was being pinned, and may have removed files of it.
    #[error("rows of table {table} are being erased: pin it again, which takes the newest version")]
    Erasing {
        /// The table.
        table: String,
    },
    /// The control state failed, or the pin's name is no segment of a key.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// What someone wants to pin.
#[derive(Debug, Clone)]
pub struct NewPin {
    /// Name of the pin, unique for its table; a segment of a [`Key`].
    pub id: String,
    /// The table.
    pub table: TableId,
    /// The version.
    pub version: u64,
    /// Who wants it.
    pub who: String,
    /// What for.
    pub why: String,
    /// [`Pins::erasures`] of the table, asked for before the version was looked at.
    pub erasures: u64,
}

/// The pins of a deployment.
#[derive(Debug, Clone)]
pub struct Pins {
    state: Arc<dyn ControlState>,
    clock: Arc<dyn Clock>,
    /// How far the clocks of processes may differ.
    skew: Duration,
}

impl Pins {
    /// Pins in `state`.
    pub fn new(state: Arc<dyn ControlState>, skew: Duration) -> Self {
        Self::with_clock(state, skew, Arc::new(SystemClock::default()))
    }

    /// The same with another clock.
    pub fn with_clock(state: Arc<dyn ControlState>, skew: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { state, clock, skew }
    }

    /// Pins a version. `manifest` must have every file that reading it needs: data files and deletion
    /// vector files. When this returns, they stay; that they were all still there must be looked at
    /// after it.
    ///
    /// # Errors
    /// [`PinError::Exists`]; [`PinError::Removing`] while files of the table are being removed;
    /// [`PinError::Erasing`].
    pub async fn put(&self, new: NewPin, manifest: &Manifest) -> Result<Pin, PinError> {
        self.make(new, manifest, |pin| pin.state = PinState::Valid).await
    }

    /// Writes a pin that counts for nothing yet, finds out whether it may, and then makes of it what
    /// `confirm` says.
    async fn make(
        &self,
        new: NewPin,
        manifest: &Manifest,
        confirm: impl Fn(&mut Pin),
    ) -> Result<Pin, PinError> {
        let key = pin_key(&new.table, &new.id)?;
        match self.get(&new.table, &new.id).await? {
            None => {}
            Some(Pin { state: PinState::Making, .. }) => self.remove(&new.table, &new.id).await?,
            Some(_) => return Err(exists(&new)),
        }
        let upload = Uuid::new_v4();
        let now = self.clock.wall();
        let parts = parts(&new.table, upload, now, manifest);
        let pin = Pin::new(&new, now, upload, &parts);
        let folder = files_folder(&new.table, &new.id)?;
        for part in &parts {
            let key = folder.child(&part.segment())?;
            self.state.put(&key, document::encode(&key, part)?, Condition::Absent).await?;
        }
        match self.state.put(&key, document::encode(&key, &pin)?, Condition::Absent).await {
            Ok(_) => {}
            Err(ControlError::Conflict { .. }) => {
                self.remove_parts(&folder, upload).await?;
                return Err(exists(&new));
            }
            // Perhaps it was written; it counts for nothing.
            Err(error) => return Err(error.into()),
        }
        // Only now: see the modules `retention` and `erasure`.
        let removing = removing_until(self.state.as_ref(), self.clock.as_ref(), &new.table, self.skew);
        if let Some(until) = removing.await? {
            self.remove(&new.table, &new.id).await?;
            return Err(PinError::Removing { table: new.table.to_string(), until });
        }
        if self.erasures(&new.table).await? != new.erasures {
            self.remove(&new.table, &new.id).await?;
            return Err(PinError::Erasing { table: new.table.to_string() });
        }
        let confirmed = self.change(&new.table, &new.id, |now| {
            if (&now.state, now.upload) != (&PinState::Making, upload) {
                return Err(changed(now));
            }
            confirm(now);
            Ok(true)
        });
        let pin = confirmed.await?;
        tracing::info!(table = %pin.table, pin = %pin.id, version = pin.version, who = %pin.who, "version pinned");
        Ok(pin)
    }

    /// Changes a pin's record as `step` says, which gets it as it is, perhaps several times, and says
    /// whether there is anything to write.
    async fn change(
        &self,
        table: &TableId,
        id: &str,
        step: impl Fn(&mut Pin) -> Result<bool, PinError>,
    ) -> Result<Pin, PinError> {
        let key = pin_key(table, id)?;
        for _ in 0..TRIES {
            let Some(entry) = self.state.get(&key).await? else { return Err(not_found(table, id)) };
            let mut pin: Pin = document::decode(&key, table, &entry.value)?;
            if !step(&mut pin)? {
                return Ok(pin);
            }
            match self.state.put(&key, document::encode(&key, &pin)?, Condition::Is(entry.version)).await {
                Ok(_) => return Ok(pin),
                Err(ControlError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ControlError::Conflict { key }.into())
    }

    /// One pin.
    ///
    /// # Errors
    /// When the control state fails or the record is damaged.
    pub async fn get(&self, table: &TableId, id: &str) -> Result<Option<Pin>, PinError> {
        let key = pin_key(table, id)?;
        let Some(entry) = self.state.get(&key).await? else { return Ok(None) };
        Ok(Some(document::decode(&key, table, &entry.value)?))
    }

    /// All pins of a table, invalid ones too, by name.
    ///
    /// # Errors
    /// When the control state fails or any record is damaged: whoever removes files must then not.
    pub async fn list(&self, table: &TableId) -> Result<Vec<Pin>, PinError> {
        let mut pins = Vec::new();
        for key in list_all(self.state.as_ref(), &table.key("pins")?).await? {
            // It may have been removed since it was listed.
            if let Some(entry) = self.state.get(&key).await? {
                pins.push(document::decode(&key, table, &entry.value)?);
            }
        }
        Ok(pins)
    }

    /// The files of a pin.
    ///
    /// # Errors
    /// When they are damaged, or gone because the pin was removed.
    pub async fn manifest(&self, table: &TableId, pin: &Pin) -> Result<Manifest, PinError> {
        let folder = files_folder(table, &pin.id)?;
        let mut parts = Vec::new();
        for number in 0..pin.parts {
            let key = folder.child(&Part::name(pin.upload, number))?;
            let entry = self.state.get(&key).await?.ok_or_else(|| damaged(&key, "it is missing"))?;
            parts.push(document::decode::<Part>(&key, table, &entry.value)?);
        }
        Manifest::join(parts, &pin.digest).ok_or_else(|| damaged(&folder, "its checksum is wrong").into())
    }

    /// The pins whose files must stay, those that are being made among them.
    pub(crate) async fn protecting(&self, table: &TableId) -> Result<Vec<Pin>, PinError> {
        let pins = self.list(table).await?;
        let erasures = self.erasures(table).await?;
        Ok(pins.into_iter().filter(|pin| pin.protects(erasures)).collect())
    }

    /// Says that a pin does not hold any more: its version must not be read, and its files may go. Its
    /// copies stay until it is released.
    ///
    /// # Errors
    /// [`PinError::NotFound`].
    pub async fn invalidate(&self, table: &TableId, id: &str, reason: &str) -> Result<Pin, PinError> {
        let at = self.clock.wall();
        let invalid = self.change(table, id, |pin| {
            if let PinState::Invalid { .. } = pin.state {
                return Ok(false);
            }
            pin.state = PinState::Invalid { reason: reason.to_owned(), at };
            Ok(true)
        });
        let pin = invalid.await?;
        tracing::info!(table = %table, pin = id, reason, "pin invalidated");
        Ok(pin)
    }

    /// Removes a pin without copies. Its version's files may go.
    ///
    /// # Errors
    /// [`PinError::NotFound`]; [`PinError::HasCopies`].
    pub async fn remove(&self, table: &TableId, id: &str) -> Result<(), PinError> {
        let key = pin_key(table, id)?;
        for _ in 0..TRIES {
            let Some(entry) = self.state.get(&key).await? else { return Err(not_found(table, id)) };
            let pin: Pin = document::decode(&key, table, &entry.value)?;
            if pin.copies.is_some() {
                return Err(PinError::HasCopies { table: table.to_string(), id: id.to_owned() });
            }
            match self.state.delete(&key, &entry.version).await {
                Err(ControlError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    // First the pin, so that there is never one without its manifest.
                    self.remove_parts(&files_folder(table, id)?, pin.upload).await?;
                    tracing::info!(table = %table, pin = id, "pin removed");
                    return Ok(());
                }
            }
        }
        Err(ControlError::Conflict { key }.into())
    }

    /// Removes what pins of a table left behind whose process died while it made or removed them.
    pub(crate) async fn sweep(&self, table: &TableId) -> Result<(), PinError> {
        let mut used = Vec::new();
        for pin in self.list(table).await? {
            if pin.state == PinState::Making && self.clock.wall() - pin.created > ABANDONED {
                self.remove(table, &pin.id).await?;
            } else {
                used.push(pin.upload);
            }
        }
        for key in list_all(self.state.as_ref(), &table.key("pin-files")?).await? {
            let Some(entry) = self.state.get(&key).await? else { continue };
            let part: Part = document::decode(&key, table, &entry.value)?;
            if !used.contains(&part.upload) && self.clock.wall() - part.created > ABANDONED {
                delete(self.state.as_ref(), &key, &entry.version).await?;
            }
        }
        Ok(())
    }

    async fn remove_parts(&self, folder: &Key, upload: Uuid) -> Result<(), ControlError> {
        for key in list_all(self.state.as_ref(), folder).await? {
            if Part::is_of(key.last_segment(), upload)
                && let Some(entry) = self.state.get(&key).await?
            {
                delete(self.state.as_ref(), &key, &entry.version).await?;
            }
        }
        Ok(())
    }
}

/// Deletes a record that nobody changes; that someone else deleted it is fine.
async fn delete(state: &dyn ControlState, key: &Key, version: &super::Version) -> Result<(), ControlError> {
    match state.delete(key, version).await {
        Err(ControlError::Conflict { .. }) => Ok(()),
        done => done,
    }
}

fn pin_key(table: &TableId, id: &str) -> Result<Key, ControlError> {
    segment_of(table.key("pins")?, id)
}

fn files_folder(table: &TableId, id: &str) -> Result<Key, ControlError> {
    segment_of(table.key("pin-files")?, id)
}

/// `folder` continued by exactly one segment.
fn segment_of(folder: Key, id: &str) -> Result<Key, ControlError> {
    if id.contains('/') {
        return Err(ControlError::InvalidKey {
            key: id.to_owned(),
            reason: "a pin's name is one segment".to_owned(),
        });
    }
    folder.child(id)
}

fn exists(new: &NewPin) -> PinError {
    PinError::Exists { table: new.table.to_string(), id: new.id.clone() }
}

fn changed(pin: &Pin) -> PinError {
    PinError::Changed { table: pin.table.clone(), id: pin.id.clone() }
}

fn not_found(table: &TableId, id: &str) -> PinError {
    PinError::NotFound { table: table.to_string(), id: id.to_owned() }
}
