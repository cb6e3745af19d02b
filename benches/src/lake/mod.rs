//! Delta tables at the size of a lake: how fast they open, follow commits and plan, and what deletion
//! vectors cost.

pub mod many;
mod process;
pub mod vectors;
pub mod wide;
