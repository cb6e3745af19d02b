//! The audit log as the rest of the process sees it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::disk::{Disk, LocalDisk, make_directory, owner_only};
use super::record::{Denied, Intent, Login, Outcome, PolicyChanged, PolicyReload, Record};
use super::recover::recover;
use super::seal::{AuditKey, SignedHead};
use super::writer::{Request, Shared, Writer};

/// Records that may wait for the disk.
const QUEUE: usize = 16_384;
/// KiB of intents that may wait for the disk.
const INTENT_KIB: usize = 64 * 1024;
/// KiB that an intent counts for at least: at most a quarter of the queue is theirs, the rest stays
/// free for outcomes of what already runs.
const LEAST_KIB: usize = INTENT_KIB / (QUEUE / 4);
/// Bytes in the queue beyond which records that cannot wait are given up.
const MAX_QUEUED: usize = 256 * 1024 * 1024;
/// How long a statement waits for the disk before it is refused.
const PATIENCE: Duration = Duration::from_secs(30);

/// How an audit log is kept.
#[derive(Debug)]
pub struct AuditOptions {
    /// Where; made owner-only if it is missing.
    pub directory: PathBuf,
    /// Key for statement texts, at least 32 bytes.
    pub key: Zeroizing<Vec<u8>>,
    /// Size in bytes at which another file is begun.
    pub max_file_bytes: u64,
    /// How long a record that nobody waits for may stay in memory of the machine only.
    pub group_commit: Duration,
}

impl AuditOptions {
    /// Files of 64 MiB, groups of 50 ms.
    #[must_use]
    pub fn new(directory: PathBuf, key: Zeroizing<Vec<u8>>) -> Self {
        Self { directory, key, max_file_bytes: 64 * 1024 * 1024, group_commit: Duration::from_millis(50) }
    }
}

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The record is on disk.
    Immediate,
    /// The record was accepted and is on disk within the group commit time.
    Grouped,
}

/// What can go wrong with the audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Records cannot be written now: nothing may run.
    #[error("the audit log cannot be written")]
    Unavailable,
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
    /// Another process writes this directory.
    #[error("another process writes this audit log")]
    InUse,
    /// The key is too short.
    #[error("the audit key has fewer than 32 bytes")]
    Key,
    /// A text does not open with this key.
    #[error("the statement text does not open with this key")]
    Sealed,
    /// A complete line is not what was written. The log is not continued over it.
    #[error("the audit log is damaged: {file}, line {line}; move the directory away and keep it")]
    Damaged {
        /// File name.
        file: String,
        /// Line, from 1.
        line: u64,
    },
    /// The operating system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes records in one chain, in the order they were accepted.
pub struct AuditLog {
    key: AuditKey,
    shared: Arc<Shared>,
    intents: Arc<Semaphore>,
    queue: Mutex<Option<SyncSender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("healthy", &self.healthy()).finish_non_exhaustive()
    }
}

impl AuditLog {
    /// Opens a log, goes on where it ended and writes a `started` record. Blocking.
    ///
    /// # Errors
    /// The directory cannot be used, is in use, or its newest file is damaged.
    pub fn open(options: AuditOptions) -> Result<Arc<Self>, AuditError> {
        let disk = Box::new(LocalDisk::new(&options.directory));
        Self::open_on(options, disk)
    }

    pub(super) fn open_on(options: AuditOptions, disk: Box<dyn Disk>) -> Result<Arc<Self>, AuditError> {
        let key = AuditKey::new(&options.key)?;
        let io = |source| AuditError::Io { action: "opening the audit log", source };
        make_directory(&options.directory).map_err(io)?;
        let lock = lock(&options.directory)?;
        let recovered = recover(&options.directory)?;
        let shared = Arc::new(Shared::default());
        let (queue, requests) = sync_channel(QUEUE);
        let mut writer = Writer::new(
            disk,
            requests,
            Arc::clone(&shared),
            options.max_file_bytes,
            options.group_commit,
            &recovered,
        );
        let mut first = Vec::new();
        if let Some((bytes, kept_as)) = recovered.torn {
            tracing::warn!(bytes, "the audit log ended in an unfinished record, which was set aside");
            first.push(Record::TornTail { bytes, kept_as });
        }
        first.push(Record::Started {
            version: env!("CARGO_PKG_VERSION"),
            process: std::process::id(),
            key: key.id().to_owned(),
        });
        writer.begin(&first).map_err(io)?;
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                writer.run();
                // The lock goes with the thread: nobody else writes before the last record is down.
                drop(lock);
            })
            .map_err(io)?;
        Ok(Arc::new(Self {
            key,
            shared,
            intents: Arc::new(Semaphore::new(INTENT_KIB)),
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Whether records can be written. While false every intent is refused; the disk is tried again
    /// every second.
    #[must_use]
    pub fn healthy(&self) -> bool {
        !self.shared.failed.load(Ordering::SeqCst)
    }

    /// Records that could not be kept since the start. A `lost` record tells of them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::SeqCst)
    }

    /// The newest record that is on disk, signed: to be kept where whoever can change the log cannot.
    #[must_use]
    pub fn signed_head(&self) -> Option<SignedHead> {
        let head = self.shared.head.lock().clone()?;
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        Some(self.key.sign(&head, &time))
    }

    /// Writes down that a statement is about to run. No row may leave before this answers Ok.
    ///
    /// # Errors
    /// The record is not, or not certainly, written: the statement must not run.
    pub async fn intent(&self, intent: Intent, durability: Durability) -> Result<(), AuditError> {
        if !self.healthy() {
            return Err(AuditError::Unavailable);
        }
        let members = Record::intent(intent, &self.key).and_then(|record| record.members());
        let members = members.ok_or(AuditError::Unavailable)?;
        let weight = (members.len() / 1024 + 1).clamp(LEAST_KIB, INTENT_KIB);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let slot = match timeout(PATIENCE, Arc::clone(&self.intents).acquire_many_owned(weight)).await {
            Ok(Ok(slot)) => slot,
            Ok(Err(_)) => return Err(AuditError::Closed),
            Err(_) => return Err(AuditError::Unavailable),
        };
        match durability {
            Durability::Grouped => {
                self.send(Request::Record { members, reply: None, _slot: Some(slot) })?;
                // Whoever was accepted while the disk failed must not run either.
                if self.healthy() { Ok(()) } else { Err(AuditError::Unavailable) }
            }
            Durability::Immediate => {
                let (reply, answer) = oneshot::channel();
                self.send(Request::Record { members, reply: Some(reply), _slot: Some(slot) })?;
                wait(answer).await
            }
        }
    }

    /// Writes down how a statement ended. Never waits and never fails: where the record cannot be
    /// kept, the log becomes unhealthy and refuses what comes next.
    pub fn outcome(&self, outcome: Outcome) {
        self.note(Some(Record::Outcome(outcome)));
    }

    /// Writes down a refusal; as [`Self::outcome`].
    pub fn denied(&self, denied: Denied) {
        self.note(Record::denied(denied, &self.key));
    }

    /// Writes down a login; as [`Self::outcome`].
    pub fn login(&self, login: Login) {
        self.note(Some(Record::login(login)));
    }

    /// Writes down what a statement that was to change policies did.
    pub fn policy_changed(&self, changed: PolicyChanged) {
        self.note(Some(Record::PolicyChanged(changed)));
    }

    /// Writes down that policies or users were read again; as [`Self::outcome`].
    pub fn policy_reload(&self, reload: PolicyReload) {
        self.note(Some(Record::PolicyReload(reload)));
    }

    /// Answers when every record accepted so far is on disk.
    ///
    /// # Errors
    /// They are not.
    pub async fn flush(&self) -> Result<(), AuditError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Flush(reply))?;
        wait(answer).await
    }

    /// Writes a `stopped` record, makes everything durable and ends the writer.
    ///
    /// # Errors
    /// The last records could not be written, or the log was closed before.
    pub async fn close(&self) -> Result<(), AuditError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Stop(reply))?;
        // From here on every caller is told that the log is closed.
        self.queue.lock().take();
        self.intents.close();
        let result = wait(answer).await;
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && result.is_ok()
        {
            // It has answered, so it is at its end; joining makes sure that the lock is free.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        result
    }

    /// Ends as a killed process does: no `stopped` record.
    #[cfg(test)]
    pub(super) fn abandon(&self) {
        self.queue.lock().take();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    fn note(&self, record: Option<Record>) {
        let sent = record
            .and_then(|record| record.members())
            .filter(|members| self.shared.queued.load(Ordering::SeqCst) + members.len() <= MAX_QUEUED)
            .map(|members| self.send(Request::Record { members, reply: None, _slot: None }));
        if !matches!(sent, Some(Ok(()))) && self.shared.lose() {
            tracing::error!("an audit record could not be kept: statements are refused");
        }
    }

    fn send(&self, request: Request) -> Result<(), AuditError> {
        let bytes = match &request {
            Request::Record { members, .. } => members.len(),
            Request::Flush(_) | Request::Stop(_) => 0,
        };
        let guard = self.queue.lock();
        let Some(queue) = guard.as_ref() else { return Err(AuditError::Closed) };
        // Counted before the writer can take it off again.
        self.shared.queued.fetch_add(bytes, Ordering::SeqCst);
        queue.try_send(request).map_err(|error| {
            self.shared.queued.fetch_sub(bytes, Ordering::SeqCst);
            match error {
                TrySendError::Full(_) => AuditError::Unavailable,
                TrySendError::Disconnected(_) => AuditError::Closed,
            }
        })
    }
}

async fn wait(answer: oneshot::Receiver<Result<(), AuditError>>) -> Result<(), AuditError> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(AuditError::Closed),
        Err(_) => Err(AuditError::Unavailable),
    }
}

fn lock(directory: &Path) -> Result<File, AuditError> {
    let io = |source| AuditError::Io { action: "locking the audit log", source };
    let file = owner_only().create(true).truncate(false).open(directory.join("audit.lock")).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AuditError::InUse),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
