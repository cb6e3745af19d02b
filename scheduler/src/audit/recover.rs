//! Where a log goes on after a stop or a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use super::disk::{file_name, log_files, owner_only, sync_directory};
use super::log::AuditError;
use super::seal::{hex, sha256};

/// Place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Sequence number of the next record.
    pub(super) next: u64,
    /// Digest of the record before it, in hex.
    pub(super) prev: String,
}

impl Place {
    pub(super) fn start() -> Self {
        Self { next: 1, prev: "0".repeat(64) }
    }

    /// The place after a line (without its line feed) that stands here.
    pub(super) fn after(&self, line: &[u8]) -> Self {
        Self { next: self.next + 1, prev: hex(&sha256(line)) }
    }
}

/// What of a line places it in the chain.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) prev: String,
}

/// Where to continue.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) place: Place,
    /// File to append to and its length; None where a new one is to be made.
    pub(super) file: Option<(String, u64)>,
    /// Bytes of an unfinished line and the file they were moved to.
    pub(super) torn: Option<(u64, String)>,
}

/// Reads the end of the log and sets an unfinished line aside.
pub(super) fn recover(directory: &Path) -> Result<Recovered, AuditError> {
    let io = |source| AuditError::Io { action: "reading the audit log", source };
    let files = log_files(directory).map_err(io)?;
    let mut torn = None;
    let mut newest = None;
    for (age, (first, path)) in files.iter().rev().enumerate() {
        let scan = scan(path, *first).map_err(io)?;
        if scan.damaged || (scan.torn && age > 0) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(AuditError::Damaged { file, line: scan.lines + 1 });
        }
        if scan.torn {
            torn = Some(set_aside(directory, path, *first, scan.length).map_err(io)?);
        }
        if age == 0 {
            newest = Some((file_name(*first), scan.length));
        }
        if let Some(place) = scan.place {
            return Ok(Recovered { place, file: newest, torn });
        }
    }
    Ok(Recovered { place: Place::start(), file: newest, torn })
}

struct Scan {
    /// After the last good line; None where there is none.
    place: Option<Place>,
    /// Good lines.
    lines: u64,
    /// Bytes of good lines.
    length: u64,
    /// What follows is what a crash leaves: an unfinished line or blocks that were never written.
    torn: bool,
    /// What follows is something else.
    damaged: bool,
}

fn scan(path: &Path, first: u64) -> io::Result<Scan> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut scan = Scan { place: None, lines: 0, length: 0, torn: false, damaged: false };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(scan);
        }
        let complete = line.pop_if(|byte| *byte == b'\n').is_some();
        let link = serde_json::from_slice::<Link>(&line).ok().filter(|_| complete);
        let expected = scan.place.as_ref();
        let fits = link.as_ref().is_some_and(|link| match expected {
            None => link.seq == first,
            Some(place) => link.seq == place.next && link.prev == place.prev,
        });
        match link {
            Some(link) if fits => {
                scan.place = Some(Place { next: link.seq, prev: link.prev }.after(&line));
                scan.lines += 1;
                scan.length += u64::try_from(read).unwrap_or(u64::MAX);
            }
            _ => {
                scan.torn = !complete || line.contains(&0);
                scan.damaged = !scan.torn;
                return Ok(scan);
            }
        }
    }
}

/// Moves everything from `length` on into a file of its own.
fn set_aside(directory: &Path, path: &Path, first: u64, length: u64) -> io::Result<(u64, String)> {
    let mut source = OpenOptions::new().read(true).write(true).open(path)?;
    source.seek(SeekFrom::Start(length))?;
    let name = format!("audit-{first:020}.torn-{length}");
    let mut target = owner_only().create(true).truncate(true).open(directory.join(&name))?;
    let bytes = io::copy(&mut Read::by_ref(&mut source), &mut target)?;
    target.sync_all()?;
    sync_directory(directory)?;
    source.set_len(length)?;
    source.sync_all()?;
    Ok((bytes, name))
}
