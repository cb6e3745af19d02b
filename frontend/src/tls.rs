//! TLS for every listener: one certificate, replaced without a restart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// ALPN of PostgreSQL clients that start with TLS at once (`sslnegotiation=direct`).
pub const ALPN_POSTGRES: &[u8] = b"postgresql";
/// ALPN of HTTP/1.1 clients.
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// A certificate that ends sooner than this is worth a warning.
const EXPIRY_WARNING: chrono::TimeDelta = chrono::TimeDelta::days(14);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Everyone on the machine may read the private key.
    #[error("private key {path} can be read by everyone (mode {mode:03o}); run `chmod 600 {path}`")]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file holds no certificate.
    #[error("{path}: expected a certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate {
        /// The certificate file.
        path: PathBuf,
    },
    /// A file holds no private key.
    #[error("{path}: expected a private key in PEM form, without a passphrase (-----BEGIN PRIVATE KEY-----)")]
    NoKey {
        /// The key file.
        path: PathBuf,
    },
    /// The certificate cannot be understood.
    #[error("{path}: the certificate cannot be read: {reason}")]
    BadCertificate {
        /// The certificate file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key cannot be used.
    #[error("{path}: the private key cannot be used: {reason}")]
    BadKey {
        /// The key file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key are of different pairs.
    #[error("the private key in {key} does not belong to the certificate in {certificate}")]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// The TLS library refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The service's certificate, as files that are read again when they change.
pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<Loaded>,
}

struct Loaded {
    certified: Arc<CertifiedKey>,
    not_after: DateTime<Utc>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads a certificate chain and its key from PEM files.
    pub fn load(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        // Named here, never taken from the process: another library may have installed another one.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let loaded = read(certificate, key, &provider)?;
        Ok(Arc::new(Self {
            certificate: certificate.to_path_buf(),
            key: key.to_path_buf(),
            provider,
            current: ArcSwap::from_pointee(loaded),
        }))
    }

    /// Reads the files again; new connections get what they hold now. Says whether it changed.
    /// On an error the certificate in use stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let loaded = read(&self.certificate, &self.key, &self.provider)?;
        let changed = loaded.certified.cert != self.current.load().certified.cert;
        self.current.store(Arc::new(loaded));
        Ok(changed)
    }

    /// When the certificate in use ends.
    #[must_use]
    pub fn not_after(&self) -> DateTime<Utc> {
        self.current.load().not_after
    }

    /// The server's own certificate, which SCRAM binds its proof to.
    #[must_use]
    pub fn leaf(&self) -> Option<CertificateDer<'static>> {
        self.current.load().certified.cert.first().cloned()
    }

    /// The files that make it up.
    #[must_use]
    pub fn files(&self) -> [&Path; 2] {
        [&self.certificate, &self.key]
    }

    /// Settings for a listener that offers `alpn` (none: any client). TLS 1.2 and 1.3.
    pub fn server_config(self: &Arc<Self>, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(Arc::clone(self))));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

#[derive(Debug)]
struct Resolver(Arc<Certificates>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current.load().certified))
    }
}

fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<Loaded, TlsError> {
    let chain = read_chain(certificate)?;
    let not_after = chain.first().map_or_else(
        || Err(TlsError::NoCertificate { path: certificate.to_path_buf() }),
        |leaf| end_of(leaf, certificate),
    )?;
    let bad_key =
        |error: rustls::Error| TlsError::BadKey { path: key.to_path_buf(), reason: error.to_string() };
    let signing_key = provider.key_provider.load_private_key(read_key(key)?).map_err(bad_key)?;
    let certified = CertifiedKey::new(chain, signing_key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsError::Mismatch {
                certificate: certificate.to_path_buf(),
                key: key.to_path_buf(),
            });
        }
        Err(error) => {
            return Err(TlsError::BadCertificate {
                path: certificate.to_path_buf(),
                reason: error.to_string(),
            });
        }
    }
    let now = Utc::now();
    if not_after <= now {
        tracing::warn!(certificate = %certificate.display(), %not_after, "the TLS certificate has expired; clients that check it will refuse");
    } else if not_after - now < EXPIRY_WARNING {
        tracing::warn!(certificate = %certificate.display(), %not_after, "the TLS certificate expires soon");
    }
    Ok(Loaded { certified: Arc::new(certified), not_after })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem =
        std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_path_buf(), source })?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError::NoCertificate { path: path.to_path_buf() }),
        Err(error) => Err(TlsError::BadCertificate { path: path.to_path_buf(), reason: error.to_string() }),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    use std::io::Read;

    let unreadable = |source| TlsError::Unreadable { path: path.to_path_buf(), source };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A group may read it, as PostgreSQL allows: certificate tools hand keys to services so.
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o027 != 0 {
            return Err(TlsError::Exposed { path: path.to_path_buf(), mode });
        }
    }
    let mut pem = Vec::new();
    file.read_to_end(&mut pem).map_err(unreadable)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_path_buf() },
        other => TlsError::BadKey { path: path.to_path_buf(), reason: other.to_string() },
    })
}

fn end_of(certificate: &CertificateDer<'_>, path: &Path) -> Result<DateTime<Utc>, TlsError> {
    let bad = |reason: String| TlsError::BadCertificate { path: path.to_path_buf(), reason };
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| bad(error.to_string()))?;
    let seconds = parsed.validity().not_after.timestamp();
    DateTime::from_timestamp(seconds, 0).ok_or_else(|| bad("its end of validity is out of range".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rustls::pki_types::ServerName;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn write_pair(dir: &Path) -> rcgen::CertifiedKey<rcgen::KeyPair> {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join("crt"), pair.cert.pem()).unwrap();
        write_key(dir, &pair.signing_key.serialize_pem(), 0o600);
        pair
    }

    fn write_key(dir: &Path, pem: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(dir.join("key"), pem).unwrap();
        std::fs::set_permissions(dir.join("key"), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(dir: &Path) -> Result<Arc<Certificates>, TlsError> {
        Certificates::load(&dir.join("crt"), &dir.join("key"))
    }

    /// The certificate that a client is shown, and the ALPN agreed.
    async fn handshake(
        certificates: &Arc<Certificates>,
        trusted: &rcgen::Certificate,
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(certificates.server_config(&[ALPN_POSTGRES]).unwrap());
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor.accept(stream).await.unwrap()
        });
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN_POSTGRES.to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let _server = server.await.unwrap();
        let connection = stream.get_ref().1;
        (connection.peer_certificates().unwrap()[0].to_vec(), connection.alpn_protocol().map(<[u8]>::to_vec))
    }

    #[tokio::test]
    async fn a_new_certificate_is_served_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = write_pair(dir.path());
        let certificates = load(dir.path()).unwrap();
        let (shown, alpn) = handshake(&certificates, &first.cert).await;
        assert_eq!(shown, first.cert.der().to_vec());
        assert_eq!(alpn.as_deref(), Some(ALPN_POSTGRES));
        assert!(!certificates.reload().unwrap());

        let second = write_pair(dir.path());
        assert!(certificates.reload().unwrap());
        assert_eq!(handshake(&certificates, &second.cert).await.0, second.cert.der().to_vec());

        // A broken file changes nothing for clients.
        std::fs::write(dir.path().join("crt"), "not a certificate").unwrap();
        assert!(matches!(certificates.reload(), Err(TlsError::NoCertificate { .. })));
        assert_eq!(handshake(&certificates, &second.cert).await.0, second.cert.der().to_vec());
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let pair = write_pair(dir.path());
        let other = rcgen::KeyPair::generate().unwrap();
        write_key(dir.path(), &other.serialize_pem(), 0o600);
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("does not belong to the certificate"), "{error}");

        write_key(dir.path(), &pair.signing_key.serialize_pem(), 0o644);
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("mode 644") && error.contains("chmod 600"), "{error}");

        write_key(dir.path(), "", 0o600);
        assert!(matches!(load(dir.path()), Err(TlsError::NoKey { .. })));
        std::fs::remove_file(dir.path().join("key")).unwrap();
        assert!(matches!(load(dir.path()), Err(TlsError::Unreadable { .. })));
    }
}
