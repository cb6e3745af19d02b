//! Errors of the control state.

use std::error::Error;

use super::{Key, MAX_VALUE};

/// What kept a control record from being read or written. For operators: may name locations.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The condition of a write does not hold: someone else wrote first. Read the record again and
    /// decide anew.
    #[error("control record {key} was changed by someone else")]
    Conflict {
        /// The record.
        key: Key,
    },
    /// The text is not a key.
    #[error("{key:?} is not the name of a control record: {reason}")]
    InvalidKey {
        /// The text.
        key: String,
        /// Which rule it breaks.
        reason: String,
    },
    /// The value is larger than the bound.
    #[error("control record {key} would have {bytes} bytes, more than the {MAX_VALUE} allowed")]
    TooLarge {
        /// The record.
        key: Key,
        /// Its size.
        bytes: usize,
    },
    /// What is stored is not what was written.
    #[error(
        "control record {key} is damaged ({reason}): stop all processes that use it, then restore {place} from a \
         backup, or remove it if what it says may be forgotten"
    )]
    Damaged {
        /// The record.
        key: String,
        /// Where it is stored.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The record or the whole state was written by another release.
    #[error(
        "{place} has format {found}, and this release reads format {known}: use the release that wrote it"
    )]
    UnsupportedFormat {
        /// What was read.
        place: String,
        /// Its format.
        found: u64,
        /// The format that this release knows.
        known: u64,
    },
    /// The place is not fit to hold control state.
    #[error("control state at {place} cannot be used: {reason}")]
    Unusable {
        /// The place.
        place: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The backend did not answer, or not in time. **A write may have happened all the same**: read
    /// the record again to learn whether it did.
    #[error("control state at {place} did not answer: {source}")]
    Unavailable {
        /// The place.
        place: String,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
}
