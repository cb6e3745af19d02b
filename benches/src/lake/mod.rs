//! Delta tables at the size of a lake: how fast they open, follow commits and plan, and what deletion
//! vectors cost.

pub mod many;
mod process;
#[allow(
    clippy::disallowed_methods,
    reason = "scans are measured without policies, and tables made by another writer"
)]
pub mod vectors;
#[allow(
    clippy::disallowed_methods,
    reason = "planning is measured without policies, on a table made by another writer"
)]
pub mod wide;
