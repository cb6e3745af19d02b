//! What is written down.

use std::net::SocketAddr;

use chrono::{SecondsFormat, Utc};
use lakeward_policy::Principal;
use serde::Serialize;

use super::seal::{AuditKey, SealedText};

/// Longest text kept of what a client says about itself, in characters.
const MAX_CLIENT_TEXT: usize = 128;

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// Login name.
    pub user: String,
    /// Tenant.
    pub tenant: Option<String>,
    /// Roles as assigned.
    pub roles: Vec<String>,
    /// On whose behalf, where a token named somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<AuditedEndUser>,
}

/// An end user, as a token named them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditedEndUser {
    /// Who vouches for them.
    pub issuer: String,
    /// Subject of the token.
    pub user: String,
    /// Tenant.
    pub tenant: Option<String>,
    /// Roles that the token claims.
    pub roles: Vec<String>,
}

impl AuditedEndUser {
    /// `principal`, for whom `issuer` vouches.
    #[must_use]
    pub fn of(issuer: &str, principal: &Principal) -> Self {
        let Actor { user, tenant, roles, .. } = principal.into();
        Self { issuer: issuer.to_owned(), user, tenant, roles }
    }
}

impl From<&Principal> for Actor {
    fn from(principal: &Principal) -> Self {
        Self {
            user: principal.user.clone(),
            tenant: principal.tenant.clone(),
            roles: principal.roles.iter().cloned().collect(),
            end_user: None,
        }
    }
}

/// Where they acted from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Client {
    /// Remote address.
    pub address: Option<SocketAddr>,
    /// What the client calls itself; kept to 128 characters.
    pub application: String,
    /// Wire: `postgres`, `internal`.
    pub protocol: &'static str,
}

/// A table that a statement reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditedTable {
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Pinned table version; None where the table has no versions (system tables).
    pub version: Option<u64>,
    /// Columns read, in table order.
    pub columns: Vec<String>,
}

/// A statement is about to run.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Statement; joins intent and outcome.
    pub statement_id: String,
    /// Session it runs in.
    pub session_id: String,
    /// Who.
    pub actor: Actor,
    /// Where from.
    pub client: Client,
    /// Statement as the user wrote it; sealed before it leaves the caller's task.
    pub text: String,
    /// First word of its command tag: `SELECT`, `EXPLAIN` …
    pub kind: String,
    /// What it reads.
    pub tables: Vec<AuditedTable>,
    /// Digest of the policies in force, in hex.
    pub policy_digest: String,
    /// Names of the rules that applied: grants, filters, masks.
    pub rules: Vec<String>,
}

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// All rows were handed out.
    Completed,
    /// An error ended it.
    Failed {
        /// SQLSTATE.
        sqlstate: String,
    },
    /// Cancelled by its user, an operator, a time-out or shutdown.
    Cancelled,
    /// The client went away.
    ClientGone,
}

/// A statement ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Statement, as in its intent.
    pub statement_id: String,
    /// Rows handed to the client.
    pub rows: u64,
    /// Bytes of Arrow data handed to the client's protocol.
    pub bytes: u64,
    /// Where it ran: `local` …
    pub route: String,
    /// From acceptance to end, in milliseconds.
    pub duration_ms: u64,
    /// How.
    #[serde(flatten)]
    pub end: End,
}

/// A statement was refused before it could run.
#[derive(Debug, Clone)]
pub struct Denied {
    /// Statement.
    pub statement_id: String,
    /// Session.
    pub session_id: String,
    /// Who.
    pub actor: Actor,
    /// Where from.
    pub client: Client,
    /// Statement as the user wrote it; sealed.
    pub text: String,
    /// SQLSTATE the user was given.
    pub sqlstate: String,
    /// Why, for operators: names of objects and rules, never a value from a statement or a table.
    pub reason: String,
}

/// Somebody tried to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Login {
    /// Name that was given; it need not exist.
    pub user: String,
    /// Where from.
    pub client: Client,
    /// Session that was opened.
    pub session_id: Option<String>,
    /// None where it worked, else the SQLSTATE that was answered.
    pub sqlstate: Option<String>,
    /// Why it failed, for operators.
    pub reason: Option<String>,
}

/// Policies or users were read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyReload {
    /// What: `policies`, `users`.
    pub subject: String,
    /// Digest in force now, in hex.
    pub digest: String,
    /// Whether the new content is in force; false where it was refused and the last good one stays.
    pub accepted: bool,
}

/// A statement changed policies, or was to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyChanged {
    /// Statement, as in its intent, which has its text.
    pub statement_id: String,
    /// Who.
    pub actor: Actor,
    /// Digest of the policies before, in hex.
    pub old_digest: String,
    /// Digest of those in force now; None where nothing was changed.
    pub new_digest: Option<String>,
    /// Why nothing was changed: the SQLSTATE that was answered.
    pub sqlstate: Option<String>,
}

/// One line of the log without its place in the chain.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Record {
    Intent {
        statement_id: String,
        session_id: String,
        actor: Actor,
        client: Client,
        kind: String,
        tables: Vec<AuditedTable>,
        policy_digest: String,
        rules: Vec<String>,
        text_digest: String,
        text: SealedText,
    },
    Outcome(Outcome),
    Denied {
        statement_id: String,
        session_id: String,
        actor: Actor,
        client: Client,
        sqlstate: String,
        reason: String,
        text_digest: String,
        text: SealedText,
    },
    Login(Login),
    PolicyReload(PolicyReload),
    PolicyChanged(PolicyChanged),
    Started {
        version: &'static str,
        process: u32,
        key: String,
    },
    Stopped {
        lost: u64,
    },
    TornTail {
        bytes: u64,
        kept_as: String,
    },
    Lost {
        records: u64,
    },
}

impl Record {
    pub(super) fn intent(intent: Intent, key: &AuditKey) -> Option<Self> {
        Some(Self::Intent {
            text_digest: key.digest(&intent.text),
            text: key.seal(&intent.statement_id, &intent.text)?,
            statement_id: intent.statement_id,
            session_id: intent.session_id,
            actor: intent.actor,
            client: shortened(intent.client),
            kind: intent.kind,
            tables: intent.tables,
            policy_digest: intent.policy_digest,
            rules: intent.rules,
        })
    }

    pub(super) fn denied(denied: Denied, key: &AuditKey) -> Option<Self> {
        Some(Self::Denied {
            text_digest: key.digest(&denied.text),
            text: key.seal(&denied.statement_id, &denied.text)?,
            statement_id: denied.statement_id,
            session_id: denied.session_id,
            actor: denied.actor,
            client: shortened(denied.client),
            sqlstate: denied.sqlstate,
            reason: denied.reason,
        })
    }

    pub(super) fn login(mut login: Login) -> Self {
        login.client = shortened(login.client);
        shorten(&mut login.user);
        Self::Login(login)
    }

    /// The JSON members of the record, without braces, stamped with the time of now.
    pub(super) fn members(&self) -> Option<String> {
        #[derive(Serialize)]
        struct Stamped<'a> {
            time: String,
            #[serde(flatten)]
            record: &'a Record,
        }
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut json = serde_json::to_string(&Stamped { time, record: self }).ok()?;
        json.pop();
        json.remove(0);
        Some(json)
    }
}

fn shortened(mut client: Client) -> Client {
    shorten(&mut client.application);
    client
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MAX_CLIENT_TEXT) {
        text.truncate(end);
    }
}
