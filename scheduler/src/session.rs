//! One connection's life: its principal, its settings, its statements.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use lakeward_policy::Principal;

use crate::error::{QueryError, SqlState};
use crate::result::QueryStream;

/// The wire a session came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL protocol 3.
    Postgres,
    /// Inside the process: the operator's own commands.
    Internal,
}

/// What is known of the client; for the registry and the audit trail, never for decisions.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    /// Wire.
    pub protocol: Protocol,
    /// Remote address, where there is one.
    pub peer: Option<SocketAddr>,
    /// `application_name` as sent.
    pub application: String,
}

/// What ReadyForQuery reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Outside a transaction block.
    Idle,
    /// Inside one.
    Active,
    /// Inside one that failed.
    Failed,
}

/// One parsed, allowed and classified statement, not yet planned.
#[derive(Debug, Clone)]
pub struct Statement {}

impl Statement {
    /// The statement as the user wrote it.
    pub fn text(&self) -> &str {
        ""
    }
}

/// A planned statement: parameters and result columns are known.
#[derive(Debug, Clone)]
pub struct Prepared {}

impl Prepared {
    /// Types of `$1`, `$2` …
    pub fn parameter_types(&self) -> &[DataType] {
        &[]
    }
    /// Columns of the result; None where the statement returns no rows.
    pub fn schema(&self) -> Option<SchemaRef> {
        None
    }
}

/// What an executed statement gives.
pub enum Outcome {
    /// Rows, streamed. `command` is the first word of the command tag: SELECT, SHOW, EXPLAIN.
    Rows {
        /// First word of the command tag.
        command: &'static str,
        /// The rows.
        stream: QueryStream,
    },
    /// No rows: the whole command tag (`SET`, `BEGIN` …).
    Done {
        /// Command tag.
        tag: String,
        /// Settings that a client must be told of (PostgreSQL's ParameterStatus): name, value.
        reported: Vec<(String, String)>,
        /// A notice at warning level, such as BEGIN inside a transaction.
        warning: Option<String>,
    },
    /// Names of prepared statements or portals to forget belong to the wire: DEALLOCATE, CLOSE, DISCARD.
    Forget(Forget),
}

/// What the wire is asked to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// DEALLOCATE name.
    Statement(String),
    /// DEALLOCATE ALL.
    AllStatements,
    /// CLOSE name.
    Portal(String),
    /// CLOSE ALL.
    AllPortals,
    /// DISCARD ALL: statements, portals; settings are already reset.
    Everything,
}

/// One connection's governed session.
#[derive(Debug)]
pub struct Session {}

impl Session {
    /// The principal it acts as.
    pub fn principal(&self) -> &Arc<Principal> {
        unreachable!()
    }
    /// Parameters a PostgreSQL client is told of at start: `server_version`, `TimeZone` …
    pub fn reported_parameters(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// Splits a message into statements, refusing what is not on the allow-list.
    /// An empty message gives an empty list.
    pub fn parse(&self, _sql: &str) -> Result<Vec<Statement>, QueryError> {
        Err(QueryError::new(SqlState::InternalError, ""))
    }
    /// Plans a statement. `parameter_types`: what the client declared; None = infer.
    pub async fn prepare(&self, _statement: &Statement, _parameter_types: &[Option<DataType>]) -> Result<Prepared, QueryError> {
        Err(QueryError::new(SqlState::InternalError, ""))
    }
    /// Runs a planned statement; re-checks policy epoch, expiry and cluster state and plans anew where they moved.
    /// Errors also mark the transaction failed.
    pub async fn execute(&self, _prepared: &Prepared, _parameters: Vec<ScalarValue>) -> Result<Outcome, QueryError> {
        Err(QueryError::new(SqlState::InternalError, ""))
    }
    /// State for ReadyForQuery.
    pub fn transaction_status(&self) -> TransactionStatus {
        TransactionStatus::Idle
    }
    /// Tells the session that a statement failed outside `execute` (a stream, an encoding): an open transaction is marked failed.
    pub fn mark_failed(&self) {}
    /// Cancels what runs now: its stream ends with 57014.
    pub fn cancel(&self) {}
    /// Cancels everything and refuses more; called when the connection goes away.
    pub fn close(&self) {}
    /// Ends with 57P01 when the service stops after its grace period.
    pub fn shutdown(&self) {}
}
