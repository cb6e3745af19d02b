//! The mark that maintenance sets while it removes files of a table.
//!
//! A pin and a vacuum must not miss each other. The vacuum sets the mark, then reads the pins, then
//! removes files; who pins writes the pin, then reads the mark. As each record is linearizable, one of
//! the two sees the other: either the vacuum keeps the pin's files, or the pin is refused and tried
//! again later. The mark counts until a time that its owner moves on before each batch of
//! removals, so that one left by a process that died blocks nobody for long.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::document::{self, Document};
use super::{Clock, Condition, ControlError, ControlState, Key, TableId, Version};

const FOLDER: &str = "retention";

/// Files of a table are being removed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    table: String,
    /// Of the lease under which they are removed.
    fencing: u64,
    started: DateTime<Utc>,
    /// No file is removed later than this.
    until: DateTime<Utc>,
}

impl Document for Record {
    const FORMAT: u64 = 1;

    fn table(&self) -> &str {
        &self.table
    }
}

/// Why files must not be removed (any more).
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetentionError {
    /// Another process set the mark in between.
    #[error("another process removes files of table {table}")]
    Taken { table: String },
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// The mark, set by us.
#[derive(Debug)]
pub(crate) struct RetentionMark {
    state: Arc<dyn ControlState>,
    clock: Arc<dyn Clock>,
    table: TableId,
    key: Key,
    record: Record,
    version: Version,
    /// How long one batch of removals may take.
    batch: Duration,
}

impl RetentionMark {
    /// Sets the mark. `fencing` is that of the table's lease: only its holder removes files, so a mark
    /// with a smaller number is a left-over and replaced.
    pub(crate) async fn set(
        state: Arc<dyn ControlState>,
        clock: Arc<dyn Clock>,
        table: &TableId,
        fencing: u64,
        batch: Duration,
    ) -> Result<Self, RetentionError> {
        let key = table.key(FOLDER)?;
        let now = clock.wall();
        let record = Record { table: table.location().to_owned(), fencing, started: now, until: now + batch };
        let condition = match state.get(&key).await? {
            None => Condition::Absent,
            Some(entry) => {
                let other: Record = document::decode(&key, table, &entry.value)?;
                if other.fencing >= fencing {
                    return Err(RetentionError::Taken { table: table.to_string() });
                }
                Condition::Is(entry.version)
            }
        };
        let version = state.put(&key, document::encode(&key, &record)?, condition).await?;
        Ok(Self { state, clock, table: table.clone(), key, record, version, batch })
    }

    /// Moves the time on, for one more batch of removals.
    pub(crate) async fn extend(&mut self) -> Result<(), RetentionError> {
        self.record.until = self.clock.wall() + self.batch;
        let value = document::encode(&self.key, &self.record)?;
        let condition = Condition::Is(self.version.clone());
        match self.state.put(&self.key, value, condition).await {
            Ok(version) => {
                self.version = version;
                Ok(())
            }
            Err(ControlError::Conflict { .. }) => {
                Err(RetentionError::Taken { table: self.table.to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the mark.
    pub(crate) async fn clear(self) -> Result<(), ControlError> {
        self.state.delete(&self.key, &self.version).await
    }
}

/// Until when files of `table` may be being removed, if they may be now.
pub(super) async fn removing_until(
    state: &dyn ControlState,
    clock: &dyn Clock,
    table: &TableId,
    skew: Duration,
) -> Result<Option<DateTime<Utc>>, ControlError> {
    let key = table.key(FOLDER)?;
    let Some(entry) = state.get(&key).await? else { return Ok(None) };
    let Record { until, .. } = document::decode(&key, table, &entry.value)?;
    Ok((clock.wall() <= until + skew).then_some(until))
}

/// The record as bytes, for tests of left-over marks.
#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
pub(crate) fn left_over(table: &TableId, fencing: u64, until: DateTime<Utc>) -> (Key, bytes::Bytes) {
    let key = table.key(FOLDER).expect("a key");
    let record = Record { table: table.location().to_owned(), fencing, started: until, until };
    let value = document::encode(&key, &record).expect("a document");
    (key, value)
}
