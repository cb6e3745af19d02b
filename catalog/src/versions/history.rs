//! The commits of a table's log.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use delta_kernel::history_manager::{HistoryCommitType, get_earliest_commit, latest_version_as_of};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use serde_json::Value;

use super::VersionError;
use crate::error::LoadError;
use crate::log;
use crate::snapshot::TableSnapshot;

/// Commits that are read at once.
const PARALLEL_READS: usize = 8;
/// Digits of a version in the name of its commit.
const VERSION_DIGITS: usize = 20;
/// A commit of many files is searched for who made it no further than this from either end.
const INFO_BYTES: u64 = 1 << 20;

/// Bytes of parameters or metrics that a history shows of one commit.
const LONGEST_DETAIL: usize = 64 << 10;

/// One commit of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The version that it made.
    pub version: u64,
    /// When: its in-commit timestamp, or else when its object was written, moved after the commit
    /// before it where clocks disagreed.
    pub timestamp: DateTime<Utc>,
    /// What the writer did, such as `WRITE` or `MERGE`.
    pub operation: Option<String>,
    /// With which parameters, as JSON. May hold values of the table.
    pub parameters: Option<String>,
    /// With what effect, as JSON. Tells of all rows of the table.
    pub metrics: Option<String>,
    /// Name and version of the software.
    pub engine: Option<String>,
    /// Who, as the writer says.
    pub user: Option<String>,
}

impl TableSnapshot {
    /// The newest `limit` commits up to this version that the log still has, newest first.
    pub async fn history(&self, limit: usize) -> Result<Vec<Commit>, VersionError> {
        let fail = |error: &LoadError| self.unreadable(self.version(), error);
        let mut files = commit_files(self).await.map_err(|error| fail(&error))?;
        let newest = files.split_off(files.len().saturating_sub(limit));
        let mut commits: Vec<Commit> = futures::stream::iter(newest)
            .map(|file| read_commit(self, file))
            .buffered(PARALLEL_READS)
            .try_collect()
            .await
            .map_err(|error| fail(&error))?;
        commits.sort_by_key(|commit| std::cmp::Reverse(commit.version));
        Ok(commits)
    }
}

async fn read_commit(table: &TableSnapshot, file: CommitFile) -> Result<Commit, LoadError> {
    let info = commit_info(table, file.version).await?;
    Ok(commit(file, &info))
}

/// A commit's object.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitFile {
    pub(super) version: u64,
    pub(super) modified: DateTime<Utc>,
}

/// Commits that the log still has, up to the table's version, oldest first. Their times grow.
pub(super) async fn commit_files(table: &TableSnapshot) -> Result<Vec<CommitFile>, LoadError> {
    let limits = table.log.context.limits;
    let folder = table.location.log();
    let mut files: Vec<CommitFile> = log::request(limits, async {
        let listed = table.location.store.objects.list(Some(&folder));
        listed
            .try_filter_map(|object| {
                let version = object.location.filename().and_then(version_of);
                futures::future::ok(
                    version.map(|version| CommitFile { version, modified: object.last_modified }),
                )
            })
            .try_collect()
            .await
    })
    .await?;
    files.retain(|file| file.version <= table.version());
    files.sort_by_key(|file| file.version);
    // As Spark does it: a commit is later than the one before, whatever the clocks said.
    for next in 1..files.len() {
        let earliest = files[next - 1].modified + chrono::TimeDelta::milliseconds(1);
        files[next].modified = files[next].modified.max(earliest);
    }
    Ok(files)
}

fn version_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".json")?;
    (digits.len() == VERSION_DIGITS).then(|| digits.parse().ok()).flatten()
}

/// The `commitInfo` action of a commit; an empty object where it has none.
pub(super) async fn commit_info(table: &TableSnapshot, version: u64) -> Result<Value, LoadError> {
    let path = log::commit_path(&table.location, version);
    let limits = table.log.context.limits;
    let objects = &table.location.store.objects;
    let size = log::request(limits, objects.head(&path)).await?.size;
    // Writers put it first or last.
    let ranges = [0..size.min(INFO_BYTES), size.saturating_sub(INFO_BYTES)..size];
    for range in ranges.into_iter().take(if size > INFO_BYTES { 2 } else { 1 }) {
        let bytes = log::request(limits, objects.get_range(&path, range)).await?;
        let found = bytes.split(|&byte| byte == b'\n').find_map(|line| {
            let action: Value = serde_json::from_slice(line).ok()?;
            action.get("commitInfo").cloned()
        });
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Ok(Value::Object(serde_json::Map::new()))
}

fn commit(file: CommitFile, info: &Value) -> Commit {
    let text = |key: &str| info.get(key).and_then(Value::as_str).map(str::to_owned);
    // A thousand commits are kept at once; one with a statement of a megabyte shows none of it.
    let json = |key: &str| {
        let text = info.get(key).filter(|value| !value.is_null()).map(ToString::to_string);
        text.filter(|text| text.len() <= LONGEST_DETAIL)
    };
    let in_commit = info.get("inCommitTimestamp").and_then(Value::as_i64);
    Commit {
        version: file.version,
        timestamp: in_commit.and_then(DateTime::from_timestamp_millis).unwrap_or(file.modified),
        operation: text("operation"),
        parameters: json("operationParameters"),
        metrics: json("operationMetrics"),
        engine: text("engineInfo"),
        user: text("userName").or_else(|| text("userId")),
    }
}

/// The oldest version that can be read.
pub(super) async fn oldest(table: &TableSnapshot) -> Result<u64, LoadError> {
    let engine = Arc::clone(&table.location.store.engine);
    let folder = table.location.url.join("_delta_log/");
    let folder = folder.map_err(|error| LoadError::Broken(error.to_string()))?;
    log::blocking(table.log.context.limits.load, move |_| {
        Ok(get_earliest_commit(engine.as_ref(), &folder, None, HistoryCommitType::Recreatable)?)
    })
    .await
}

/// The newest version committed at `time` or before; None when all are later.
pub(super) async fn version_at(table: &TableSnapshot, time: DateTime<Utc>) -> Result<Option<u64>, LoadError> {
    let properties = table.log.snapshot.metadata_configuration();
    let in_commit = properties.get("delta.enableInCommitTimestamps").is_some_and(|on| on == "true");
    if !in_commit {
        let files = commit_files(table).await?;
        return Ok(files.iter().rev().find(|file| file.modified <= time).map(|file| file.version));
    }
    let engine = Arc::clone(&table.location.store.engine);
    let snapshot = Arc::clone(&table.log.snapshot);
    let millis = time.timestamp_millis();
    log::blocking(table.log.context.limits.load, move |_| {
        let found = latest_version_as_of(&snapshot, engine.as_ref(), millis, HistoryCommitType::Recreatable);
        match found {
            Ok(commit) => Ok(Some(commit.version)),
            Err(delta_kernel::Error::LogHistory(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await
}
