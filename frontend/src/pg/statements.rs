//! Prepared statements and portals of one connection, bounded in number.

use std::collections::HashMap;

use datafusion::common::ScalarValue;

use super::encode::RowEncoder;
use super::engine::WireSession;
use super::error::{
    CONFIGURATION_LIMIT_EXCEEDED, DUPLICATE_CURSOR, DUPLICATE_PREPARED_STATEMENT, INVALID_CURSOR_NAME,
    INVALID_STATEMENT_NAME, WireError,
};
use super::rows::Rows;
use super::types::PgType;

/// Each holds a plan, so a client that never closes them must not take all memory.
const MAX_STATEMENTS: usize = 2_000;
/// Each may hold a running query.
const MAX_PORTALS: usize = 200;

/// A parsed message.
pub(super) enum PreparedStatement<S: WireSession> {
    /// Nothing but space and comments.
    Empty,
    Planned(Box<Planned<S>>),
}

/// A statement with its plan.
pub(super) struct Planned<S: WireSession> {
    /// Kept to plan again should a value need another type.
    pub(super) statement: S::Statement,
    pub(super) prepared: S::Prepared,
    /// What the client was told about its parameters, and sends them as.
    pub(super) parameters: Vec<PgType>,
    /// Columns of the result, where there is one.
    pub(super) columns: Option<RowEncoder>,
}

/// A statement with its parameters.
pub(super) struct Portal<S: WireSession> {
    /// Columns in the formats asked for.
    pub(super) columns: Option<RowEncoder>,
    pub(super) state: PortalState<S>,
}

/// Where a portal stands.
pub(super) enum PortalState<S: WireSession> {
    Empty,
    Ready(Box<(S::Prepared, Vec<ScalarValue>)>),
    Running(Rows),
    /// All rows were fetched; the command to say so again.
    Fetched(&'static str),
    /// A statement without rows, which cannot run twice.
    Done,
}

/// The names a client has given out.
pub(super) struct Names<S: WireSession> {
    statements: HashMap<String, PreparedStatement<S>>,
    portals: HashMap<String, Portal<S>>,
}

impl<S: WireSession> Names<S> {
    pub(super) fn new() -> Self {
        Self { statements: HashMap::new(), portals: HashMap::new() }
    }

    /// Refuses a name that is taken; the unnamed statement is dropped to make room.
    pub(super) fn make_room_for_statement(&mut self, name: &str) -> Result<(), WireError> {
        if name.is_empty() {
            self.statements.remove(name);
        } else if self.statements.contains_key(name) {
            return Err(WireError::error(
                DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        if self.statements.len() >= MAX_STATEMENTS {
            return Err(WireError::error(
                CONFIGURATION_LIMIT_EXCEEDED,
                format!("a connection may hold {MAX_STATEMENTS} prepared statements"),
            )
            .with_hint("Close the ones no longer needed (DEALLOCATE)."));
        }
        Ok(())
    }

    pub(super) fn add_statement(&mut self, name: String, statement: PreparedStatement<S>) {
        self.statements.insert(name, statement);
    }

    pub(super) fn statement(&self, name: &str) -> Result<&PreparedStatement<S>, WireError> {
        self.statements.get(name).ok_or_else(|| no_statement(name))
    }

    /// Says whether there was one.
    pub(super) fn close_statement(&mut self, name: &str) -> bool {
        self.statements.remove(name).is_some()
    }

    pub(super) fn close_statements(&mut self) {
        self.statements.clear();
    }

    pub(super) fn add_portal(&mut self, name: String, portal: Portal<S>) -> Result<(), WireError> {
        if name.is_empty() {
            self.portals.remove(&name);
        } else if self.portals.contains_key(&name) {
            return Err(WireError::error(DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")));
        }
        if self.portals.len() >= MAX_PORTALS {
            return Err(WireError::error(
                CONFIGURATION_LIMIT_EXCEEDED,
                format!("a connection may hold {MAX_PORTALS} portals"),
            ));
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    pub(super) fn portal(&self, name: &str) -> Result<&Portal<S>, WireError> {
        self.portals.get(name).ok_or_else(|| no_portal(name))
    }

    /// Takes a portal out to run it.
    pub(super) fn take_portal(&mut self, name: &str) -> Result<Portal<S>, WireError> {
        self.portals.remove(name).ok_or_else(|| no_portal(name))
    }

    pub(super) fn put_back(&mut self, name: String, portal: Portal<S>) {
        self.portals.insert(name, portal);
    }

    /// Says whether there was one.
    pub(super) fn close_portal(&mut self, name: &str) -> bool {
        self.portals.remove(name).is_some()
    }

    pub(super) fn close_portals(&mut self) {
        self.portals.clear();
    }

    /// Whether a result has been fetched in part.
    pub(super) fn has_running_portal(&self) -> bool {
        self.portals.values().any(|portal| matches!(portal.state, PortalState::Running(_)))
    }
}

pub(super) fn no_statement(name: &str) -> WireError {
    let message = if name.is_empty() {
        "unnamed prepared statement does not exist".to_owned()
    } else {
        format!("prepared statement \"{name}\" does not exist")
    };
    WireError::error(INVALID_STATEMENT_NAME, message)
}

pub(super) fn no_portal(name: &str) -> WireError {
    WireError::error(INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}
