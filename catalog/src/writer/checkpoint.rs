//! Checkpoints, and removing log files that no kept version needs.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use delta_kernel::Snapshot;
use deltalake_core::table::config::TablePropertiesExt as _;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;

use super::base::Base;
use super::gate::Gate;
use super::location::LOG;
use super::rules::Kind;
use super::{TableWriter, WriteError, durable, features};
use crate::control::{Lease, RetentionMark};

/// Log files removed in one batch.
const BATCH: usize = 1000;

/// A file of the log.
#[derive(Debug, Clone)]
struct LogFile {
    path: Path,
    version: u64,
    is_checkpoint: bool,
    modified: DateTime<Utc>,
}

impl TableWriter {
    /// Writes a checkpoint of the newest version, and gives the version.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn checkpoint(&self) -> Result<u64, WriteError> {
        self.leased(|lease| async move {
            let base = self.maintenance_base(&lease).await?;
            lease.confirm().await?;
            self.write_checkpoint(base.version()).await?;
            Ok(base.version())
        })
        .await
    }

    /// Removes commits and checkpoints that are older than `delta.logRetentionDuration` and that no
    /// later version and no pin needs. Says how many.
    ///
    /// # Errors
    /// See [`WriteError`]. Nothing is removed when the pins cannot be read.
    pub async fn clean_log(&self) -> Result<usize, WriteError> {
        self.leased(|lease| async move {
            let base = self.maintenance_base(&lease).await?;
            self.remove_old_log(&lease, &base).await
        })
        .await
    }

    /// What follows a commit: a checkpoint every so many versions, and then a look at old log files.
    /// The commit is in, so failing here is only reported.
    pub(super) async fn after_commit(
        &self,
        lease: &Arc<Lease>,
        kind: Kind,
        base: Option<&Base>,
        version: u64,
    ) {
        let Some(base) = base else { return };
        let config = base.state().table_config();
        if !version.saturating_add(1).is_multiple_of(config.checkpoint_interval().get()) {
            return;
        }
        if let Err(error) = self.write_checkpoint(version).await {
            tracing::warn!(table = self.table.name(), version, %error, "no checkpoint was written");
            return;
        }
        // A vacuum, which makes the notes, has set the mark of removals already.
        if kind != Kind::Note
            && config.enable_expired_log_cleanup()
            && let Err(error) = self.remove_old_log(lease, base).await
        {
            tracing::warn!(table = self.table.name(), %error, "old log files were not removed");
        }
    }

    /// The newest version, of a table that maintenance may touch.
    pub(super) async fn maintenance_base(&self, lease: &Arc<Lease>) -> Result<Base, WriteError> {
        let location = || self.table.name().to_owned();
        let table = self.load(&Gate::new(&self.table, lease)).await?;
        let base = table.as_ref().and_then(Base::of);
        let base = base.ok_or_else(|| WriteError::NotATable { location: location() })?;
        match features::check(&base, Kind::Note) {
            None => Ok(base),
            Some(feature) => Err(WriteError::Unsupported { location: location(), feature }),
        }
    }

    async fn write_checkpoint(&self, version: u64) -> Result<(), WriteError> {
        let (engine, url) = (self.table.engine(), self.table.url.clone());
        self.blocking("writing a checkpoint", move || {
            let snapshot = Snapshot::builder_for(url).at_version(version).build(engine.as_ref())?;
            snapshot.checkpoint(engine.as_ref(), None)?;
            Ok(())
        })
        .await?;
        tracing::info!(table = self.table.name(), version, "checkpoint written");
        Ok(())
    }

    /// Runs kernel work on a blocking thread.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce() -> Result<T, delta_kernel::Error> + Send + 'static,
    ) -> Result<T, WriteError> {
        let location = self.table.name().to_owned();
        match tokio::time::timeout(self.table.limits.load, tokio::task::spawn_blocking(work)).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(error))) => Err(WriteError::Engine { location, source: Box::new(error) }),
            Ok(Err(error)) => Err(WriteError::Engine { location, source: Box::new(error) }),
            Err(_) => Err(WriteError::TimedOut { location, what }),
        }
    }

    async fn remove_old_log(&self, lease: &Arc<Lease>, base: &Base) -> Result<usize, WriteError> {
        let mut mark = self.mark(lease).await?;
        let removed = self.remove_old_log_marked(lease, base, &mut mark).await;
        self.unmark(mark).await;
        removed
    }

    async fn remove_old_log_marked(
        &self,
        lease: &Arc<Lease>,
        base: &Base,
        mark: &mut RetentionMark,
    ) -> Result<usize, WriteError> {
        let retention = base.state().table_config().log_retention_duration();
        let horizon = self.horizon(retention.max(self.options.retention_floor));
        let files = self.log_files().await?;
        // Every version of the retention time stays, and every pinned one.
        let recent = files.iter().filter(|file| file.modified >= horizon).map(|file| file.version).min();
        let pinned = self.protecting_pins().await?.into_iter().map(|pin| pin.version).min();
        let keep = [recent, pinned].into_iter().flatten().fold(base.version(), u64::min);
        // What comes before the checkpoint that these versions start from is needed by none of them.
        let checkpoints = files.iter().filter(|file| file.is_checkpoint && file.version <= keep);
        let Some(start) = checkpoints.map(|file| file.version).max() else { return Ok(0) };
        let old: Vec<Path> = files
            .iter()
            .filter(|file| file.version < start && file.modified < horizon)
            .map(|file| file.path.clone())
            .collect();
        if old.is_empty() {
            return Ok(0);
        }
        self.check_checkpoint(start, &files).await?;
        tracing::info!(
            table = self.table.name(),
            files = old.len(),
            before = start,
            "removing old log files"
        );
        for batch in old.chunks(BATCH) {
            self.before_removal(lease, mark).await?;
            self.remove(batch).await?;
        }
        Ok(old.len())
    }

    /// Whether version `start` can be read from its checkpoint alone, after a power failure, too.
    async fn check_checkpoint(&self, start: u64, files: &[LogFile]) -> Result<(), WriteError> {
        let (engine, url) = (self.table.engine(), self.table.url.clone());
        let from = self
            .blocking("reading a checkpoint", move || {
                let snapshot = Snapshot::builder_for(url).at_version(start).build(engine.as_ref())?;
                Ok(snapshot.log_segment().checkpoint_version)
            })
            .await?;
        if from != Some(start) {
            let source = format!("the checkpoint of version {start} is not complete").into();
            return Err(WriteError::Engine { location: self.table.name().to_owned(), source });
        }
        let parts = files.iter().filter(|file| file.is_checkpoint && file.version == start);
        durable::sync(&self.table, parts.map(|file| file.path.clone()).collect()).await
    }

    /// The files directly in the log folder that belong to a version.
    async fn log_files(&self) -> Result<Vec<LogFile>, WriteError> {
        let folder = Path::from(LOG);
        let listing = self
            .table
            .files
            .list(Some(&folder))
            .try_filter_map(|object| std::future::ready(Ok(log_file(&object))))
            .try_collect();
        match tokio::time::timeout(self.table.limits.load, listing).await {
            Ok(Ok(files)) => Ok(files),
            Ok(Err(error)) => Err(self.table.store_failed(error)),
            Err(elapsed) => Err(self.table.store_failed(elapsed)),
        }
    }

    /// What is older may go.
    pub(super) fn horizon(&self, retention: Duration) -> DateTime<Utc> {
        let now = self.options.clock.wall();
        chrono::Duration::from_std(retention)
            .ok()
            .and_then(|retention| now.checked_sub_signed(retention))
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// Sets the mark that keeps new pins away while files are removed.
    pub(super) async fn mark(&self, lease: &Lease) -> Result<RetentionMark, WriteError> {
        RetentionMark::set(
            Arc::clone(&self.control),
            Arc::clone(&self.options.clock),
            &self.table.id,
            lease.fencing(),
            self.batch_time(),
        )
        .await
        .map_err(|error| WriteError::from_retention(self.table.name(), error))
    }

    /// Longest time from the permission for a batch of removals to its end.
    fn batch_time(&self) -> Duration {
        self.table.limits.load.saturating_mul(2)
    }

    pub(super) async fn unmark(&self, mark: RetentionMark) {
        if let Err(error) = mark.clear().await {
            tracing::warn!(table = self.table.name(), %error, "the mark of the removal stays until it expires");
        }
    }

    /// Asks for permission to remove a batch of files.
    pub(super) async fn before_removal(
        &self,
        lease: &Lease,
        mark: &mut RetentionMark,
    ) -> Result<(), WriteError> {
        mark.extend().await.map_err(|error| WriteError::from_retention(self.table.name(), error))?;
        lease.confirm().await?;
        Ok(())
    }

    /// Removes files; those that are gone already are no error.
    pub(super) async fn remove(&self, files: &[Path]) -> Result<(), WriteError> {
        let paths: Vec<_> = files.iter().cloned().map(Ok).collect();
        let removing = self
            .table
            .files
            .delete_stream(futures::stream::iter(paths).boxed())
            .try_for_each(|_| std::future::ready(Ok(())));
        let removing = async {
            match removing.await {
                Err(object_store::Error::NotFound { .. }) => self.remove_each(files).await,
                done => done,
            }
        };
        match tokio::time::timeout(self.table.limits.load, removing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.table.store_failed(error)),
            Err(elapsed) => Err(self.table.store_failed(elapsed)),
        }
    }

    /// Some stores end a stream of removals at the first file that does not exist.
    async fn remove_each(&self, files: &[Path]) -> Result<(), object_store::Error> {
        use object_store::ObjectStoreExt as _;
        for file in files {
            match self.table.files.delete(file).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn log_file(object: &object_store::ObjectMeta) -> Option<LogFile> {
    let mut parts = object.location.parts().skip(1);
    let name = parts.next()?;
    // Folders in the log (sidecars, staged commits) are not ours to clean.
    if parts.next().is_some() {
        return None;
    }
    let (version, kind) = name.as_ref().split_once('.')?;
    let is_version = version.len() == 20 && version.bytes().all(|byte| byte.is_ascii_digit());
    let known = kind == "json" || kind == "crc" || kind.starts_with("checkpoint.") || is_compacted(kind);
    if !is_version || !known {
        return None;
    }
    Some(LogFile {
        path: object.location.clone(),
        version: version.parse().ok()?,
        is_checkpoint: kind.starts_with("checkpoint."),
        modified: object.last_modified,
    })
}

/// `<last version>.compacted.json`, after the first version.
fn is_compacted(kind: &str) -> bool {
    kind.ends_with(".compacted.json")
}
