//! Accepts connections, within limits: this port may be reachable by more than it serves.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus::Registry;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::readiness::Readiness;
use super::routes::{Service, router};

/// Limits of the HTTP listener.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Most connections at a time; more wait in the system's queue.
    pub max_connections: usize,
    /// Longest time for a TLS handshake, for the head of a request, and between two requests.
    pub idle_timeout: Duration,
    /// Longest life of a connection, however slowly it reads.
    pub lifetime: Duration,
    /// Most bytes of a request's head.
    pub max_head: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_connections: 64,
            idle_timeout: Duration::from_secs(10),
            lifetime: Duration::from_secs(120),
            max_head: 16 * 1024,
        }
    }
}

/// The HTTP front end.
pub struct HttpServer {
    router: Router,
    tls: Option<TlsAcceptor>,
    options: HttpOptions,
}

impl std::fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpServer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl HttpServer {
    /// A server of what `readiness` and `metrics` say; with `tls`, HTTPS only.
    #[must_use]
    pub fn new(
        readiness: Arc<Readiness>,
        metrics: Registry,
        tls: Option<Arc<ServerConfig>>,
        options: HttpOptions,
    ) -> Self {
        let router = router(Service { readiness, metrics });
        Self { router, tls: tls.map(TlsAcceptor::from), options }
    }

    /// Serves `listener` until `stop`; then finishes the answers under way and returns.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let server = Arc::new(self);
        let permits = Arc::new(Semaphore::new(server.options.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let accept = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = accept => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file handles, most likely: trying again at once would only burn a core.
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let server = Arc::clone(&server);
            let stop = stop.clone();
            connections.spawn(async move {
                let _permit = permit;
                if let Err(error) = server.connection(stream, &stop).await {
                    tracing::debug!(%error, "an HTTP connection ended early");
                }
            });
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(&self, stream: TcpStream, stop: &CancellationToken) -> io::Result<()> {
        match &self.tls {
            None => self.talk(stream, stop).await,
            Some(acceptor) => {
                let stream = timeout(self.options.idle_timeout, acceptor.accept(stream)).await??;
                self.talk(stream, stop).await
            }
        }
    }

    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.idle_timeout)
            .max_buf_size(self.options.max_head)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let finished = async {
            tokio::select! {
                result = connection.as_mut() => result,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.as_mut().await
                }
            }
        };
        timeout(self.options.lifetime, finished).await?.map_err(io::Error::other)
    }
}
