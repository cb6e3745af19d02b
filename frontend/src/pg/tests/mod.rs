#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]
//! The wire against real clients, over an engine of a few known statements.

mod encryption;
mod fake;
mod lifetime;
mod login;
mod queries;
mod raw;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lakeward_policy::identity::{IdentityStore, ScramVerifier};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

use super::PgOptions;
use super::server::Server;
use fake::FakeEngine;

/// Longest time any test waits for something that should happen at once.
const SOON: Duration = Duration::from_secs(20);

/// A server on a port of its own.
struct TestServer {
    address: SocketAddr,
    engine: FakeEngine,
    server: Arc<Server<FakeEngine>>,
    stop: CancellationToken,
    _serving: JoinHandle<()>,
    _users: tempfile::TempDir,
}

impl TestServer {
    async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    async fn start_with(change: impl FnOnce(&mut PgOptions)) -> Self {
        let users = tempfile::tempdir().unwrap();
        let accounts = Arc::new(IdentityStore::load(write_users(users.path())).unwrap());
        let mut options = PgOptions::new("lakeward", Registry::new());
        change(&mut options);
        let engine = FakeEngine::default();
        let server = Server::new(options, engine.clone(), accounts).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = {
            let (server, stop) = (Arc::clone(&server), stop.clone());
            tokio::spawn(async move { server.serve(listener, stop).await })
        };
        Self { address, engine, server, stop, _serving: serving, _users: users }
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.address.port())
            .user("alice")
            .password("correct horse")
            .dbname("lakeward")
            .application_name("test");
        config
    }

    async fn connect(&self) -> Client {
        self.connect_as(&self.config()).await.unwrap()
    }

    async fn connect_as(&self, config: &Config) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn write_users(dir: &Path) -> std::path::PathBuf {
    let verifier = ScramVerifier::generate("correct horse").unwrap();
    let path = dir.join("users.yaml");
    let user = |name: &str, more: &str| format!("  - name: {name}\n    scram: \"{verifier}\"\n{more}");
    let text = format!(
        "version: 1\nusers:\n{}{}{}",
        user("alice", "    roles: [analyst]\n"),
        user("bob", "    enabled: false\n"),
        user("carol", "    expires: 2020-01-01T00:00:00Z\n"),
    );
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    path
}

/// SQLSTATE of a failure.
fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("none", tokio_postgres::error::SqlState::code)
}

/// Waits for something that should happen soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap()
}
