//! Signed heads of the audit trail, kept where whoever can change the trail cannot.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lakeward_scheduler::audit::{AuditLog, Head, SignedHead};
use tokio_util::sync::CancellationToken;

/// How often a head is kept, if there is a new one.
const INTERVAL: Duration = Duration::from_secs(60);

/// Appends the newest signed head to `file` every minute, and once more at the end.
pub(super) async fn keep(audit: Arc<AuditLog>, file: PathBuf, stop: CancellationToken) {
    let mut last = None;
    loop {
        let stopped = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        append_newest(&audit, &file, &mut last).await;
        if stopped {
            return;
        }
    }
}

async fn append_newest(audit: &AuditLog, file: &Path, last: &mut Option<Head>) {
    let Some(signed) = audit.signed_head().filter(|signed| last.as_ref() != Some(&signed.head)) else {
        return;
    };
    let (head, file) = (signed.head.clone(), file.to_owned());
    match tokio::task::spawn_blocking(move || append(&file, &signed)).await {
        Ok(Ok(())) => *last = Some(head),
        Ok(Err(error)) => {
            tracing::error!(%error, "the head of the audit trail could not be kept; tried again in a minute")
        }
        Err(_) => tracing::error!("keeping the head of the audit trail failed unexpectedly"),
    }
}

/// Adds a line to a file of heads. Blocks.
///
/// # Errors
/// When the line is not certainly on disk.
fn append(file: &Path, signed: &SignedHead) -> io::Result<()> {
    let mut line = serde_json::to_string(signed)?;
    line.push('\n');
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}
