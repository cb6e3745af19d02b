//! The extended protocol: Parse, Bind, Describe, Execute, Close.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::connection::{Connection, Stop};
use super::decode;
use super::encode::{Format, RowEncoder};
use super::engine::{WireOutcome, WireSession};
use super::error::{FEATURE_NOT_SUPPORTED, SYNTAX_ERROR, WireError};
use super::message::backend;
use super::message::frontend::{Bind, Target};
use super::rows::{Fetched, Rows};
use super::statements::{Planned, Portal, PortalState, PreparedStatement};
use super::types::{self, PgType, Scalar};

impl<S: WireSession> Connection<S> {
    /// Prepares a statement.
    pub(super) async fn parse(&mut self, name: String, sql: &str, oids: &[u32]) -> Result<(), Stop> {
        self.names.make_room_for_statement(&name)?;
        let session = self.session();
        let mut statements = session.parse(sql)?;
        let statement = match (statements.pop(), statements.is_empty()) {
            (None, _) => PreparedStatement::Empty,
            (Some(statement), true) => {
                let declared = oids.iter().map(|&oid| declared(oid)).collect::<Result<Vec<_>, _>>()?;
                let arrow: Vec<_> = declared.iter().map(|kind| kind.and_then(PgType::arrow)).collect();
                let prepared = self.wire.watch(session.prepare(&statement, &arrow)).await??;
                let parameters = S::parameter_types(&prepared)
                    .iter()
                    .enumerate()
                    .map(|(index, planned)| {
                        let declared = declared.get(index).copied().flatten();
                        declared.unwrap_or_else(|| types::parameter_type(planned))
                    })
                    .collect();
                let columns = S::schema(&prepared).map(|schema| RowEncoder::new(&schema)).transpose()?;
                PreparedStatement::Planned(Box::new(Planned { statement, prepared, parameters, columns }))
            }
            (Some(_), false) => {
                return Err(WireError::error(
                    SYNTAX_ERROR,
                    "cannot insert multiple commands into a prepared statement",
                )
                .into());
            }
        };
        self.names.add_statement(name, statement);
        backend::parse_complete(&mut self.wire.output);
        Ok(())
    }

    /// Gives a statement its parameters.
    pub(super) async fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let session = self.session();
        let portal = match self.names.statement(&bind.statement)? {
            PreparedStatement::Empty => {
                check_count(&bind, 0)?;
                Portal { columns: None, state: PortalState::Empty }
            }
            PreparedStatement::Planned(planned) => {
                let targets = S::parameter_types(&planned.prepared);
                let values = parameters(&bind, &planned.parameters, &targets)?;
                let actual: Vec<DataType> = values.iter().map(ScalarValue::data_type).collect();
                let (prepared, columns) = if actual == targets {
                    (planned.prepared.clone(), planned.columns.clone())
                } else {
                    // A value that does not fit the type it was planned with, such as 10.005 for a
                    // numeric(12,2): rounding it would change the question, so it is planned with its own.
                    let own: Vec<_> = actual.into_iter().map(Some).collect();
                    let replanned = self.wire.watch(session.prepare(&planned.statement, &own)).await??;
                    let columns = S::schema(&replanned).map(|schema| RowEncoder::new(&schema)).transpose()?;
                    (replanned, columns)
                };
                let columns =
                    columns.map(|columns| columns.with_formats(&bind.result_formats)).transpose()?;
                Portal { columns, state: PortalState::Ready(Box::new((prepared, values))) }
            }
        };
        self.names.add_portal(bind.portal, portal)?;
        backend::bind_complete(&mut self.wire.output);
        Ok(())
    }

    /// Describes a statement or a portal.
    pub(super) fn describe(&mut self, target: &Target) -> Result<(), Stop> {
        let output = &mut self.wire.output;
        let columns = match target {
            Target::Statement(name) => match self.names.statement(name)? {
                PreparedStatement::Empty => {
                    backend::parameter_description(output, &[]);
                    None
                }
                PreparedStatement::Planned(planned) => {
                    backend::parameter_description(output, &planned.parameters);
                    planned.columns.as_ref()
                }
            },
            Target::Portal(name) => self.names.portal(name)?.columns.as_ref(),
        };
        match columns {
            Some(columns) => columns.describe(output),
            None => backend::no_data(output),
        }
        Ok(())
    }

    /// Closes a statement or a portal; it is no error if there is none.
    pub(super) fn close(&mut self, target: &Target) {
        match target {
            Target::Statement(name) => self.names.close_statement(name),
            Target::Portal(name) => self.names.close_portal(name),
        };
        backend::close_complete(&mut self.wire.output);
    }

    /// Runs a portal, or goes on with it, for up to `limit` rows (0: all).
    pub(super) async fn execute(&mut self, name: String, limit: u64) -> Result<(), Stop> {
        // Out of the map while it runs: after an error it is gone, as in PostgreSQL.
        let portal = self.names.take_portal(&name)?;
        let portal = self.run_portal(portal, limit).await?;
        self.names.put_back(name, portal);
        Ok(())
    }

    async fn run_portal(&mut self, portal: Portal<S>, limit: u64) -> Result<Portal<S>, Stop> {
        let Portal { columns, state } = portal;
        let state = match state {
            PortalState::Empty => {
                backend::empty_query(&mut self.wire.output);
                PortalState::Empty
            }
            PortalState::Ready(ready) => {
                let (prepared, values) = *ready;
                let session = self.session();
                match self.wire.watch(session.execute(&prepared, values)).await?? {
                    WireOutcome::Rows { command, schema, stream, permission } => {
                        let encoder = match &columns {
                            Some(described) => described.adopt(&schema)?,
                            None => RowEncoder::new(&schema)?,
                        };
                        let rows = Rows::new(command, stream, permission, encoder, self.metrics.rows.clone());
                        self.fetch(rows, limit).await?
                    }
                    other => {
                        self.finish(other)?;
                        PortalState::Done
                    }
                }
            }
            PortalState::Running(rows) => {
                let permission = rows.permission();
                self.wire.watch(permission.confirm()).await??;
                self.fetch(rows, limit).await?
            }
            PortalState::Fetched(command) => {
                backend::rows_complete(&mut self.wire.output, command, 0);
                PortalState::Fetched(command)
            }
            PortalState::Done => {
                return Err(WireError::error("55000", "portal cannot be run again").into());
            }
        };
        Ok(Portal { columns, state })
    }

    async fn fetch(&mut self, mut rows: Rows, limit: u64) -> Result<PortalState<S>, Stop> {
        match rows.fetch(&mut self.wire, limit).await? {
            Fetched::All(count) => {
                backend::rows_complete(&mut self.wire.output, rows.command, count);
                Ok(PortalState::Fetched(rows.command))
            }
            Fetched::Suspended => {
                backend::portal_suspended(&mut self.wire.output);
                Ok(PortalState::Running(rows))
            }
        }
    }
}

/// What a client declares a parameter to be; None leaves it to the plan.
fn declared(oid: u32) -> Result<Option<PgType>, WireError> {
    if oid == 0 {
        return Ok(None);
    }
    match PgType::from_oid(oid) {
        Some(PgType::Scalar(Scalar::Unknown)) => Ok(None),
        Some(kind) => Ok(Some(kind)),
        None => Err(WireError::error(
            FEATURE_NOT_SUPPORTED,
            format!("parameters of the type with oid {oid} are not supported"),
        )),
    }
}

fn check_count(bind: &Bind, expected: usize) -> Result<(), WireError> {
    if bind.parameters.len() == expected {
        return Ok(());
    }
    Err(WireError::protocol(format!(
        "bind message supplies {} parameters, but prepared statement \"{}\" requires {expected}",
        bind.parameters.len(),
        bind.statement
    )))
}

/// The values of a Bind message, in the planned types wherever they fit them exactly.
fn parameters(bind: &Bind, kinds: &[PgType], targets: &[DataType]) -> Result<Vec<ScalarValue>, WireError> {
    check_count(bind, kinds.len())?;
    let formats = bind.parameter_formats.as_slice();
    if !matches!(formats.len(), 0 | 1) && formats.len() != kinds.len() {
        return Err(WireError::protocol(format!(
            "bind message has {} parameter formats but {} parameters",
            formats.len(),
            kinds.len()
        )));
    }
    bind.parameters
        .iter()
        .zip(kinds.iter().zip(targets))
        .enumerate()
        .map(|(index, (bytes, (&kind, target)))| {
            let code = formats.get(index).or_else(|| formats.first()).copied().unwrap_or(0);
            let format = Format::from_code(code)?;
            decode::parameter(kind, format, bytes.as_deref(), target)
        })
        .collect()
}
