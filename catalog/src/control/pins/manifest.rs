//! The files of a pinned version, kept in parts that fit a control record.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::control::document::Document;
use crate::control::{MAX_VALUE, TableId};

/// Bytes of paths and sizes in one part, with room for what JSON adds.
const PART_BYTES: usize = MAX_VALUE / 4;
/// What an entry takes besides its path.
const ENTRY_BYTES: usize = 64;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path relative to the table, as the store spells it (not URL-encoded).
    pub path: String,
    /// Bytes, if the log says.
    pub size: Option<u64>,
}

/// Every file that reading a version needs: data files and deletion vector files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    files: Vec<ManifestFile>,
}

impl Manifest {
    /// The manifest of `files`, in the order of their paths.
    pub fn new(files: impl IntoIterator<Item = ManifestFile>) -> Self {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort();
        files.dedup();
        Self { files }
    }

    /// In the order of their paths.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// The manifest of all `parts`, if they are as they were.
    pub(super) fn join(parts: Vec<Part>, expected: &str) -> Option<Self> {
        let files: Vec<_> = parts.into_iter().flat_map(|part| part.files).collect();
        (digest(&files) == expected).then_some(Self { files })
    }
}

/// Some files of a manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    table: String,
    /// Parts of one manifest have the same.
    pub(super) upload: Uuid,
    number: usize,
    pub(super) created: DateTime<Utc>,
    pub(super) files: Vec<ManifestFile>,
}

impl Document for Part {
    const FORMAT: u64 = 1;

    fn table(&self) -> &str {
        &self.table
    }
}

impl Part {
    /// Its name in the folder of its pin.
    pub(super) fn segment(&self) -> String {
        Self::name(self.upload, self.number)
    }

    pub(super) fn name(upload: Uuid, number: usize) -> String {
        format!("{}-{number}", upload.simple())
    }

    pub(super) fn is_of(segment: &str, upload: Uuid) -> bool {
        segment.starts_with(&format!("{}-", upload.simple()))
    }
}

pub(super) fn parts(table: &TableId, upload: Uuid, created: DateTime<Utc>, manifest: &Manifest) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut room = 0_usize;
    for file in &manifest.files {
        let bytes = file.path.len().saturating_add(ENTRY_BYTES);
        if bytes > room || parts.is_empty() {
            let number = parts.len();
            let table = table.location().to_owned();
            parts.push(Part { table, upload, number, created, files: Vec::new() });
            room = PART_BYTES;
        }
        room = room.saturating_sub(bytes);
        if let Some(part) = parts.last_mut() {
            part.files.push(file.clone());
        }
    }
    parts
}

pub(super) fn digest<'a>(files: impl IntoIterator<Item = &'a ManifestFile>) -> String {
    let mut digest = Sha256::new();
    for file in files {
        // Lengths first, so that no two lists give the same bytes.
        digest.update(file.path.len().to_be_bytes());
        digest.update(file.path.as_bytes());
        digest.update([u8::from(file.size.is_some())]);
        digest.update(file.size.unwrap_or_default().to_be_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
