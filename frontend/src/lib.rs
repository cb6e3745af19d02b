//! Protocols only: the PostgreSQL wire, HTTP for operators, and the TLS they share.

pub mod http;
pub mod pg;
pub mod tls;
