use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::Socket;
use tokio_postgres::config::{ChannelBinding as Binding, SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{TestServer, code, soon};
use crate::tls::Certificates;

struct Pair {
    dir: tempfile::TempDir,
    certificate: rcgen::Certificate,
}

fn pair() -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.path().join("crt"), made.cert.pem()).unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    Pair { dir, certificate: made.cert }
}

impl Pair {
    fn certificates(&self) -> Arc<Certificates> {
        Certificates::load(&self.dir.path().join("crt"), &self.dir.path().join("key")).unwrap()
    }

    fn client(&self) -> Tls {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Tls { connector: TlsConnector::from(Arc::new(config)), binding: None }
    }
}

/// TLS for tokio-postgres, with what it binds the proof to.
#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    binding: Option<Vec<u8>>,
}

struct Stream(TlsStream<Socket>, Option<Vec<u8>>);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl tokio_postgres::tls::TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.1 {
            Some(hash) => ChannelBinding::tls_server_end_point(hash.clone()),
            None => ChannelBinding::none(),
        }
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Stream;
    type TlsConnect = Self;
    type Error = std::io::Error;

    fn make_tls_connect(&mut self, _domain: &str) -> Result<Self, Self::Error> {
        Ok(self.clone())
    }
}

impl TlsConnect<Socket> for Tls {
    type Stream = Stream;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Stream>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from("localhost").unwrap();
            Ok(Stream(self.connector.connect(name, stream).await?, self.binding))
        })
    }
}

/// The certificate's hash with its own signature's algorithm, SHA-256 here.
fn hash(pair: &Pair) -> Vec<u8> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let suite = provider.cipher_suites.iter().find_map(|suite| match suite {
        rustls::SupportedCipherSuite::Tls13(suite)
            if suite.common.hash_provider.algorithm() == rustls::crypto::hash::HashAlgorithm::SHA256 =>
        {
            Some(suite.common.hash_provider)
        }
        _ => None,
    });
    suite.unwrap().hash(pair.certificate.der()).as_ref().to_vec()
}

#[tokio::test]
async fn tls_with_and_without_channel_binding() {
    let pair = pair();
    let server = TestServer::start_with(|options| {
        options.tls = Some(pair.certificates());
        options.require_tls = true;
    })
    .await;
    let connect = async |negotiation: SslNegotiation, binding: Option<Vec<u8>>| {
        let mut config = server.config();
        config.ssl_mode(SslMode::Require).ssl_negotiation(negotiation);
        if binding.is_some() {
            config.channel_binding(Binding::Require);
        }
        let tls = Tls { binding, ..pair.client() };
        let (client, connection) = config.connect(tls).await?;
        tokio::spawn(connection);
        client.simple_query("numbers 1").await
    };
    soon(connect(SslNegotiation::Postgres, None)).await.unwrap();
    soon(connect(SslNegotiation::Direct, None)).await.unwrap();
    soon(connect(SslNegotiation::Postgres, Some(hash(&pair)))).await.unwrap();
    // Bound to another certificate: someone in between.
    let error = soon(connect(SslNegotiation::Postgres, Some(vec![0; 32]))).await.unwrap_err();
    assert_eq!(code(&error), "08P01");
    let error = server.connect_as(server.config().ssl_mode(SslMode::Disable)).await.unwrap_err();
    assert_eq!(code(&error), "28000");
}

#[tokio::test]
async fn without_a_certificate_tls_is_declined() {
    let pair = pair();
    let server = TestServer::start().await;
    let connected = server.config().ssl_mode(SslMode::Prefer).connect(pair.client()).await;
    assert!(connected.is_ok());
    let refused = server.config().ssl_mode(SslMode::Require).connect(pair.client()).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn plain_text_ahead_of_the_handshake_is_not_believed() {
    let pair = pair();
    let server = TestServer::start_with(|options| options.tls = Some(pair.certificates())).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // An SSLRequest and, in the same breath, what should only be said under TLS.
    stream.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x08\0\x03\0\0").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert!(answer.len() <= 1, "{answer:?}");
}
