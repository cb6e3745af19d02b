//! Non-interference: nothing that a user can observe depends on what is hidden from them.
//!
//! Every statement of `statements/` runs on three lakes. A and B show the analyst the same rows and differ in all
//! that is hidden; the third is a physical copy of what is shown, without filters and masks. Columns, rows, command
//! tags, errors, notices, EXPLAIN and the statement's own row in `system.queries` must be the same.

pub mod cases;
pub mod cells;
pub mod counts;
pub mod delta;
pub mod doors;
pub mod generated;
pub mod lakes;
#[cfg(feature = "mutations")]
mod listed;
pub mod masks;
pub mod matrix;
pub mod observe;
pub mod peer;
pub mod play;
pub mod service;
pub mod tables;
