//! Statements that run, and the last that ran: what `system.queries` shows.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use parking_lot::Mutex;

use crate::acting::Acting;

/// Finished statements kept.
const HISTORY: usize = 1_000;

/// Longest statement text kept, in characters.
const TEXT_LIMIT: usize = 4_096;

/// A statement: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StatementId(uuid::Uuid);

impl StatementId {
    pub(crate) fn random() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl fmt::Display for StatementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// Where a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Finished,
    Failed(&'static str),
    Cancelled,
    ClientGone,
}

impl State {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
            Self::ClientGone => "client gone",
        }
    }
}

/// One statement in the registry.
#[derive(Debug)]
pub(crate) struct QueryEntry {
    pub(crate) id: StatementId,
    pub(crate) user: String,
    /// Issuer and name of the end user that the account acted for.
    pub(crate) end_user: Option<String>,
    pub(crate) session: String,
    pub(crate) application: String,
    pub(crate) text: String,
    pub(crate) started: DateTime<Utc>,
    pub(crate) rows: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// State and end.
    pub(crate) progress: Mutex<(State, Option<DateTime<Utc>>)>,
}

/// All statements of the process.
#[derive(Debug, Default)]
pub(crate) struct QueryRegistry {
    running: DashMap<StatementId, Arc<QueryEntry>>,
    history: Mutex<VecDeque<Arc<QueryEntry>>>,
}

impl QueryRegistry {
    pub(crate) fn start(
        &self,
        acting: &Acting,
        session: &str,
        application: &str,
        text: &str,
    ) -> Arc<QueryEntry> {
        let entry = Arc::new(QueryEntry {
            id: StatementId::random(),
            user: acting.account.user.clone(),
            end_user: acting.end_user_name(),
            session: session.to_owned(),
            application: application.chars().take(128).collect(),
            text: text.chars().take(TEXT_LIMIT).collect(),
            started: Utc::now(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            progress: Mutex::new((State::Running, None)),
        });
        self.running.insert(entry.id, Arc::clone(&entry));
        entry
    }

    pub(crate) fn finish(&self, entry: &Arc<QueryEntry>, state: State) {
        *entry.progress.lock() = (state, Some(Utc::now()));
        if self.running.remove(&entry.id).is_some() {
            let mut history = self.history.lock();
            if history.len() >= HISTORY {
                history.pop_front();
            }
            history.push_back(Arc::clone(entry));
        }
    }

    /// Everything known, running ones last.
    pub(crate) fn list(&self) -> Vec<Arc<QueryEntry>> {
        let mut all: Vec<Arc<QueryEntry>> = self.history.lock().iter().map(Arc::clone).collect();
        all.extend(self.running.iter().map(|entry| Arc::clone(entry.value())));
        all
    }

    /// Statements that run now.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }
}

impl QueryEntry {
    /// Whether whoever acts so ran it: an account that names no end user ran all of its own.
    pub(crate) fn is_of(&self, user: &str, end_user: Option<&String>) -> bool {
        self.user == user && (end_user.is_none() || self.end_user.as_ref() == end_user)
    }

    pub(crate) fn count(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
