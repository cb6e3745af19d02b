//! The record of a lease.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::control::document::{self, Document};
use crate::control::{ControlError, Key, TableId};

/// Who writes a table, and until when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    table: String,
    /// One acquisition of a lease, never reused.
    pub(super) holder: Uuid,
    /// For people.
    pub(super) holder_name: String,
    pub(super) fencing: u64,
    /// When it was taken or last renewed, by the holder's clock.
    renewed: DateTime<Utc>,
    expires: DateTime<Utc>,
    /// Given back before its end.
    pub(super) released: bool,
}

impl Document for Record {
    const FORMAT: u64 = 1;

    fn table(&self) -> &str {
        &self.table
    }
}

impl Record {
    pub(super) fn new(
        table: &TableId,
        holder: Uuid,
        holder_name: &str,
        fencing: u64,
        now: DateTime<Utc>,
        time_to_live: Duration,
    ) -> Self {
        Self {
            table: table.location().to_owned(),
            holder,
            holder_name: holder_name.to_owned(),
            fencing,
            renewed: now,
            expires: now + time_to_live,
            released: false,
        }
    }

    pub(super) fn read(key: &Key, table: &TableId, value: &[u8]) -> Result<Self, ControlError> {
        document::decode(key, table, value)
    }

    pub(super) fn encode(&self, key: &Key) -> Result<Bytes, ControlError> {
        document::encode(key, self)
    }

    /// When the lease ends, if it is not free.
    pub(super) fn held_until(&self, now: DateTime<Utc>, skew: Duration) -> Option<DateTime<Utc>> {
        (!self.released && now <= self.expires + skew).then_some(self.expires)
    }

    /// The number of the next holder.
    pub(super) fn next_fencing(&self, key: &Key) -> Result<u64, ControlError> {
        self.fencing.checked_add(1).ok_or_else(|| document::damaged(key, "its fencing number cannot grow"))
    }
}
