//! Logs go to standard error: lines for people on a terminal, JSON elsewhere.
//!
//! Only our own crates write to them. The engine's crates put plans, literals and file contents into
//! their messages, so they are off at every level; what of theirs matters reaches the log through
//! the errors we handle.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging for the service.
pub fn start(log: &Log) -> Result<(), TryInitError> {
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let layer = if json {
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        tracing_subscriber::fmt::layer()
            .with_ansi(colour)
            .with_target(false)
            .with_writer(std::io::stderr)
            .boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter(log.level))).try_init()?;
    hide_panic_messages();
    Ok(())
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    // A target matches by prefix: `lakeward` is also `lakeward_scheduler::run`.
    Targets::new().with_default(LevelFilter::OFF).with_target("lakeward", level)
}

/// A panic in the engine may quote the value it stumbled over; its place is enough to find it.
fn hide_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(place, thread = thread.name().unwrap_or_default(), "internal panic");
    }));
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::{LogLevel, filter};

    #[test]
    fn only_our_crates_are_heard() {
        let filter = filter(LogLevel::Info);
        assert!(filter.would_enable("lakeward_scheduler::run", &Level::INFO));
        assert!(!filter.would_enable("lakeward_scheduler::run", &Level::DEBUG));
        for engine in [
            "datafusion::physical_planner",
            "delta_kernel::log_segment",
            "sqlparser",
            "pgwire",
            "object_store",
        ] {
            assert!(!filter.would_enable(engine, &Level::ERROR), "{engine}");
        }
    }
}
