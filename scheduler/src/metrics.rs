//! What operators watch: counters in the process's Prometheus registry.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters of statements and sessions.
#[derive(Debug)]
pub(crate) struct Metrics {
    statements: IntCounterVec,
    seconds: Histogram,
    rows: IntCounter,
    denied: IntCounter,
    unverified: IntCounter,
    sessions: IntGauge,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            statements: IntCounterVec::new(
                Opts::new("lakeward_statements_total", "Statements that ended, by how they ended"),
                &["end"],
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "lakeward_statement_seconds",
                    "Time from acceptance to end of a statement",
                )
                .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0]),
            )?,
            rows: IntCounter::new("lakeward_rows_total", "Rows handed to clients")?,
            denied: IntCounter::new("lakeward_denied_total", "Statements refused by policy or verification")?,
            unverified: IntCounter::new(
                "lakeward_unverified_plans_total",
                "Plans that could not be proved to obey the policies and did not run; the log names the reason",
            )?,
            sessions: IntGauge::new("lakeward_sessions", "Open sessions")?,
        };
        registry.register(Box::new(metrics.statements.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.rows.clone()))?;
        registry.register(Box::new(metrics.denied.clone()))?;
        registry.register(Box::new(metrics.unverified.clone()))?;
        registry.register(Box::new(metrics.sessions.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn statement(&self, end: &str, elapsed: Duration, rows: u64) {
        self.statements.with_label_values(&[end]).inc();
        self.seconds.observe(elapsed.as_secs_f64());
        self.rows.inc_by(rows);
    }

    pub(crate) fn denied(&self) {
        self.denied.inc();
    }

    /// Counts plans that were not verified.
    pub(crate) fn unverified(&self) -> IntCounter {
        self.unverified.clone()
    }

    pub(crate) fn session_opened(&self) {
        self.sessions.inc();
    }

    pub(crate) fn session_closed(&self) {
        self.sessions.dec();
    }
}
