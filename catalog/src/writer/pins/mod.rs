//! Pinning versions, with copies where other writers vacuum, and erasure, which wins over pins.
//!
//! The copies of a version are a Delta table of their own: the same files under the same relative paths,
//! and a log with one checkpoint. So whatever reads the table reads the copies, too.
//!
//! Each step leaves a record from which the next one goes on: pinning, releasing and erasing can be
//! repeated after a crash until they end well.

mod copy;
mod log;
mod remove;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use super::base::Base;
use super::location::TableLocation;
use super::{TableWriter, WriteError};
use crate::control::{Manifest, NewPin, Pin, PinState, Pins};

/// A place for copies of pinned versions.
#[derive(Clone)]
pub struct CopyPlace {
    /// The store that the URL's path is in. Where it is the very store of the table, it copies by itself.
    pub objects: Arc<dyn ObjectStore>,
    /// URL of a folder outside every table and every folder of tables.
    pub url: Url,
}

impl fmt::Debug for CopyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyPlace").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl CopyPlace {
    /// The folder, ending in `/`.
    fn folder(&self) -> Url {
        let mut url = self.url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url
    }

    fn has(&self, folder: &Url) -> bool {
        folder.as_str().starts_with(self.folder().as_str())
    }
}

impl TableWriter {
    /// The pins of the deployment.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Pins the newest version: its files stay until the pin is removed or invalidated.
    ///
    /// Takes the table's lease, so that no file of it is being removed. Other writers of the table do not
    /// know of pins: see [`Self::pin_with_copies`].
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn pin(&self, id: &str, who: &str, why: &str) -> Result<Pin, WriteError> {
        self.leased(|lease| async move {
            let erasures = self.pins.erasures(&self.table.id).await?;
            let base = self.maintenance_base(&lease).await?;
            let manifest = self.manifest_of(&base)?;
            Ok(self.pins.put(self.new_pin(id, who, why, erasures, &base), &manifest).await?)
        })
        .await
    }

    /// Pins the newest version and copies its files to `place`, so that it can be read whatever other
    /// writers remove from the table. Holds the lease only at first; while files are copied, the pin
    /// keeps them from Lakeward's own vacuum.
    ///
    /// Repeated under the same name, by the same person and for the same reason, it goes on with what was
    /// begun, at the version that was pinned then; nothing happens if that is done already.
    ///
    /// # Errors
    /// [`WriteError::Copies`] when a copy is not what the log says; [`crate::control::PinError::Copying`]
    /// while the same is under way elsewhere, or was until a moment ago; [`WriteError::Unsupported`] for
    /// a version with files outside the table's folder or named by absolute paths.
    pub async fn pin_with_copies(
        &self,
        id: &str,
        who: &str,
        why: &str,
        place: &CopyPlace,
    ) -> Result<Pin, WriteError> {
        self.check_place(place).await?;
        let time = self.options.lease.time_to_live;
        let known = self.pins.get(&self.table.id, id).await?;
        let begun = known.filter(|pin| {
            let here = pin.copies.as_ref().is_some_and(|copies| place.has(&copies.folder));
            here && pin.who == who && pin.why == why
        });
        let copying = match begun {
            Some(pin) if pin.is_valid() => return Ok(pin),
            Some(pin) if pin.state == PinState::Copying => {
                self.pins.take_over(&self.table.id, id, time).await?
            }
            // What is there but must not be continued is refused here.
            _ => {
                self.leased(|lease| async move {
                    let erasures = self.pins.erasures(&self.table.id).await?;
                    let base = self.maintenance_base(&lease).await?;
                    self.check_inside(&base)?;
                    let manifest = self.manifest_of(&base)?;
                    let new = self.new_pin(id, who, why, erasures, &base);
                    Ok(self.pins.put_copying(new, &manifest, &place.folder(), time).await?)
                })
                .await?
            }
        };
        let copied = self.copy_pinned(&copying, place).await;
        if let Err(error) = copied {
            // Else nobody can go on before the time is over.
            if let Err(error) = self.pins.pause(&self.table.id, &copying).await {
                tracing::debug!(table = self.table.name(), pin = id, %error, "the pause was not recorded");
            }
            return Err(error);
        }
        let pin = self.pins.finish(&self.table.id, &copying).await?;
        tracing::info!(table = self.table.name(), pin = id, version = pin.version, "pinned version copied");
        Ok(pin)
    }

    /// Removes a pin and its copies, which are in one of `places`. From the beginning the pin cannot be read
    /// any more, and its version's files in the table may go.
    ///
    /// # Errors
    /// [`crate::control::PinError::NotFound`]; [`crate::control::PinError::Copying`] while copies are being
    /// made. After an error, repeat it.
    pub async fn release(&self, id: &str, places: &[CopyPlace]) -> Result<(), WriteError> {
        let pin = self.pins.start_release(&self.table.id, id).await?;
        if pin.copies.is_some() {
            self.remove_copies(&pin, places).await?;
            self.pins.forget_copies(&self.table.id, &pin).await?;
        }
        Ok(self.pins.remove(&self.table.id, id).await?)
    }

    /// Takes `files`, which an erasure removed from the table or wrote anew, away from pins: every pin with
    /// one of them is invalidated for `reason`, and all of its copies are removed; `places` are where
    /// copies are. Gives the pins, also those that were invalid before.
    ///
    /// Call it once the newest version is without the files. `files` are relative to the table. **The
    /// erasure is not done before this is**, and then only with the files themselves, which a vacuum
    /// removes; stores that keep removed objects (versioning, soft delete) must be told to forget them.
    ///
    /// # Errors
    /// When any pin cannot be read, invalidated or rid of its copies; all others are, as far as possible.
    /// Repeat it.
    pub async fn erase_from_pins(
        &self,
        files: &[Path],
        reason: &str,
        places: &[CopyPlace],
    ) -> Result<Vec<Pin>, WriteError> {
        // Paths of logs are URL-encoded and those of stores are not. Who hands over the former erases all
        // the same.
        let mut names: HashSet<String> = files.iter().map(ToString::to_string).collect();
        names.extend(files.iter().filter_map(|file| Some(Path::from_url_path(file).ok()?.to_string())));
        let erased = self.pins.erase(&self.table.id, &names, reason).await?;
        let mut failed = erased.failed.map(WriteError::from);
        let mut pins = Vec::with_capacity(erased.pins.len());
        for pin in erased.pins {
            match self.erase_copies(pin, places).await {
                Ok(pin) => pins.push(pin),
                Err(error) => {
                    tracing::error!(table = self.table.name(), %error, "copies of a pin were not removed");
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(pins), Err)
    }

    async fn erase_copies(&self, pin: Pin, places: &[CopyPlace]) -> Result<Pin, WriteError> {
        if pin.copies.is_none() {
            return Ok(pin);
        }
        self.pins.check_quiet(&pin)?;
        self.remove_copies(&pin, places).await?;
        Ok(self.pins.forget_copies(&self.table.id, &pin).await?)
    }

    /// The pins whose files must stay.
    pub(super) async fn protecting_pins(&self) -> Result<Vec<Pin>, WriteError> {
        Ok(self.pins.protecting(&self.table.id).await?)
    }

    fn new_pin(&self, id: &str, who: &str, why: &str, erasures: u64, base: &Base) -> NewPin {
        NewPin {
            id: id.to_owned(),
            table: self.table.id.clone(),
            version: base.version(),
            who: who.to_owned(),
            why: why.to_owned(),
            erasures,
        }
    }

    /// Copies can only be read by the table's own log where that names files relative to the table.
    fn check_inside(&self, base: &Base) -> Result<(), WriteError> {
        let outside = base.state().log_data().iter().any(|file| {
            let vector = file.deletion_vector_descriptor();
            let absolute = vector.is_some_and(|vector| vector.storage_type.to_string() == "p");
            absolute || file.path().contains(":/") || file.path().starts_with('/')
        });
        if !outside {
            return Ok(());
        }
        let location = self.table.name().to_owned();
        let feature = "copies of a version with files that are named by absolute paths".to_owned();
        Err(WriteError::Unsupported { location, feature })
    }

    async fn check_place(&self, place: &CopyPlace) -> Result<(), WriteError> {
        let copies = self.copies_at(&place.folder(), place).await?;
        let (table, place) = (format!("{}/", self.table.name()), format!("{}/", copies.name()));
        match place.starts_with(&table) {
            true => {
                Err(WriteError::InvalidRequest(format!("copies cannot be in the table's folder: {place}")))
            }
            false => Ok(()),
        }
    }

    /// A folder of copies.
    async fn copies_at(&self, folder: &Url, place: &CopyPlace) -> Result<TableLocation, WriteError> {
        TableLocation::new(Arc::clone(&place.objects), folder, self.table.limits).await
    }

    fn bad_copies(&self, version: u64, reason: impl fmt::Display) -> WriteError {
        WriteError::Copies { location: self.table.name().to_owned(), version, reason: reason.to_string() }
    }

    async fn manifest_of_pin(&self, pin: &Pin) -> Result<Manifest, WriteError> {
        Ok(self.pins.manifest(&self.table.id, pin).await?)
    }
}
