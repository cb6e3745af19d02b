//! A running statement: counted, timed, cancellable, re-checked, and audited when it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::audit::{End, Outcome};
use crate::coordinator::Coordinator;
use crate::error::{QueryError, SqlState};
use crate::failure;
use crate::registry::{QueryEntry, State};
use crate::size::size_of_values;

/// How often a long stream asks whether its policies and its account still stand.
const RECHECK: Duration = Duration::from_secs(3);

/// Why a statement is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stop {
    /// Its user asked.
    Cancel = 1,
    /// The service stops.
    Shutdown = 2,
    /// The connection is gone.
    Gone = 3,
}

/// Stops a statement, once, with a reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopHandle {
    pub(crate) token: CancellationToken,
    reason: Arc<AtomicU8>,
}

impl StopHandle {
    pub(crate) fn stop(&self, reason: Stop) {
        // The first reason stands.
        let _ = self.reason.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        self.token.cancel();
    }

    /// Whether something besides the session's own list still holds it.
    pub(crate) fn is_alive(&self) -> bool {
        Arc::strong_count(&self.reason) > 1
    }

    pub(crate) fn error(&self) -> QueryError {
        match self.reason.load(Ordering::Acquire) {
            2 => QueryError::new(
                SqlState::AdminShutdown,
                "terminating connection due to administrator command",
            ),
            _ => QueryError::new(SqlState::QueryCanceled, "canceling statement due to user request"),
        }
    }
}

pub(crate) fn timed_out() -> QueryError {
    QueryError::new(SqlState::QueryCanceled, "canceling statement due to statement timeout")
}

/// Whether a stream may go on.
pub(crate) type Verdict = Pin<Box<dyn Future<Output = Result<(), QueryError>> + Send>>;

/// Asked every few seconds, and whenever a client comes back for more, whether the stream may go on.
pub(crate) type Recheck = Arc<dyn Fn() -> Verdict + Send + Sync>;

/// What ends with the statement, however it ends: registry entry and audit outcome.
pub(crate) struct Running {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) entry: Arc<QueryEntry>,
    pub(crate) started: Instant,
    pub(crate) ended: bool,
}

impl Running {
    /// Records the end; only the first call counts.
    pub(crate) fn finish(&mut self, state: State) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let end = match &state {
            State::Finished | State::Running => End::Completed,
            State::Failed(code) => End::Failed { sqlstate: (*code).to_owned() },
            State::Cancelled => End::Cancelled,
            State::ClientGone => End::ClientGone,
        };
        let elapsed = self.started.elapsed();
        self.coordinator.metrics().statement(state.word(), elapsed, self.entry.rows.load(Ordering::Relaxed));
        self.coordinator.audit().outcome(Outcome {
            statement_id: self.entry.id.to_string(),
            rows: self.entry.rows.load(Ordering::Relaxed),
            bytes: self.entry.bytes.load(Ordering::Relaxed),
            route: "local".to_owned(),
            duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            end,
        });
        self.coordinator.registry().finish(&self.entry, state);
    }

    pub(crate) fn fail(&mut self, error: &QueryError) {
        self.finish(match error.state {
            SqlState::QueryCanceled | SqlState::AdminShutdown => State::Cancelled,
            state => State::Failed(state.code()),
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Dropped before its end: nobody reads it any more.
        self.finish(State::ClientGone);
    }
}

/// The engine's batches with everything that can stop them.
pub(crate) struct GovernedRows {
    /// None once ended: operators and their memory go at once.
    pub(crate) rows: Option<SendableRecordBatchStream>,
    pub(crate) schema: SchemaRef,
    pub(crate) running: Running,
    pub(crate) stop: StopHandle,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    deadline: Option<Pin<Box<Sleep>>>,
    recheck: Recheck,
    tick: Pin<Box<Sleep>>,
    pending: Option<Verdict>,
}

impl GovernedRows {
    pub(crate) fn new(
        rows: SendableRecordBatchStream,
        schema: SchemaRef,
        running: Running,
        stop: StopHandle,
        deadline: Option<tokio::time::Instant>,
        recheck: Recheck,
    ) -> Self {
        Self {
            rows: Some(rows),
            schema,
            running,
            stopped: Box::pin(stop.token.clone().cancelled_owned()),
            stop,
            deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at))),
            recheck,
            tick: Box::pin(tokio::time::sleep(RECHECK)),
            pending: None,
        }
    }

    fn end(&mut self, error: QueryError) -> Poll<Option<Result<RecordBatch, QueryError>>> {
        self.rows = None;
        self.running.fail(&error);
        Poll::Ready(Some(Err(error)))
    }

    /// Whether something outside the rows ends them now.
    fn interrupted(&mut self, cx: &mut Context<'_>) -> Option<QueryError> {
        if self.stopped.poll_unpin(cx).is_ready() {
            return Some(self.stop.error());
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.poll_unpin(cx).is_ready()
        {
            return Some(timed_out());
        }
        if self.pending.is_none() && self.tick.poll_unpin(cx).is_ready() {
            self.tick = Box::pin(tokio::time::sleep(RECHECK));
            // Registers the new timer with this task.
            let _ = self.tick.poll_unpin(cx);
            self.pending = Some((self.recheck)());
        }
        if let Some(pending) = &mut self.pending
            && let Poll::Ready(verdict) = pending.poll_unpin(cx)
        {
            self.pending = None;
            return verdict.err();
        }
        None
    }

    /// Whether the question is open if the rows may go on; nothing is handed out before it is answered.
    fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }
}

impl Stream for GovernedRows {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.rows.is_none() {
            return Poll::Ready(None);
        }
        if let Some(error) = self.interrupted(cx) {
            return self.end(error);
        }
        if self.is_waiting() {
            return Poll::Pending;
        }
        let Some(rows) = &mut self.rows else { return Poll::Ready(None) };
        // Foreign bytes have made readers of them panic. That ends this statement, not its connection.
        let polled = catch_unwind(AssertUnwindSafe(|| rows.poll_next_unpin(cx)));
        let Ok(polled) = polled else {
            return self.end(failure::panicked());
        };
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.rows = None;
                self.running.finish(State::Finished);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let error = failure::execution(&error);
                self.end(error)
            }
            Poll::Ready(Some(Ok(batch))) => {
                self.running.entry.count(batch.num_rows(), size_of_values(&batch));
                // Names, types and nullability as they were announced.
                match RecordBatch::try_new_with_options(
                    Arc::clone(&self.schema),
                    batch.columns().to_vec(),
                    &arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
                ) {
                    Ok(batch) => Poll::Ready(Some(Ok(batch))),
                    Err(error) => {
                        tracing::error!(%error, "the rows of a statement do not have the columns that were announced");
                        self.end(QueryError::new(
                            SqlState::InternalError,
                            "internal error; the log of the service says more",
                        ))
                    }
                }
            }
        }
    }
}
