//! Removing the copies of a pin.

use std::io;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, ObjectStore as _};

use super::CopyPlace;
use crate::control::{Pin, is_copies_folder};
use crate::writer::location::TableLocation;
use crate::writer::{TableWriter, WriteError};

/// Objects removed in one batch.
const BATCH: usize = 1000;
/// Looks that may find what was removed already, or what a cancelled copy left.
const SPARE_LOOKS: usize = 10;

impl TableWriter {
    /// Removes all copies of a pin, and looks that none is left.
    pub(super) async fn remove_copies(&self, pin: &Pin, places: &[CopyPlace]) -> Result<(), WriteError> {
        let Some(folder) = pin.copies.as_ref().map(|copies| &copies.folder) else { return Ok(()) };
        let place = places.iter().find(|place| place.has(folder)).ok_or_else(|| {
            WriteError::InvalidRequest(format!(
                "the copies of pin {} of table {} are at {folder}, which is in none of the places given",
                pin.id,
                self.table.name(),
            ))
        })?;
        if !is_copies_folder(&self.table.id, pin, folder) {
            return Err(self.bad_copies(pin.version, format!("{folder} is no folder of this pin alone")));
        }
        let copies = self.copies_at(folder, place).await?;
        let failed = |error: Error| self.bad_copies(pin.version, format!("not removed: {error}"));
        // A listing may lag behind in some stores, so the last look is one that finds nothing.
        let mut looks = pin.files / BATCH + SPARE_LOOKS;
        loop {
            let batch = self.list_copies(&copies).await.map_err(failed)?;
            if batch.is_empty() {
                break;
            }
            if looks == 0 {
                return Err(
                    self.bad_copies(pin.version, "not removed: the store keeps listing removed objects")
                );
            }
            looks -= 1;
            self.remove_batch(&copies, batch).await.map_err(failed)?;
        }
        self.remove_folders(&copies).await.map_err(|error| self.table.store_failed(error))?;
        tracing::info!(table = self.table.name(), pin = %pin.id, "copies removed");
        Ok(())
    }

    async fn list_copies(&self, copies: &TableLocation) -> Result<Vec<Path>, Error> {
        let listing = copies.files.list(None).map_ok(|object| object.location).take(BATCH).try_collect();
        match tokio::time::timeout(self.table.limits.load, listing).await {
            Ok(listed) => listed,
            Err(elapsed) => Err(Error::Generic { store: "copies", source: Box::new(elapsed) }),
        }
    }

    async fn remove_batch(&self, copies: &TableLocation, batch: Vec<Path>) -> Result<(), Error> {
        let paths = futures::stream::iter(batch.into_iter().map(Ok)).boxed();
        let removal = async {
            let mut removed = copies.files.delete_stream(paths);
            while let Some(removed) = removed.next().await {
                match removed {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(self.table.limits.load, removal).await {
            Ok(removed) => removed,
            Err(elapsed) => Err(Error::Generic { store: "copies", source: Box::new(elapsed) }),
        }
    }

    /// On file systems, folders stay behind, and the names of some are partition values.
    async fn remove_folders(&self, copies: &TableLocation) -> io::Result<()> {
        let Some(folder) = copies.local.clone() else { return Ok(()) };
        let work = tokio::task::spawn_blocking(move || {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            match folder.parent().filter(|parent| parent.exists()) {
                Some(parent) => std::fs::File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        });
        tokio::time::timeout(self.table.limits.load, work).await??
    }
}
