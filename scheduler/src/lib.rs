//! The life of a query: session, plan, verify, route, run, cancel, audit.

pub mod audit;
pub mod coordinator;
pub mod error;
pub mod pg_catalog;
pub mod result;
pub mod session;
