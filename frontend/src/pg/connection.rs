//! The conversation with one authenticated client.

use std::sync::Arc;

use bytes::Bytes;
use lakeward_scheduler::error::QueryError;
use lakeward_scheduler::session::{Forget, TransactionStatus};
use tokio_util::sync::CancellationToken;

use super::encode::{EncodeError, RowEncoder};
use super::engine::{Engine, WireOutcome, WireSession};
use super::error::{FEATURE_NOT_SUPPORTED, UNDEFINED_PARAMETER, WireError};
use super::message::backend;
use super::message::frontend::Message;
use super::metrics::Metrics;
use super::rows::{Fetched, Rows};
use super::server::{OpenSession, Server};
use super::statements::{Names, no_portal, no_statement};
use super::wire::{Gone, ReadError, Wire};

/// Why a message was not carried out.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client is told.
    Error(WireError),
    /// There is nobody to tell.
    Gone,
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Error(error)
    }
}

impl From<QueryError> for Stop {
    fn from(error: QueryError) -> Self {
        Self::Error(error.into())
    }
}

impl From<EncodeError> for Stop {
    fn from(error: EncodeError) -> Self {
        Self::Error(error.into())
    }
}

/// One connection after log-in.
pub(super) struct Connection<S: WireSession> {
    pub(super) wire: Wire,
    open: OpenSession<S>,
    pub(super) names: Names<S>,
    pub(super) metrics: Metrics,
    max_message: usize,
    /// After an error in the extended protocol everything up to the next Sync is skipped.
    skipping: bool,
    /// Whether messages of the extended protocol came since the last Sync.
    in_series: bool,
}

impl<S: WireSession> Connection<S> {
    pub(super) fn new<E: Engine<Session = S>>(wire: Wire, open: OpenSession<S>, server: &Server<E>) -> Self {
        Self {
            wire,
            open,
            names: Names::new(),
            metrics: server.metrics.clone(),
            max_message: server.options.max_message_bytes,
            skipping: false,
            in_series: false,
        }
    }

    pub(super) fn session(&self) -> Arc<S> {
        Arc::clone(self.open.get())
    }

    /// Answers messages until either side ends it.
    pub(super) async fn run(mut self, draining: &CancellationToken) {
        let parting = self.converse(draining).await;
        let Self { mut wire, open, names, .. } = self;
        // What it still ran ends now, not after a good bye to a client that may not be listening.
        drop(names);
        drop(open);
        if let Some(error) = parting {
            backend::error_response(&mut wire.output, &error);
            wire.close().await;
        }
    }

    /// Gives what the client is told last, if anything.
    async fn converse(&mut self, draining: &CancellationToken) -> Option<WireError> {
        loop {
            // In the middle of a series or of a result the client still waits for something.
            let idle = !self.in_series && !self.names.has_running_portal();
            let frame = tokio::select! {
                biased;
                () = draining.cancelled(), if idle => return Some(WireError::shutdown()),
                frame = self.wire.frame(self.max_message) => frame,
            };
            let (kind, body) = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) | Err(ReadError::Gone) => return None,
                Err(ReadError::Violation(error)) => return Some(error),
            };
            if self.skipping && !matches!(kind, b'S' | b'X') {
                continue;
            }
            match self.handle(kind, body).await {
                Ok(true) => {}
                Ok(false) | Err(Stop::Gone) => return None,
                Err(Stop::Error(error)) => {
                    self.open.get().mark_failed();
                    if error.fatal {
                        return Some(error);
                    }
                    backend::error_response(&mut self.wire.output, &error);
                    if Message::is_extended(kind) {
                        self.skipping = true;
                    } else {
                        self.ready();
                    }
                    if self.wire.flush().await.is_err() {
                        return None;
                    }
                }
            }
        }
    }

    /// Carries out one message; false ends the connection.
    async fn handle(&mut self, kind: u8, body: Bytes) -> Result<bool, Stop> {
        self.in_series = Message::is_extended(kind);
        match Message::decode(kind, body)? {
            Message::Query(sql) => self.query(&sql).await?,
            Message::Parse { statement, sql, types } => self.parse(statement, &sql, &types).await?,
            Message::Bind(bind) => self.bind(bind).await?,
            Message::Describe(target) => self.describe(&target)?,
            Message::Close(target) => self.close(&target),
            Message::Execute { portal, rows } => self.execute(portal, rows).await?,
            Message::Flush => self.wire.flush().await?,
            Message::Sync => {
                self.skipping = false;
                self.ready();
                self.wire.flush().await?;
            }
            Message::FunctionCall => {
                return Err(WireError::error(FEATURE_NOT_SUPPORTED, "function calls are not supported")
                    .with_hint("Call the function in a SELECT.")
                    .into());
            }
            Message::Copy => {}
            Message::Terminate => return Ok(false),
        }
        Ok(true)
    }

    /// Ends a statement or a series: outside a transaction block nothing of it lives on.
    fn ready(&mut self) {
        let status = self.open.get().transaction_status();
        if status == TransactionStatus::Idle {
            self.names.close_portals();
        }
        backend::ready_for_query(&mut self.wire.output, status);
    }

    /// The simple protocol: every statement of the text in turn, up to the first error.
    async fn query(&mut self, sql: &str) -> Result<(), Stop> {
        let session = self.session();
        self.names.close_statement("");
        self.names.close_portal("");
        let statements = session.parse(sql)?;
        if statements.is_empty() {
            backend::empty_query(&mut self.wire.output);
        }
        for statement in statements {
            let prepared = self.wire.watch(session.prepare(&statement, &[])).await??;
            if !S::parameter_types(&prepared).is_empty() {
                return Err(WireError::error(UNDEFINED_PARAMETER, "there is no parameter $1").into());
            }
            match self.wire.watch(session.execute(&prepared, Vec::new())).await?? {
                WireOutcome::Rows { command, schema, stream, permission } => {
                    let encoder = RowEncoder::new(&schema)?;
                    encoder.describe(&mut self.wire.output);
                    let mut rows = Rows::new(command, stream, permission, encoder, self.metrics.rows.clone());
                    if let Fetched::All(count) = rows.fetch(&mut self.wire, 0).await? {
                        backend::rows_complete(&mut self.wire.output, command, count);
                    }
                }
                other => self.finish(other)?,
            }
        }
        self.ready();
        self.wire.flush().await?;
        Ok(())
    }

    /// Reports a statement that returned no rows.
    pub(super) fn finish(&mut self, outcome: WireOutcome) -> Result<(), WireError> {
        let output = &mut self.wire.output;
        match outcome {
            // The callers send rows themselves.
            WireOutcome::Rows { .. } => {}
            WireOutcome::Done { tag, reported, warning } => {
                if let Some(warning) = warning {
                    backend::warning(output, &warning);
                }
                for (name, value) in reported {
                    backend::parameter_status(output, &name, &value);
                }
                backend::command_complete(output, &tag);
            }
            WireOutcome::Forget(forget) => {
                let tag = self.forget(&forget)?;
                backend::command_complete(&mut self.wire.output, tag);
            }
        }
        Ok(())
    }

    fn forget(&mut self, forget: &Forget) -> Result<&'static str, WireError> {
        match forget {
            Forget::Statement(name) if self.names.close_statement(name) => Ok("DEALLOCATE"),
            Forget::Statement(name) => Err(no_statement(name)),
            Forget::AllStatements => {
                self.names.close_statements();
                Ok("DEALLOCATE ALL")
            }
            Forget::Portal(name) if self.names.close_portal(name) => Ok("CLOSE CURSOR"),
            Forget::Portal(name) => {
                let mut error = no_portal(name);
                error.message = format!("cursor \"{name}\" does not exist");
                Err(error)
            }
            Forget::AllPortals => {
                self.names.close_portals();
                Ok("CLOSE CURSOR ALL")
            }
            Forget::Everything => {
                self.names.close_portals();
                self.names.close_statements();
                Ok("DISCARD ALL")
            }
        }
    }
}
