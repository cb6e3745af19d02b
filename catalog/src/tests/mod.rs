//! Tests of the crate as a whole: real tables, hand-made ones, refresh, damage.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod annotations;
mod codec;
mod control;
mod damage;
mod deletion;
mod discovery;
mod gate;
mod mapping;
mod memory;
mod places;
mod property;
mod refresh;
mod shared_tables;
mod skipping;
mod spelling;
mod statistics;
mod stores;
mod support;
mod versions;
mod widening;
pub(crate) mod writing;
