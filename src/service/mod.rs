//! The running service: how its parts are put together, started and stopped.
//!
//! - `parts`: from settings to parts
//! - `start`: parts in their order, listeners first
//! - `listeners`, `signals`: what the system gives and tells
//! - `heads`: proof of the audit trail, kept elsewhere
//! - `inspect`: the same parts, looked at without serving

mod heads;
pub mod inspect;
pub mod listeners;
pub mod parts;
pub mod signals;
mod start;

#[cfg(test)]
mod tests;

use crate::config::Config;

pub use start::{Addresses, Service};

/// Runs the service until a signal ends it. `ready` is called once clients are served.
pub async fn run(config: Config, ready: impl FnOnce(&Addresses)) -> anyhow::Result<()> {
    let signals = signals::listen()?;
    let requests = &signals.requests;
    let service = tokio::select! {
        service = Service::start(config, requests.reload.clone()) => service?,
        // Told to stop before it ran: nothing to finish.
        () = requests.drain.cancelled() => return Ok(()),
    };
    ready(service.addresses());
    service.run(requests).await
}
