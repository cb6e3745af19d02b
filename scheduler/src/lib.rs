//! The life of a query: session, plan, verify, route, run, cancel, audit.
//!
//! A [`Coordinator`](coordinator::Coordinator) holds what a process shares; it opens a
//! [`Session`](session::Session) for each authenticated connection. A session parses what it lets in,
//! plans it against the principal's governed catalog, verifies the plan, writes down the intent and
//! only then streams rows.

mod acting;
pub mod audit;
mod bounded;
pub mod coordinator;
pub mod error;
mod execute;
mod explain;
mod failure;
mod governed;
mod history;
mod metrics;
pub mod pg_catalog;
mod plan;
mod policy_statement;
mod registry;
pub mod rehearsal;
pub mod result;
mod run;
pub mod session;
mod settings;
mod size;
mod statement;
mod system;
pub mod system_table;
#[cfg(test)]
mod tests;
mod versioned;
mod view;
pub mod views;
