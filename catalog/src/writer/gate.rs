//! The one place where a commit is written.
//!
//! The engine commits through a [`LogStore`]. Ours is a gate: whatever operation the engine runs and
//! however it retries, its commit arrives here, and passes only if it follows the version it was planned
//! on, keeps the rules of its kind, and the lease still holds. Here it gets its identity, too, because
//! not every operation of the engine passes one on: its OPTIMIZE drops application transactions.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use delta_kernel::Engine;
use deltalake_core::kernel::Version;
use deltalake_core::kernel::transaction::TransactionError;
use deltalake_core::logstore::{
    CommitOrBytes, LogStore, LogStoreConfig, ObjectStoreRef, commit_uri_from_version, get_latest_version,
};
use deltalake_core::{DeltaResult, DeltaTableError};
use parking_lot::Mutex;
use url::Url;
use uuid::Uuid;

use super::base::Base;
use super::draft::Draft;
use super::location::TableLocation;
use super::put::{PutError, put_commit};
use super::rules::{self, Checked, Kind};
use super::{Commit, WriteError, WriteId, durable, partitions};
use crate::control::Lease;

/// What one commit may be.
#[derive(Debug)]
pub(super) struct Permit {
    pub(super) kind: Kind,
    pub(super) id: WriteId,
    /// None to create the table.
    pub(super) base: Option<Base>,
}

/// What became of the commit of an attempt.
#[derive(Debug)]
pub(super) enum Passed {
    Committed(Commit),
    /// The version that it was to be is another commit.
    Taken {
        /// Whether the same data files may still become a later version.
        again: bool,
    },
    /// It was not written, and planning again does not help.
    Failed(WriteError),
    /// Nobody knows. `commit` tells it from others.
    Unknown {
        version: Version,
        commit: Uuid,
        error: WriteError,
    },
}

/// The log store of one attempt at a write.
pub(super) struct Gate {
    table: Arc<TableLocation>,
    lease: Arc<Lease>,
    /// Reads, and data files.
    guarded: Arc<dyn LogStore>,
    config: LogStoreConfig,
    /// Made once: each one may have a thread of its own.
    engine: OnceLock<Arc<dyn Engine>>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The base is being read: no commit passes.
    Closed,
    Open(Arc<Permit>),
    /// A commit arrived and is being written.
    Committing(Arc<Permit>),
    Done(Passed),
}

impl Gate {
    pub(super) fn new(table: &Arc<TableLocation>, lease: &Arc<Lease>) -> Arc<Self> {
        Arc::new(Self {
            table: Arc::clone(table),
            lease: Arc::clone(lease),
            guarded: table.guarded_log_store(),
            config: table.log_store_config(),
            engine: OnceLock::new(),
            state: Mutex::new(State::Closed),
        })
    }

    /// Lets one commit pass.
    pub(super) fn open(&self, permit: Permit) {
        *self.state.lock() = State::Open(Arc::new(permit));
    }

    /// Whether a commit arrived, so that the attempt must be waited for.
    pub(super) fn is_committing(&self) -> bool {
        matches!(*self.state.lock(), State::Committing(_))
    }

    /// What became of the commit; None when none arrived. Nothing passes after this.
    pub(super) fn close(&self) -> Option<Passed> {
        match std::mem::replace(&mut *self.state.lock(), State::Closed) {
            State::Done(passed) => Some(passed),
            State::Committing(permit) => {
                // The attempt was dropped in the middle of it.
                let version = permit.base.as_ref().map_or(0, |base| base.version().saturating_add(1));
                let error = WriteError::TimedOut { location: self.table.name().to_owned(), what: "commit" };
                Some(Passed::Unknown { version, commit: Uuid::nil(), error })
            }
            State::Closed | State::Open(_) => None,
        }
    }

    /// The permit of an attempt whose commit arrives now.
    fn enter(&self) -> Result<Arc<Permit>, WriteError> {
        let mut state = self.state.lock();
        match &*state {
            State::Open(permit) => {
                let permit = Arc::clone(permit);
                *state = State::Committing(Arc::clone(&permit));
                Ok(permit)
            }
            _ => Err(self.refused("a second commit of one attempt, or one without a permit")),
        }
    }

    fn refused(&self, reason: impl Into<String>) -> WriteError {
        WriteError::RefusedCommit { location: self.table.name().to_owned(), reason: reason.into() }
    }

    async fn pass(&self, permit: &Permit, version: Version, commit: CommitOrBytes) -> Passed {
        let CommitOrBytes::LogBytes(commit) = commit else {
            return Passed::Failed(self.refused("it is not given as bytes"));
        };
        let (mut draft, checked) = match self.judge(permit, version, &commit) {
            Ok(judged) => judged,
            Err(passed) => return passed,
        };
        match self.check_between(permit, version).await {
            Ok(()) => {}
            Err(passed) => return passed,
        }
        if let Err(error) = durable::sync_files(&self.table, &checked.adds).await {
            return Passed::Failed(error);
        }
        // Last of all, so that as little time as possible is left in which the lease may end.
        let fencing = match self.lease.confirm().await {
            Ok(fencing) => fencing,
            Err(error) => return Passed::Failed(error.into()),
        };
        let name = Uuid::new_v4();
        draft.redact();
        if let Some(base) = &permit.base {
            draft.correct_statistics(base.state().schema().as_ref());
        }
        draft.sign(&permit.id, fencing, name, Utc::now().timestamp_millis());
        let bytes = match draft.encode() {
            Ok(bytes) => bytes,
            Err(error) => return Passed::Failed(self.refused(error.to_string())),
        };
        let unknown = |error| Passed::Unknown { version, commit: name, error };
        let path = commit_uri_from_version(Some(version));
        match put_commit(self.table.files.as_ref(), &path, &bytes, self.table.limits.request).await {
            Ok(()) => {}
            Err(PutError::Taken) => return Passed::Taken { again: permit.kind.may_rebase() },
            Err(PutError::Refused(error)) => return Passed::Failed(self.table.store_failed(error)),
            Err(PutError::Unknown(source)) => {
                let location = self.table.name().to_owned();
                return unknown(WriteError::OutcomeUnknown { location, version, source });
            }
        }
        if let Err(error) = durable::sync_commit(&self.table, version).await {
            return unknown(error);
        }
        tracing::info!(
            table = self.table.name(),
            version,
            operation = permit.kind.name(),
            fencing,
            app = permit.id.app(),
            number = permit.id.number(),
            files_added = checked.adds.len(),
            files_removed = checked.removes,
            "committed",
        );
        Passed::Committed(Commit {
            version,
            fencing,
            files_added: checked.adds.len(),
            files_removed: checked.removes,
            metrics: draft.metrics(),
        })
    }

    /// Whether the commit may be `version` at all.
    fn judge(&self, permit: &Permit, version: Version, commit: &Bytes) -> Result<(Draft, Checked), Passed> {
        let expected = permit.base.as_ref().map_or(0, |base| base.version().saturating_add(1));
        let rebased = version > expected && permit.base.is_some();
        if rebased && !permit.kind.may_rebase() {
            return Err(Passed::Taken { again: false });
        }
        if version < expected || (version > expected && !rebased) {
            let reason = format!("it would be version {version} where {expected} was planned");
            return Err(Passed::Failed(self.refused(reason)));
        }
        let draft = Draft::parse(commit).map_err(|reason| Passed::Failed(self.refused(reason)))?;
        let checked = rules::check(permit.kind, &draft, permit.base.as_ref(), &self.table)
            .map_err(|reason| Passed::Failed(self.refused(reason)))?;
        let rewritten = permit.kind != Kind::Overwrite && !checked.adds.is_empty();
        if rewritten && draft.actions("remove").any(partitions::has_refused) {
            let location = self.table.name().to_owned();
            let feature = "rewriting rows whose partition value is the text that stands for NULL".to_owned();
            return Err(Passed::Failed(WriteError::Unsupported { location, feature }));
        }
        Ok((draft, checked))
    }

    /// Looks at the commits between the base and an append that was rebased: it stays right unless they
    /// change what rows must look like, or are the same write.
    async fn check_between(&self, permit: &Permit, version: Version) -> Result<(), Passed> {
        let Some(base) = &permit.base else { return Ok(()) };
        for between in base.version().saturating_add(1)..version {
            let read = self.guarded.read_commit_entry(between);
            let commit = match tokio::time::timeout(self.table.limits.request, read).await {
                Ok(Ok(Some(commit))) => commit,
                // Cleaned up already: too much happened since the base.
                Ok(Ok(None)) => return Err(Passed::Taken { again: false }),
                Ok(Err(error)) => {
                    return Err(Passed::Failed(WriteError::from_engine(self.table.name(), error)));
                }
                Err(elapsed) => return Err(Passed::Failed(self.table.store_failed(elapsed))),
            };
            let between = Draft::parse(&commit).map_err(|reason| Passed::Failed(self.refused(reason)))?;
            let harmless =
                between.kinds().all(|kind| matches!(kind, "commitInfo" | "add" | "remove" | "cdc" | "txn"));
            if !harmless || between.transaction(permit.id.app()).is_some() {
                return Err(Passed::Taken { again: false });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("table", &self.table.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl LogStore for Gate {
    /// The engine hands commits over as bytes to stores of this name only.
    fn name(&self) -> String {
        "DefaultLogStore".to_owned()
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        self.guarded.read_commit_entry(version).await
    }

    async fn write_commit_entry(
        &self,
        version: Version,
        commit: CommitOrBytes,
        _operation: Uuid,
    ) -> Result<(), TransactionError> {
        let permit = self.enter().map_err(|error| stopped("a commit was refused", Box::new(error)))?;
        let passed = self.pass(&permit, version, commit).await;
        let (state, answer) = match passed {
            Passed::Committed(_) => (State::Done(passed), Ok(())),
            // The engine looks at what was committed in between and comes again.
            Passed::Taken { again: true } => {
                (State::Open(permit), Err(TransactionError::VersionAlreadyExists(version)))
            }
            _ => (State::Done(passed), Err(stopped("the commit was not written", Box::new(Stopped)))),
        };
        *self.state.lock() = state;
        answer
    }

    async fn abort_commit_entry(
        &self,
        _version: Version,
        _commit: CommitOrBytes,
        _operation: Uuid,
    ) -> Result<(), TransactionError> {
        // There is nothing to undo: a commit is one object.
        Ok(())
    }

    async fn get_latest_version(&self, start_version: Version) -> DeltaResult<Version> {
        get_latest_version(self, start_version).await
    }

    fn object_store(&self, operation: Option<Uuid>) -> ObjectStoreRef {
        self.guarded.object_store(operation)
    }

    fn root_object_store(&self, operation: Option<Uuid>) -> ObjectStoreRef {
        self.guarded.root_object_store(operation)
    }

    fn engine(&self, operation: Option<Uuid>) -> Arc<dyn Engine> {
        Arc::clone(self.engine.get_or_init(|| self.guarded.engine(operation)))
    }

    /// The engine asks for this only to write a checkpoint after a commit, on the thread that runs
    /// other tasks. The writer does that itself, elsewhere.
    fn transaction_url(&self, _operation: Option<Uuid>) -> DeltaResult<Url> {
        Err(DeltaTableError::generic("checkpoints are not written by the engine"))
    }

    fn config(&self) -> &LogStoreConfig {
        &self.config
    }
}

/// The engine's part of the error; the attempt's own is in [`Passed`].
#[derive(Debug, thiserror::Error)]
#[error("the gate has the reason")]
struct Stopped;

fn stopped(what: &str, source: Box<dyn std::error::Error + Send + Sync>) -> TransactionError {
    TransactionError::LogStoreError { msg: what.to_owned(), source }
}
