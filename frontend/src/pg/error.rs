//! Everything a client is told when something fails, in PostgreSQL's fields.

use lakeward_scheduler::error::{QueryError, SqlState};

/// An ErrorResponse in the making. Codes that only the wire raises are not in [`SqlState`], so the
/// five characters are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WireError {
    /// FATAL ends the connection, ERROR the statement.
    pub(super) fatal: bool,
    /// SQLSTATE.
    pub(super) code: &'static str,
    /// Fixed text, plus at most what the client itself sent.
    pub(super) message: String,
    /// What to do next.
    pub(super) hint: Option<String>,
    /// Character position in the statement, from 1.
    pub(super) position: Option<usize>,
}

/// 08P01
pub(super) const PROTOCOL_VIOLATION: &str = "08P01";
/// 0A000
pub(super) const FEATURE_NOT_SUPPORTED: &str = "0A000";
/// 22003
pub(super) const NUMERIC_VALUE_OUT_OF_RANGE: &str = "22003";
/// 22008
pub(super) const DATETIME_FIELD_OVERFLOW: &str = "22008";
/// 22007
pub(super) const INVALID_DATETIME_FORMAT: &str = "22007";
/// 22021
pub(super) const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
/// 22023
pub(super) const INVALID_PARAMETER_VALUE: &str = "22023";
/// 22P02
pub(super) const INVALID_TEXT_REPRESENTATION: &str = "22P02";
/// 22P03
pub(super) const INVALID_BINARY_REPRESENTATION: &str = "22P03";
/// 26000
pub(super) const INVALID_STATEMENT_NAME: &str = "26000";
/// 28000
pub(super) const INVALID_AUTHORIZATION: &str = "28000";
/// 28P01
pub(super) const INVALID_PASSWORD: &str = "28P01";
/// 34000
pub(super) const INVALID_CURSOR_NAME: &str = "34000";
/// 3D000
pub(super) const INVALID_CATALOG_NAME: &str = "3D000";
/// 42601
pub(super) const SYNTAX_ERROR: &str = "42601";
/// 42P02
pub(super) const UNDEFINED_PARAMETER: &str = "42P02";
/// 42P03
pub(super) const DUPLICATE_CURSOR: &str = "42P03";
/// 42P05
pub(super) const DUPLICATE_PREPARED_STATEMENT: &str = "42P05";
/// 53300
pub(super) const TOO_MANY_CONNECTIONS: &str = "53300";
/// 53400
pub(super) const CONFIGURATION_LIMIT_EXCEEDED: &str = "53400";
/// 54000
pub(super) const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
/// 57P01
pub(super) const ADMIN_SHUTDOWN: &str = "57P01";
/// XX000
pub(super) const INTERNAL_ERROR: &str = "XX000";

impl WireError {
    /// Ends the statement.
    pub(super) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { fatal: false, code, message: message.into(), hint: None, position: None }
    }

    /// Ends the connection.
    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::error(code, message) }
    }

    /// A malformed or misplaced message inside an intact frame.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::error(PROTOCOL_VIOLATION, message)
    }

    /// What an operator's shutdown looks like to a client.
    pub(super) fn shutdown() -> Self {
        Self::fatal(ADMIN_SHUTDOWN, "terminating connection due to administrator command")
    }

    /// Adds what to do next.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure, ending the connection.
    pub(super) fn into_fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    /// The word in the severity fields.
    pub(super) const fn severity(&self) -> &'static str {
        if self.fatal { "FATAL" } else { "ERROR" }
    }
}

impl From<QueryError> for WireError {
    fn from(error: QueryError) -> Self {
        Self {
            fatal: error.state == SqlState::AdminShutdown,
            code: error.state.code(),
            message: error.message,
            hint: error.hint,
            position: error.position,
        }
    }
}
