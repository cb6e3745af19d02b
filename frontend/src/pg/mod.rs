//! The PostgreSQL wire, protocol 3.0 and 3.2.
//!
//! [`PgServer`] listens and logs clients in (SCRAM-SHA-256 with stored verifiers, TLS with channel binding);
//! each connection then talks to one governed [`Session`](lakeward_scheduler::session::Session) in the
//! simple and the extended protocol. Results are encoded batch by batch into a bounded buffer, so a slow
//! client slows its query and nothing else. Of pgwire, the SCRAM exchange is used; its message decoders and
//! portals are not (they trust lengths, and buffer whole results).

mod auth;
mod calendar;
mod cancel;
mod connection;
mod decode;
mod encode;
mod engine;
mod error;
mod extended;
mod message;
mod metrics;
mod rows;
mod server;
mod startup;
mod statements;
mod types;
mod wire;

#[cfg(test)]
mod tests;

pub use server::{PgOptions, PgServer, PgServerError};
