//! What the system tells the process.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// What signals ask for.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    /// The first SIGTERM or SIGINT: finish what runs, then end.
    pub drain: CancellationToken,
    /// The second: end now.
    pub abort: CancellationToken,
    /// SIGHUP: read the files again.
    pub reload: Arc<Notify>,
}

/// Listens for signals until it is dropped.
#[derive(Debug)]
pub struct Signals {
    /// What they ask for.
    pub requests: Requests,
    _task: AbortOnDropHandle<()>,
}

/// Turns signals into requests from now on.
pub fn listen() -> io::Result<Signals> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let requests = Requests::default();
    let told = requests.clone();
    let task = tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                Some(()) = terminate.recv() => "SIGTERM",
                Some(()) = interrupt.recv() => "SIGINT",
                Some(()) = hangup.recv() => {
                    tracing::info!("SIGHUP: reading policies, users and certificates again");
                    told.reload.notify_one();
                    continue;
                }
                else => return,
            };
            if told.drain.is_cancelled() {
                tracing::warn!(signal = name, "stopping at once");
                told.abort.cancel();
            } else {
                tracing::info!(signal = name, "stopping; another signal stops at once");
                told.drain.cancel();
            }
        }
    });
    Ok(Signals { requests, _task: AbortOnDropHandle::new(task) })
}
