//! Writing Delta tables: one writer at a time, each request once, nothing lost.
//!
//! [`TableWriter`] plans with delta-rs and commits through a gate of its own (module `gate`): a lease
//! keeps Lakeward's writers apart, conditional writes of the log keep everyone else out, and an
//! application transaction in each commit makes requests repeatable. `docs/writing.md` says what is
//! promised and why.

mod base;
mod bounds;
mod checkpoint;
mod contents;
mod draft;
mod durable;
mod error;
mod features;
mod gate;
mod guard;
mod location;
mod manifest;
mod operations;
mod options;
mod partitions;
mod pins;
mod put;
mod request;
mod rules;
mod run;
mod session;
mod vacuum;

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]
mod tests;

use std::sync::Arc;

use object_store::ObjectStore;
use url::Url;

use self::location::{Limits, TableLocation};
use crate::control::{ControlState, Leases, Pins, TableId};

pub use error::WriteError;
pub(crate) use location::table_id;
pub use options::WriterOptions;
pub use pins::CopyPlace;
pub use request::{
    Commit, CreateTable, Merge, MergeClause, Optimise, Rows, Update, Vacuum, Vacuumed, WriteId, WriteOutcome,
};

/// Writes one table.
///
/// Cheap to keep; holds no state of the table between writes. Any number of them, in any number of
/// processes, may be open for one table if all use one control state: a write waits for its turn.
/// Dropping a write in the middle leaves the table locked until its lease expires, and its commit may
/// be in or not, as after a crash: repeat it under the same [`WriteId`].
#[derive(Debug, Clone)]
pub struct TableWriter {
    table: Arc<TableLocation>,
    control: Arc<dyn ControlState>,
    leases: Leases,
    pins: Pins,
    options: WriterOptions,
}

impl TableWriter {
    /// A writer of the table at `url`, which may not exist yet. `objects` is the store that the URL's path
    /// is in, as the catalog opens it.
    ///
    /// # Errors
    /// [`WriteError::InvalidRequest`] when the URL cannot be that of a table.
    pub async fn open(
        objects: Arc<dyn ObjectStore>,
        url: &Url,
        control: Arc<dyn ControlState>,
        options: WriterOptions,
    ) -> Result<Self, WriteError> {
        let limits = Limits { request: options.request_timeout, load: options.load_timeout };
        let table = Arc::new(TableLocation::new(objects, url, limits).await?);
        let clock = Arc::clone(&options.clock);
        let leases =
            Leases::with_clock(Arc::clone(&control), &options.name, options.lease, Arc::clone(&clock));
        let pins = Pins::with_clock(Arc::clone(&control), options.lease.skew, clock);
        Ok(Self { table, control, leases, pins, options })
    }

    /// The table as leases and pins name it.
    pub fn table(&self) -> &TableId {
        &self.table.id
    }
}
