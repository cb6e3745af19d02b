//! Which files of a table's folder may go.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use object_store::path::Path;

use super::keep::Keep;
use crate::writer::Vacuumed;
use crate::writer::location::{LOG, TableLocation};

/// Folder of change data files: hidden, but with files of the table's own.
const CHANGE_DATA: &str = "_change_data";
/// Files of one vacuum: bounds its memory. A table with more needs another one.
const MOST_FILES: usize = 500_000;

/// A file that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) path: Path,
    pub(super) size: u64,
}

/// What a listing found.
#[derive(Debug, Default)]
pub(super) struct Listed {
    candidates: Vec<Candidate>,
    kept_for_pins: usize,
    /// Folders of other tables within this one's.
    nested: BTreeSet<Path>,
}

/// What a vacuum will do.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) retention: Duration,
    /// Sizes by path.
    pub(super) files: HashMap<Path, u64>,
    pub(super) bytes: u64,
    pub(super) kept_for_pins: usize,
}

/// Looks at every file in the table's folder.
pub(super) async fn list(
    table: &TableLocation,
    keep: &Keep,
    partitions: &[String],
    horizon: DateTime<Utc>,
) -> Result<Listed, object_store::Error> {
    let mut listed = Listed::default();
    let mut objects = table.files.list(None);
    while let Some(object) = objects.try_next().await? {
        let path = object.location;
        if let Some(nested) = nested_table(&path) {
            listed.nested.insert(nested);
            continue;
        }
        // As old as the horizon counts as older: with no retention at all everything may go.
        if is_hidden(&path, partitions) || keep.needed.contains(&path) || object.last_modified > horizon {
            continue;
        }
        if keep.pinned.contains(&path) {
            listed.kept_for_pins += 1;
        } else if listed.candidates.len() < MOST_FILES {
            listed.candidates.push(Candidate { path, size: object.size });
        }
    }
    Ok(listed)
}

/// The folder of another table that the path lies in the log of.
fn nested_table(path: &Path) -> Option<Path> {
    let above: Vec<_> = path.parts().take_while(|part| part.as_ref() != LOG).collect();
    let in_log = above.len() < path.parts().count();
    (in_log && !above.is_empty()).then(|| above.into_iter().collect())
}

/// Whether the file is not one of a table: names that start with `_` or `.`, the log among them. A
/// partition column may be called so, too.
fn is_hidden(path: &Path, partitions: &[String]) -> bool {
    path.parts().enumerate().any(|(depth, part)| {
        let name = part.as_ref();
        let hidden = name.starts_with('_') || name.starts_with('.');
        let change_data = depth == 0 && name == CHANGE_DATA;
        let partition = partitions
            .iter()
            .any(|column| name.strip_prefix(column.as_str()).is_some_and(|rest| rest.starts_with('=')));
        hidden && !change_data && !partition
    })
}

impl Listed {
    pub(super) fn into_plan(self, retention: Duration) -> Plan {
        let Self { candidates, kept_for_pins, nested } = self;
        if !nested.is_empty() {
            tracing::warn!(
                tables = nested.len(),
                "a table's folder has other tables in it; their files stay"
            );
        }
        let in_nested = |path: &Path| nested.iter().any(|folder| path.prefix_matches(folder));
        let files: HashMap<Path, u64> = candidates
            .into_iter()
            .filter(|file| !in_nested(&file.path))
            .map(|file| (file.path, file.size))
            .collect();
        let bytes = files.values().sum();
        Plan { retention, files, bytes, kept_for_pins }
    }
}

impl Plan {
    /// Keeps a file after all.
    pub(super) fn spare(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// Takes up to `most` files out of the plan.
    pub(super) fn next_batch(&mut self, most: usize) -> Vec<Candidate> {
        let paths: Vec<Path> = self.files.keys().take(most).cloned().collect();
        paths
            .into_iter()
            .filter_map(|path| {
                let size = self.files.remove(&path)?;
                Some(Candidate { path, size })
            })
            .collect()
    }

    /// What a vacuum that does as planned answers.
    pub(super) fn answer(self, dry_run: bool) -> Vacuumed {
        let mut files: Vec<_> = self.files.keys().map(ToString::to_string).collect();
        files.sort();
        Vacuumed { files, bytes: self.bytes, kept_for_pins: self.kept_for_pins, dry_run }
    }
}
