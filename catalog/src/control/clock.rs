//! Time, replaceable in tests.

use std::fmt;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Two readings of time: one that other machines share roughly, one that never jumps.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time of day. Machines agree on it up to some skew, and it may be set.
    fn wall(&self) -> DateTime<Utc>;

    /// Time since some moment in this process. Never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
