//! Log replay into a [`FileIndex`].

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use delta_kernel::Engine;
use delta_kernel::cancellation::CancellationTokenRef;
use delta_kernel::engine::arrow_data::EngineDataArrowExt as _;
use delta_kernel::scan::{PartitionValuesOptions, Scan, ScanMetadata, StatsOptions};
use delta_kernel::snapshot::SnapshotRef;

use crate::definition::TableDefinition;
use crate::error::LoadError;
use crate::index::{FileIndex, FileKey, IndexBuilder, Site};
use crate::places::Places;

/// Batches of a log that wait to be indexed.
const BATCHES_AHEAD: usize = 2;

/// Every file of the snapshot's version.
pub(super) fn full(
    snapshot: &SnapshotRef,
    definition: &Arc<TableDefinition>,
    places: &Places,
    engine: &dyn Engine,
    stop: &CancellationTokenRef,
) -> Result<FileIndex, LoadError> {
    let scan = scan(snapshot, Some(stop))?;
    let batches = scan.scan_metadata(engine)?;
    // The kernel parses one batch while the one before goes into the index.
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel::<ScanMetadata>(BATCHES_AHEAD);
        let site = Site { table: snapshot.table_root(), places };
        let building =
            std::thread::Builder::new().name("file-index".to_owned()).spawn_scoped(scope, move || {
                let mut files = IndexBuilder::new(definition, site);
                for batch in receive {
                    push(&mut files, batch)?;
                }
                files.finish()
            });
        let building = building
            .map_err(|error| LoadError::Unreachable(format!("no thread to read its log: {error}")))?;
        let mut read = Ok(());
        for batch in batches {
            match batch.map(|batch| send.send(batch)) {
                Ok(Ok(())) => {}
                // Nobody receives any more: the builder says why.
                Ok(Err(_)) => break,
                Err(error) => {
                    read = Err(error);
                    break;
                }
            }
        }
        drop(send);
        let built = building.join();
        read?;
        built.map_err(|_| LoadError::Broken("the log replay failed on this log".to_owned()))?
    })
}

/// The base index with the files that the commits after `base_version` removed and added, reading
/// only these commits. None when the log no longer has all of them.
pub(super) fn incremental(
    snapshot: &SnapshotRef,
    base_version: u64,
    base: &FileIndex,
    places: &Places,
    engine: &dyn Engine,
) -> Result<Option<FileIndex>, LoadError> {
    if snapshot.log_segment().checkpoint_version.is_some_and(|version| version > base_version) {
        return Ok(None);
    }
    let Some(changes) = Arc::clone(snapshot).incremental_scan_builder(base_version).build(engine)? else {
        return Ok(None);
    };
    let changes = changes.into_summary()?;
    let site = Site { table: snapshot.table_root(), places };
    let removed = changes
        .removes
        .iter()
        .map(|key| {
            let vector = key.dv_unique_id().map(str::to_owned);
            Ok(FileKey { path: site.parse(key.path())?, vector })
        })
        .collect::<Result<Vec<_>, LoadError>>()?;
    let mut added = IndexBuilder::on(base, site);
    // With the base given as "nothing", the kernel replays the newer commits alone, and parses
    // their statistics and partition values as a full scan would.
    let nothing = std::iter::empty();
    for batch in scan(snapshot, None)?.scan_metadata_from(engine, base_version, nothing, None)? {
        push(&mut added, batch?)?;
    }
    let added = added.finish()?;
    if added.len() != changes.live_adds.len() {
        return Err(LoadError::Broken("the two readings of new commits differ".to_owned()));
    }
    base.replace(&removed, &added).map(Some)
}

fn scan(snapshot: &SnapshotRef, stop: Option<&CancellationTokenRef>) -> Result<Scan, LoadError> {
    Ok(Arc::clone(snapshot)
        .scan_builder()
        .with_stats(StatsOptions::all_struct())
        .with_partition_values(PartitionValuesOptions::with_struct())
        .without_row_transforms()
        .with_cancellation_token(stop.cloned())
        .build()?)
}

fn push(files: &mut IndexBuilder<'_>, batch: ScanMetadata) -> Result<(), LoadError> {
    let rows = batch.scan_files.apply_selection_vector().try_into_record_batch()?;
    files.push(&rows)
}
