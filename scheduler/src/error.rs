//! The one error that reaches a user: an SQLSTATE, a fixed text and nothing that was stored.

use std::fmt;

/// Five-character SQLSTATE codes as PostgreSQL documents them (Appendix A of its manual).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqlState {
    /// 22012
    DivisionByZero,
    /// 22003
    NumericValueOutOfRange,
    /// 22P02
    InvalidTextRepresentation,
    /// 22023
    InvalidParameterValue,
    /// 22000
    DataException,
    /// 21000
    CardinalityViolation,
    /// 25001
    ActiveTransaction,
    /// 25P02
    InFailedTransaction,
    /// 25006
    ReadOnlyTransaction,
    /// 26000
    InvalidStatementName,
    /// 28000
    InvalidAuthorization,
    /// 28P01
    InvalidPassword,
    /// 34000
    InvalidCursorName,
    /// 3F000
    InvalidSchemaName,
    /// 40001
    SerializationFailure,
    /// 42501
    InsufficientPrivilege,
    /// 42000
    SyntaxOrAccessRule,
    /// 42601
    SyntaxError,
    /// 42702
    AmbiguousColumn,
    /// 42703
    UndefinedColumn,
    /// 42704
    UndefinedObject,
    /// 42710
    DuplicateObject,
    /// 42803
    GroupingError,
    /// 42804
    DatatypeMismatch,
    /// 42883
    UndefinedFunction,
    /// 42P01
    UndefinedTable,
    /// 42P17
    InvalidObjectDefinition,
    /// 42P18
    IndeterminateDatatype,
    /// 08P01
    ProtocolViolation,
    /// 0A000
    FeatureNotSupported,
    /// 53200
    OutOfMemory,
    /// 53100
    DiskFull,
    /// 53300
    TooManyConnections,
    /// 54000
    ProgramLimitExceeded,
    /// 55000
    ObjectNotInPrerequisiteState,
    /// 57014
    QueryCanceled,
    /// 57P01
    AdminShutdown,
    /// 58030
    IoError,
    /// XX000
    InternalError,
    /// XX001
    DataCorrupted,
}

impl SqlState {
    /// The five characters.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::DivisionByZero => "22012",
            Self::NumericValueOutOfRange => "22003",
            Self::InvalidTextRepresentation => "22P02",
            Self::InvalidParameterValue => "22023",
            Self::DataException => "22000",
            Self::CardinalityViolation => "21000",
            Self::ActiveTransaction => "25001",
            Self::InFailedTransaction => "25P02",
            Self::ReadOnlyTransaction => "25006",
            Self::InvalidStatementName => "26000",
            Self::InvalidAuthorization => "28000",
            Self::InvalidPassword => "28P01",
            Self::InvalidCursorName => "34000",
            Self::InvalidSchemaName => "3F000",
            Self::SerializationFailure => "40001",
            Self::InsufficientPrivilege => "42501",
            Self::SyntaxOrAccessRule => "42000",
            Self::SyntaxError => "42601",
            Self::AmbiguousColumn => "42702",
            Self::UndefinedColumn => "42703",
            Self::UndefinedObject => "42704",
            Self::DuplicateObject => "42710",
            Self::GroupingError => "42803",
            Self::DatatypeMismatch => "42804",
            Self::UndefinedFunction => "42883",
            Self::UndefinedTable => "42P01",
            Self::InvalidObjectDefinition => "42P17",
            Self::IndeterminateDatatype => "42P18",
            Self::ProtocolViolation => "08P01",
            Self::FeatureNotSupported => "0A000",
            Self::OutOfMemory => "53200",
            Self::DiskFull => "53100",
            Self::TooManyConnections => "53300",
            Self::ProgramLimitExceeded => "54000",
            Self::ObjectNotInPrerequisiteState => "55000",
            Self::QueryCanceled => "57014",
            Self::AdminShutdown => "57P01",
            Self::IoError => "58030",
            Self::InternalError => "XX000",
            Self::DataCorrupted => "XX001",
        }
    }
}

/// What a user is told when a statement fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Class of the failure.
    pub state: SqlState,
    /// Fixed text, plus at most what the user wrote themselves.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Character position in the statement text, from 1, where it is known.
    pub position: Option<usize>,
}

impl QueryError {
    /// An error without hint or position.
    pub fn new(state: SqlState, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), hint: None, position: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.state.code())
    }
}

impl std::error::Error for QueryError {}
