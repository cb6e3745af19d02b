//! Control state: the small records that all processes of a deployment must agree on.
//!
//! [`ControlState`] is a map from [`Key`]s to small values with conditional writes; [`LocalControl`]
//! keeps it in a directory, and [`conformance`] is what every backend must pass. Built on it:
//! [`Leases`] (one writer per table, with fencing numbers) and [`Pins`] (table versions whose files
//! must stay, and the mark that maintenance sets while it removes files).

mod clock;
pub mod conformance;
mod document;
mod error;
mod key;
mod lease;
mod local;
mod pins;
mod retention;
mod state;
mod table;

pub use clock::{Clock, SystemClock};
pub use error::ControlError;
pub use key::Key;
pub use lease::{Lease, LeaseError, LeaseOptions, Leases};
pub use local::{LocalControl, LocalControlOptions};
pub use pins::{Copies, Manifest, ManifestFile, NewPin, Pin, PinError, PinState, Pins};
pub(crate) use pins::{Copying, is_copies_folder};
#[cfg(test)]
pub(crate) use retention::left_over as left_over_mark;
pub(crate) use retention::{RetentionError, RetentionMark};
#[cfg(test)]
pub(crate) use state::list_all as list_keys;
pub use state::{Condition, ControlState, Entry, MAX_VALUE, Page, Version};
pub use table::TableId;
