//! HTTP for operators: health, readiness and metrics, on a listener of its own.

mod readiness;
mod routes;
mod server;

#[cfg(test)]
mod tests;

pub use readiness::Readiness;
pub use server::{HttpOptions, HttpServer};
