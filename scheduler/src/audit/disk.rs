//! The few things the log asks of a disk, so that tests can make one fail.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A directory of log files.
pub(super) trait Disk: Send {
    /// Opens a file for appending at `length`, cutting off what lies beyond; makes it if it is missing.
    fn open(&self, name: &str, length: u64) -> io::Result<Box<dyn LogFile>>;
}

/// A log file that is being written.
pub(super) trait LogFile: Send {
    /// Appends.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The real one.
pub(super) struct LocalDisk {
    directory: PathBuf,
}

impl LocalDisk {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf() }
    }
}

impl Disk for LocalDisk {
    fn open(&self, name: &str, length: u64) -> io::Result<Box<dyn LogFile>> {
        let path = self.directory.join(name);
        let is_new = !path.try_exists()?;
        let mut file = owner_only().create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < length {
            // Somebody cut it off: what is missing was promised to be there.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the audit log is shorter than it was"));
        }
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        if is_new {
            // The name must survive a crash as well as the content.
            sync_directory(&self.directory)?;
        }
        Ok(Box::new(LocalFile(file)))
    }
}

struct LocalFile(File);

impl LogFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Options for a file that only its owner may read.
pub(super) fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    if !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    Ok(())
}

pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Name of the file that begins with a sequence number.
pub(super) fn file_name(first: u64) -> String {
    format!("audit-{first:020}.jsonl")
}

/// Log files by the sequence number they begin with.
pub(super) fn log_files(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".jsonl"))
            .filter(|digits| digits.len() == 20)
            .and_then(|digits| digits.parse::<u64>().ok());
        if let Some(first) = number {
            files.push((first, path));
        }
    }
    files.sort();
    Ok(files)
}
