//! What a backend of the control state must do.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::{ControlError, Key};

/// Largest value, in bytes. Control records are documents; what is larger is kept in parts.
pub const MAX_VALUE: usize = 1024 * 1024;

/// A map from keys to small values, shared by processes.
///
/// **Consistency.** Each key is linearizable: every operation on it takes effect at one instant between
/// its call and its return, also across handles and processes, so a get that starts after a put
/// returned sees it or something newer. As that holds for each key, a process that works on several
/// keys one after the other can rely on the order, too. A [`Version`] is never given to a key twice,
/// not even for equal bytes or after a deletion, so a condition on it can only hold when nothing
/// happened since. [`ControlState::list`] is not one instant: it has every key that existed during
/// the whole call, none that did not exist during any of it, and may or may not have the others.
///
/// **Durability.** What a write returned survives a crash of process and machine.
///
/// **Time.** Every operation ends in bounded time. [`ControlError::Unavailable`] leaves open whether a
/// write happened; no other error does: the write did not happen.
///
/// There is no unconditional write: nobody overwrites what they have not read.
/// [`super::conformance`] tests all of this.
#[async_trait]
pub trait ControlState: fmt::Debug + Send + Sync {
    /// The record at `key`, if there is one.
    async fn get(&self, key: &Key) -> Result<Option<Entry>, ControlError>;

    /// Writes `value` at `key` if `condition` holds, and gives its new version.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] when the condition does not hold, [`ControlError::TooLarge`] above
    /// [`MAX_VALUE`].
    async fn put(&self, key: &Key, value: Bytes, condition: Condition) -> Result<Version, ControlError>;

    /// Removes the record at `key` if it still has `version`.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] when it has another version or is gone.
    async fn delete(&self, key: &Key, version: &Version) -> Result<(), ControlError>;

    /// Keys in `folder`, at any depth, in order; those after `after`, as many as fit a page.
    async fn list(&self, folder: &Key, after: Option<&Key>) -> Result<Page, ControlError>;
}

/// A record as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was written.
    pub value: Bytes,
    /// Which write it was.
    pub version: Version,
}

/// Which write of a key a record comes from. Only comparable for equality.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// A version as a backend spells it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As the backend spelled it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// There is no record.
    Absent,
    /// The record has this version.
    Is(Version),
}

/// Some keys of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub keys: Vec<Key>,
    /// Whether there may be more after the last of them.
    pub more: bool,
}

/// All keys in `folder`. For folders known to be small.
pub(crate) async fn list_all(state: &dyn ControlState, folder: &Key) -> Result<Vec<Key>, ControlError> {
    let mut all: Vec<Key> = Vec::new();
    loop {
        let page = state.list(folder, all.last()).await?;
        let more = page.more && !page.keys.is_empty();
        all.extend(page.keys);
        if !more {
            return Ok(all);
        }
    }
}
