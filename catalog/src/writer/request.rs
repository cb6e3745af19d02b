//! What can be asked of a [`super::TableWriter`], and what it answers.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::Expr;

use super::WriteError;

/// Application names that the writer uses itself.
const RESERVED: &str = "lakeward.";
/// Of the writer's own maintenance.
pub(super) const MAINTENANCE: &str = "lakeward.maintenance";
const LONGEST_APP: usize = 256;

/// Identity of a write: an application and its number, kept in the table's log (`txn`).
///
/// A table takes each number of an application once, and only growing ones: repeating a request under
/// the same identity commits once, whatever happened to the first. So an application must be
/// something that writes one thing after the other (a shard of a live buffer, a user's session),
/// numbered without going back. The log and every checkpoint keep the newest number of each
/// application for ever; one application per request would make them grow without end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WriteId {
    app: String,
    number: i64,
}

impl WriteId {
    /// Number `number` of `app`.
    ///
    /// # Errors
    /// [`WriteError::InvalidRequest`] when the application's name is empty, long or reserved, or the
    /// number is negative.
    pub fn new(app: impl Into<String>, number: i64) -> Result<Self, WriteError> {
        let app = app.into();
        let wrong = |reason: &str| WriteError::InvalidRequest(format!("write of {app:?}: {reason}"));
        if app.is_empty() || app.len() > LONGEST_APP {
            return Err(wrong("an application's name has 1 to 256 bytes"));
        }
        if app.starts_with(RESERVED) {
            return Err(wrong("names that start with \"lakeward.\" are reserved"));
        }
        if number < 0 {
            return Err(wrong("numbers are not negative"));
        }
        Ok(Self { app, number })
    }

    /// The identity of the writer's own maintenance. Doing it again does no harm, so nothing repeats it
    /// under the same identity, and it takes the next number there is.
    pub(super) fn maintenance(recorded: Option<i64>) -> Self {
        Self { app: MAINTENANCE.to_owned(), number: recorded.map_or(0, |number| number.saturating_add(1)) }
    }

    /// The application.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Its number.
    pub fn number(&self) -> i64 {
        self.number
    }
}

/// Rows to write.
#[derive(Debug, Clone)]
pub enum Rows {
    /// In memory. All have one schema.
    Batches(Vec<RecordBatch>),
    /// Anything that can be scanned. Except by an append it is scanned again when another writer
    /// committed in between, so it must give the same rows each time.
    Provider(Arc<dyn TableProvider>),
}

/// A table to create.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// Columns, partition columns included, in the order of the table.
    pub schema: SchemaRef,
    /// Names of the partition columns, in partition order.
    pub partition_by: Vec<String>,
    /// Name in the table's metadata.
    pub name: Option<String>,
    /// Description in the table's metadata.
    pub description: Option<String>,
    /// Table properties, as `delta.appendOnly`.
    pub properties: BTreeMap<String, String>,
}

/// Rows to change and how.
#[derive(Debug, Clone)]
pub struct Update {
    /// Which rows; all without one. Only immutable functions.
    pub predicate: Option<Expr>,
    /// Columns and their new values, which are computed from the old row. Only immutable functions.
    pub set: Vec<(String, Expr)>,
}

/// Rows to merge into a table.
#[derive(Debug, Clone)]
pub struct Merge {
    /// The rows; their columns are `source.<name>` in all expressions.
    pub source: Rows,
    /// When a row of the source and one of the table (`target.<name>`) match.
    pub on: Expr,
    /// What happens then, and with the rows that match none. Of the clauses for one kind of row, the first
    /// whose condition holds counts.
    pub clauses: Vec<MergeClause>,
}

/// What a merge does with one kind of rows. A row of the table that several rows of the source would
/// change is an error.
#[derive(Debug, Clone)]
pub enum MergeClause {
    /// A row of the table that matches gets new values.
    MatchedUpdate {
        /// Only if this holds.
        condition: Option<Expr>,
        /// Columns of the table and their new values.
        set: Vec<(String, Expr)>,
    },
    /// A row of the table that matches is removed.
    MatchedDelete {
        /// Only if this holds.
        condition: Option<Expr>,
    },
    /// A row of the source that matches none becomes a new row.
    NotMatchedInsert {
        /// Only if this holds.
        condition: Option<Expr>,
        /// Columns of the table and their values; others are null.
        values: Vec<(String, Expr)>,
    },
    /// A row of the table that matches none gets new values.
    NotMatchedBySourceUpdate {
        /// Only if this holds.
        condition: Option<Expr>,
        /// Columns of the table and their new values.
        set: Vec<(String, Expr)>,
    },
    /// A row of the table that matches none is removed.
    NotMatchedBySourceDelete {
        /// Only if this holds.
        condition: Option<Expr>,
    },
}

/// How to compact a table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Optimise {
    /// Files are joined up to this many bytes; the table's `delta.targetFileSize` without one.
    pub target_size: Option<NonZero<u64>>,
}

/// How to remove files that no version needs that is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Vacuum {
    /// Files removed from the table within this time stay; `delta.deletedFileRetentionDuration` without
    /// one. Neither may be less than the floor of [`super::WriterOptions`].
    pub retention: Option<Duration>,
    /// Only say which files would go.
    pub dry_run: bool,
}

/// What became of a write.
#[derive(Debug, Clone)]
pub enum WriteOutcome {
    /// It is the table's version now.
    Committed(Commit),
    /// There was nothing to change, so there is no new version, and the identity is not used up.
    Unchanged {
        /// The version that was looked at.
        version: u64,
    },
}

impl WriteOutcome {
    /// The newest version that the write knows.
    pub fn version(&self) -> u64 {
        match self {
            Self::Committed(commit) => commit.version,
            Self::Unchanged { version } => *version,
        }
    }
}

/// A new version of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The version.
    pub version: u64,
    /// Fencing number of the lease it was written under.
    pub fencing: u64,
    /// Data files added.
    pub files_added: usize,
    /// Data files removed.
    pub files_removed: usize,
    /// What the operation counted, as it is in the log (`operationMetrics`).
    pub metrics: serde_json::Value,
}

/// What a vacuum did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files that were removed, or would be: paths relative to the table.
    pub files: Vec<String>,
    /// Bytes of them.
    pub bytes: u64,
    /// Files that stay only because a pin needs them.
    pub kept_for_pins: usize,
    /// Whether nothing was removed because only that was asked.
    pub dry_run: bool,
}
