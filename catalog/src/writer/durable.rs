//! Forcing files to disk where the store is a local file system, which does not do it by itself.
//!
//! Data files before the commit that names them, then the commit: what a writer was told is
//! committed is still there after a power failure. Stores with an API promise that with their answer.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path as FilePath, PathBuf};

use deltalake_core::kernel::Version;
use deltalake_core::logstore::commit_uri_from_version;
use object_store::path::Path;

use super::WriteError;
use super::draft::FileAction;
use super::location::TableLocation;

/// Forces new data files and the folders that name them to disk.
pub(super) async fn sync_files(table: &TableLocation, files: &[FileAction]) -> Result<(), WriteError> {
    sync(table, files.iter().filter_map(|file| file.path.clone()).collect()).await
}

/// Forces a commit to disk.
pub(super) async fn sync_commit(table: &TableLocation, version: Version) -> Result<(), WriteError> {
    sync(table, vec![commit_uri_from_version(Some(version))]).await
}

/// Forces files (relative to the table) and their folders to disk; nothing to do for other stores.
pub(super) async fn sync(table: &TableLocation, files: Vec<Path>) -> Result<(), WriteError> {
    let Some(folder) = table.local.clone() else { return Ok(()) };
    if files.is_empty() {
        return Ok(());
    }
    let work = tokio::task::spawn_blocking(move || sync_now(&folder, &files));
    match tokio::time::timeout(table.limits.load, work).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(table.store_failed(error)),
        Ok(Err(error)) => Err(table.store_failed(error)),
        Err(error) => Err(table.store_failed(error)),
    }
}

fn sync_now(table: &FilePath, files: &[Path]) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for file in files {
        let path: PathBuf = table.join(file.as_ref());
        File::open(&path)?.sync_all()?;
        // New folders are named by the ones above them; the table's own folder may be new, too.
        let above = path.ancestors().skip(1).take_while(|above| above.starts_with(table));
        folders.extend(above.map(FilePath::to_path_buf));
    }
    folders.extend(table.parent().map(FilePath::to_path_buf));
    folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
}
