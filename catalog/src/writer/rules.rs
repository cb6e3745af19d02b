//! What each kind of commit may do. Every commit is held against the version it starts from before it
//! is written, whatever the engine thought: a plan over a stale or wrong list of files ends here.

use std::collections::{HashMap, HashSet};

use object_store::path::Path;
use serde_json::Value;

use super::base::{Base, BaseFile};
use super::draft::{Draft, FileAction};
use super::features;
use super::location::TableLocation;

/// What a commit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Append,
    Overwrite,
    /// Removes all rows or those that a predicate selects.
    Delete {
        all: bool,
    },
    Update,
    Merge,
    Optimise,
    /// Only a note in the table's history.
    Note,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::Delete { .. } => "delete",
            Self::Update => "update",
            Self::Merge => "merge",
            Self::Optimise => "optimise",
            Self::Note => "maintenance",
        }
    }

    /// Whether the write stays right on top of commits that it did not see, as long as these change
    /// neither metadata nor protocol. Only what looks at no row and removes none.
    pub(super) fn may_rebase(self) -> bool {
        matches!(self, Self::Append)
    }

    /// Whether rows may be changed or removed.
    pub(super) fn changes_rows(self) -> bool {
        matches!(self, Self::Overwrite | Self::Delete { .. } | Self::Update | Self::Merge)
    }

    /// Whether existing files are read or removed.
    pub(super) fn touches_files(self) -> bool {
        self.changes_rows() || self == Self::Optimise
    }
}

/// The files of a commit that keeps the rules.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) adds: Vec<FileAction>,
    pub(super) removes: usize,
}

/// Holds `draft` against the rules of `kind`. `base` is None for a table that does not exist yet.
pub(super) fn check(
    kind: Kind,
    draft: &Draft,
    base: Option<&Base>,
    table: &TableLocation,
) -> Result<Checked, String> {
    check_kinds(kind, draft)?;
    let adds = draft.files("add", table)?;
    let removes = draft.files("remove", table)?;
    let active = match base {
        Some(base) if !removes.is_empty() || kind.touches_files() => base.by_path(),
        _ => HashMap::new(),
    };
    let removed = check_removes(&removes, &active)?;
    check_adds(&adds, base)?;
    match kind {
        Kind::Create => {
            ensure(adds.is_empty() && removes.is_empty(), "it adds or removes files")?;
            check_created(draft)?;
        }
        Kind::Note => ensure(adds.is_empty() && removes.is_empty(), "it adds or removes files")?,
        Kind::Append => ensure(removes.is_empty(), "an append removes files")?,
        Kind::Overwrite | Kind::Delete { all: true } => {
            let all = removed.len() == active.len();
            ensure(all, "it replaces all rows but does not remove all files")?;
        }
        Kind::Delete { all: false } | Kind::Update | Kind::Merge | Kind::Optimise => {}
    }
    let data_change = kind != Kind::Optimise;
    for file in adds.iter().chain(&removes) {
        ensure(file.data_change == data_change, "dataChange is not what the operation needs")?;
    }
    check_rows(kind, draft, &adds, &removed)?;
    Ok(Checked { adds, removes: removes.len() })
}

fn ensure(holds: bool, reason: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason.to_owned()) }
}

fn check_kinds(kind: Kind, draft: &Draft) -> Result<(), String> {
    for action in draft.kinds() {
        let allowed = match action {
            "commitInfo" | "add" | "remove" => true,
            "protocol" | "metaData" => kind == Kind::Create,
            "cdc" => matches!(kind, Kind::Delete { .. }),
            _ => false,
        };
        ensure(allowed, &format!("it has an action {action}"))?;
    }
    ensure(draft.actions("commitInfo").count() == 1, "it has not exactly one commitInfo")
}

/// A new table needs nothing that this writer would refuse at its next write.
fn check_created(draft: &Draft) -> Result<(), String> {
    let features = draft.actions("protocol").flat_map(|protocol| {
        ["readerFeatures", "writerFeatures"]
            .into_iter()
            .filter_map(|list| protocol.get(list).and_then(Value::as_array))
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
    });
    match features::check_names(features) {
        None => Ok(()),
        Some(unknown) => Err(format!("the new table would need {unknown}")),
    }
}

/// Each removed file is in the base, with the deletion vector it has there, and removed once.
fn check_removes<'a>(
    removes: &[FileAction],
    active: &'a HashMap<Path, BaseFile>,
) -> Result<HashMap<Path, &'a BaseFile>, String> {
    let mut removed = HashMap::new();
    for remove in removes {
        let path = remove.path.as_ref().ok_or("it removes a file outside the table")?;
        let file = active.get(path).ok_or("it removes a file that the table does not have")?;
        ensure(file.vector == remove.vector, "it removes a file with another deletion vector")?;
        ensure(removed.insert(path.clone(), file).is_none(), "it removes a file twice")?;
    }
    Ok(removed)
}

/// Each added file is new. None has a deletion vector: the engine rewrites files.
fn check_adds(adds: &[FileAction], base: Option<&Base>) -> Result<(), String> {
    let mut added = HashSet::new();
    for add in adds {
        let path = add.path.as_ref().ok_or("it adds a file outside the table")?;
        ensure(add.vector.is_none(), "it adds a file with a deletion vector")?;
        ensure(added.insert(path), "it adds a file twice")?;
    }
    let known = base.is_some_and(|base| base.paths().any(|path| added.contains(&path)));
    ensure(!known, "it adds a file that the table already has")
}

/// Where all statistics say how many rows files have, the sums must fit what the operation says it did.
fn check_rows(
    kind: Kind,
    draft: &Draft,
    adds: &[FileAction],
    removed: &HashMap<Path, &BaseFile>,
) -> Result<(), String> {
    let added = adds.iter().map(|file| file.rows).sum::<Option<u64>>();
    let removed = removed.values().map(|file| file.rows).sum::<Option<u64>>();
    let (Some(added), Some(removed)) = (added, removed) else { return Ok(()) };
    let metrics = draft.metrics();
    let count = |key: &str| metrics.get(key).and_then(Value::as_u64);
    let expected = match kind {
        Kind::Optimise | Kind::Update => Some(removed),
        Kind::Delete { .. } => count("num_deleted_rows").and_then(|deleted| removed.checked_sub(deleted)),
        Kind::Merge => {
            let inserted = count("num_target_rows_inserted");
            let deleted = count("num_target_rows_deleted");
            inserted
                .zip(deleted)
                .and_then(|(inserted, deleted)| removed.checked_add(inserted)?.checked_sub(deleted))
        }
        Kind::Create | Kind::Append | Kind::Overwrite | Kind::Note => return Ok(()),
    };
    match expected {
        Some(expected) => ensure(
            added == expected,
            &format!(
                "it removes files of {removed} rows and adds files of {added} where {expected} are left"
            ),
        ),
        None => Err("it does not say how many rows it changed".to_owned()),
    }
}
