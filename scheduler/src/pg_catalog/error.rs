//! What the catalogue layer refuses, with its SQLSTATE.

use std::fmt;

use datafusion::error::DataFusionError;

use crate::error::{QueryError, SqlState};

/// A refusal with its SQLSTATE. Raised while a statement is rewritten, or, wrapped in
/// [`DataFusionError::External`], while one of the functions runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewriteError {
    /// Class of the failure.
    pub state: SqlState,
    /// Fixed text, plus what the user wrote themselves.
    pub message: String,
}

impl RewriteError {
    pub(super) fn new(state: SqlState, message: impl Into<String>) -> Self {
        Self { state, message: message.into() }
    }

    pub(super) fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(SqlState::FeatureNotSupported, format!("{what} is not supported"))
    }

    /// The refusal inside an engine's error, if that is what it is.
    #[must_use]
    pub fn find(error: &DataFusionError) -> Option<&Self> {
        match error.find_root() {
            DataFusionError::External(inner) => inner.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RewriteError {}

impl From<RewriteError> for DataFusionError {
    fn from(error: RewriteError) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<RewriteError> for QueryError {
    fn from(error: RewriteError) -> Self {
        Self::new(error.state, error.message)
    }
}
