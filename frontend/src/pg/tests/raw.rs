//! A client that says exactly what a test wants it to say.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) struct Raw {
    pub(super) stream: TcpStream,
    buffer: BytesMut,
}

impl Raw {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: BytesMut::new() }
    }

    /// Connects and logs in as alice; gives the number and secret for cancel requests too.
    pub(super) async fn log_in(address: SocketAddr) -> (Self, i32, Vec<u8>) {
        let mut client = Self::connect(address).await;
        client
            .send(|out| {
                frontend::startup_message([("user", "alice"), ("database", "lakeward")], out).unwrap()
            })
            .await;
        let mut scram = ScramSha256::new(b"correct horse", ChannelBinding::unsupported());
        let mut key = (0, Vec::new());
        loop {
            let (kind, mut body) = client.message().await.unwrap();
            match kind {
                b'R' => match body.get_i32() {
                    0 => {}
                    10 => {
                        let first = scram.message().to_vec();
                        client
                            .send(|out| {
                                frontend::sasl_initial_response("SCRAM-SHA-256", &first, out).unwrap()
                            })
                            .await;
                    }
                    11 => {
                        scram.update(&body).unwrap();
                        let last = scram.message().to_vec();
                        client.send(|out| frontend::sasl_response(&last, out).unwrap()).await;
                    }
                    12 => scram.finish(&body).unwrap(),
                    other => panic!("authentication {other}"),
                },
                b'K' => key = (body.get_i32(), body.to_vec()),
                b'Z' => return (client, key.0, key.1),
                b'E' => panic!("{}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }

    pub(super) async fn send(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        write(&mut out);
        self.stream.write_all(&out).await.unwrap();
    }

    pub(super) async fn query(&mut self, sql: &str) {
        self.send(|out| frontend::query(sql, out).unwrap()).await;
    }

    /// The next message; None where the server closed the connection.
    pub(super) async fn message(&mut self) -> Option<(u8, BytesMut)> {
        loop {
            if self.buffer.len() >= 5 {
                let length = (&self.buffer[1..5]).get_u32() as usize;
                if self.buffer.len() > length {
                    let mut message = self.buffer.split_to(length + 1);
                    let kind = message.get_u8();
                    message.advance(4);
                    return Some((kind, message));
                }
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Everything up to ReadyForQuery (or the end), as message types, with the code behind an error.
    pub(super) async fn answer(&mut self) -> String {
        let mut seen = String::new();
        while let Some((kind, body)) = self.message().await {
            seen.push(char::from(kind));
            if kind == b'E' {
                seen.push_str(&format!("[{}]", sqlstate(&body)));
            }
            if kind == b'Z' {
                seen.push(char::from(body[0]));
                break;
            }
        }
        seen
    }
}

/// The code field of an ErrorResponse.
pub(super) fn sqlstate(body: &[u8]) -> String {
    body.split(|&byte| byte == 0)
        .find_map(|field| field.strip_prefix(b"C"))
        .map(|code| String::from_utf8_lossy(code).into_owned())
        .unwrap_or_default()
}
