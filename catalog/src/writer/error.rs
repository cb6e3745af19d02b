//! Why a table was not written.

use std::error::Error;

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::TransactionError;

use super::partitions;
use crate::control::{ControlError, LeaseError, PinError, RetentionError};

/// What the engine says of rows that break a constraint, before it shows them.
const VALIDATION_FAILED: &str = "failed validation check";

/// Why a write did not happen, named after what the caller can do. For operators: may name locations.
///
/// The texts hold no data. A [`Error::source`] may, where a constraint names the value that breaks it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no table at the location.
    #[error("there is no Delta table at {location}")]
    NotATable {
        /// The location.
        location: String,
    },
    /// A table is to be created where one is.
    #[error("there already is a Delta table at {location}")]
    TableExists {
        /// The location.
        location: String,
    },
    /// The table has this write or a later one of the same application. Nothing was written now; for
    /// who repeats a request whose answer was lost, this is the answer.
    #[error("table {location} already has write {requested} of {app}: the newest is {recorded}")]
    AlreadyApplied {
        /// The location.
        location: String,
        /// Application of the write.
        app: String,
        /// Its number.
        requested: i64,
        /// The newest number in the table.
        recorded: i64,
    },
    /// Other writers kept committing while this write was planned.
    #[error(
        "other writers changed table {location} {tries} times while this write was planned: try again later"
    )]
    Conflict {
        /// The location.
        location: String,
        /// Times it was planned.
        tries: usize,
    },
    /// The lease is held by another writer, was lost, or cannot be told.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The control state failed.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A pin was not made or changed, or the pins of the table are not known, so that nothing can be removed.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// The table needs something that this writer would do wrong or not do.
    #[error("table {location} is not written: {feature}")]
    Unsupported {
        /// The location.
        location: String,
        /// What, by the name that the table has for it, and what to do.
        feature: String,
    },
    /// Rows of the table must not be changed or removed.
    #[error("table {location} is append-only (delta.appendOnly): its rows cannot be changed or removed")]
    AppendOnly {
        /// The location.
        location: String,
    },
    /// The request itself makes no sense.
    #[error("{0}")]
    InvalidRequest(String),
    /// The rows do not fit the table: types, nulls or constraints.
    #[error("the rows do not fit the schema or the constraints of table {location}")]
    InvalidRows {
        /// The location.
        location: String,
        /// What the engine said; may hold values.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A commit was about to be written that cannot be right. Nothing was written.
    #[error(
        "the commit planned for table {location} was refused: {reason}; this is a defect, please report it"
    )]
    RefusedCommit {
        /// The location.
        location: String,
        /// Which check failed.
        reason: String,
    },
    /// The store of the table failed or did not answer. Nothing was written.
    #[error("the store of table {location} failed")]
    Store {
        /// The location.
        location: String,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store did not say whether the commit is in, and looking did not tell either. It may appear
    /// later. Repeating the request with the same [`super::WriteId`] is safe.
    #[error(
        "the store of table {location} did not confirm version {version}, which may still appear: repeat the \
         request under the same identity to learn"
    )]
    OutcomeUnknown {
        /// The location.
        location: String,
        /// The version that was being written.
        version: u64,
        /// What the store said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Reading or planning took too long. Nothing was written.
    #[error("writing table {location} took too long and was given up: {what}")]
    TimedOut {
        /// The location.
        location: String,
        /// What took too long.
        what: &'static str,
    },
    /// The copies of a pinned version are not what they should be.
    #[error("copying version {version} of table {location} failed: {reason}")]
    Copies {
        /// The location.
        location: String,
        /// The pinned version.
        version: u64,
        /// What is wrong, and with which file.
        reason: String,
    },
    /// Files of the table are being removed by someone else.
    #[error("files of table {location} are being removed by another process: try again later")]
    Removing {
        /// The location.
        location: String,
    },
    /// The table's log cannot be read, or planning or running the write failed.
    #[error("writing table {location} failed")]
    Engine {
        /// The location.
        location: String,
        /// What the engine said; may hold values.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl WriteError {
    /// What an error of the engine means, when no commit was attempted.
    pub(super) fn from_engine(location: &str, error: DeltaTableError) -> Self {
        let location = location.to_owned();
        match error {
            DeltaTableError::NotATable(_) => Self::NotATable { location },
            DeltaTableError::ObjectStore { source } => Self::Store { location, source: Box::new(source) },
            DeltaTableError::Transaction { source: TransactionError::DeltaTableAppendOnly } => {
                Self::AppendOnly { location }
            }
            DeltaTableError::Transaction { source: TransactionError::UnsupportedTableFeatures(features) } => {
                let names: Vec<_> = features.iter().map(ToString::to_string).collect();
                Self::Unsupported { location, feature: format!("table feature {}", names.join(", ")) }
            }
            DeltaTableError::Transaction { source: TransactionError::TableFeaturesRequired(feature) } => {
                let feature = format!("these rows need the table feature {feature}, which it does not have");
                Self::Unsupported { location, feature }
            }
            error @ (DeltaTableError::InvalidData { .. }
            | DeltaTableError::SchemaMismatch { .. }
            | DeltaTableError::Arrow { .. }) => Self::InvalidRows { location, source: Box::new(error) },
            // The engine checks constraints while it runs and passes on a text only.
            DeltaTableError::Generic(text) if text.contains(VALIDATION_FAILED) => {
                Self::InvalidRows { location, source: text.into() }
            }
            other if other.to_string().contains(partitions::REFUSED) => {
                Self::InvalidRows { location, source: Box::new(other) }
            }
            other => Self::Engine { location, source: Box::new(other) },
        }
    }

    pub(super) fn from_retention(location: &str, error: RetentionError) -> Self {
        match error {
            RetentionError::Taken { .. } => Self::Removing { location: location.to_owned() },
            RetentionError::Control(error) => Self::Control(error),
        }
    }
}

/// Whether the engine gave up because others committed.
pub(super) fn is_conflict(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::VersionAlreadyExists(_)
                    | TransactionError::CommitConflict(_)
                    | TransactionError::MaxCommitAttempts(_)
            }
    )
}
