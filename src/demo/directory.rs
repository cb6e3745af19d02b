//! Where a lake is made and how it becomes the real one: all at once.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::calendar::{AS_OF, date_text};
use super::{DemoError, DemoOptions, DemoSummary};

/// Present in complete lakes only: the parameters they were made with.
const MARKER: &str = "demo.json";
/// Present in the directory of a run that is under way or was interrupted; locked while it runs.
const UNDER_WAY: &str = ".demo-under-way";
/// Counts up when the demo lake changes its shape.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Marker {
    format: u32,
    patients: u64,
    seed: u64,
    as_of: String,
    created_at: String,
    /// Rows by `schema.table`.
    tables: BTreeMap<String, u64>,
}

/// The complete demo lake in a directory, if there is one.
///
/// A run that was interrupted leaves nothing that is found here.
///
/// # Errors
/// The marker file is there but cannot be read, or is of another release.
pub fn existing(directory: &Path) -> Result<Option<DemoSummary>, DemoError> {
    let path = directory.join(MARKER);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DemoError::io("read", &path)(error)),
    };
    let marker: Marker = serde_json::from_str(&text)?;
    if marker.format != FORMAT {
        return Err(DemoError::OtherRelease(directory.to_owned()));
    }
    Ok(Some(DemoSummary {
        directory: directory.to_owned(),
        patients: marker.patients,
        seed: marker.seed,
        tables: marker.tables,
    }))
}

/// A sibling of the directory, in which the lake is made.
pub(super) struct Staging {
    path: PathBuf,
    directory: PathBuf,
    /// Held until the lake is complete, and by whoever still writes to it.
    lock: Arc<File>,
}

impl Staging {
    /// Begins; clears away what an interrupted run has left.
    pub(super) fn begin(directory: &Path) -> Result<Self, DemoError> {
        if existing(directory)?.is_some() {
            return Err(DemoError::Exists(directory.to_owned()));
        }
        if fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(DemoError::NotEmpty(directory.to_owned()));
        }
        let name = directory.file_name().ok_or_else(|| DemoError::Directory(directory.to_owned()))?;
        let parent = match directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(DemoError::io("create", parent))?;
        // Delta locations are absolute.
        let parent = parent.canonicalize().map_err(DemoError::io("find", parent))?;
        let path = parent.join(format!(".{}.partial", name.to_string_lossy()));
        let under_way = path.join(UNDER_WAY);
        if path.exists() {
            // Only what is surely ours is removed.
            let Ok(lock) = File::open(&under_way) else { return Err(DemoError::NotEmpty(path)) };
            match lock.try_lock() {
                Ok(()) => fs::remove_dir_all(&path).map_err(DemoError::io("remove", &path))?,
                Err(TryLockError::WouldBlock) => return Err(DemoError::Busy(directory.to_owned())),
                Err(TryLockError::Error(error)) => return Err(DemoError::io("lock", &under_way)(error)),
            }
        }
        fs::create_dir(&path).map_err(DemoError::io("create", &path))?;
        let lock = File::create_new(&under_way).map_err(DemoError::io("create", &under_way))?;
        lock.try_lock().map_err(|_| DemoError::Busy(directory.to_owned()))?;
        Ok(Self { path, directory: parent.join(name), lock: Arc::new(lock) })
    }

    /// While this is held no other run touches the directory.
    pub(super) fn lock(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }

    /// Where to write meanwhile.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the lake appear under its own name.
    pub(super) fn complete(
        self,
        options: &DemoOptions,
        tables: BTreeMap<String, u64>,
    ) -> Result<DemoSummary, DemoError> {
        let marker = Marker {
            format: FORMAT,
            patients: options.patients,
            seed: options.seed,
            as_of: date_text(AS_OF),
            created_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            tables,
        };
        let path = self.path.join(MARKER);
        fs::write(&path, serde_json::to_string_pretty(&marker)? + "\n")
            .map_err(DemoError::io("write", &path))?;
        let under_way = self.path.join(UNDER_WAY);
        fs::remove_file(&under_way).map_err(DemoError::io("remove", &under_way))?;
        // Replaces an empty directory, never one with something in it.
        fs::rename(&self.path, &self.directory).map_err(DemoError::io("complete", &self.directory))?;
        drop(self.lock);
        Ok(DemoSummary {
            directory: options.directory.clone(),
            patients: marker.patients,
            seed: marker.seed,
            tables: marker.tables,
        })
    }

    /// Removes what was written, after a failure.
    pub(super) fn abandon(self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, "cannot remove an unfinished demo lake");
        }
    }
}
