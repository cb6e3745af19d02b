//! Removing files that no version needs that is kept.
//!
//! delta-rs has a vacuum, which does not know deletion vector files of files that were removed lately,
//! nor pins; so this one is our own. A file goes when it lies in the table's folder, is older than the
//! retention, and is needed neither by the newest version, nor by a version that was the newest within
//! the retention, nor by a pin.

mod keep;
mod plan;

use std::collections::HashSet;
use std::sync::Arc;

use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::CommitBuilder;
use deltalake_core::logstore::LogStore as _;
use deltalake_core::protocol::DeltaOperation;
use deltalake_core::table::config::TablePropertiesExt as _;
use object_store::path::Path;
use serde_json::{Value, json};

use self::keep::Keep;
use self::plan::Plan;
use super::base::Base;
use super::draft::Draft;
use super::operations::commit;
use super::rules::Kind;
use super::run::PlanError;
use super::{TableWriter, Vacuum, Vacuumed, WriteError};
use crate::control::{Lease, RetentionMark};

/// Files removed in one batch.
const BATCH: usize = 500;

impl TableWriter {
    /// Removes files that are not needed, and notes that in the table's history.
    ///
    /// # Errors
    /// [`WriteError::InvalidRequest`] for a retention below the floor or the table's own;
    /// [`WriteError::Pins`] when the pins cannot be read. Files that were removed before an error
    /// stay removed; none of them was needed.
    pub async fn vacuum(&self, vacuum: &Vacuum) -> Result<Vacuumed, WriteError> {
        self.leased(|lease| async move {
            if vacuum.dry_run {
                let base = self.maintenance_base(&lease).await?;
                let plan = self.plan_vacuum(&base, vacuum).await?;
                return Ok(plan.answer(true));
            }
            self.pins.sweep(&self.table.id).await?;
            // Before the pins are read: see the control state's module `retention`.
            let mut mark = self.mark(&lease).await?;
            let done = self.vacuum_marked(&lease, vacuum, &mut mark).await;
            self.unmark(mark).await;
            done
        })
        .await
    }

    async fn vacuum_marked(
        &self,
        lease: &Arc<Lease>,
        vacuum: &Vacuum,
        mark: &mut RetentionMark,
    ) -> Result<Vacuumed, WriteError> {
        let base = self.maintenance_base(lease).await?;
        let mut plan = self.plan_vacuum(&base, vacuum).await?;
        if plan.files.is_empty() {
            return Ok(plan.answer(false));
        }
        let retention = i64::try_from(plan.retention.as_millis()).unwrap_or(i64::MAX);
        let start = DeltaOperation::VacuumStart {
            retention_check_enabled: true,
            specified_retention_millis: Some(retention),
            default_retention_millis: retention,
        };
        let metrics = json!({ "numFilesToDelete": plan.files.len(), "sizeOfDataToDelete": plan.bytes });
        let mut seen = self.note(lease, start, metrics).await?;
        // Commits between the plan and the note.
        self.spare(&mut plan, base.version(), seen).await?;
        let mut removed = Vec::new();
        let mut bytes = 0;
        while !plan.files.is_empty() {
            seen = self.spare_new(lease, &mut plan, seen).await?;
            self.before_removal(lease, mark).await?;
            let batch = plan.next_batch(BATCH);
            let paths: Vec<Path> = batch.iter().map(|file| file.path.clone()).collect();
            self.remove(&paths).await?;
            tracing::info!(
                table = self.table.name(),
                removed = removed.len() + paths.len(),
                left = plan.files.len(),
                "vacuum",
            );
            bytes += batch.iter().map(|file| file.size).sum::<u64>();
            removed.extend(paths.iter().map(ToString::to_string));
        }
        let end = DeltaOperation::VacuumEnd { status: "COMPLETED".to_owned() };
        let metrics = json!({ "numDeletedFiles": removed.len(), "numVacuumedDirectories": 0 });
        self.note(lease, end, metrics).await?;
        Ok(Vacuumed { files: removed, bytes, kept_for_pins: plan.kept_for_pins, dry_run: false })
    }

    async fn plan_vacuum(&self, base: &Base, vacuum: &Vacuum) -> Result<Plan, WriteError> {
        let own = base.state().table_config().deleted_file_retention_duration();
        let least = own.max(self.options.retention_floor);
        let retention = vacuum.retention.unwrap_or(least);
        if retention < least {
            return Err(WriteError::InvalidRequest(format!(
                "a retention of {retention:?} is less than the {least:?} that the table and the configuration ask for"
            )));
        }
        let horizon = self.horizon(retention);
        let pins = self.pinned_files().await?;
        let manifest = self.manifest_of(base)?;
        let (engine, url) = (self.table.engine(), self.table.url.clone());
        let (version, newer) = (base.version(), horizon.timestamp_millis());
        let tombstones = self
            .blocking("reading tombstones", move || keep::tombstones(engine.as_ref(), &url, version, newer))
            .await?;
        let keep = Keep { needed: manifest_paths(&manifest).chain(tombstones).collect(), pinned: pins };
        let partitions = base.state().metadata().partition_columns().to_vec();
        let listing = plan::list(&self.table, &keep, &partitions, horizon);
        // Listing a large table takes long; each page is bounded by the store's own time-outs.
        match tokio::time::timeout(self.options.attempt_timeout, listing).await {
            Ok(Ok(listed)) => Ok(listed.into_plan(retention)),
            Ok(Err(error)) => Err(self.table.store_failed(error)),
            Err(elapsed) => Err(self.table.store_failed(elapsed)),
        }
    }

    /// Every file of a valid pin.
    async fn pinned_files(&self) -> Result<HashSet<Path>, WriteError> {
        let mut files = HashSet::new();
        for pin in self.protecting_pins().await? {
            let manifest = self.pins.manifest(&self.table.id, &pin).await?;
            files.extend(manifest_paths(&manifest));
        }
        Ok(files)
    }

    /// Commits a note, and gives its version.
    async fn note(
        &self,
        lease: &Arc<Lease>,
        operation: DeltaOperation,
        metrics: Value,
    ) -> Result<u64, WriteError> {
        let (operation, metrics) = (&operation, &metrics);
        let outcome = self
            .write_leased(lease, None, Kind::Note, |table, _session| async move {
                commit_note(table, operation.clone(), metrics.clone()).await
            })
            .await?;
        Ok(outcome.version())
    }

    /// [`Self::spare`] for all commits after `seen`; gives the newest.
    async fn spare_new(&self, lease: &Arc<Lease>, plan: &mut Plan, seen: u64) -> Result<u64, WriteError> {
        let gate = super::gate::Gate::new(&self.table, lease);
        let newest = tokio::time::timeout(self.table.limits.load, gate.get_latest_version(seen)).await;
        let newest = newest.map_err(|elapsed| self.table.store_failed(elapsed))?;
        let newest = newest.map_err(|error| WriteError::from_engine(self.table.name(), error))?;
        self.spare(plan, seen, newest).await?;
        Ok(newest)
    }

    /// Keeps files that commits after `from`, up to `to`, brought back: others may restore an old version.
    async fn spare(&self, plan: &mut Plan, from: u64, to: u64) -> Result<(), WriteError> {
        let log = self.table.guarded_log_store();
        for version in from.saturating_add(1)..=to {
            let read = tokio::time::timeout(self.table.limits.request, log.read_commit_entry(version)).await;
            let commit = read
                .map_err(|elapsed| self.table.store_failed(elapsed))?
                .map_err(|error| WriteError::from_engine(self.table.name(), error))?
                .ok_or_else(|| self.broken(format!("commit {version} is gone")))?;
            let draft = Draft::parse(&commit).map_err(|reason| self.broken(reason))?;
            for (path, vector) in draft.needed(&self.table).map_err(|reason| self.broken(reason))? {
                plan.spare(&path);
                vector.iter().for_each(|vector| plan.spare(vector));
            }
        }
        Ok(())
    }
}

fn manifest_paths(manifest: &crate::control::Manifest) -> impl Iterator<Item = Path> + '_ {
    // As they were written: they come from a listing of the store or from a log's decoded paths.
    manifest
        .files()
        .iter()
        .map(|file| Path::parse(&file.path).unwrap_or_else(|_| Path::from(file.path.as_str())))
}

async fn commit_note(table: DeltaTable, operation: DeltaOperation, metrics: Value) -> Result<(), PlanError> {
    let state = table.snapshot()?;
    let properties = commit(0).with_metadata([("operationMetrics".to_owned(), metrics)]);
    CommitBuilder::from(properties).build(Some(state), table.log_store(), operation).await?;
    Ok(())
}
