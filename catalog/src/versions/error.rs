//! Why a version, or what happened between two, cannot be had.

/// A request for an older version that cannot be answered. Texts are for the person who asked: they
/// name the table and version numbers, and nothing else of the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VersionError {
    /// There is no such version (any more).
    #[error("table {table} has no version {version}: versions {oldest} to {newest} can be read")]
    NoVersion {
        /// `schema.table`.
        table: String,
        /// What was asked for.
        version: u64,
        /// Oldest version that can be read.
        oldest: u64,
        /// Newest version.
        newest: u64,
    },
    /// The table did not exist, or is not kept, at this time.
    #[error("table {table} has no version from {time} or before")]
    NoVersionThen {
        /// `schema.table`.
        table: String,
        /// What was asked for.
        time: chrono::DateTime<chrono::Utc>,
    },
    /// A range of versions that ends before it starts.
    #[error("the changes of table {table} were asked for from version {from} to version {to}")]
    BackwardRange {
        /// `schema.table`.
        table: String,
        /// First version.
        from: u64,
        /// Last version.
        to: u64,
    },
    /// More versions than one request may cover.
    #[error(
        "the changes of table {table} were asked for over {versions} versions; ask for at most {most} at once"
    )]
    TooManyVersions {
        /// `schema.table`.
        table: String,
        /// What was asked for.
        versions: u64,
        /// What can be.
        most: u64,
    },
    /// More changed files than one request may cover.
    #[error("the changes of table {table} lie in more than {most} files; ask for fewer versions at once")]
    TooManyFiles {
        /// `schema.table`.
        table: String,
        /// What can be.
        most: usize,
    },
    /// The table was changed in the range in a way that rows of both sides do not fit one schema.
    #[error(
        "the schema of table {table} changed at version {version}; ask for changes before and after it separately"
    )]
    SchemaChanged {
        /// `schema.table`.
        table: String,
        /// The version that changed it.
        version: u64,
    },
    /// The log at that version cannot be read.
    #[error("table {table} cannot be read at version {version}")]
    Unreadable {
        /// `schema.table`.
        table: String,
        /// The version.
        version: u64,
        /// Why, for operators.
        reason: String,
    },
}
