//! What operators see of the listener.

use prometheus::{IntCounter, IntGauge, Registry};

/// Counters of one listener, cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    /// Authenticated connections open now.
    pub(super) open: IntGauge,
    /// Connections accepted.
    pub(super) accepted: IntCounter,
    /// Connections turned away because there are too many.
    pub(super) refused: IntCounter,
    /// Failed log-ins: wrong password, unknown, disabled or expired user.
    pub(super) auth_failures: IntCounter,
    /// Cancel requests that named a running connection.
    pub(super) cancels: IntCounter,
    /// Rows sent.
    pub(super) rows: IntCounter,
    /// Bytes sent, before TLS.
    pub(super) bytes: IntCounter,
}

impl Metrics {
    /// Makes the counters and registers them.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let open =
            IntGauge::new("lakeward_postgres_connections", "Authenticated PostgreSQL connections open now.")?;
        registry.register(Box::new(open.clone()))?;
        Ok(Self {
            open,
            accepted: counter(
                "lakeward_postgres_connections_accepted_total",
                "PostgreSQL connections accepted, authenticated or not.",
            )?,
            refused: counter(
                "lakeward_postgres_connections_refused_total",
                "PostgreSQL connections turned away because there were too many.",
            )?,
            auth_failures: counter(
                "lakeward_postgres_authentication_failures_total",
                "Failed PostgreSQL log-ins.",
            )?,
            cancels: counter(
                "lakeward_postgres_cancel_requests_total",
                "Cancel requests that named an open connection and its secret.",
            )?,
            rows: counter("lakeward_postgres_rows_sent_total", "Rows sent to PostgreSQL clients.")?,
            bytes: counter(
                "lakeward_postgres_bytes_sent_total",
                "Bytes sent to PostgreSQL clients, before TLS.",
            )?,
        })
    }
}
