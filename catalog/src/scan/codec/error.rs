//! Why a scan does not travel.

use datafusion::error::DataFusionError;

/// A scan cannot be encoded or decoded. For operators: may name locations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanCodecError {
    /// The plan holds something that messages have no place for.
    #[error("cannot encode: {0}")]
    NotCarried(String),
    /// The bytes are not what was written.
    #[error("the message of a scan is damaged: {0}")]
    Damaged(String),
    /// The message was written by another version of this program or of its engine.
    #[error("the message of a scan is of another version: {0}")]
    OtherVersion(String),
    /// The message names a place that is no configured layer or table of this process.
    #[error("table {table}: {place} is no place that this process is configured to read")]
    NotConfigured {
        /// `schema.table`.
        table: String,
        /// Where the table, a file or a deletion vector would be.
        place: String,
    },
}

impl From<ScanCodecError> for DataFusionError {
    fn from(error: ScanCodecError) -> Self {
        Self::External(Box::new(error))
    }
}

/// The error of a message that lacks `what`, although no message is written without.
pub(super) fn missing(what: &str) -> ScanCodecError {
    ScanCodecError::Damaged(format!("it lacks {what}"))
}
