//! Intent and outcome of every statement, durable before rows leave.
//!
//! # Format
//! A directory of files `audit-<first sequence number>.jsonl`, one JSON object per line:
//! `{"seq":7,"prev":"<hex>","time":"…","type":"intent",…}`. `seq` counts from 1 without gaps over all
//! files; `prev` is the SHA-256 of the line before (without its line feed), 64 zeros for the first.
//! Statement text is sealed with AES-256-GCM; nothing a user wrote is on disk in clear but names of
//! tables and columns. A line that a crash left unfinished is moved to a `.torn-…` file and the
//! chain goes on with a `torn_tail` record.
//!
//! # Promise
//! Where a record cannot be written, [`AuditLog::healthy`] is false and no intent is accepted, so no
//! statement starts. Nothing is dropped without a `lost` record saying how much.

mod disk;
mod log;
mod record;
mod recover;
mod seal;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use log::{AuditError, AuditLog, AuditOptions, Durability};
pub use record::{
    Actor, AuditedEndUser, AuditedTable, Client, Denied, End, Intent, Login, Outcome, PolicyChanged,
    PolicyReload,
};
pub use seal::{AuditKey, SealedText, SignedHead};
pub use verify::{Entry, Head, Problem, Report, read, verify};
