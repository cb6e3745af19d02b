//! TPC-H as governed Delta tables.
//!
//! - [`data`]: the eight tables as Delta, and a copy that was filtered and masked by hand; made once, kept
//! - [`governed`]: the same statements through a governed session
//! - [`plain`]: the same statements through DataFusion alone
//! - [`answer`], [`check`]: are the answers the same?
//! - [`overhead`]: what do the policies cost?
//! - [`skipping`]: which files are opened?
//! - [`lake`]: tables of very many files, catalogs of very many tables, deletion vectors
//! - [`policies`]: very many policies over very many tables
//! - [`written`]: tables of Lakeward's own writer, for other readers
//!
//! `policies.yaml` and `views.sql` in `tpch/` say the same thing twice: once as policies, once by hand.

pub mod answer;
pub mod bytes;
pub mod check;
pub mod data;
mod delta;
pub mod engine;
pub mod governed;
mod interval;
pub mod lake;
pub mod overhead;
pub mod plain;
pub mod policies;
pub mod queries;
pub mod report;
pub mod skipping;
mod statistics;
mod tables;
pub mod written;
