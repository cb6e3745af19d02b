//! The one thread that writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::disk::{Disk, LogFile, file_name};
use super::log::AuditError;
use super::record::Record;
use super::recover::{Place, Recovered};
use super::verify::Head;

/// Records and bytes taken from the queue at once, give or take the last record.
const BATCH: usize = 1024;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are not durable yet at which a sync does not wait for its time.
const SYNC_BYTES: usize = 8 * 1024 * 1024;
/// Bytes kept for a disk that does not take them; more are counted as lost.
const MAX_PENDING: usize = 16 * 1024 * 1024;
/// How often a failed disk is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What callers and the writer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Nothing is accepted while set.
    pub(super) failed: AtomicBool,
    /// Records that could not be kept since the start.
    pub(super) lost: AtomicU64,
    /// Bytes in the queue.
    pub(super) queued: AtomicUsize,
    /// The newest record that is durable.
    pub(super) head: Mutex<Option<Head>>,
}

impl Shared {
    /// Counts a record that cannot be kept; whether that is the first sign of trouble.
    pub(super) fn lose(&self) -> bool {
        self.lost.fetch_add(1, Ordering::SeqCst);
        !self.failed.swap(true, Ordering::SeqCst)
    }
}

pub(super) type Reply = oneshot::Sender<Result<(), AuditError>>;

/// One request to the writer.
pub(super) enum Request {
    /// A record; whoever waits is answered when it is durable.
    Record {
        members: String,
        reply: Option<Reply>,
        /// Held until the record is written: bounds the intents in the queue.
        _slot: Option<OwnedSemaphorePermit>,
    },
    /// Answered when everything before is durable.
    Flush(Reply),
    /// Writes the last record and ends.
    Stop(Reply),
}

pub(super) struct Writer {
    pub(super) disk: Box<dyn Disk>,
    pub(super) requests: Receiver<Request>,
    pub(super) shared: Arc<Shared>,
    pub(super) max_file_bytes: u64,
    pub(super) group_commit: Duration,
    state: State,
}

struct State {
    place: Place,
    /// File to append to and its durable length.
    name: String,
    durable: u64,
    /// Open file; None after a failure, when it is opened again at its durable length.
    file: Option<Box<dyn LogFile>>,
    /// Lines after the durable ones, and how many bytes of them the file has been given.
    pending: Vec<u8>,
    given: usize,
    /// When the oldest pending line came.
    since: Option<Instant>,
    /// Lost records that a record already tells of.
    told: u64,
    /// When a failed disk was tried last.
    tried: Instant,
}

impl Writer {
    pub(super) fn new(
        disk: Box<dyn Disk>,
        requests: Receiver<Request>,
        shared: Arc<Shared>,
        max_file_bytes: u64,
        group_commit: Duration,
        recovered: &Recovered,
    ) -> Self {
        let place = recovered.place.clone();
        let (name, durable) = recovered.file.clone().unwrap_or_else(|| (file_name(place.next), 0));
        let state = State {
            place,
            name,
            durable,
            file: None,
            pending: Vec::new(),
            given: 0,
            since: None,
            told: 0,
            tried: Instant::now(),
        };
        Self { disk, requests, shared, max_file_bytes, group_commit, state }
    }

    /// Writes the records a log begins with.
    pub(super) fn begin(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            if let Some(members) = record.members() {
                self.append(&members);
            }
        }
        self.sync()
    }

    /// Serves requests until asked to stop or until nobody can ask any more.
    pub(super) fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut waiting = Vec::new();
        loop {
            let mut bytes = 0;
            match self.next() {
                Ok(request) => {
                    bytes += self.dequeued(&request);
                    batch.push(request);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.sync();
                    return;
                }
            }
            while batch.len() < BATCH
                && bytes < BATCH_BYTES
                && let Ok(request) = self.requests.try_recv()
            {
                bytes += self.dequeued(&request);
                batch.push(request);
            }
            let mut stop = false;
            let mut slots = Vec::new();
            for request in batch.drain(..) {
                match request {
                    Request::Record { members, reply, _slot } => {
                        self.accept(&members, reply, &mut waiting);
                        slots.extend(_slot);
                    }
                    Request::Flush(reply) => waiting.push(reply),
                    Request::Stop(reply) => {
                        stop = true;
                        waiting.push(reply);
                    }
                }
            }
            if stop {
                let lost = self.shared.lost.load(Ordering::SeqCst);
                self.append_record(&Record::Stopped { lost });
            }
            self.settle(&mut waiting);
            drop(slots);
            if stop {
                return;
            }
        }
    }

    fn next(&self) -> Result<Request, RecvTimeoutError> {
        if self.failed() {
            return self.requests.recv_timeout(RETRY);
        }
        match self.state.since {
            Some(since) => self.requests.recv_timeout(self.group_commit.saturating_sub(since.elapsed())),
            None => self.requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn dequeued(&self, request: &Request) -> usize {
        match request {
            Request::Record { members, .. } => {
                self.shared.queued.fetch_sub(members.len(), Ordering::SeqCst);
                members.len()
            }
            Request::Flush(_) | Request::Stop(_) => 0,
        }
    }

    fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::SeqCst)
    }

    fn accept(&mut self, members: &str, reply: Option<Reply>, waiting: &mut Vec<Reply>) {
        match reply {
            // Whoever waits will be told that it failed and runs nothing: no record is needed.
            Some(reply) if self.failed() => {
                let _ = reply.send(Err(AuditError::Unavailable));
            }
            Some(reply) => {
                self.append(members);
                waiting.push(reply);
            }
            None if self.failed() && self.state.pending.len() + members.len() > MAX_PENDING => {
                self.shared.lose();
            }
            None => self.append(members),
        }
    }

    /// Writes what is pending, makes it durable where somebody waits or it is time, and answers.
    fn settle(&mut self, waiting: &mut Vec<Reply>) {
        let due = self.state.since.is_some_and(|since| since.elapsed() >= self.group_commit)
            || self.state.pending.len() >= SYNC_BYTES;
        let was_failed = self.failed();
        let result = if was_failed {
            if waiting.is_empty() && self.state.tried.elapsed() < RETRY {
                return;
            }
            self.state.tried = Instant::now();
            self.tell_of_losses();
            self.sync()
        } else if waiting.is_empty() && !due {
            self.give()
        } else {
            self.sync()
        };
        match &result {
            Ok(()) if was_failed => {
                self.shared.failed.store(false, Ordering::SeqCst);
                // A loss since then has not been told yet: it is with the next request.
                if self.shared.lost.load(Ordering::SeqCst) > self.state.told {
                    self.shared.failed.store(true, Ordering::SeqCst);
                }
                tracing::info!("the audit log can be written again");
            }
            Ok(()) => {}
            Err(error) => {
                if !was_failed {
                    tracing::error!(%error, "the audit log cannot be written: statements are refused");
                }
                self.shared.failed.store(true, Ordering::SeqCst);
            }
        }
        for reply in waiting.drain(..) {
            let _ = reply.send(result.as_ref().copied().map_err(|_| AuditError::Unavailable));
        }
    }

    fn tell_of_losses(&mut self) {
        let lost = self.shared.lost.load(Ordering::SeqCst);
        if lost > self.state.told {
            self.append_record(&Record::Lost { records: lost - self.state.told });
            self.state.told = lost;
        }
    }

    fn append_record(&mut self, record: &Record) {
        match record.members() {
            Some(members) => self.append(&members),
            None => {
                self.shared.lose();
            }
        }
    }

    /// Puts a record at the end of the chain, not yet on disk.
    fn append(&mut self, members: &str) {
        let state = &mut self.state;
        let line = format!("{{\"seq\":{},\"prev\":\"{}\",{members}}}", state.place.next, state.place.prev);
        state.place = state.place.after(line.as_bytes());
        state.pending.extend_from_slice(line.as_bytes());
        state.pending.push(b'\n');
        state.since.get_or_insert_with(Instant::now);
    }

    /// Hands pending lines to the file: they survive this process, not yet the machine.
    fn give(&mut self) -> io::Result<()> {
        let state = &mut self.state;
        if state.given == state.pending.len() {
            return Ok(());
        }
        let result = match &mut state.file {
            Some(file) => file.append(&state.pending[state.given..]),
            None => self.disk.open(&state.name, state.durable).and_then(|file| {
                let file = state.file.insert(file);
                file.append(&state.pending)
            }),
        };
        match result {
            Ok(()) => {
                state.given = state.pending.len();
                Ok(())
            }
            Err(error) => {
                self.forget_file();
                Err(error)
            }
        }
    }

    /// Makes everything pending durable, then begins another file where this one is full.
    fn sync(&mut self) -> io::Result<()> {
        if self.state.pending.is_empty() {
            return Ok(());
        }
        self.give()?;
        if let Some(file) = &mut self.state.file
            && let Err(error) = file.sync()
        {
            // After a failed sync nobody knows what is on disk: all of it is written again.
            self.forget_file();
            return Err(error);
        }
        let state = &mut self.state;
        let head = Head { seq: state.place.next - 1, digest: state.place.prev.clone() };
        *self.shared.head.lock() = Some(head);
        state.durable += u64::try_from(state.pending.len()).unwrap_or(u64::MAX);
        state.pending.clear();
        state.given = 0;
        state.since = None;
        if state.durable >= self.max_file_bytes {
            state.name = file_name(state.place.next);
            state.durable = 0;
            state.file = None;
        }
        Ok(())
    }

    /// The next write opens the file anew and cuts it at its durable length.
    fn forget_file(&mut self) {
        self.state.file = None;
        self.state.given = 0;
    }
}
