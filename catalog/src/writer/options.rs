//! How a [`super::TableWriter`] works.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::runtime_env::RuntimeEnv;

use crate::control::{Clock, LeaseOptions, SystemClock};

/// Settings of the writers of a process.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// Who writes, for people who wait for a lease: host and process.
    pub name: String,
    /// How long leases last.
    pub lease: LeaseOptions,
    /// How long a write waits while another writer has the table.
    pub lease_wait: Duration,
    /// Times a write is planned anew because others committed meanwhile.
    pub tries: usize,
    /// Times an append whose files are written tries the next version.
    pub append_tries: usize,
    /// Time-out of one small request to the store.
    pub request_timeout: Duration,
    /// Time-out of reading the log, of a checkpoint, and of one batch of removals.
    pub load_timeout: Duration,
    /// Time-out of planning and running one attempt, its data files included.
    pub attempt_timeout: Duration,
    /// Least time that a file stays after it was removed from a table. Readers may still use it that
    /// long, and so may writers that wrote it and have not committed yet.
    pub retention_floor: Duration,
    /// Partitions that a write is run in.
    pub partitions: usize,
    /// Memory pool and spill files.
    pub runtime: Arc<RuntimeEnv>,
    /// Time, for leases and retention.
    pub clock: Arc<dyn Clock>,
}

impl WriterOptions {
    /// The usual settings. `runtime` bounds the memory of merges and compaction.
    pub fn new(name: impl Into<String>, runtime: Arc<RuntimeEnv>) -> Self {
        Self {
            name: name.into(),
            lease: LeaseOptions::default(),
            lease_wait: Duration::from_secs(60),
            tries: 5,
            append_tries: 10,
            request_timeout: Duration::from_secs(30),
            load_timeout: Duration::from_secs(120),
            attempt_timeout: Duration::from_secs(3600),
            retention_floor: Duration::from_secs(7 * 24 * 3600),
            partitions: 4,
            runtime,
            clock: Arc::new(SystemClock::default()),
        }
    }
}
