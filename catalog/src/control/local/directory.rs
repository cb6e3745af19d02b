//! The directory's layout and its operations, blocking.
//!
//! - `control.json`: the format of the whole
//! - `entries/`: a record `a/b` is the file `a/b.entry`; keys have no dots, so no folder is called so
//! - `locks/`: a fixed number of lock files; a key always has the same one
//! - `staging/`: files on their way to `entries/`

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::entry::{self, Unreadable};
use super::files;
use crate::control::{Condition, ControlError, Entry, Key, Page, Version};

const FORMAT: u64 = 1;
const FORMAT_FILE: &str = "control.json";
const ENTRY_ENDING: &str = ".entry";
const LOCKS: u8 = 64;
const PAGE_KEYS: usize = 1000;
/// A staged file this old was left by a process that died: writing one takes seconds.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Content of `control.json`.
#[derive(Debug, Serialize, Deserialize)]
struct FormatFile {
    format: u64,
}

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn open(root: PathBuf) -> Result<Self, ControlError> {
        let directory = Self { root };
        for part in ["entries", "locks", "staging"] {
            let path = directory.root.join(part);
            files::make_directory(&path).map_err(|error| directory.unusable(&error.to_string()))?;
        }
        if files::open_to_others(&directory.root).map_err(|error| directory.unavailable(error))? {
            let reason = format!("others may read it; run: chmod 700 {}", directory.root.display());
            return Err(directory.unusable(&reason));
        }
        directory.check_format()?;
        directory.sweep();
        Ok(directory)
    }

    pub(super) fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn check_format(&self) -> Result<(), ControlError> {
        let path = self.root.join(FORMAT_FILE);
        let known = files::read(&path, entry::MAX_FILE).map_err(|error| self.unavailable(error))?;
        let Some(content) = known else { return self.write_format(&path) };
        let format: FormatFile = serde_json::from_slice(&content).map_err(|_| ControlError::Damaged {
            key: FORMAT_FILE.to_owned(),
            place: path.display().to_string(),
            reason: "it does not say its format".to_owned(),
        })?;
        if format.format == FORMAT {
            return Ok(());
        }
        Err(ControlError::UnsupportedFormat { place: self.place(), found: format.format, known: FORMAT })
    }

    /// Writes the format of a new directory, or of one that another process is making right now.
    fn write_format(&self, path: &Path) -> Result<(), ControlError> {
        let content = serde_json::to_vec(&FormatFile { format: FORMAT })
            .map_err(|error| self.unavailable(io::Error::other(error)))?;
        let staged = self.stage(&content)?;
        let linked = match fs::hard_link(&staged, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
        let removed = fs::remove_file(&staged);
        linked
            .and(removed)
            .and_then(|()| files::sync_directory(&self.root))
            .map_err(|error| self.unavailable(error))
    }

    /// Removes staged files that nobody will ever use. They harm nobody, so failing is no error.
    fn sweep(&self) {
        let Ok(staged) = fs::read_dir(self.root.join("staging")) else { return };
        for file in staged.flatten() {
            let age = file.metadata().and_then(|meta| meta.modified()).map(age_of);
            if age.is_ok_and(|age| age > ABANDONED)
                && let Err(error) = fs::remove_file(file.path())
            {
                tracing::debug!(%error, "an abandoned file of the control state could not be removed");
            }
        }
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Entry>, ControlError> {
        // A writer holds the lock until its record is on disk.
        let _lock = self.lock(key, File::lock_shared)?;
        self.read(key)
    }

    pub(super) fn put(
        &self,
        key: &Key,
        value: &[u8],
        condition: &Condition,
    ) -> Result<Version, ControlError> {
        let version = Version::new(Uuid::new_v4().simple().to_string());
        let content =
            entry::encode(key, &version, value).map_err(|error| self.unavailable(io::Error::other(error)))?;
        let staged = self.stage(&content)?;
        let placed = self.place_entry(key, &staged, condition);
        if placed.is_err() {
            // The record was not written; what is left of it is swept one day.
            let _ = fs::remove_file(&staged);
        }
        placed.map(|()| version)
    }

    fn place_entry(&self, key: &Key, staged: &Path, condition: &Condition) -> Result<(), ControlError> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        let _lock = self.lock(key, File::lock)?;
        let current = self.read(key)?.map(|entry| entry.version);
        let holds = match condition {
            Condition::Absent => current.is_none(),
            Condition::Is(version) => current.as_ref() == Some(version),
        };
        if !holds {
            return Err(ControlError::Conflict { key: key.clone() });
        }
        files::make_directory(&folder)
            .and_then(|()| fs::rename(staged, &path))
            .and_then(|()| files::sync_directory(&folder))
            .map_err(|error| self.unavailable(error))
    }

    pub(super) fn delete(&self, key: &Key, version: &Version) -> Result<(), ControlError> {
        let path = self.path(key);
        let _lock = self.lock(key, File::lock)?;
        if self.read(key)?.is_none_or(|entry| entry.version != *version) {
            return Err(ControlError::Conflict { key: key.clone() });
        }
        fs::remove_file(&path)
            .and_then(|()| files::sync_directory(path.parent().unwrap_or(&self.root)))
            .map_err(|error| self.unavailable(error))
    }

    pub(super) fn list(&self, folder: &Key, after: Option<&Key>) -> Result<Page, ControlError> {
        let mut keys = Vec::new();
        self.collect(folder, &mut keys)?;
        if let Some(after) = after {
            keys.retain(|key| key > after);
        }
        keys.sort();
        let more = keys.len() > PAGE_KEYS;
        keys.truncate(PAGE_KEYS);
        Ok(Page { keys, more })
    }

    /// Adds the keys in `folder`. Keys are at most [`Key::MAX_SEGMENTS`] deep, so this ends.
    fn collect(&self, folder: &Key, keys: &mut Vec<Key>) -> Result<(), ControlError> {
        let path = self.root.join("entries").join(folder.as_str());
        let listing = match fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.unavailable(error)),
        };
        for file in listing {
            let file = file.map_err(|error| self.unavailable(error))?;
            let name = file.file_name();
            let name = name.to_string_lossy();
            // Some file systems and desktops leave such files of their own.
            if name.starts_with('.') {
                continue;
            }
            let stranger = || ControlError::Damaged {
                key: folder.to_string(),
                place: file.path().display().to_string(),
                reason: "this file is not a control record".to_owned(),
            };
            let is_folder = file.file_type().map_err(|error| self.unavailable(error))?.is_dir();
            match name.strip_suffix(ENTRY_ENDING) {
                _ if is_folder => self.collect(&folder.child(&name).map_err(|_| stranger())?, keys)?,
                Some(segment) => keys.push(folder.child(segment).map_err(|_| stranger())?),
                None => return Err(stranger()),
            }
        }
        Ok(())
    }

    /// The record, without a lock.
    fn read(&self, key: &Key) -> Result<Option<Entry>, ControlError> {
        let path = self.path(key);
        let damaged = |reason: String| ControlError::Damaged {
            key: key.to_string(),
            place: path.display().to_string(),
            reason,
        };
        let content = match files::read(&path, entry::MAX_FILE) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(damaged(error.to_string()));
            }
            Err(error) => return Err(self.unavailable(error)),
        };
        let Some(content) = content else { return Ok(None) };
        match entry::decode(key, content) {
            Ok(entry) => Ok(Some(entry)),
            Err(Unreadable::Damaged(reason)) => Err(damaged(reason)),
            Err(Unreadable::Format(found)) => Err(ControlError::UnsupportedFormat {
                place: path.display().to_string(),
                found,
                known: entry::FORMAT,
            }),
        }
    }

    /// Writes `content` to a file that is not a record yet.
    fn stage(&self, content: &[u8]) -> Result<PathBuf, ControlError> {
        let path = self.root.join("staging").join(Uuid::new_v4().simple().to_string());
        files::write_new(&path, content).map_err(|error| self.unavailable(error))?;
        Ok(path)
    }

    /// Takes the key's lock; dropping the file gives it back, and so does the end of the process.
    fn lock(&self, key: &Key, take: fn(&File) -> io::Result<()>) -> Result<File, ControlError> {
        // A fixed digest: every process of every release must come to the same lock.
        let [first, ..] = <[u8; 32]>::from(Sha256::digest(key.as_str()));
        let path = self.root.join("locks").join(format!("{:02}", first % LOCKS));
        let file = files::open_lock(&path).map_err(|error| self.unavailable(error))?;
        take(&file).map_err(|error| self.unavailable(error))?;
        Ok(file)
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join("entries").join(format!("{key}{ENTRY_ENDING}"))
    }

    fn unavailable(&self, error: io::Error) -> ControlError {
        ControlError::Unavailable { place: self.place(), source: Box::new(error) }
    }

    fn unusable(&self, reason: &str) -> ControlError {
        ControlError::Unusable { place: self.place(), reason: reason.to_owned() }
    }
}

fn age_of(time: SystemTime) -> Duration {
    SystemTime::now().duration_since(time).unwrap_or_default()
}
