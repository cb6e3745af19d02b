//! The running service: how its parts are put together, started and stopped.

pub mod inspect;
pub mod listeners;
pub mod parts;
pub mod signals;
