//! The record of a pin while its files are copied, and while the copies are removed.
//!
//! Nobody may remove copies while someone still makes them: what is removed would come back. So the record
//! says until when files may be being written, moved on while the copying goes on, as with a lease.

use std::time::Duration;

use url::Url;
use uuid::Uuid;

use super::{Copies, Manifest, NewPin, Pin, PinError, PinState, Pins, changed};
use crate::control::TableId;

/// A pin whose files we copy.
#[derive(Debug)]
pub(crate) struct Copying {
    pub(crate) pin: Pin,
    maker: Uuid,
}

impl Copying {
    /// The folder to copy into.
    pub(crate) fn folder(&self) -> Option<&Url> {
        self.pin.copies.as_ref().map(|copies| &copies.folder)
    }

    fn is_ours(&self, now: &Pin) -> bool {
        now.state == PinState::Copying && now.copies.as_ref().is_some_and(|copies| copies.maker == self.maker)
    }
}

impl Pins {
    /// [`Self::put`] of a pin whose files are to be copied into a folder of its own in that of `table` in
    /// `place`, which ends in `/`. They may be written for `time` from now.
    pub(crate) async fn put_copying(
        &self,
        new: NewPin,
        manifest: &Manifest,
        place: &Url,
        time: Duration,
    ) -> Result<Copying, PinError> {
        let maker = Uuid::new_v4();
        let table = new.table.clone();
        let pin = self.make(new, manifest, |pin| {
            let folder = copies_folder(&table, pin, place);
            pin.state = PinState::Copying;
            pin.copies = Some(Copies { folder, until: Some(self.clock.wall() + time), maker });
        });
        Ok(Copying { pin: pin.await?, maker })
    }

    /// Goes on with a pin that someone began to copy.
    ///
    /// # Errors
    /// [`PinError::Copying`] while they do.
    pub(crate) async fn take_over(
        &self,
        table: &TableId,
        id: &str,
        time: Duration,
    ) -> Result<Copying, PinError> {
        let maker = Uuid::new_v4();
        let pin = self.change(table, id, |pin| {
            self.check_quiet(pin)?;
            match (&pin.state, &mut pin.copies) {
                (PinState::Copying, Some(copies)) => {
                    copies.maker = maker;
                    copies.until = Some(self.clock.wall() + time);
                    Ok(true)
                }
                _ => Err(changed(pin)),
            }
        });
        Ok(Copying { pin: pin.await?, maker })
    }

    /// Moves the time on until which files may be written.
    pub(crate) async fn extend(
        &self,
        table: &TableId,
        copying: &Copying,
        time: Duration,
    ) -> Result<(), PinError> {
        let until = self.clock.wall() + time;
        self.change_ours(table, copying, |copies| copies.until = Some(until)).await?;
        Ok(())
    }

    /// Says that nobody writes any more, although not everything is copied.
    pub(crate) async fn pause(&self, table: &TableId, copying: &Copying) -> Result<(), PinError> {
        self.change_ours(table, copying, |copies| copies.until = None).await?;
        Ok(())
    }

    /// Says that everything is copied.
    pub(crate) async fn finish(&self, table: &TableId, copying: &Copying) -> Result<Pin, PinError> {
        let finished = self.change(table, &copying.pin.id, |pin| {
            if !copying.is_ours(pin) {
                return Err(changed(pin));
            }
            pin.state = PinState::Valid;
            pin.copies.iter_mut().for_each(|copies| copies.until = None);
            Ok(true)
        });
        finished.await
    }

    async fn change_ours(
        &self,
        table: &TableId,
        copying: &Copying,
        step: impl Fn(&mut Copies),
    ) -> Result<Pin, PinError> {
        let change = self.change(table, &copying.pin.id, |pin| {
            if !copying.is_ours(pin) {
                return Err(changed(pin));
            }
            pin.copies.iter_mut().for_each(&step);
            Ok(true)
        });
        change.await
    }

    /// Says that a pin is to go: it cannot be read any more. Its copies may be removed now.
    ///
    /// # Errors
    /// [`PinError::NotFound`]; [`PinError::Copying`] while they are being made, when the pin is to go all
    /// the same.
    pub(crate) async fn start_release(&self, table: &TableId, id: &str) -> Result<Pin, PinError> {
        let releasing = self.change(table, id, |pin| {
            // One that was invalidated says why for as long as it is there.
            if matches!(pin.state, PinState::Releasing | PinState::Invalid { .. }) {
                return Ok(false);
            }
            pin.state = PinState::Releasing;
            Ok(true)
        });
        let pin = releasing.await?;
        self.check_quiet(&pin)?;
        Ok(pin)
    }

    /// Says that the copies of `pin`, which was invalidated or released, are removed.
    pub(crate) async fn forget_copies(&self, table: &TableId, pin: &Pin) -> Result<Pin, PinError> {
        let forgotten = self.change(table, &pin.id, |now| {
            let gone = matches!(now.state, PinState::Releasing | PinState::Invalid { .. });
            if now.upload != pin.upload || !gone {
                return Err(changed(now));
            }
            Ok(now.copies.take().is_some())
        });
        forgotten.await
    }

    /// Whether nobody may be writing copies of `pin`.
    ///
    /// # Errors
    /// [`PinError::Copying`].
    pub(crate) fn check_quiet(&self, pin: &Pin) -> Result<(), PinError> {
        let until = pin.copies.as_ref().and_then(|copies| copies.until);
        match until.filter(|until| self.clock.wall() <= *until + self.skew) {
            None => Ok(()),
            Some(until) => Err(PinError::Copying { table: pin.table.clone(), id: pin.id.clone(), until }),
        }
    }
}

/// Whether `folder` is one for copies of this pin and nothing else, so that all in it may be removed.
pub(crate) fn is_copies_folder(table: &TableId, pin: &Pin, folder: &Url) -> bool {
    folder.path().ends_with(&format!("/{}/{}/", table.segment(), pin.folder_name()))
}

/// `place/table/pin/`, each one segment; `place` ends in `/`.
fn copies_folder(table: &TableId, pin: &Pin, place: &Url) -> Url {
    let mut folder = place.clone();
    folder.set_path(&format!("{}{}/{}/", place.path(), table.segment(), pin.folder_name()));
    folder
}
