//! An engine that understands a handful of statements.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use futures::{Stream, StreamExt};
use lakeward_policy::Principal;
use lakeward_scheduler::error::{QueryError, SqlState};
use lakeward_scheduler::result::Permission;
use lakeward_scheduler::session::{ClientInfo, Forget, TransactionStatus};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::super::engine::{Engine, WireOutcome, WireSession};

/// What tests look at.
#[derive(Default)]
pub(super) struct Seen {
    /// Rows made by all streams.
    pub(super) rows: AtomicU64,
    /// Streams dropped.
    pub(super) dropped: AtomicU64,
    /// Sessions closed.
    pub(super) closed: AtomicU64,
    /// Statements that started to run.
    pub(super) started: AtomicU64,
    /// Statements as parsed.
    pub(super) statements: Mutex<Vec<String>>,
    /// Who opened sessions.
    pub(super) principals: Mutex<Vec<(String, String)>>,
    /// Failed log-ins.
    pub(super) refused: Mutex<Vec<(String, SqlState)>>,
    changed: Notify,
}

impl Seen {
    fn note(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until a counter has reached a number.
    pub(super) async fn wait(&self, counter: impl Fn(&Self) -> &AtomicU64, least: u64) {
        loop {
            let changed = self.changed.notified();
            if counter(self).load(Ordering::SeqCst) >= least {
                return;
            }
            changed.await;
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct FakeEngine {
    pub(super) seen: Arc<Seen>,
}

pub(super) struct FakeSession {
    seen: Arc<Seen>,
    running: Mutex<CancellationToken>,
    stopping: CancellationToken,
    status: Mutex<TransactionStatus>,
}

impl Engine for FakeEngine {
    type Session = FakeSession;

    fn refused_login(&self, user: &str, _client: &ClientInfo, state: SqlState, _reason: &str) {
        self.seen.refused.lock().push((user.to_owned(), state));
    }

    async fn open(&self, principal: Principal, client: ClientInfo) -> Result<Arc<FakeSession>, QueryError> {
        self.seen.principals.lock().push((principal.user, client.application));
        Ok(Arc::new(FakeSession {
            seen: Arc::clone(&self.seen),
            running: Mutex::default(),
            stopping: CancellationToken::new(),
            status: Mutex::new(TransactionStatus::Idle),
        }))
    }
}

#[derive(Clone)]
pub(super) struct FakePlan {
    text: String,
    parameters: Vec<DataType>,
}

fn numbers() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

impl FakePlan {
    fn schema(&self) -> Option<SchemaRef> {
        let fields = match self.text.split(' ').next().unwrap_or_default() {
            "numbers" | "forever" | "hang" | "broken" => return Some(numbers()),
            "echo" => (0..self.parameters.len())
                .map(|index| Field::new(format!("p{index}"), self.parameters[index].clone(), true))
                .collect(),
            "types" => vec![Field::new("types", DataType::Utf8, true)],
            _ => return None,
        };
        let fields: Vec<Field> = fields;
        Some(Arc::new(Schema::new(fields)))
    }
}

impl WireSession for FakeSession {
    type Statement = String;
    type Prepared = FakePlan;

    fn reported_parameters(&self) -> Vec<(String, String)> {
        [("server_version", "15.0"), ("client_encoding", "UTF8"), ("TimeZone", "UTC")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec()
    }

    fn parse(&self, sql: &str) -> Result<Vec<String>, QueryError> {
        if sql.contains("syntax") {
            let mut error = QueryError::new(SqlState::SyntaxError, "syntax error").with_hint("Try harder.");
            error.position = Some(7);
            return Err(error);
        }
        let statements: Vec<String> =
            sql.split(';').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        self.seen.statements.lock().extend(statements.iter().cloned());
        Ok(statements)
    }

    async fn prepare(
        &self,
        statement: &String,
        parameter_types: &[Option<DataType>],
    ) -> Result<FakePlan, QueryError> {
        // `echo` and `types` take the types declared, or those named behind them.
        let mut parameters: Vec<DataType> = statement
            .split(' ')
            .skip(1)
            .filter_map(|word| match word {
                "text" => Some(DataType::Utf8),
                "int8" => Some(DataType::Int64),
                "money" => Some(DataType::Decimal128(12, 2)),
                "day" => Some(DataType::Date32),
                "any" => Some(DataType::Null),
                _ => None,
            })
            .collect();
        for (index, declared) in parameter_types.iter().enumerate() {
            if let (Some(slot), Some(declared)) = (parameters.get_mut(index), declared) {
                *slot = declared.clone();
            }
        }
        Ok(FakePlan { text: statement.clone(), parameters })
    }

    async fn execute(
        &self,
        prepared: &FakePlan,
        parameters: Vec<ScalarValue>,
    ) -> Result<WireOutcome, QueryError> {
        self.seen.note(&self.seen.started);
        let running = CancellationToken::new();
        *self.running.lock() = running.clone();
        let mut words = prepared.text.split(' ');
        let command = words.next().unwrap_or_default();
        let rows = |limit: Option<u64>, fails: bool| {
            let stream = Numbers {
                next: 0,
                limit,
                fails,
                seen: Arc::clone(&self.seen),
                cancelled: Box::pin(running.clone().cancelled_owned()),
                stopping: Box::pin(self.stopping.clone().cancelled_owned()),
            };
            Ok(WireOutcome::Rows {
                command: "SELECT",
                schema: numbers(),
                stream: stream.boxed(),
                permission: Permission::unconditional(),
            })
        };
        let done =
            |tag: &str| Ok(WireOutcome::Done { tag: tag.to_owned(), reported: Vec::new(), warning: None });
        let argument = words.next().unwrap_or_default();
        match command {
            "numbers" => rows(Some(argument.parse().unwrap()), false),
            "forever" => rows(None, false),
            "broken" => rows(Some(10), true),
            "hang" => rows(Some(0), false),
            "divide" => Err(QueryError::new(SqlState::DivisionByZero, "division by zero")),
            "echo" => {
                let schema = prepared.schema().unwrap();
                let columns: Vec<ArrayRef> =
                    parameters.iter().map(|value| value.to_array().unwrap()).collect();
                one_batch(schema, columns)
            }
            "types" => {
                let types: Vec<String> =
                    parameters.iter().map(|value| value.data_type().to_string()).collect();
                let column: ArrayRef = Arc::new(StringArray::from(vec![types.join(" ")]));
                one_batch(prepared.schema().unwrap(), vec![column])
            }
            "begin" | "BEGIN" | "START" => {
                *self.status.lock() = TransactionStatus::Active;
                done("BEGIN")
            }
            "commit" | "COMMIT" | "rollback" | "ROLLBACK" => {
                *self.status.lock() = TransactionStatus::Idle;
                done("COMMIT")
            }
            "SET" => Ok(WireOutcome::Done {
                tag: "SET".to_owned(),
                reported: vec![("application_name".to_owned(), "renamed".to_owned())],
                warning: Some("look out".to_owned()),
            }),
            "deallocate" => Ok(WireOutcome::Forget(Forget::Statement(argument.to_owned()))),
            "discard" => Ok(WireOutcome::Forget(Forget::Everything)),
            _ => Err(QueryError::new(SqlState::SyntaxError, "unknown statement")),
        }
    }

    fn parameter_types(prepared: &FakePlan) -> Vec<DataType> {
        prepared.parameters.clone()
    }

    fn schema(prepared: &FakePlan) -> Option<SchemaRef> {
        prepared.schema()
    }

    fn transaction_status(&self) -> TransactionStatus {
        *self.status.lock()
    }

    fn mark_failed(&self) {
        let mut status = self.status.lock();
        if *status == TransactionStatus::Active {
            *status = TransactionStatus::Failed;
        }
    }

    fn cancel(&self) {
        self.running.lock().cancel();
    }

    fn close(&self) {
        self.seen.note(&self.seen.closed);
    }

    fn shutdown(&self) {
        self.stopping.cancel();
    }
}

fn one_batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<WireOutcome, QueryError> {
    let batch = RecordBatch::try_new(SchemaRef::clone(&schema), columns).unwrap();
    let stream = futures::stream::iter([Ok(batch)]).boxed();
    Ok(WireOutcome::Rows { command: "SELECT", schema, stream, permission: Permission::unconditional() })
}

type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Numbers from 0, in batches of a thousand: up to a limit (0: never anything), or without end.
struct Numbers {
    next: u64,
    limit: Option<u64>,
    fails: bool,
    seen: Arc<Seen>,
    cancelled: Signal,
    stopping: Signal,
}

impl Stream for Numbers {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.cancelled.as_mut().poll(cx).is_ready() {
            let error = QueryError::new(SqlState::QueryCanceled, "canceling statement due to user request");
            return Poll::Ready(Some(Err(error)));
        }
        if self.stopping.as_mut().poll(cx).is_ready() {
            let error = QueryError::new(
                SqlState::AdminShutdown,
                "terminating connection due to administrator command",
            );
            return Poll::Ready(Some(Err(error)));
        }
        if self.limit == Some(0) {
            return Poll::Pending;
        }
        let end = self.limit.unwrap_or(u64::MAX).min(self.next + 1_000);
        if self.next == end {
            let error = QueryError::new(SqlState::IoError, "a data file cannot be read");
            return Poll::Ready(self.fails.then_some(Err(error)));
        }
        let values = Int64Array::from_iter_values((self.next..end).map(|value| value as i64));
        self.seen.rows.fetch_add(end - self.next, Ordering::SeqCst);
        self.next = end;
        Poll::Ready(Some(Ok(RecordBatch::try_new(numbers(), vec![Arc::new(values)]).unwrap())))
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        self.seen.note(&self.seen.dropped);
    }
}
