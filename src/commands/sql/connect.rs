//! From arguments to an open connection.

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::Args;
use crate::commands::password;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection and the task that drives it.
pub(super) struct Session {
    pub(super) client: Client,
    tls: Option<MakeRustlsConnect>,
    driver: JoinHandle<()>,
}

impl Session {
    /// What cancels the statement that runs now, from beside it.
    pub(super) fn canceller(&self) -> Canceller {
        Canceller { token: self.client.cancel_token(), tls: self.tls.clone() }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

pub(super) struct Canceller {
    token: CancelToken,
    tls: Option<MakeRustlsConnect>,
}

impl Canceller {
    pub(super) async fn cancel(&self) {
        let cancelled = async {
            match &self.tls {
                Some(tls) => self.token.cancel_query(tls.clone()).await,
                None => self.token.cancel_query(NoTls).await,
            }
        };
        // Where the request does not arrive, closing the connection still stops the statement.
        let _ = tokio::time::timeout(CONNECT_TIMEOUT, cancelled).await;
    }
}

/// What the server or the network said, as it is printed.
pub(super) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&tokio_postgres::Error> for Failure {
    fn from(error: &tokio_postgres::Error) -> Self {
        let Some(error) = error.as_db_error() else {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            return Self(format!("ERROR: {error}{}", cause.unwrap_or_default()));
        };
        let mut text = format!("{}: {} ({})", error.severity(), error.message(), error.code().code());
        for (label, part) in [("DETAIL", error.detail()), ("HINT", error.hint())] {
            if let Some(part) = part {
                text.push_str(&format!("\n{label}: {part}"));
            }
        }
        Self(text)
    }
}

/// Connects and logs in; the inner error is what server or network said.
pub(super) async fn connect(args: &Args) -> anyhow::Result<Result<Session, Failure>> {
    let encrypted = args.encrypted();
    let tls = if encrypted { Some(tls(args.tls_ca.as_deref())?) } else { None };
    let password = password(args).await?;
    let mut config = Config::new();
    config
        .host(&args.host)
        .port(args.port)
        .user(&args.user)
        .dbname(&args.database)
        .password(password.as_bytes())
        .application_name("lakeward sql")
        .connect_timeout(CONNECT_TIMEOUT)
        .ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
    let connected = match &tls {
        Some(connector) => config
            .connect(connector.clone())
            .await
            .map(|(client, connection)| (client, tokio::spawn(drive(connection)))),
        None => {
            config.connect(NoTls).await.map(|(client, connection)| (client, tokio::spawn(drive(connection))))
        }
    };
    Ok(match connected {
        Ok((client, driver)) => Ok(Session { client, tls, driver }),
        Err(error) if error.as_db_error().is_some() => Err(Failure::from(&error)),
        Err(error) => {
            let Failure(text) = Failure::from(&error);
            let hint = if encrypted && args.tls_ca.is_none() {
                "a service with an authority of its own needs --tls-ca FILE, one without TLS --tls disable"
            } else {
                "is the service running there?"
            };
            Err(Failure(format!("{text}\nHINT: no session on {}:{}; {hint}", args.host, args.port)))
        }
    })
}

/// Moves bytes until the connection ends, and prints what the server says beside results.
async fn drive<S, T>(mut connection: Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = futures::stream::poll_fn(|context| connection.poll_message(context));
    // An error ends the statement that waits, which reports it.
    while let Some(Ok(message)) = messages.next().await {
        if let AsyncMessage::Notice(notice) = message {
            eprintln!("{}: {}", notice.severity(), notice.message());
        }
    }
}

fn tls(authority: Option<&Path>) -> anyhow::Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(path) => {
            let unreadable = || format!("cannot read certificates from {}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(unreadable)? {
                roots.add(certificate.with_context(unreadable)?).with_context(unreadable)?;
            }
            if roots.is_empty() {
                bail!("{} holds no certificate", path.display());
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                bail!("this system trusts no certificate authority; name the service's one with --tls-ca");
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

async fn password(args: &Args) -> anyhow::Result<Zeroizing<String>> {
    if args.password_stdin {
        return password::from_stdin().await;
    }
    if let Ok(password) = std::env::var("PGPASSWORD") {
        return Ok(Zeroizing::new(password));
    }
    if std::io::stderr().is_terminal() || std::io::stdin().is_terminal() {
        return password::from_terminal(format!("Password for {}: ", args.user)).await;
    }
    bail!("no password: set PGPASSWORD, or pipe it and add --password-stdin")
}
