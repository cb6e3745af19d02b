//! One client's byte stream: frames in, a bounded buffer out, and an eye on whether the client is still there.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use prometheus::IntCounter;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::error::{PROTOCOL_VIOLATION, WireError};

/// Output is sent once it reaches this size.
pub(super) const FLUSH_AT: usize = 64 * 1024;
/// Buffers above this size are given back when they are empty.
const KEEP_AT_MOST: usize = 1024 * 1024;
/// While a statement runs, this much of what the client sends is read ahead, to notice when it leaves.
const READ_AHEAD: usize = 64 * 1024;
/// With a full buffer only the kernel knows whether the client left; it is asked this often.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// How long a good bye may take.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// The client cannot be reached any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Why no frame could be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The client is gone, possibly in the middle of a message.
    Gone,
    /// What it sent cannot be read on from.
    Violation(WireError),
}

impl From<Gone> for ReadError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    async fn read(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read_buf(input).await,
            Self::Tls(tls) => tls.read_buf(input).await,
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.shutdown().await,
            Self::Tls(tls) => tls.shutdown().await,
        }
    }
}

/// A connected client.
pub(super) struct Wire {
    transport: Transport,
    peer: SocketAddr,
    input: BytesMut,
    /// Messages not sent yet. Whoever appends keeps it near [`FLUSH_AT`] by calling [`Wire::flush`].
    pub(super) output: Vec<u8>,
    /// How much of `output` has been sent, should a flush be interrupted.
    sent: usize,
    /// A client that takes nothing for this long is given up.
    stall: Duration,
    bytes_sent: IntCounter,
    probe: Option<Interval>,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream, peer: SocketAddr, stall: Duration, bytes_sent: IntCounter) -> Self {
        Self {
            transport: Transport::Plain(tcp),
            peer,
            input: BytesMut::new(),
            output: Vec::new(),
            sent: 0,
            stall,
            bytes_sent,
            probe: None,
        }
    }

    /// Where the client is.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether TLS is on.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// Whether the client starts with TLS at once.
    pub(super) async fn starts_with_tls(&self) -> Result<bool, Gone> {
        let mut first = [0_u8; 1];
        let length = self.transport.tcp().peek(&mut first).await.map_err(|_| Gone)?;
        // A TLS record of type handshake; no PostgreSQL packet is long enough to begin so.
        Ok(length == 1 && first[0] == 0x16)
    }

    /// Does the TLS handshake. Nothing may have been read ahead: plain text injected before the handshake
    /// must not be taken for something the client said under TLS.
    pub(super) async fn upgrade(self, config: Arc<ServerConfig>) -> Result<Self, Gone> {
        let Transport::Plain(tcp) = self.transport else { return Err(Gone) };
        if !self.input.is_empty() {
            return Err(Gone);
        }
        let tls = TlsAcceptor::from(config).accept(tcp).await.map_err(|error| {
            tracing::debug!(peer = %self.peer, %error, "TLS handshake failed");
            Gone
        })?;
        Ok(Self { transport: Transport::Tls(Box::new(tls)), ..self })
    }

    /// The protocol agreed in the handshake.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(tls) => tls.get_ref().1.alpn_protocol(),
        }
    }

    /// A packet of the start-up phase, which has no type: its code and body.
    pub(super) async fn start_up_packet(&mut self, limit: usize) -> Result<(u32, Bytes), ReadError> {
        loop {
            if let Some(mut head) = self.input.get(..8) {
                let length = head.get_u32() as usize;
                let code = head.get_u32();
                if !(8..=limit).contains(&length) {
                    let error = WireError::fatal(PROTOCOL_VIOLATION, "invalid length of startup packet");
                    return Err(ReadError::Violation(error));
                }
                if self.input.len() >= length {
                    let mut packet = self.input.split_to(length).freeze();
                    packet.advance(8);
                    return Ok((code, packet));
                }
            }
            self.fill().await?;
        }
    }

    /// The next message: its type and body. None where the client closed the connection between messages.
    /// Dropping the future loses nothing.
    pub(super) async fn frame(&mut self, limit: usize) -> Result<Option<(u8, Bytes)>, ReadError> {
        loop {
            if let Some(mut head) = self.input.get(..5) {
                let kind = head.get_u8();
                let length = head.get_u32() as usize;
                if length < 4 || length > limit {
                    let error = WireError::fatal(PROTOCOL_VIOLATION, "invalid message length");
                    return Err(ReadError::Violation(error));
                }
                if self.input.len() > length {
                    let mut frame = self.input.split_to(length + 1).freeze();
                    frame.advance(5);
                    if self.input.is_empty() {
                        // The frame keeps its memory; the next one starts small again.
                        self.input = BytesMut::new();
                    }
                    return Ok(Some((kind, frame)));
                }
            }
            match self.fill().await {
                Ok(()) => {}
                Err(Gone) if self.input.is_empty() => return Ok(None),
                Err(Gone) => return Err(ReadError::Gone),
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Gone> {
        // Memory follows what has arrived, never what a length field announces.
        self.input.reserve(8 * 1024);
        match self.transport.read(&mut self.input).await {
            Ok(0) | Err(_) => Err(Gone),
            Ok(_) => Ok(()),
        }
    }

    /// Runs a future; ends early when the client leaves meanwhile.
    pub(super) async fn watch<F: Future>(&mut self, future: F) -> Result<F::Output, Gone> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.poll_gone(cx).map(|()| Err(Gone))
        })
        .await
    }

    /// Sends everything. A client that closes its end, or takes nothing for the stall time, is gone.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        while self.sent < self.output.len() {
            let written = timeout(self.stall, poll_fn(|cx| self.poll_write_some(cx)))
                .await
                .map_err(|_| Gone)
                .flatten()?;
            self.sent += written;
            self.bytes_sent.inc_by(written as u64);
        }
        self.output.clear();
        self.output.shrink_to(KEEP_AT_MOST);
        self.sent = 0;
        timeout(self.stall, poll_fn(|cx| self.transport.poll_flush(cx)))
            .await
            .map_err(|_| Gone)?
            .map_err(|_| Gone)
    }

    fn poll_write_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Gone>> {
        let rest = self.output.get(self.sent..).unwrap_or_default();
        match self.transport.poll_write(cx, rest) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Gone)),
            Poll::Ready(Ok(written)) => Poll::Ready(Ok(written)),
            Poll::Pending => self.poll_gone(cx).map(|()| Err(Gone)),
        }
    }

    /// Ready when the client has closed its end. Reads ahead to see it, within bounds.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.input.len() < READ_AHEAD {
            let mut chunk = [0_u8; 4096];
            let mut buffer = ReadBuf::new(&mut chunk);
            match self.transport.poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(()),
                Poll::Ready(Ok(())) => self.input.extend_from_slice(buffer.filled()),
            }
        }
        // More is waiting than we want to hold: its end is out of sight, but the kernel saw it if it came.
        let probe = self.probe.get_or_insert_with(|| {
            let mut interval = tokio::time::interval(PROBE_EVERY);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        while probe.poll_tick(cx).is_ready() {
            let ready = self.transport.tcp().ready(Interest::READABLE).now_or_never();
            if ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed())) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Sends what is left and closes, without waiting long.
    pub(super) async fn close(mut self) {
        let good_bye = async {
            self.flush().await?;
            self.transport.shutdown().await.map_err(|_| Gone)
        };
        // A client that is gone already does not hear it.
        let _: Result<Result<(), Gone>, _> = timeout(GOOD_BYE, good_bye).await;
    }
}
