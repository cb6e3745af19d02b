//! Reading a log and checking its chain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::disk::log_files;
use super::log::AuditError;
use super::recover::{Link, Place};
use super::seal::SealedText;

/// A place where the log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File name.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// What is wrong.
    pub message: String,
}

/// The newest record: kept elsewhere, it proves later that nothing was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Sequence number.
    pub seq: u64,
    /// SHA-256 of its line, in hex.
    pub digest: String,
}

/// What a check of the chain found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Files read.
    pub files: u64,
    /// Records read.
    pub records: u64,
    /// Sequence number of the oldest record; above 1 where older files were taken away.
    pub first: Option<u64>,
    /// Newest record.
    pub head: Option<Head>,
    /// Bytes after the last complete line: a writer at work, or a crash that was not yet recovered.
    pub unfinished_bytes: u64,
    /// Intents that have no outcome: running, or cut off by a crash.
    pub open_statements: u64,
    /// Heads that were kept elsewhere and are in the chain.
    pub confirmed_heads: u64,
    /// Heads of records in files that were taken away since.
    pub older_heads: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether every record is what was written and none is missing in between.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One record as it was written.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// Sequence number.
    pub seq: u64,
    /// Time of acceptance, RFC 3339.
    pub time: String,
    /// `intent`, `outcome`, `denied`, `login`, `policy_reload`, `policy_changed`, `started`, `stopped`, `torn_tail`, `lost`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The other members.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Entry {
    /// Statement the record is about.
    #[must_use]
    pub fn statement_id(&self) -> Option<&str> {
        self.members.get("statement_id")?.as_str()
    }

    /// Sealed statement text.
    #[must_use]
    pub fn text(&self) -> Option<SealedText> {
        SealedText::deserialize(self.members.get("text")?).ok()
    }
}

/// Checks every file of a log: numbering, chain, readability. Blocking.
///
/// `heads` were kept elsewhere: a chain that lacks one, or has another record in its place, was cut off or
/// written anew.
///
/// # Errors
/// The directory or a file cannot be read.
pub fn verify(directory: &Path, heads: &[Head]) -> Result<Report, AuditError> {
    let mut report = Report::default();
    let mut open = BTreeSet::new();
    walk(directory, heads, &mut report, |line| {
        if let Ok(entry) = serde_json::from_slice::<Entry>(line)
            && let Some(id) = entry.statement_id()
        {
            match entry.kind.as_str() {
                "intent" => open.insert(id.to_owned()),
                "outcome" => open.remove(id),
                _ => false,
            };
        }
    })?;
    report.open_statements = u64::try_from(open.len()).unwrap_or(u64::MAX);
    Ok(report)
}

/// Hands every readable record to `visit`, oldest first, and checks the chain. Blocking.
///
/// # Errors
/// The directory or a file cannot be read.
pub fn read(directory: &Path, mut visit: impl FnMut(Entry)) -> Result<Report, AuditError> {
    let mut report = Report::default();
    walk(directory, &[], &mut report, |line| {
        if let Ok(entry) = serde_json::from_slice(line) {
            visit(entry);
        }
    })?;
    Ok(report)
}

fn walk(
    directory: &Path,
    heads: &[Head],
    report: &mut Report,
    mut visit: impl FnMut(&[u8]),
) -> Result<(), AuditError> {
    let mut kept: BTreeMap<u64, &str> = BTreeMap::new();
    for head in heads {
        if let Some(other) = kept.insert(head.seq, &head.digest)
            && other != head.digest
        {
            let message = format!("two different records {} were kept elsewhere", head.seq);
            report.problems.push(Problem { file: "heads".to_owned(), line: 0, message });
        }
    }
    let io = |source: io::Error| AuditError::Io { action: "reading the audit log", source };
    let files = log_files(directory).map_err(io)?;
    let mut expected: Option<Place> = None;
    for (index, (first, path)) in files.iter().enumerate() {
        let newest = index + 1 == files.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        report.files += 1;
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(io)?);
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(io)?;
            if read == 0 {
                break;
            }
            number += 1;
            let mut problem = |message: String| {
                report.problems.push(Problem { file: name.clone(), line: number, message });
            };
            if line.pop_if(|byte| *byte == b'\n').is_none() {
                if newest {
                    report.unfinished_bytes = u64::try_from(read).unwrap_or(u64::MAX);
                } else {
                    problem("the last record is not complete".to_owned());
                }
                break;
            }
            let Ok(link) = serde_json::from_slice::<Link>(&line) else {
                problem("not a record".to_owned());
                // The lines that follow are checked against each other.
                expected = None;
                continue;
            };
            if number == 1 && link.seq != *first {
                problem(format!("begins with record {}, its name says {first}", link.seq));
            }
            if let Some(place) = &expected {
                if link.seq != place.next {
                    problem(format!("record {} where {} is due", link.seq, place.next));
                } else if link.prev != place.prev {
                    problem(format!("record {} does not follow the record before it", link.seq));
                }
            } else if link.seq == 1 && link.prev != Place::start().prev {
                problem("the first record names one before it".to_owned());
            }
            report.first.get_or_insert(link.seq);
            report.records += 1;
            let next = Place { next: link.seq, prev: link.prev }.after(&line);
            match kept.remove(&link.seq) {
                Some(digest) if digest == next.prev => report.confirmed_heads += 1,
                Some(_) => problem(format!("record {} is not the one that was kept elsewhere", link.seq)),
                None => {}
            }
            report.head = Some(Head { seq: link.seq, digest: next.prev.clone() });
            expected = Some(next);
            visit(&line);
        }
    }
    // Old files may be taken away, the newest that is known of may not: else a log of any number could stand
    // in its place.
    let newest = heads.iter().map(|head| head.seq).max();
    for seq in kept.into_keys() {
        if report.first.is_some_and(|first| seq < first) && Some(seq) != newest {
            report.older_heads += 1;
        } else {
            let message = format!("record {seq}, whose head was kept elsewhere, is missing");
            report.problems.push(Problem { file: "heads".to_owned(), line: 0, message });
        }
    }
    Ok(())
}
