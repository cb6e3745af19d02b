//! Start and end of the service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use lakeward_catalog::LakeCatalog;
use lakeward_frontend::http::{HttpOptions, HttpServer, Readiness};
use lakeward_frontend::pg::PgServer;
use lakeward_frontend::tls::{ALPN_HTTP1, Certificates};
use lakeward_policy::Reload;
use lakeward_policy::document::Diagnostics;
use lakeward_policy::identity::IdentityStore;
use lakeward_scheduler::audit::{AuditLog, PolicyReload};
use lakeward_scheduler::coordinator::{Coordinator, CoordinatorParts};
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::signals::Requests;
use super::{heads, listeners, parts};
use crate::config::Config;
use crate::reload::{Reloadable, Reloader};

/// How long the last records may take to reach the disk, and background work to end.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Where the service listens; ports as the system gave them.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// PostgreSQL.
    pub postgres: SocketAddr,
    /// HTTP, unless it is off.
    pub http: Option<SocketAddr>,
}

/// A service that serves.
#[derive(Debug)]
pub struct Service {
    addresses: Addresses,
    grace: Duration,
    readiness: Arc<Readiness>,
    coordinator: Arc<Coordinator>,
    audit: Arc<AuditLog>,
    pg: PgServer,
    /// Ends accepting and background work.
    stop: CancellationToken,
    /// Ends HTTP: last, so that probes see the service drain.
    stop_http: CancellationToken,
    /// Everything that runs; a panic in one of them ends the service.
    tasks: JoinSet<()>,
}

impl Service {
    /// Starts everything; `reload` makes it read policies, users and certificates again.
    ///
    /// Ports come first, so that a taken one is known at once and probes see the start; clients that
    /// connect meanwhile wait.
    pub async fn start(config: Config, reload: Arc<Notify>) -> anyhow::Result<Self> {
        let metrics = Registry::new();
        describe_build(&metrics)?;
        let certificates = match &config.tls {
            Some(tls) => Some(parts::load_certificates(tls).await?),
            None => None,
        };
        let postgres = listeners::postgres(config.listen.postgres.address).await?;
        let http = match &config.listen.http {
            Some(http) => Some(listeners::http(http.address).await?),
            None => None,
        };
        let addresses = Addresses {
            postgres: postgres.local_addr()?,
            http: http.as_ref().map(TcpListener::local_addr).transpose()?,
        };

        let mut tasks = JoinSet::new();
        let (stop, stop_http) = (CancellationToken::new(), CancellationToken::new());
        let readiness =
            Arc::new(Readiness::blocked_by(&["starting", "catalog_not_loaded", "policies_not_loaded"]));
        if let Some(listener) = http {
            let tls = match &certificates {
                Some(certificates) => Some(certificates.server_config(&[ALPN_HTTP1])?),
                None => None,
            };
            let server =
                HttpServer::new(Arc::clone(&readiness), metrics.clone(), tls, HttpOptions::default());
            tasks.spawn(server.serve(listener, stop_http.clone()));
        }

        let identity = parts::load_users(&config.identity).await?;
        let catalog = parts::open_catalog(&config).await?;
        readiness.clear("catalog_not_loaded");
        let (mut policies, views) = parts::load_policies(&config, &catalog).await?;
        if let Some(file) = &config.policy.managed {
            policies = policies.managing(file.path.clone());
        }
        let (policies, views) = (Arc::new(policies), Arc::new(views));
        readiness.clear("policies_not_loaded");
        let audit = parts::open_audit(&config).await?;
        let probe = Arc::clone(&audit);
        readiness.probe("audit_not_writable", move || probe.healthy());
        let coordinator = Coordinator::start(CoordinatorParts {
            catalog: Arc::clone(&catalog),
            policies,
            views,
            identity: Arc::clone(&identity),
            runtime: parts::runtime(&config.execution, &catalog).await?,
            audit: Arc::clone(&audit),
            metrics: metrics.clone(),
            options: parts::coordinator_options(&config),
        })?;

        if !coordinator.grants_anything() {
            tracing::warn!(
                files = config.policy.files.len(),
                "NO POLICIES: nothing is granted to anybody, so nobody sees any table; see policy.files and docs/policies.md"
            );
        }
        // The coordinator outlives the listener that asks.
        let granting = Arc::downgrade(&coordinator);
        readiness.warn("no_policies", move || {
            granting.upgrade().is_none_or(|coordinator| coordinator.grants_anything())
        });
        let reloader = reloader(&config, &coordinator, &identity, certificates.as_ref(), reload, &metrics)?;
        tasks.spawn(reloader.run(stop.clone()));
        tasks.spawn(Arc::clone(&catalog).run_refresh(stop.clone()));
        if let Some(file) = &config.audit.heads {
            tasks.spawn(heads::keep(Arc::clone(&audit), file.path.clone(), stop.clone()));
        }
        let options = parts::pg_options(&config, certificates, metrics);
        let tls = match (&options.tls, options.require_tls) {
            (None, _) => "off",
            (Some(_), false) => "offered",
            (Some(_), true) => "required",
        };
        let pg = PgServer::new(options, Arc::clone(&coordinator), identity)?;
        let serving = pg.clone();
        let accepting = stop.clone();
        tasks.spawn(async move { serving.serve(postgres, accepting).await });
        readiness.clear("starting");

        announce(&config, &addresses, &catalog, tls);
        let grace = config.shutdown.grace_period.get();
        Ok(Self { addresses, grace, readiness, coordinator, audit, pg, stop, stop_http, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until asked to stop, then lets running statements finish within the grace period.
    pub async fn run(mut self, requests: &Requests) -> anyhow::Result<()> {
        let failed = tokio::select! {
            () = requests.drain.cancelled() => false,
            // Nothing ends by itself: a part that did has panicked, and its place is in the log.
            Some(_) = self.tasks.join_next() => true,
        };
        self.drain(&requests.abort).await;
        if failed {
            bail!("a part of the service ended unexpectedly");
        }
        Ok(())
    }

    async fn drain(mut self, abort: &CancellationToken) {
        self.readiness.block("draining");
        self.coordinator.stop_accepting();
        self.stop.cancel();
        tracing::info!(
            statements = self.coordinator.running_statements(),
            grace_seconds = self.grace.as_secs(),
            "draining"
        );
        tokio::select! {
            () = self.pg.drain(self.grace) => {}
            () = abort.cancelled() => self.pg.drain(Duration::ZERO).await,
        }
        match timeout(CLOSE_WITHIN, self.audit.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the audit trail was not closed well"),
            Err(_) => tracing::error!("the audit trail was not closed in time"),
        }
        self.stop_http.cancel();
        let ended = timeout(CLOSE_WITHIN, async { while self.tasks.join_next().await.is_some() {} });
        if ended.await.is_err() {
            tracing::warn!("background work did not end in time and is dropped");
        }
        tracing::info!("stopped");
    }
}

fn announce(config: &Config, addresses: &Addresses, catalog: &LakeCatalog, tls: &str) {
    let snapshot = catalog.snapshot();
    tracing::info!(
        address = %addresses.postgres,
        database = config.database.as_str(),
        tables = snapshot.tables().count(),
        tls,
        version = env!("CARGO_PKG_VERSION"),
        "ready: PostgreSQL"
    );
    if let Some(address) = addresses.http {
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        tracing::info!(url = %format_args!("{scheme}://{address}"), "ready: health and metrics");
    }
}

/// What is read again while the service runs.
fn reloader(
    config: &Config,
    coordinator: &Arc<Coordinator>,
    identity: &Arc<IdentityStore>,
    certificates: Option<&Arc<Certificates>>,
    request: Arc<Notify>,
    metrics: &Registry,
) -> Result<Reloader, prometheus::Error> {
    let epoch = IntGauge::new(
        "lakeward_policy_epoch",
        "Counts up with every change of the policies in force since the start.",
    )?;
    metrics.register(Box::new(epoch.clone()))?;
    epoch.set(gauge(coordinator.policy_epoch()));

    let views = config.catalog.views.iter().map(|file| file.path.clone());
    let files = config.policy.files.iter().map(|file| file.path.clone()).chain(views).collect();
    let policies = {
        let coordinator = Arc::clone(coordinator);
        Reloadable::new("policies", files, move || {
            let outcome = coordinator.reload_policies();
            epoch.set(gauge(coordinator.policy_epoch()));
            outcome.map(|reload| reload != Reload::Unchanged)
        })
    };
    let users = {
        let (identity, audit) = (Arc::clone(identity), Arc::clone(coordinator.audit()));
        Reloadable::new("users", vec![identity.path().to_path_buf()], move || {
            let outcome = identity.reload();
            if !matches!(outcome, Ok(false)) {
                audit.policy_reload(PolicyReload {
                    subject: "users".to_owned(),
                    digest: identity.directory().digest().iter().map(|byte| format!("{byte:02x}")).collect(),
                    accepted: outcome.is_ok(),
                });
            }
            outcome
        })
    };
    let mut items = vec![policies, users];
    if let Some(certificates) = certificates {
        let certificates = Arc::clone(certificates);
        let files = certificates.files().map(ToOwned::to_owned).to_vec();
        let expiry = IntGauge::new(
            "lakeward_certificate_not_after_seconds",
            "When the TLS certificate in use expires, in seconds since 1970.",
        )?;
        metrics.register(Box::new(expiry.clone()))?;
        expiry.set(certificates.not_after().timestamp());
        items.push(Reloadable::new("certificates", files, move || {
            let outcome = certificates.reload();
            expiry.set(certificates.not_after().timestamp());
            outcome.map_err(|error| Diagnostics::file(certificates.files()[0], error.to_string()))
        }));
    }
    Reloader::new(items, request, metrics)
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn describe_build(metrics: &Registry) -> Result<(), prometheus::Error> {
    let build = IntGaugeVec::new(
        Opts::new("lakeward_build_info", "Always 1; the label says what runs."),
        &["version"],
    )?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    metrics.register(Box::new(build))
}
