//! Leases: one writer per table, and a number that tells an old holder from a new one.
//!
//! **Clocks.** A lease expires at a time of day that its holder wrote. Who wants to take it over
//! compares that with a clock of its own, and adds [`LeaseOptions::skew`] for the difference of the two.
//! The holder goes by a clock that never jumps and counts from before it asked for the lease, so it
//! gives up no later than the others think. Clocks that differ by more can make two processes believe
//! that they hold one lease at one time. That costs them work but no data: [`Lease::confirm`] reads the
//! record, which only one of them is in, and what a lease guards must refuse a second writer by itself,
//! as the log of a table does by conditional writes.
//!
//! **Fencing numbers.** Each acquisition of a lease has a number greater than all before it. Records
//! are therefore never deleted, only marked as released.

mod record;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use self::record::Record;
use super::{Clock, Condition, ControlError, ControlState, Key, SystemClock, TableId, Version};

/// Times a write of the record is tried when others write it, too.
const TRIES: usize = 8;

/// How long leases last.
#[derive(Debug, Clone, Copy)]
pub struct LeaseOptions {
    /// A lease that is not renewed for this long is free. Renewed at a third of it.
    pub time_to_live: Duration,
    /// Added before a lease of another process counts as expired: how far clocks may differ.
    pub skew: Duration,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self { time_to_live: Duration::from_secs(30), skew: Duration::from_secs(5) }
    }
}

/// Why there is no lease, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another writer has it.
    #[error(
        "table {table} is being written by {holder} (its lease ends at {until} unless renewed): try again later"
    )]
    Held {
        /// The table.
        table: String,
        /// Who has the lease.
        holder: String,
        /// When it ends.
        until: DateTime<Utc>,
    },
    /// It expired or was taken over. What was not committed yet must not be.
    #[error("the lease of table {table} with fencing number {fencing} was lost: {reason}")]
    Lost {
        /// The table.
        table: String,
        /// Number of the lost lease.
        fencing: u64,
        /// How.
        reason: String,
    },
    /// The control state failed.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Hands out the leases of a deployment, in the name of one process.
#[derive(Debug, Clone)]
pub struct Leases {
    state: Arc<dyn ControlState>,
    clock: Arc<dyn Clock>,
    options: LeaseOptions,
    /// Who, for people: host and process.
    name: Arc<str>,
}

impl Leases {
    /// Leases in `state`; `name` says who we are, for people.
    pub fn new(state: Arc<dyn ControlState>, name: &str, options: LeaseOptions) -> Self {
        Self::with_clock(state, name, options, Arc::new(SystemClock::default()))
    }

    /// The same with another clock.
    pub fn with_clock(
        state: Arc<dyn ControlState>,
        name: &str,
        options: LeaseOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { state, clock, options, name: Arc::from(name) }
    }

    /// Takes the lease of a table, and renews it until it is dropped.
    ///
    /// # Errors
    /// [`LeaseError::Held`] at once when another writer has it.
    pub async fn acquire(&self, table: &TableId) -> Result<Lease, LeaseError> {
        let key = table.key("leases")?;
        let holder = Uuid::new_v4();
        for _ in 0..TRIES {
            let started = self.clock.monotonic();
            let (condition, fencing) = match self.state.get(&key).await? {
                None => (Condition::Absent, 1),
                Some(entry) => {
                    let current = Record::read(&key, table, &entry.value)?;
                    if let Some(until) = current.held_until(self.clock.wall(), self.options.skew) {
                        let (table, holder) = (table.to_string(), current.holder_name);
                        return Err(LeaseError::Held { table, holder, until });
                    }
                    (Condition::Is(entry.version), current.next_fencing(&key)?)
                }
            };
            let record = self.record(table, holder, fencing);
            let version = match self.state.put(&key, record.encode(&key)?, condition).await {
                Ok(version) => version,
                Err(ControlError::Conflict { .. }) => continue,
                // Perhaps it was written.
                Err(error @ ControlError::Unavailable { .. }) => {
                    match self.own(&key, table, holder, fencing).await {
                        Ok(Some(version)) => version,
                        _ => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            };
            tracing::debug!(table = %table, fencing, "lease acquired");
            return Ok(Lease::start(self.clone(), table.clone(), key, holder, fencing, version, started));
        }
        Err(ControlError::Conflict { key }.into())
    }

    /// [`Self::acquire`], waiting at most `wait` while others have the lease.
    ///
    /// # Errors
    /// [`LeaseError::Held`] when it was not free in time.
    pub async fn acquire_within(&self, table: &TableId, wait: Duration) -> Result<Lease, LeaseError> {
        const FIRST_PAUSE: Duration = Duration::from_millis(20);
        const LONGEST_PAUSE: Duration = Duration::from_millis(500);
        let deadline = self.clock.monotonic().saturating_add(wait);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.acquire(table).await {
                Err(LeaseError::Held { .. }) if self.clock.monotonic() < deadline => {}
                other => return other,
            }
            // Random, so that two who wait do not ask in step.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn record(&self, table: &TableId, holder: Uuid, fencing: u64) -> Record {
        let now = self.clock.wall();
        Record::new(table, holder, &self.name, fencing, now, self.options.time_to_live)
    }

    /// The record's version, if it is the one of this holder.
    async fn own(
        &self,
        key: &Key,
        table: &TableId,
        holder: Uuid,
        fencing: u64,
    ) -> Result<Option<Version>, ControlError> {
        let Some(entry) = self.state.get(key).await? else { return Ok(None) };
        let record = Record::read(key, table, &entry.value)?;
        let own = record.holder == holder && record.fencing == fencing && !record.released;
        Ok(own.then_some(entry.version))
    }
}

/// The right to write a table, renewed by a task of its own while this exists.
///
/// Dropping it ends the renewal, so the lease expires after its time to live. [`Lease::release`]
/// gives it back at once.
#[derive(Debug)]
pub struct Lease {
    shared: Arc<Shared>,
    renewal: AbortOnDropHandle<()>,
}

/// What the holder and its renewing task share.
#[derive(Debug)]
struct Shared {
    leases: Leases,
    table: TableId,
    key: Key,
    holder: Uuid,
    fencing: u64,
    held: Mutex<Held>,
    /// Set once and for all when the lease is no longer ours.
    lost: CancellationToken,
}

#[derive(Debug)]
struct Held {
    /// The record as last written by us.
    version: Version,
    /// By the monotonic clock.
    deadline: Duration,
}

impl Lease {
    fn start(
        leases: Leases,
        table: TableId,
        key: Key,
        holder: Uuid,
        fencing: u64,
        version: Version,
        started: Duration,
    ) -> Self {
        let deadline = started.saturating_add(leases.options.time_to_live);
        let held = Mutex::new(Held { version, deadline });
        let lost = CancellationToken::new();
        let shared = Arc::new(Shared { leases, table, key, holder, fencing, held, lost });
        let renewal = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&shared).renew_until_lost()));
        Self { shared, renewal }
    }

    /// Greater than that of every earlier lease of the table.
    pub fn fencing(&self) -> u64 {
        self.shared.fencing
    }

    /// Cancelled when the lease turned out to be lost.
    pub fn lost(&self) -> &CancellationToken {
        &self.shared.lost
    }

    /// Makes sure that the lease is still held, by its own clock and by the record.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] when it is not. [`LeaseError::Control`] when nobody can tell, which is
    /// no permission either.
    pub async fn confirm(&self) -> Result<u64, LeaseError> {
        let shared = &self.shared;
        let mut held = shared.held.lock().await;
        shared.check_time(&held)?;
        match shared.leases.own(&shared.key, &shared.table, shared.holder, shared.fencing).await? {
            Some(version) => held.version = version,
            None => return Err(shared.lose("another writer took it over")),
        }
        // The answer may have taken long.
        shared.check_time(&held)?;
        Ok(shared.fencing)
    }

    /// Gives the lease back, so that others need not wait for its end.
    ///
    /// # Errors
    /// When that could not be written; the lease then expires by itself.
    pub async fn release(&self) -> Result<(), LeaseError> {
        self.renewal.abort();
        // Whatever still has this lease must not use it any more.
        self.shared.lost.cancel();
        let shared = &self.shared;
        let mut record = shared.leases.record(&shared.table, shared.holder, shared.fencing);
        record.released = true;
        let value = record.encode(&shared.key)?;
        for _ in 0..TRIES {
            let own = shared.leases.own(&shared.key, &shared.table, shared.holder, shared.fencing).await?;
            let Some(version) = own else { return Err(shared.lose("another writer took it over")) };
            match shared.leases.state.put(&shared.key, value.clone(), Condition::Is(version)).await {
                // A renewal that was under way when its task was stopped.
                Err(ControlError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    tracing::debug!(table = %shared.table, fencing = shared.fencing, "lease released");
                    return Ok(());
                }
            }
        }
        Err(ControlError::Conflict { key: shared.key.clone() }.into())
    }
}

impl Shared {
    async fn renew_until_lost(self: Arc<Self>) {
        let interval = self.leases.options.time_to_live / 3;
        let retry = self.leases.options.time_to_live / 10;
        let mut pause = interval;
        loop {
            tokio::time::sleep(pause).await;
            match self.renew().await {
                Ok(()) => pause = interval,
                Err(error @ LeaseError::Lost { .. }) => {
                    tracing::warn!(table = %self.table, %error, "lease lost");
                    return;
                }
                Err(error) => {
                    tracing::warn!(table = %self.table, %error, "lease not renewed, trying again");
                    pause = retry;
                }
            }
        }
    }

    async fn renew(&self) -> Result<(), LeaseError> {
        let mut held = self.held.lock().await;
        self.check_time(&held)?;
        let started = self.leases.clock.monotonic();
        let record = self.leases.record(&self.table, self.holder, self.fencing);
        let condition = Condition::Is(held.version.clone());
        match self.leases.state.put(&self.key, record.encode(&self.key)?, condition).await {
            Ok(version) => {
                let deadline = started.saturating_add(self.leases.options.time_to_live);
                *held = Held { version, deadline };
                Ok(())
            }
            // Someone else's write, or one of our own whose answer was lost.
            Err(ControlError::Conflict { .. }) => {
                match self.leases.own(&self.key, &self.table, self.holder, self.fencing).await? {
                    Some(version) => {
                        held.version = version;
                        Err(ControlError::Conflict { key: self.key.clone() }.into())
                    }
                    None => Err(self.lose("another writer took it over")),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the lease is over by its own clock.
    fn check_time(&self, held: &Held) -> Result<(), LeaseError> {
        if self.lost.is_cancelled() {
            return Err(self.lose("it was lost or released before"));
        }
        if self.leases.clock.monotonic() >= held.deadline {
            return Err(self.lose("it could not be renewed in time"));
        }
        Ok(())
    }

    fn lose(&self, reason: &str) -> LeaseError {
        self.lost.cancel();
        LeaseError::Lost { table: self.table.to_string(), fencing: self.fencing, reason: reason.to_owned() }
    }
}
