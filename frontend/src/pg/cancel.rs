//! Who may cancel what: each connection's number and secret.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rand::RngCore;
use subtle::ConstantTimeEq;

use super::engine::WireSession;

/// The open connections; as many entries as there are authenticated connections.
#[derive(Debug)]
pub(super) struct Connections<S> {
    state: Mutex<State<S>>,
}

#[derive(Debug)]
struct State<S> {
    next: i32,
    entries: HashMap<i32, Entry<S>>,
}

#[derive(Debug)]
struct Entry<S> {
    secret: Vec<u8>,
    session: Weak<S>,
}

/// One connection's entry; dropping it removes it.
#[derive(Debug)]
pub(super) struct Registration<S> {
    connections: Arc<Connections<S>>,
    /// The number the client is told.
    pub(super) pid: i32,
}

impl<S: WireSession> Connections<S> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { next: 1, entries: HashMap::new() }) })
    }

    /// Enters a session under a fresh number with a random secret of `length` bytes.
    pub(super) fn register(self: &Arc<Self>, session: &Arc<S>, length: usize) -> (Registration<S>, Vec<u8>) {
        let mut secret = vec![0; length];
        rand::rng().fill_bytes(&mut secret);
        let mut state = self.state.lock();
        // Bounded by max_connections, so a free number is near.
        while state.next <= 0 || state.entries.contains_key(&state.next) {
            state.next = state.next.checked_add(1).filter(|&next| next > 0).unwrap_or(1);
        }
        let pid = state.next;
        state.next = pid.checked_add(1).unwrap_or(1);
        state.entries.insert(pid, Entry { secret: secret.clone(), session: Arc::downgrade(session) });
        (Registration { connections: Arc::clone(self), pid }, secret)
    }

    /// Cancels what the connection runs, if the secret is its own. Says whether it was.
    pub(super) fn cancel(&self, pid: i32, secret: &[u8]) -> bool {
        let session = {
            let state = self.state.lock();
            state
                .entries
                .get(&pid)
                .filter(|entry| bool::from(entry.secret.as_slice().ct_eq(secret)))
                .and_then(|entry| entry.session.upgrade())
        };
        session.inspect(|session| session.cancel()).is_some()
    }

    /// Tells every session that the service stops.
    pub(super) fn shutdown(&self) {
        let sessions: Vec<_> = {
            let state = self.state.lock();
            state.entries.values().filter_map(|entry| entry.session.upgrade()).collect()
        };
        sessions.iter().for_each(|session| session.shutdown());
    }
}

impl<S> Drop for Registration<S> {
    fn drop(&mut self) {
        self.connections.state.lock().entries.remove(&self.pid);
    }
}
