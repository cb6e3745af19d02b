//! Control state in a directory of this machine.

mod directory;
mod entry;
mod files;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::directory::Directory;
use super::{Condition, ControlError, ControlState, Entry, Key, MAX_VALUE, Page, Version};

/// Where the state is and how long an operation may take.
#[derive(Debug, Clone)]
pub struct LocalControlOptions {
    /// The directory, made if it is missing. Only its owner may read it.
    pub directory: PathBuf,
    /// Longest time of one operation, waiting for other processes included.
    pub timeout: Duration,
}

impl LocalControlOptions {
    /// The state in `directory`, with the usual time-out.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), timeout: Duration::from_secs(15) }
    }
}

/// [`ControlState`] in a local directory, for the processes of one machine.
///
/// A write goes to a file of its own, is forced to disk, and takes the place of the old record by
/// `rename`; then the directory is forced to disk, and only then the write returns. File locks order
/// the writes of all processes, and keep readers from seeing one that is not on disk yet. The locks
/// are `flock`s: the directory must not be shared by machines over a network.
#[derive(Debug, Clone)]
pub struct LocalControl {
    directory: Arc<Directory>,
    timeout: Duration,
}

impl LocalControl {
    /// Opens the state, making the directory if it is missing.
    ///
    /// # Errors
    /// [`ControlError::Unusable`] when others may read the directory or it is something else,
    /// [`ControlError::UnsupportedFormat`] when another release wrote it.
    pub async fn open(options: LocalControlOptions) -> Result<Self, ControlError> {
        let LocalControlOptions { directory, timeout } = options;
        let place = directory.display().to_string();
        let opened = off_thread(timeout, place, move || Directory::open(directory)).await?;
        Ok(Self { directory: Arc::new(opened), timeout })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, ControlError> + Send + 'static,
    ) -> Result<T, ControlError> {
        let directory = Arc::clone(&self.directory);
        off_thread(self.timeout, directory.place(), move || work(&directory)).await
    }
}

/// Runs file work on a blocking thread. Past the time-out it is left behind, and may still happen.
async fn off_thread<T: Send + 'static>(
    timeout: Duration,
    place: String,
    work: impl FnOnce() -> Result<T, ControlError> + Send + 'static,
) -> Result<T, ControlError> {
    match tokio::time::timeout(timeout, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(join)) => Err(ControlError::Unavailable { place, source: Box::new(join) }),
        Err(elapsed) => Err(ControlError::Unavailable { place, source: Box::new(elapsed) }),
    }
}

#[async_trait]
impl ControlState for LocalControl {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, ControlError> {
        let key = key.clone();
        self.run(move |directory| directory.get(&key)).await
    }

    async fn put(&self, key: &Key, value: Bytes, condition: Condition) -> Result<Version, ControlError> {
        if value.len() > MAX_VALUE {
            return Err(ControlError::TooLarge { key: key.clone(), bytes: value.len() });
        }
        let key = key.clone();
        self.run(move |directory| directory.put(&key, &value, &condition)).await
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<(), ControlError> {
        let (key, version) = (key.clone(), version.clone());
        self.run(move |directory| directory.delete(&key, &version)).await
    }

    async fn list(&self, folder: &Key, after: Option<&Key>) -> Result<Page, ControlError> {
        let (folder, after) = (folder.clone(), after.cloned());
        self.run(move |directory| directory.list(&folder, after.as_ref())).await
    }
}
