//! The files that hold the changed rows of a commit.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use serde::Deserialize;

use crate::deletion::DeletionVector;
use crate::error::LoadError;
use crate::log;
use crate::places::FilePath;
use crate::snapshot::TableSnapshot;

/// Largest commit that is read for its changes.
const LARGEST_COMMIT: u64 = 64 << 20;

/// What happened to the rows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Insert,
    Delete,
    /// Each row says it itself.
    InFile,
}

/// Some rows of one file that a commit changed.
#[derive(Debug)]
pub(super) struct ChangedFile {
    pub(super) path: FilePath,
    pub(super) size: u64,
    pub(super) modified: i64,
    /// By physical name.
    pub(super) partition_values: BTreeMap<String, Option<String>>,
    pub(super) change: Change,
    /// Rows that this vector has.
    pub(super) only: Option<DeletionVector>,
    /// Rows that this vector does not have.
    pub(super) without: Option<DeletionVector>,
}

/// What one commit changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) files: Vec<ChangedFile>,
    /// Partition columns, where the commit set the table's metadata.
    pub(super) partition_columns: Option<Vec<String>>,
}

/// One line of a commit; what is not needed is passed over.
#[derive(Debug, Deserialize)]
struct Line {
    add: Option<FileAction>,
    remove: Option<FileAction>,
    cdc: Option<FileAction>,
    #[serde(rename = "metaData")]
    metadata: Option<MetadataAction>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataAction {
    #[serde(default)]
    partition_columns: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileAction {
    path: String,
    #[serde(default)]
    partition_values: Option<BTreeMap<String, Option<String>>>,
    size: Option<i64>,
    modification_time: Option<i64>,
    #[serde(default)]
    data_change: bool,
    deletion_vector: Option<VectorAction>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VectorAction {
    storage_type: String,
    path_or_inline_dv: String,
    offset: Option<i32>,
    size_in_bytes: i32,
    cardinality: i64,
}

impl VectorAction {
    fn read(&self) -> Result<DeletionVector, LoadError> {
        DeletionVector::new(
            &self.storage_type,
            &self.path_or_inline_dv,
            self.offset,
            self.size_in_bytes,
            self.cardinality,
        )
    }
}

/// Reads the changes of one commit.
pub(super) async fn changes_of(table: &TableSnapshot, version: u64) -> Result<Changes, LoadError> {
    let path = log::commit_path(&table.location, version);
    let context = &table.log.context;
    let objects = &table.location.store.objects;
    let size = log::request(context.limits, objects.head(&path)).await?.size;
    if size > LARGEST_COMMIT {
        return Err(LoadError::Unsupported("a commit of more than 64 MiB as a source of changes".to_owned()));
    }
    let bytes = log::request(context.limits, async { objects.get(&path).await?.bytes().await }).await?;
    let (url, places) = (table.location.url.clone(), std::sync::Arc::clone(&context.places));
    log::blocking(context.limits.load, move |_| collect(&bytes, |path| FilePath::parse(path, &url, &places)))
        .await
}

fn collect(
    commit: &Bytes,
    place: impl Fn(&str) -> Result<FilePath, LoadError>,
) -> Result<Changes, LoadError> {
    let mut changes = Changes::default();
    let (mut adds, mut removes) = (Vec::new(), HashMap::new());
    let mut feed = Vec::new();
    for line in commit.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        // What serde says of a line quotes it.
        let line: Line = serde_json::from_slice(line)
            .map_err(|_| LoadError::Broken("a line of a commit is no action".to_owned()))?;
        if let Some(metadata) = line.metadata {
            changes.partition_columns = Some(metadata.partition_columns);
        }
        feed.extend(line.cdc);
        adds.extend(line.add.filter(|add| add.data_change));
        if let Some(remove) = line.remove.filter(|remove| remove.data_change) {
            removes.insert(remove.path.clone(), remove);
        }
    }
    if !feed.is_empty() {
        for file in &feed {
            changes.files.push(changed(file, Change::InFile, None, None, &place)?);
        }
        return Ok(changes);
    }
    for add in &adds {
        let now = add.deletion_vector.as_ref().map(VectorAction::read).transpose()?;
        let Some(before) = removes.remove(&add.path) else {
            changes.files.push(changed(add, Change::Insert, None, now, &place)?);
            continue;
        };
        // The file stays; its rows are the difference of two vectors.
        let before = before.deletion_vector.as_ref().map(VectorAction::read).transpose()?;
        if now == before {
            continue;
        }
        if now.is_some() {
            changes.files.push(changed(add, Change::Delete, now.clone(), before.clone(), &place)?);
        }
        if before.is_some() {
            changes.files.push(changed(add, Change::Insert, before, now, &place)?);
        }
    }
    for remove in removes.values() {
        let lost = remove.deletion_vector.as_ref().map(VectorAction::read).transpose()?;
        changes.files.push(changed(remove, Change::Delete, None, lost, &place)?);
    }
    Ok(changes)
}

fn changed(
    file: &FileAction,
    change: Change,
    only: Option<DeletionVector>,
    without: Option<DeletionVector>,
    place: impl Fn(&str) -> Result<FilePath, LoadError>,
) -> Result<ChangedFile, LoadError> {
    let size = file.size.and_then(|size| u64::try_from(size).ok());
    Ok(ChangedFile {
        path: place(&file.path)?,
        size: size
            .ok_or_else(|| LoadError::Unsupported("changes by a writer that leaves out sizes".to_owned()))?,
        modified: file.modification_time.unwrap_or(0),
        partition_values: file.partition_values.clone().ok_or_else(|| {
            LoadError::Unsupported("changes by a writer that leaves out partition values".to_owned())
        })?,
        change,
        only,
        without,
    })
}
