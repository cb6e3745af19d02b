//! From a request to its commit: lease, base version, plan, gate, and again if others were faster.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::session_state::SessionState;
use deltalake_core::logstore::LogStore as _;
use deltalake_core::{DeltaTable, DeltaTableError};
use tracing::Instrument as _;
use uuid::Uuid;

use super::base::Base;
use super::draft::Draft;
use super::error::is_conflict;
use super::gate::{Gate, Passed, Permit};
use super::request::MAINTENANCE;
use super::rules::Kind;
use super::session::session;
use super::{Commit, TableWriter, WriteError, WriteId, WriteOutcome, durable, features};
use crate::control::{Lease, LeaseError};

/// Pause before a plan is made anew, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How often a commit is looked at that is all that is waited for.
const COMMIT_POLL: Duration = Duration::from_millis(20);

/// Why a plan came to no commit.
#[derive(Debug)]
pub(super) enum PlanError {
    Engine(DeltaTableError),
    Write(WriteError),
}

impl From<DeltaTableError> for PlanError {
    fn from(error: DeltaTableError) -> Self {
        Self::Engine(error)
    }
}

impl From<WriteError> for PlanError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

/// What one attempt came to, errors apart.
enum Attempt {
    Done(WriteOutcome),
    /// Others committed first: plan again.
    Conflict,
}

impl TableWriter {
    /// Takes the lease for `work`, and gives it back.
    pub(super) async fn leased<T, F, Fut>(&self, work: F) -> Result<T, WriteError>
    where
        F: FnOnce(Arc<Lease>) -> Fut,
        Fut: Future<Output = Result<T, WriteError>>,
    {
        let lease = Arc::new(self.leases.acquire_within(&self.table.id, self.options.lease_wait).await?);
        let done = work(Arc::clone(&lease)).await;
        if let Err(error) = lease.release().await
            && !matches!(error, LeaseError::Lost { .. })
        {
            tracing::warn!(table = self.table.name(), %error, "the lease was not given back and will expire");
        }
        done
    }

    /// Plans and commits one write. `plan` gets the table at the version to start from, whose log store
    /// is the gate, and may be called again.
    pub(super) async fn write<F, Fut>(
        &self,
        id: &WriteId,
        kind: Kind,
        plan: F,
    ) -> Result<WriteOutcome, WriteError>
    where
        F: Fn(DeltaTable, Arc<SessionState>) -> Fut,
        Fut: Future<Output = Result<(), PlanError>>,
    {
        self.leased(|lease| async move { self.write_leased(&lease, Some(id), kind, plan).await }).await
    }

    /// [`Self::write`] under a lease that is held already; maintenance without an identity.
    pub(super) async fn write_leased<F, Fut>(
        &self,
        lease: &Arc<Lease>,
        id: Option<&WriteId>,
        kind: Kind,
        plan: F,
    ) -> Result<WriteOutcome, WriteError>
    where
        F: Fn(DeltaTable, Arc<SessionState>) -> Fut,
        Fut: Future<Output = Result<(), PlanError>>,
    {
        let mut pause = FIRST_PAUSE;
        for number in 1..=self.options.tries {
            let span = tracing::info_span!(
                "write",
                table = self.table.name(),
                operation = kind.name(),
                attempt = number
            );
            match self.attempt(lease, id, kind, &plan).instrument(span).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Conflict => {
                    tracing::info!(table = self.table.name(), attempt = number, "another writer was faster");
                }
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause *= 2;
        }
        Err(WriteError::Conflict { location: self.table.name().to_owned(), tries: self.options.tries })
    }

    async fn attempt<F, Fut>(
        &self,
        lease: &Arc<Lease>,
        id: Option<&WriteId>,
        kind: Kind,
        plan: &F,
    ) -> Result<Attempt, WriteError>
    where
        F: Fn(DeltaTable, Arc<SessionState>) -> Fut,
        Fut: Future<Output = Result<(), PlanError>>,
    {
        let gate = Gate::new(&self.table, lease);
        let loaded = self.load(&gate).await?;
        let base = loaded.as_ref().and_then(Base::of);
        let id = match (&base, id) {
            (Some(base), id) => {
                let id = self.identify(base, &gate, id).await?;
                self.check_writable(base, kind)?;
                id
            }
            (None, Some(id)) if kind == Kind::Create => id.clone(),
            (None, _) => return Err(WriteError::NotATable { location: self.table.name().to_owned() }),
        };
        let version = base.as_ref().map(Base::version);
        tracing::debug!(base = version, files = base.as_ref().map_or(0, Base::files), "planning");
        let table = loaded.unwrap_or_else(|| DeltaTable::new(Arc::clone(&gate) as _));
        let session = session(&self.options)
            .map_err(|error| WriteError::from_engine(self.table.name(), error.into()))?;
        gate.open(Permit { kind, id, base: base.clone() });
        let planned = self.run(lease, &gate, plan(table, Arc::new(session))).await;
        let committed = match gate.close() {
            Some(Passed::Committed(commit)) => commit,
            Some(Passed::Taken { .. }) => return Ok(Attempt::Conflict),
            Some(Passed::Failed(error)) => return Err(error),
            Some(Passed::Unknown { version, commit, error }) => {
                self.find(version, commit).await.ok_or(error)?
            }
            None => {
                return match planned {
                    // Nothing to change; creating always commits.
                    Ok(()) => Ok(Attempt::Done(WriteOutcome::Unchanged { version: version.unwrap_or(0) })),
                    Err(PlanError::Engine(error)) if is_conflict(&error) => Ok(Attempt::Conflict),
                    Err(PlanError::Engine(error)) => Err(WriteError::from_engine(self.table.name(), error)),
                    Err(PlanError::Write(error)) => Err(error),
                };
            }
        };
        // An error of the engine now is about what it wanted to do after the commit: the writer does that
        // in its own way.
        drop(planned);
        self.after_commit(lease, kind, base.as_ref(), committed.version).await;
        Ok(Attempt::Done(WriteOutcome::Committed(committed)))
    }

    /// Runs a plan until it ends, takes too long, or the lease is lost. A commit that is under way is
    /// waited for in any case: it ends in bounded time, and then its outcome is known.
    async fn run(
        &self,
        lease: &Lease,
        gate: &Gate,
        plan: impl Future<Output = Result<(), PlanError>>,
    ) -> Result<(), PlanError> {
        let mut plan = std::pin::pin!(plan);
        let stopped = tokio::select! {
            biased;
            done = &mut plan => return done,
            () = lease.lost().cancelled() => true,
            () = tokio::time::sleep(self.options.attempt_timeout) => false,
        };
        // What became of it, the gate knows: it goes before what is said here.
        while gate.is_committing() {
            tokio::select! {
                biased;
                done = &mut plan => return done,
                () = tokio::time::sleep(COMMIT_POLL) => {}
            }
        }
        if stopped {
            // Says how it was lost.
            lease.confirm().await.map_err(WriteError::from)?;
        }
        let location = self.table.name().to_owned();
        Err(WriteError::TimedOut { location, what: "planning and writing data files" }.into())
    }

    /// The newest version, if there is a table.
    pub(super) async fn load(&self, gate: &Arc<Gate>) -> Result<Option<DeltaTable>, WriteError> {
        let loading = async {
            if !gate.is_delta_table_location().await? {
                return Ok(None);
            }
            let mut table = DeltaTable::new(Arc::clone(gate) as _);
            table.load().await?;
            Ok(Some(table))
        };
        match tokio::time::timeout(self.table.limits.load, loading).await {
            Ok(Ok(table)) => Ok(table),
            Ok(Err(error)) => Err(WriteError::from_engine(self.table.name(), error)),
            Err(_) => {
                let location = self.table.name().to_owned();
                Err(WriteError::TimedOut { location, what: "reading the log" })
            }
        }
    }

    /// The identity that the write will have, which the version does not have yet.
    async fn identify(
        &self,
        base: &Base,
        gate: &Arc<Gate>,
        id: Option<&WriteId>,
    ) -> Result<WriteId, WriteError> {
        let app = id.map_or(MAINTENANCE, WriteId::app);
        let location = || self.table.name().to_owned();
        let reading = base.state().transaction_version(gate, app);
        let recorded = match tokio::time::timeout(self.table.limits.load, reading).await {
            Ok(Ok(recorded)) => recorded,
            Ok(Err(error)) => return Err(WriteError::from_engine(self.table.name(), error)),
            Err(_) => {
                let what = "reading application transactions";
                return Err(WriteError::TimedOut { location: location(), what });
            }
        };
        match (id, recorded) {
            (None, recorded) => Ok(WriteId::maintenance(recorded)),
            (Some(id), Some(recorded)) if recorded >= id.number() => Err(WriteError::AlreadyApplied {
                location: location(),
                app: id.app().to_owned(),
                requested: id.number(),
                recorded,
            }),
            (Some(id), _) => Ok(id.clone()),
        }
    }

    fn check_writable(&self, base: &Base, kind: Kind) -> Result<(), WriteError> {
        let location = self.table.name().to_owned();
        if kind == Kind::Create {
            return Err(WriteError::TableExists { location });
        }
        if let Some(feature) = features::check(base, kind) {
            return Err(WriteError::Unsupported { location, feature });
        }
        if kind.changes_rows() && base.enabled("delta.appendOnly") {
            return Err(WriteError::AppendOnly { location });
        }
        Ok(())
    }

    /// Looks once more for a commit whose outcome is unknown.
    async fn find(&self, version: u64, name: Uuid) -> Option<Commit> {
        let read = self.table.guarded_log_store();
        let read = read.read_commit_entry(version);
        let found = tokio::time::timeout(self.table.limits.request, read).await.ok()?.ok()??;
        let draft = Draft::parse(&found).ok()?;
        let (found, fencing) = draft.signature()?;
        if found != name {
            return None;
        }
        durable::sync_commit(&self.table, version).await.ok()?;
        Some(Commit {
            version,
            fencing,
            files_added: draft.actions("add").count(),
            files_removed: draft.actions("remove").count(),
            metrics: draft.metrics(),
        })
    }
}
