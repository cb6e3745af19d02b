//! A PostgreSQL client that shows every byte it is told.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::observe::{Answer, float};
use crate::service::PASSWORD;

/// `float8`.
const FLOAT8: i32 = 701;

/// One connection.
pub struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
    extended: bool,
    /// Texts that the simple protocol has instead of prepared statements.
    texts: HashMap<String, String>,
    /// Portals that rows are fetched from, each named like its statement.
    portals: HashSet<String>,
}

impl Wire {
    pub(super) async fn enter(
        address: SocketAddr,
        database: &str,
        person: &str,
        extended: bool,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut wire = Self {
            stream,
            buffer: BytesMut::new(),
            extended,
            texts: HashMap::new(),
            portals: HashSet::new(),
        };
        let parameters = [("user", person), ("database", database), ("application_name", "suite")];
        wire.send(|out| frontend::startup_message(parameters, out)).await?;
        let mut scram = ScramSha256::new(PASSWORD.as_bytes(), ChannelBinding::unsupported());
        loop {
            let (kind, mut body) = wire.message().await?;
            match kind {
                b'R' => match body.get_i32() {
                    0 => {}
                    10 => {
                        let first = scram.message().to_vec();
                        wire.send(|out| frontend::sasl_initial_response("SCRAM-SHA-256", &first, out))
                            .await?;
                    }
                    11 => {
                        scram.update(&body)?;
                        let last = scram.message().to_vec();
                        wire.send(|out| frontend::sasl_response(&last, out)).await?;
                    }
                    12 => scram.finish(&body)?,
                    other => bail!("authentication {other}"),
                },
                b'Z' => return Ok(wire),
                b'E' => bail!("log-in refused: {}", fields(&body)),
                _ => {}
            }
        }
    }

    pub(super) async fn run(&mut self, sql: &str) -> Result<Answer> {
        if self.extended {
            self.parse("", sql).await?;
            self.bind("", "", &[], 0).await?;
        } else {
            self.send(|out| frontend::query(sql, out)).await?;
        }
        self.answer().await
    }

    pub(super) async fn prepare(&mut self, name: &str, sql: &str) -> Result<Answer> {
        if !self.extended {
            self.texts.insert(name.to_owned(), sql.to_owned());
            return Ok(Answer::default());
        }
        self.parse(name, sql).await?;
        self.send(|out| {
            frontend::describe(b'S', name, out)?;
            frontend::sync(out);
            Ok(())
        })
        .await?;
        self.answer().await
    }

    pub(super) async fn execute(&mut self, name: &str, parameters: &[String]) -> Result<Answer> {
        if self.extended {
            self.bind("", name, parameters, 0).await?;
            return self.answer().await;
        }
        let mut text = self.texts.get(name).context("a statement that was not prepared")?.clone();
        for (index, value) in parameters.iter().enumerate() {
            let literal = match value.parse::<i64>() {
                Ok(number) => number.to_string(),
                Err(_) => format!("'{}'", value.replace('\'', "''")),
            };
            text = text.replace(&format!("${}", index + 1), &literal);
        }
        self.run(&text).await
    }

    pub(super) async fn fetch(&mut self, name: &str, rows: i32) -> Result<Answer> {
        ensure!(self.extended, "only the extended protocol fetches");
        if self.portals.insert(name.to_owned()) {
            self.bind(name, name, &[], rows).await?;
        } else {
            self.send(|out| {
                frontend::execute(name, rows, out)?;
                frontend::sync(out);
                Ok(())
            })
            .await?;
        }
        self.answer().await
    }

    async fn parse(&mut self, name: &str, sql: &str) -> Result<()> {
        self.send(|out| frontend::parse(name, sql, std::iter::empty::<u32>(), out)).await
    }

    /// Binds, describes and executes, with everything as text.
    async fn bind(&mut self, portal: &str, statement: &str, parameters: &[String], rows: i32) -> Result<()> {
        self.send(|out| {
            let as_text = |value: &String, out: &mut BytesMut| {
                out.extend_from_slice(value.as_bytes());
                Ok(IsNull::No)
            };
            let formats = std::iter::empty::<i16>();
            frontend::bind(portal, statement, formats, parameters, as_text, Some(0), out)
                .map_err(|_| std::io::Error::other("the parameters cannot be sent"))?;
            frontend::describe(b'P', portal, out)?;
            frontend::execute(portal, rows, out)?;
            frontend::sync(out);
            Ok(())
        })
        .await
    }

    async fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<()> {
        let mut out = BytesMut::new();
        write(&mut out)?;
        Ok(self.stream.write_all(&out).await?)
    }

    async fn message(&mut self) -> Result<(u8, BytesMut)> {
        loop {
            if self.buffer.len() >= 5 {
                let length = (&self.buffer[1..5]).get_u32() as usize;
                if self.buffer.len() > length {
                    let mut message = self.buffer.split_to(length + 1);
                    let kind = message.get_u8();
                    message.advance(4);
                    return Ok((kind, message));
                }
            }
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the connection ended");
        }
    }

    /// Everything up to ReadyForQuery.
    async fn answer(&mut self) -> Result<Answer> {
        let mut answer = Answer::default();
        let mut floats = Vec::new();
        loop {
            let (kind, mut body) = self.message().await?;
            match kind {
                b'T' => {
                    answer.columns.clear();
                    floats.clear();
                    for _ in 0..body.get_i16() {
                        let name = text(&mut body)?;
                        body.advance(6);
                        let data_type = body.get_i32();
                        body.advance(2);
                        let modifier = body.get_i32();
                        body.advance(2);
                        answer.columns.push(format!("{name} {data_type} {modifier}"));
                        floats.push(data_type == FLOAT8);
                    }
                }
                b't' => {
                    for _ in 0..body.get_i16() {
                        answer.notices.push(format!("parameter of type {}", body.get_i32()));
                    }
                }
                b'D' => {
                    let mut cells = Vec::new();
                    for index in 0..usize::try_from(body.get_i16())? {
                        let Ok(length) = usize::try_from(body.get_i32()) else {
                            cells.push("NULL".to_owned());
                            continue;
                        };
                        let value = String::from_utf8_lossy(&body.split_to(length)).into_owned();
                        let is_float = floats.get(index) == Some(&true);
                        let rounded = value.parse().ok().filter(|_| is_float).map(float);
                        cells.push(rounded.unwrap_or(value));
                    }
                    answer.rows.push(cells.join("|"));
                }
                b'C' => answer.end = text(&mut body)?,
                b's' => answer.end = "suspended".to_owned(),
                b'I' => answer.end = "nothing".to_owned(),
                b'E' => {
                    answer.end = fields(&body);
                    answer.code = body
                        .as_ref()
                        .split(|byte: &u8| *byte == 0)
                        .find_map(|field| field.strip_prefix(b"C"))
                        .map(|code| String::from_utf8_lossy(code).into_owned());
                }
                b'N' => answer.notices.push(fields(&body)),
                b'S' => answer.notices.push(format!("{} = {}", text(&mut body)?, text(&mut body)?)),
                b'Z' => {
                    answer.notices.push(format!("ready {}", char::from(body.get_u8())));
                    return Ok(answer);
                }
                _ => {}
            }
        }
    }
}

/// A text that ends with a zero byte.
fn text(body: &mut BytesMut) -> Result<String> {
    let end = body.iter().position(|byte| *byte == 0).context("a text without end")?;
    let value = String::from_utf8_lossy(&body.split_to(end)).into_owned();
    body.advance(1);
    Ok(value)
}

/// The fields of an error or a notice.
fn fields(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    fields.map(|field| String::from_utf8_lossy(field).into_owned()).collect::<Vec<_>>().join("; ")
}
