//! The listener: who may connect, how many, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lakeward_policy::identity::IdentityStore;
use lakeward_scheduler::coordinator::Coordinator;
use prometheus::{IntGauge, Registry};
use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cancel::{Connections, Registration};
use super::connection::Connection;
use super::engine::{Engine, WireSession};
use super::metrics::Metrics;
use super::startup::establish;
use super::wire::Wire;
use crate::tls::{ALPN_POSTGRES, Certificates, TlsError};

/// After an accept failed (no file descriptors, mostly) trying at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that are not authenticated yet, beyond as many as may be open.
const PENDING_EXTRA: usize = 64;
/// How long statements that were told to stop may take to do so.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// How the PostgreSQL listener behaves.
#[derive(Debug, Clone)]
pub struct PgOptions {
    /// The one database there is. Clients may also name none, or the user's name as some do by default.
    pub database: String,
    /// Authenticated connections at the same time; one more is refused with 53300.
    pub max_connections: usize,
    /// From the accepted socket to the authenticated session, the TLS handshake included.
    pub auth_timeout: Duration,
    /// The certificate; None refuses TLS.
    pub tls: Option<Arc<Certificates>>,
    /// Refuse connections without TLS.
    pub require_tls: bool,
    /// Largest message after authentication, in bytes.
    pub max_message_bytes: usize,
    /// TCP keepalive: the first probe comes after this much silence.
    pub keepalive: Duration,
    /// A client that takes none of what waits for it is given up after this time.
    pub stall_timeout: Duration,
    /// Where the counters are registered.
    pub registry: Registry,
}

impl PgOptions {
    /// Defaults: 200 connections, 10 s to log in, no TLS, messages up to 64 MiB, keepalive 60 s.
    #[must_use]
    pub fn new(database: impl Into<String>, registry: Registry) -> Self {
        Self {
            database: database.into(),
            max_connections: 200,
            auth_timeout: Duration::from_secs(10),
            tls: None,
            require_tls: false,
            max_message_bytes: 64 * 1024 * 1024,
            keepalive: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(15 * 60),
            registry,
        }
    }
}

/// Why the listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum PgServerError {
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A counter exists already.
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// `require_tls` without a certificate would refuse everyone.
    #[error("TLS is required but no certificate is configured")]
    NoCertificate,
}

/// The PostgreSQL front end.
///
/// ```text
/// let server = PgServer::new(options, coordinator, accounts)?;
/// server.serve(listener, stop).await;          // until `stop`
/// server.drain(Duration::from_secs(30)).await; // running statements finish, or end with 57P01
/// ```
#[derive(Clone)]
pub struct PgServer(Arc<Server<Arc<Coordinator>>>);

impl std::fmt::Debug for PgServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PgServer").field(&self.0.options.database).finish()
    }
}

impl PgServer {
    /// A server that opens its sessions with `coordinator` and knows its users from `accounts`.
    ///
    /// # Errors
    /// The certificate cannot be used, or the registry has these counters already.
    pub fn new(
        options: PgOptions,
        coordinator: Arc<Coordinator>,
        accounts: Arc<IdentityStore>,
    ) -> Result<Self, PgServerError> {
        Server::new(options, coordinator, accounts).map(Self)
    }

    /// Accepts clients until `stop`; then the listener is closed, idle connections end with 57P01 at once and
    /// running statements go on. Follow with [`Self::drain`]. Several listeners may be served at once.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) {
        self.0.serve(listener, stop).await;
    }

    /// Waits until every connection has ended. What still runs after `grace` ends with 57P01; what does not
    /// end within two more seconds is dropped.
    pub async fn drain(&self, grace: Duration) {
        self.0.drain(grace).await;
    }
}

/// TLS as this listener uses it.
pub(super) struct Tls {
    pub(super) certificates: Arc<Certificates>,
    pub(super) config: Arc<ServerConfig>,
}

/// [`PgServer`] over any engine.
pub(super) struct Server<E: Engine> {
    pub(super) engine: E,
    pub(super) accounts: Arc<IdentityStore>,
    pub(super) options: PgOptions,
    pub(super) tls: Option<Tls>,
    pub(super) metrics: Metrics,
    /// Who can be cancelled.
    pub(super) connections: Arc<Connections<E::Session>>,
    /// One per authenticated connection.
    pub(super) places: Arc<Semaphore>,
    /// One per accepted connection until it is authenticated.
    pending: Arc<Semaphore>,
    tasks: TaskTracker,
    /// No new statements.
    pub(super) draining: CancellationToken,
    /// No more waiting.
    abort: CancellationToken,
}

impl<E: Engine> Server<E> {
    pub(super) fn new(
        options: PgOptions,
        engine: E,
        accounts: Arc<IdentityStore>,
    ) -> Result<Arc<Self>, PgServerError> {
        if options.require_tls && options.tls.is_none() {
            return Err(PgServerError::NoCertificate);
        }
        let tls = match &options.tls {
            Some(certificates) => Some(Tls {
                config: certificates.server_config(&[ALPN_POSTGRES])?,
                certificates: Arc::clone(certificates),
            }),
            None => None,
        };
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Ok(Arc::new(Self {
            engine,
            accounts,
            tls,
            metrics: Metrics::register(&options.registry)?,
            connections: Connections::new(),
            places: permits(options.max_connections),
            pending: permits(options.max_connections.saturating_add(PENDING_EXTRA)),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            abort: CancellationToken::new(),
            options,
        }))
    }

    pub(super) async fn serve(self: &Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.draining.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, peer)) => self.admit(tcp, peer),
                Err(error) => {
                    tracing::warn!(%error, "a PostgreSQL connection could not be accepted");
                    // Interrupted by nothing: a tenth of a second.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        self.draining.cancel();
    }

    fn admit(self: &Arc<Self>, tcp: TcpStream, peer: SocketAddr) {
        self.metrics.accepted.inc();
        let Ok(pending) = Arc::clone(&self.pending).try_acquire_owned() else {
            // Too many strangers to even greet this one.
            self.metrics.refused.inc();
            return;
        };
        if let Err(error) = tune(&tcp, self.options.keepalive) {
            tracing::debug!(%peer, %error, "socket options were not set");
        }
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let abort = server.abort.clone();
            abort.run_until_cancelled(server.connection(tcp, peer, pending)).await;
        });
    }

    async fn connection(self: Arc<Self>, tcp: TcpStream, peer: SocketAddr, pending: OwnedSemaphorePermit) {
        let wire = Wire::new(tcp, peer, self.options.stall_timeout, self.metrics.bytes.clone());
        let established = tokio::select! {
            biased;
            // Nobody here yet has anything to lose.
            () = self.draining.cancelled() => return,
            established = timeout(self.options.auth_timeout, establish(wire, &self)) => established,
        };
        drop(pending);
        match established {
            Ok(Some((wire, session))) => {
                Connection::new(wire, session, &self).run(&self.draining).await;
            }
            Ok(None) => {}
            Err(_) => tracing::debug!(%peer, "client took too long to log in"),
        }
    }

    pub(super) async fn drain(&self, grace: Duration) {
        self.draining.cancel();
        self.tasks.close();
        if timeout(grace, self.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::info!("the grace period is over: running statements are stopped");
        self.connections.shutdown();
        if timeout(STOP_WITHIN, self.tasks.wait()).await.is_err() {
            self.abort.cancel();
            self.tasks.wait().await;
        }
    }
}

impl<E: Engine> Drop for Server<E> {
    fn drop(&mut self) {
        self.abort.cancel();
    }
}

fn tune(tcp: &TcpStream, keepalive: Duration) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let probes =
        TcpKeepalive::new().with_time(keepalive).with_interval(Duration::from_secs(10)).with_retries(3);
    // No TCP_USER_TIMEOUT: it would also end a client that is alive and merely slow to read. Those have
    // the stall time.
    SockRef::from(tcp).set_tcp_keepalive(&probes)
}

/// An authenticated connection's session; dropping it, however that comes about, closes the session.
pub(super) struct OpenSession<S: WireSession> {
    session: Arc<S>,
    open: IntGauge,
    _registration: Registration<S>,
    _place: OwnedSemaphorePermit,
}

impl<S: WireSession> OpenSession<S> {
    pub(super) fn new(
        session: Arc<S>,
        registration: Registration<S>,
        place: OwnedSemaphorePermit,
        open: IntGauge,
    ) -> Self {
        open.inc();
        Self { session, open, _registration: registration, _place: place }
    }

    pub(super) fn get(&self) -> &Arc<S> {
        &self.session
    }
}

impl<S: WireSession> Drop for OpenSession<S> {
    fn drop(&mut self) {
        self.session.close();
        self.open.dec();
    }
}
