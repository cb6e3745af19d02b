//! From an accepted socket to an authenticated session.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use lakeward_scheduler::error::SqlState;
use lakeward_scheduler::session::{ClientInfo, Protocol};

use super::auth::{self, MAX_BEFORE_AUTH};
use super::engine::{Engine, WireOutcome, WireSession};
use super::error::{
    FEATURE_NOT_SUPPORTED, INVALID_AUTHORIZATION, INVALID_CATALOG_NAME, INVALID_PARAMETER_VALUE,
    INVALID_PASSWORD, PROTOCOL_VIOLATION, TOO_MANY_CONNECTIONS, WireError,
};
use super::message::backend;
use super::message::frontend::not_utf8;
use super::server::{OpenSession, Server};
use super::wire::{Gone, ReadError, Wire};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// The newest protocol spoken: 3.2, which has long cancel secrets.
const PROTOCOL_3_2: u32 = 0x0003_0002;

/// Why a connection goes no further.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The client left.
    Gone,
    /// It is told why.
    Error(WireError),
}

impl From<Gone> for Refusal {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self::Error(error.into_fatal())
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Gone => Self::Gone,
            ReadError::Violation(error) => Self::Error(error),
        }
    }
}

/// Greets a client and logs it in. None where the connection has served its purpose: a cancel request, a
/// refusal that the client was told of, or a client that left.
pub(super) async fn establish<E: Engine>(
    mut wire: Wire,
    server: &Arc<Server<E>>,
) -> Option<(Wire, OpenSession<E::Session>)> {
    let packet = match greet(wire, server).await {
        Ok(Some((greeted, packet))) => {
            wire = greeted;
            packet
        }
        Ok(None) | Err((_, Refusal::Gone)) => return None,
        Err((wire, Refusal::Error(error))) => {
            refuse(wire, &error).await;
            return None;
        }
    };
    match log_in(&mut wire, server, packet).await {
        Ok(session) => Some((wire, session)),
        Err(Refusal::Gone) => None,
        Err(Refusal::Error(error)) => {
            tracing::info!(peer = %wire.peer(), code = error.code, "connection refused");
            refuse(wire, &error).await;
            None
        }
    }
}

/// Tells the client why, and closes.
pub(super) async fn refuse(mut wire: Wire, error: &WireError) {
    backend::error_response(&mut wire.output, error);
    wire.close().await;
}

/// A start-up packet: the protocol version asked for, and what follows it.
struct StartUp {
    version: u32,
    body: Bytes,
}

/// Negotiates encryption and answers cancel requests.
async fn greet<E: Engine>(
    mut wire: Wire,
    server: &Arc<Server<E>>,
) -> Result<Option<(Wire, StartUp)>, (Wire, Refusal)> {
    match wire.starts_with_tls().await {
        Ok(false) => {}
        Ok(true) => {
            let Some(tls) = &server.tls else { return Ok(None) };
            let Ok(upgraded) = wire.upgrade(Arc::clone(&tls.config)).await else { return Ok(None) };
            // As PostgreSQL: only a client that names the protocol, so no other one can be led here.
            if upgraded.alpn() != Some(crate::tls::ALPN_POSTGRES) {
                return Ok(None);
            }
            wire = upgraded;
        }
        Err(Gone) => return Ok(None),
    }
    // Each request may come once; then a start-up packet.
    for _ in 0..3 {
        let (code, body) = match wire.start_up_packet(MAX_BEFORE_AUTH).await {
            Ok(packet) => packet,
            Err(error) => return Err((wire, error.into())),
        };
        match code {
            SSL_REQUEST if !wire.is_secure() => {
                let answer = if server.tls.is_some() { b'S' } else { b'N' };
                wire.output.push(answer);
                if wire.flush().await.is_err() {
                    return Ok(None);
                }
                if let Some(tls) = &server.tls {
                    let Ok(upgraded) = wire.upgrade(Arc::clone(&tls.config)).await else {
                        return Ok(None);
                    };
                    wire = upgraded;
                }
            }
            GSS_REQUEST => {
                wire.output.push(b'N');
                if wire.flush().await.is_err() {
                    return Ok(None);
                }
            }
            CANCEL_REQUEST => {
                cancel(server, body);
                return Ok(None);
            }
            version => return Ok(Some((wire, StartUp { version, body }))),
        }
    }
    let error = WireError::fatal(PROTOCOL_VIOLATION, "too many encryption requests");
    Err((wire, error.into()))
}

/// No answer in any case: nobody may find out which numbers are in use.
fn cancel<E: Engine>(server: &Server<E>, mut body: Bytes) {
    if let Ok(pid) = body.try_get_i32()
        && server.connections.cancel(pid, &body)
    {
        server.metrics.cancels.inc();
    }
}

async fn log_in<E: Engine>(
    wire: &mut Wire,
    server: &Arc<Server<E>>,
    packet: StartUp,
) -> Result<OpenSession<E::Session>, Refusal> {
    if packet.version >> 16 != 3 {
        return Err(WireError::fatal(
            FEATURE_NOT_SUPPORTED,
            format!(
                "unsupported frontend protocol {}.{}: server supports 3.0 to 3.2",
                packet.version >> 16,
                packet.version & 0xffff
            ),
        )
        .into());
    }
    let mut parameters = parameters(&packet.body)?;
    let unknown: Vec<String> = parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if packet.version > PROTOCOL_3_2 || !unknown.is_empty() {
        let newest = packet.version.min(PROTOCOL_3_2);
        backend::negotiate_protocol_version(&mut wire.output, newest, &unknown);
    }
    parameters.retain(|name, _| !name.starts_with("_pq_."));
    let secret_length = if packet.version >= PROTOCOL_3_2 { 32 } else { 4 };

    if server.options.require_tls && !wire.is_secure() {
        return Err(WireError::fatal(INVALID_AUTHORIZATION, "connections without TLS are refused")
            .with_hint("Connect with sslmode=require or stricter.")
            .into());
    }
    let user = parameters.remove("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        WireError::fatal(INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet")
    })?;
    if !matches!(parameters.remove("replication").as_deref(), None | Some("false" | "off" | "no" | "0")) {
        return Err(WireError::fatal(FEATURE_NOT_SUPPORTED, "replication is not supported").into());
    }

    let leaf = server.tls.as_ref().filter(|_| wire.is_secure()).and_then(|tls| tls.certificates.leaf());
    let client = ClientInfo {
        protocol: Protocol::Postgres,
        peer: Some(wire.peer()),
        application: parameters.get("application_name").cloned().unwrap_or_default(),
    };
    let principal = match auth::authenticate(wire, &server.accounts, &user, leaf.as_ref()).await {
        Ok(principal) => principal,
        Err(refusal) => {
            if let Refusal::Error(error) = &refusal {
                let (state, reason) = match error.code {
                    INVALID_AUTHORIZATION => (SqlState::InvalidAuthorization, "disabled or expired"),
                    INVALID_PASSWORD => (SqlState::InvalidPassword, "wrong password or unknown user"),
                    _ => (SqlState::ProtocolViolation, "not a SCRAM exchange"),
                };
                server.metrics.auth_failures.inc();
                server.engine.refused_login(&user, &client, state, reason);
            }
            return Err(refusal);
        }
    };
    backend::authentication_ok(&mut wire.output);

    // Only someone who proved who they are takes a place or learns of databases.
    let Ok(place) = Arc::clone(&server.places).try_acquire_owned() else {
        server.metrics.refused.inc();
        server.engine.refused_login(&user, &client, SqlState::TooManyConnections, "too many connections");
        return Err(WireError::fatal(TOO_MANY_CONNECTIONS, "sorry, too many clients already").into());
    };
    let database = parameters.remove("database").unwrap_or_default();
    if !database.is_empty() && database != server.options.database && database != user {
        return Err(WireError::fatal(
            INVALID_CATALOG_NAME,
            format!("database \"{database}\" does not exist"),
        )
        .with_hint(format!("This service has one database: {}.", server.options.database))
        .into());
    }
    let encoding = parameters.remove("client_encoding");
    if encoding.is_some_and(|encoding| !is_utf8(&encoding)) {
        return Err(WireError::fatal(
            INVALID_PARAMETER_VALUE,
            "invalid value for parameter \"client_encoding\": only UTF8 is supported",
        )
        .into());
    }
    // The session takes the name from here.
    parameters.remove("application_name");
    let session = wire.watch(server.engine.open(principal, client)).await?.map_err(WireError::from)?;
    let (registration, secret) = server.connections.register(&session, secret_length);
    let pid = registration.pid;
    let session = OpenSession::new(session, registration, place, server.metrics.open.clone());

    if let Some(options) = parameters.remove("options") {
        for (name, value) in command_line_settings(&options) {
            apply(wire, session.get(), &name, &value).await?;
        }
    }
    for (name, value) in &parameters {
        apply(wire, session.get(), name, value).await?;
    }
    for (name, value) in session.get().reported_parameters() {
        backend::parameter_status(&mut wire.output, &name, &value);
    }
    backend::backend_key_data(&mut wire.output, pid, &secret);
    backend::ready_for_query(&mut wire.output, session.get().transaction_status());
    wire.flush().await?;
    Ok(session)
}

/// Names and values, each ended by a zero, and a zero at the end.
fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, WireError> {
    let malformed = || WireError::fatal(PROTOCOL_VIOLATION, "invalid startup packet layout");
    let mut parameters = BTreeMap::new();
    let mut parts = body.split(|&byte| byte == 0);
    loop {
        let name = parts.next().ok_or_else(malformed)?;
        if name.is_empty() {
            break;
        }
        let value = parts.next().ok_or_else(malformed)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| not_utf8());
        parameters.insert(text(name)?, text(value)?);
    }
    // After the last zero nothing follows: the split leaves one empty part behind it.
    match (parts.next(), parts.next()) {
        (Some([]), None) => Ok(parameters),
        _ => Err(malformed()),
    }
}

fn is_utf8(encoding: &str) -> bool {
    let name: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(name.to_ascii_lowercase().as_str(), "utf8" | "unicode" | "auto")
}

/// The settings in `-c name=value` and `--name=value`; backslashes protect spaces.
fn command_line_settings(options: &str) -> Vec<(String, String)> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            space if space.is_ascii_whitespace() => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next()
        } else {
            word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).map(str::to_owned)
        };
        if let Some((name, value)) = setting.as_deref().and_then(|setting| setting.split_once('=')) {
            // On a command line a name is spelt with dashes as well.
            settings.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    settings
}

/// Sets a setting as `SET` would. Drivers send settings that this service has no use for: a refused one
/// costs nothing.
async fn apply<S: WireSession>(
    wire: &mut Wire,
    session: &Arc<S>,
    name: &str,
    value: &str,
) -> Result<(), Gone> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    if name.is_empty() || !name.bytes().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
        tracing::debug!("start-up setting with an impossible name ignored");
        return Ok(());
    }
    let quote = |value: &str| format!("'{}'", value.replace('\'', "''"));
    // A search path is a list; quoted as a whole it would be one odd name.
    let value = if name.eq_ignore_ascii_case("search_path") {
        value.split(',').map(|part| quote(part.trim().trim_matches('"'))).collect::<Vec<_>>().join(", ")
    } else {
        quote(value)
    };
    let run = async {
        for statement in session.parse(&format!("SET {name} TO {value}"))? {
            let prepared = session.prepare(&statement, &[]).await?;
            if let WireOutcome::Rows { stream, .. } = session.execute(&prepared, Vec::new()).await? {
                drop(stream);
            }
        }
        Ok::<(), lakeward_scheduler::error::QueryError>(())
    };
    if let Err(error) = wire.watch(run).await? {
        tracing::debug!(setting = name, code = error.state.code(), "start-up setting ignored");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn start_up_parameters_are_pairs() {
        let parsed = parameters(b"user\0alice\0database\0lakeward\0\0").unwrap();
        assert_eq!(parsed["user"], "alice");
        assert_eq!(parsed["database"], "lakeward");
        assert!(parameters(b"\0").unwrap().is_empty());
        for broken in [&b""[..], b"user\0alice", b"user\0alice\0", b"user\0", b"user\0a\0\0x"] {
            assert_eq!(parameters(broken).unwrap_err().code, "08P01", "{broken:?}");
        }
        assert_eq!(parameters(b"user\0\xff\0\0").unwrap_err().code, "22021");
    }

    #[test]
    fn options_are_a_command_line() {
        let settings = command_line_settings(
            r"-c statement_timeout=5s -csearch_path=silver --date-style=ISO,\ MDY -c broken -x a=b",
        );
        let expected = [("statement_timeout", "5s"), ("search_path", "silver"), ("date_style", "ISO, MDY")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(settings, expected);
    }

    #[test]
    fn utf8_has_many_spellings() {
        for name in ["UTF8", "utf-8", "'UTF8'", "unicode"] {
            assert!(is_utf8(name), "{name}");
        }
        assert!(!is_utf8("LATIN1"));
    }
}
