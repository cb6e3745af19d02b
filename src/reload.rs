//! Policies, users and certificates are read again when their files change, or on SIGHUP.
//!
//! Files are polled: notifications do not cross network file systems and mounted configuration
//! (a Kubernetes ConfigMap is replaced by moving a symbolic link). A file that is wrong changes
//! nothing but the log and a metric; the last good one stays in force.
//!
//! A file that is being written may be well-formed and say less than it will: policies without their
//! filters, say. So nothing is loaded before it was found the same twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lakeward_policy::document::Diagnostics;
use prometheus::{IntCounterVec, Opts, Registry};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often files are looked at, and how long they must have stayed as they are to be loaded.
const INTERVAL: Duration = Duration::from_secs(2);

/// The same for files that somebody asked to be loaded now: they say that they have written them.
const SETTLED: Duration = Duration::from_millis(200);

type Load = Arc<dyn Fn() -> Result<bool, Diagnostics> + Send + Sync>;

/// Something that is loaded from files and can be loaded again.
pub struct Reloadable {
    /// What it is: `policies`, `users`, `certificates`.
    what: &'static str,
    files: Vec<PathBuf>,
    load: Load,
    /// What the files held when they were last loaded or refused.
    seen: Option<[u8; 32]>,
    /// What they held at the last look, if that was something else.
    settling: Option<[u8; 32]>,
}

impl Reloadable {
    /// `load` reads `files` again, puts them in force and says whether anything changed. It may block.
    pub fn new(
        what: &'static str,
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<bool, Diagnostics> + Send + Sync + 'static,
    ) -> Self {
        let seen = Some(fingerprint(&files));
        Self { what, files, load: Arc::new(load), seen, settling: None }
    }
}

impl std::fmt::Debug for Reloadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloadable").field("what", &self.what).finish_non_exhaustive()
    }
}

/// Watches files and reloads what they hold.
#[derive(Debug)]
pub struct Reloader {
    items: Vec<Reloadable>,
    /// Reload everything, changed or not.
    request: Arc<Notify>,
    reloads: IntCounterVec,
    failures: IntCounterVec,
}

impl Reloader {
    /// A reloader of `items`; `request` makes it load all of them at once (SIGHUP).
    pub fn new(
        items: Vec<Reloadable>,
        request: Arc<Notify>,
        metrics: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let reloads = IntCounterVec::new(
            Opts::new("lakeward_reloads_total", "Changed files that were put in force, by what they hold."),
            &["what"],
        )?;
        let failures = IntCounterVec::new(
            Opts::new(
                "lakeward_reload_failures_total",
                "Changed files that were refused, by what they hold; the last good ones stay in force.",
            ),
            &["what"],
        )?;
        metrics.register(Box::new(reloads.clone()))?;
        metrics.register(Box::new(failures.clone()))?;
        for item in &items {
            // A counter that starts at zero can be alerted on.
            reloads.with_label_values(&[item.what]);
            failures.with_label_values(&[item.what]);
        }
        Ok(Self { items, request, reloads, failures })
    }

    /// Watches until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let all = tokio::select! {
                () = stop.cancelled() => return,
                () = self.request.notified() => true,
                _ = ticks.tick() => false,
            };
            self.look(all).await;
        }
    }

    /// Loads what changed, or all.
    async fn look(&mut self, all: bool) {
        for item in &mut self.items {
            let (what, files, load) = (item.what, item.files.clone(), Arc::clone(&item.load));
            let (seen, settling) = (item.seen, item.settling);
            // Somebody who asks says that the files are written; a moment shows whether they are.
            let (seen, settling) = match all {
                true => (None, settled(files.clone()).await),
                false => (seen, settling),
            };
            let outcome = tokio::task::spawn_blocking(move || {
                // Taken before loading: a change meanwhile is a change at the next look.
                let now = fingerprint(&files);
                match seen == Some(now) {
                    true => Look::Unchanged,
                    false if settling == Some(now) => Look::Loaded(now, load()),
                    false => Look::Settling(now),
                }
            })
            .await;
            let loaded = match outcome {
                Ok(Look::Loaded(now, loaded)) => {
                    (item.seen, item.settling) = (Some(now), None);
                    loaded
                }
                Ok(Look::Settling(now)) => {
                    item.settling = Some(now);
                    continue;
                }
                Ok(Look::Unchanged) => {
                    item.settling = None;
                    continue;
                }
                Err(_) => {
                    tracing::error!(what, "reloading failed unexpectedly");
                    self.failures.with_label_values(&[what]).inc();
                    continue;
                }
            };
            match loaded {
                Ok(true) => {
                    self.reloads.with_label_values(&[what]).inc();
                    tracing::info!(what, "reloaded");
                }
                Ok(false) => tracing::info!(what, "reloaded; nothing changed"),
                Err(Diagnostics(problems)) => {
                    self.failures.with_label_values(&[what]).inc();
                    for problem in problems {
                        tracing::error!(what, %problem, "not reloaded; the last good version stays in force");
                    }
                }
            }
        }
    }
}

/// What a look at files came to.
enum Look {
    Unchanged,
    /// They changed, perhaps not for the last time.
    Settling([u8; 32]),
    Loaded([u8; 32], Result<bool, Diagnostics>),
}

/// What files hold, told a moment later.
async fn settled(files: Vec<PathBuf>) -> Option<[u8; 32]> {
    let before = tokio::task::spawn_blocking(move || fingerprint(&files)).await.ok();
    tokio::time::sleep(SETTLED).await;
    before
}

/// Digest of the files' content; a file that cannot be read counts as such.
fn fingerprint(files: &[PathBuf]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for file in files {
        match std::fs::read(file) {
            Ok(content) => {
                hash.update([1]);
                hash.update((content.len() as u64).to_le_bytes());
                hash.update(content);
            }
            Err(_) => hash.update([0]),
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counter(metrics: &Registry, name: &str) -> f64 {
        let families = metrics.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
    }

    #[tokio::test]
    async fn a_bad_file_is_counted_and_tried_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("users.yaml");
        std::fs::write(&file, "good").unwrap();
        let loads = Arc::new(AtomicUsize::new(0));
        let item = {
            let (loads, file) = (Arc::clone(&loads), file.clone());
            Reloadable::new("users", vec![file.clone()], move || {
                loads.fetch_add(1, Ordering::Relaxed);
                match std::fs::read_to_string(&file) {
                    Ok(text) if text.starts_with("good") => Ok(true),
                    _ => Err(Diagnostics::file(&file, "bad")),
                }
            })
        };
        let metrics = Registry::new();
        let mut reloader = Reloader::new(vec![item], Arc::default(), &metrics).unwrap();

        reloader.look(false).await;
        assert_eq!(loads.load(Ordering::Relaxed), 0, "nothing changed");

        std::fs::write(&file, "wrong").unwrap();
        for _ in 0..4 {
            reloader.look(false).await;
        }
        assert_eq!(loads.load(Ordering::Relaxed), 1, "one complaint per change");
        assert_eq!(counter(&metrics, "lakeward_reload_failures_total"), 1.0);

        std::fs::write(&file, "good again").unwrap();
        reloader.look(false).await;
        assert_eq!(loads.load(Ordering::Relaxed), 1, "it may be half of what it will be");
        std::fs::write(&file, "good again, and whole").unwrap();
        reloader.look(false).await;
        assert_eq!(loads.load(Ordering::Relaxed), 1);
        reloader.look(false).await;
        assert_eq!(counter(&metrics, "lakeward_reloads_total"), 1.0);

        std::fs::remove_file(&file).unwrap();
        reloader.look(false).await;
        reloader.look(false).await;
        assert_eq!(counter(&metrics, "lakeward_reload_failures_total"), 2.0);

        reloader.look(true).await;
        assert_eq!(loads.load(Ordering::Relaxed), 4, "asked to, it loads what did not change");
    }
}
