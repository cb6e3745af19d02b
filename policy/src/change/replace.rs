//! A file in the place of another, in one step: whoever reads it, and whoever reads it after a crash,
//! finds the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rand::TryRngCore;
use rand::rngs::OsRng;

/// What is done, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A file beside it is made.
    Create,
    /// It gets the owner and the rights of the old one.
    Own,
    /// It gets its content.
    Write,
    /// Its content is on disk.
    Sync,
    /// It takes the old one's place.
    Rename,
    /// The folder is on disk.
    SyncFolder,
}

/// A file that is about to be replaced; nobody else replaces it so meanwhile.
#[derive(Debug)]
pub(crate) struct Replacement {
    target: PathBuf,
    folder: PathBuf,
    lock: File,
}

impl Replacement {
    /// Waits for others that replace files of the same folder.
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        // A link is followed, so that the file is replaced and not the link.
        let target = fs::canonicalize(path)?;
        let folder = target.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let lock = File::open(&folder)?;
        lock.lock()?;
        Ok(Self { target, folder, lock })
    }

    /// Puts `content` in the place of the file. True: it is there, but whether it is so after a crash of
    /// the machine could not be made sure of. After an error the file is as it was.
    pub(crate) fn put(self, content: &[u8]) -> io::Result<bool> {
        self.put_with(content, |_| Ok(()))
    }

    /// [`Self::put`] with a say before each step.
    pub(super) fn put_with(
        self,
        content: &[u8],
        mut before: impl FnMut(Step) -> io::Result<()>,
    ) -> io::Result<bool> {
        let tag = OsRng.try_next_u64().map_err(io::Error::other)?;
        let name = self.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = self.folder.join(format!(".{name}.{tag:016x}"));
        let renamed = self.write(&temporary, content, &mut before);
        if let Err(error) = renamed {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        let synced = before(Step::SyncFolder).and_then(|()| self.lock.sync_all());
        Ok(synced.is_err())
    }

    fn write(
        &self,
        temporary: &Path,
        content: &[u8],
        before: &mut impl FnMut(Step) -> io::Result<()>,
    ) -> io::Result<()> {
        let known = fs::metadata(&self.target)?;
        before(Step::Create)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        before(Step::Own)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (known.uid(), known.gid()) {
            fchown(&file, Some(known.uid()), Some(known.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(known.mode() & 0o7777))?;
        before(Step::Write)?;
        file.write_all(content)?;
        before(Step::Sync)?;
        file.sync_all()?;
        before(Step::Rename)?;
        fs::rename(temporary, &self.target)
    }
}
