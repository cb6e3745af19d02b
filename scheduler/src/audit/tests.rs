#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

use super::disk::{Disk, LocalDisk, LogFile, log_files};
use super::*;

const KEY: [u8; 32] = [7; 32];

fn options(directory: &Path) -> AuditOptions {
    AuditOptions::new(directory.to_path_buf(), Zeroizing::new(KEY.to_vec()))
}

fn client() -> Client {
    Client { address: "127.0.0.1:5000".parse().ok(), application: "psql".into(), protocol: "postgres" }
}

fn actor() -> Actor {
    Actor {
        user: "alice".into(),
        tenant: Some("northgate".into()),
        roles: vec!["analyst".into()],
        end_user: None,
    }
}

fn intent(id: &str) -> Intent {
    Intent {
        statement_id: id.into(),
        session_id: "s1".into(),
        actor: actor(),
        client: client(),
        text: format!("SELECT 'secret-{id}' FROM silver.patients"),
        kind: "SELECT".into(),
        tables: vec![AuditedTable {
            schema: "silver".into(),
            table: "patients".into(),
            version: Some(3),
            columns: vec!["birth_date".into()],
        }],
        policy_digest: "abc".into(),
        rules: vec!["own-tenant".into()],
    }
}

fn outcome(id: &str) -> Outcome {
    Outcome {
        statement_id: id.into(),
        rows: 12,
        bytes: 340,
        route: "local".into(),
        duration_ms: 5,
        end: End::Completed,
    }
}

fn entries(directory: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    assert!(read(directory, |entry| entries.push(entry)).unwrap().is_intact());
    entries
}

fn kinds(directory: &Path) -> Vec<String> {
    entries(directory).into_iter().map(|entry| entry.kind).collect()
}

fn newest(directory: &Path) -> PathBuf {
    log_files(directory).unwrap().pop().unwrap().1
}

/// A disk that fails when told to, and counts what was made durable.
#[derive(Default)]
struct Switch {
    full: AtomicBool,
    sync_fails: AtomicBool,
    syncs: AtomicUsize,
}

struct FaultyDisk(LocalDisk, Arc<Switch>);

struct FaultyFile(Box<dyn LogFile>, Arc<Switch>);

impl Disk for FaultyDisk {
    fn open(&self, name: &str, length: u64) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FaultyFile(self.0.open(name, length)?, Arc::clone(&self.1))))
    }
}

impl LogFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.1.full.load(Ordering::SeqCst) {
            // As a full disk does: part of it is written.
            self.0.append(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.1.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected"));
        }
        self.1.syncs.fetch_add(1, Ordering::SeqCst);
        self.0.sync()
    }
}

fn open_faulty(options: AuditOptions) -> (Arc<AuditLog>, Arc<Switch>) {
    let switch = Arc::new(Switch::default());
    let disk = FaultyDisk(LocalDisk::new(&options.directory), Arc::clone(&switch));
    (AuditLog::open_on(options, Box::new(disk)).unwrap(), switch)
}

#[tokio::test]
async fn a_statement_leaves_a_chain_of_records_that_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("audit");
    let log = AuditLog::open(options(&directory)).unwrap();
    log.login(Login {
        user: "alice".into(),
        client: client(),
        session_id: Some("s1".into()),
        sqlstate: None,
        reason: None,
    });
    log.intent(intent("q1"), Durability::Immediate).await.unwrap();
    log.outcome(outcome("q1"));
    log.denied(Denied {
        statement_id: "q2".into(),
        session_id: "s1".into(),
        actor: actor(),
        client: client(),
        text: "SELECT 'secret-q2' FROM bronze.x".into(),
        sqlstate: "42P01".into(),
        reason: "no grant on bronze.x".into(),
    });
    log.policy_reload(PolicyReload { subject: "policies".into(), digest: "d".into(), accepted: true });
    log.intent(intent("q3"), Durability::Grouped).await.unwrap();
    let end = End::Failed { sqlstate: "22012".into() };
    log.outcome(Outcome { end, ..outcome("q3") });
    log.intent(intent("q4"), Durability::Grouped).await.unwrap();
    log.close().await.unwrap();

    let report = verify(&directory, &[]).unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.files, report.records, report.first), (1, 10, Some(1)));
    assert_eq!(report.head.unwrap().seq, 10);
    assert_eq!(report.open_statements, 1);
    let entries = entries(&directory);
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "started",
            "login",
            "intent",
            "outcome",
            "denied",
            "policy_reload",
            "intent",
            "outcome",
            "intent",
            "stopped"
        ]
    );
    assert_eq!(entries[3].members["end"], "completed");
    assert_eq!(entries[7].members["end"], "failed");
    assert_eq!(entries[7].members["sqlstate"], "22012");
    assert_eq!(entries[2].members["tables"][0]["version"], 3);
    assert_eq!(entries[2].members["actor"]["user"], "alice");
}

#[tokio::test]
async fn statement_text_is_only_there_for_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(folder.path())).unwrap();
    log.intent(intent("q1"), Durability::Immediate).await.unwrap();
    log.intent(intent("q2"), Durability::Immediate).await.unwrap();
    log.close().await.unwrap();
    let raw = fs::read_to_string(newest(folder.path())).unwrap();
    assert!(!raw.contains("secret"), "{raw}");

    let key = AuditKey::new(&KEY).unwrap();
    let entries = entries(folder.path());
    let text = entries[1].text().unwrap();
    assert_eq!(text.key, key.id());
    assert_eq!(*key.open("q1", &text).unwrap(), "SELECT 'secret-q1' FROM silver.patients");
    // Bound to its statement, its key and its content.
    assert!(key.open("q2", &text).is_err());
    assert!(AuditKey::new(&[8; 32]).unwrap().open("q1", &text).is_err());
    let other = entries[2].text().unwrap();
    assert!(key.open("q1", &SealedText { sealed: other.sealed, ..text }).is_err());
    assert!(matches!(AuditKey::new(&[7; 31]), Err(AuditError::Key)));
}

#[tokio::test]
async fn files_are_for_their_owner_and_for_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("deep/audit");
    let log = AuditLog::open(options(&directory)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&newest(&directory)), 0o600);
    assert!(matches!(AuditLog::open(options(&directory)), Err(AuditError::InUse)));
    log.close().await.unwrap();
    AuditLog::open(options(&directory)).unwrap().close().await.unwrap();
}

#[tokio::test]
async fn any_change_to_a_record_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(folder.path())).unwrap();
    for id in ["q1", "q2", "q3"] {
        log.intent(intent(id), Durability::Grouped).await.unwrap();
    }
    log.close().await.unwrap();
    let path = newest(folder.path());
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let tampered = |lines: &[&str]| {
        fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let report = verify(folder.path(), &[]).unwrap();
        assert!(!report.is_intact());
        report.problems.iter().map(|problem| problem.line).collect::<Vec<_>>()
    };
    let changed = lines[1].replace("alice", "alina");
    assert_eq!(tampered(&[lines[0], &changed, lines[2], lines[3], lines[4]]), [3]);
    assert_eq!(tampered(&[lines[0], lines[2], lines[3], lines[4]]), [2]);
    assert_eq!(tampered(&[lines[0], lines[2], lines[1], lines[3], lines[4]]), [2, 3, 4]);
    assert_eq!(tampered(&[lines[0], "{}", lines[2], lines[3], lines[4]]), [2]);
    assert_eq!(tampered(&[lines[1], lines[2], lines[3], lines[4]]), [1]);
    // A damaged log is not written on.
    assert!(matches!(AuditLog::open(options(folder.path())), Err(AuditError::Damaged { line: 1, .. })));
    fs::write(&path, &good).unwrap();
    assert!(verify(folder.path(), &[]).unwrap().is_intact());
}

#[tokio::test]
async fn the_chain_goes_on_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let log = AuditLog::open(options(folder.path())).unwrap();
        log.intent(intent(&format!("q{round}")), Durability::Immediate).await.unwrap();
        if round == 1 { log.abandon() } else { log.close().await.unwrap() }
    }
    assert_eq!(
        kinds(folder.path()),
        ["started", "intent", "stopped", "started", "intent", "started", "intent", "stopped"]
    );
    assert_eq!(verify(folder.path(), &[]).unwrap().files, 1);
}

#[tokio::test]
async fn what_a_crash_left_unfinished_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let crash = |tail: &[u8]| {
        let log = AuditLog::open(options(folder.path())).unwrap();
        log.abandon();
        let path = newest(folder.path());
        OpenOptions::new().append(true).open(&path).unwrap().write_all(tail).unwrap();
    };
    let tail = b"{\"seq\":2,\"prev\":\"12";
    crash(tail);
    assert_eq!(verify(folder.path(), &[]).unwrap().unfinished_bytes, tail.len() as u64);
    // Blocks that were allocated and never written read as zeros.
    crash(&[0; 100]);
    crash(b"\0\0\0\n\0\n");
    AuditLog::open(options(folder.path())).unwrap().close().await.unwrap();
    assert_eq!(
        kinds(folder.path()),
        ["started", "torn_tail", "started", "torn_tail", "started", "torn_tail", "started", "stopped"]
    );
    let entries = entries(folder.path());
    assert_eq!(entries[1].members["bytes"], tail.len());
    let kept = folder.path().join(entries[1].members["kept_as"].as_str().unwrap());
    assert_eq!(fs::read(&kept).unwrap(), tail);
    assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn full_files_are_followed_by_others_in_the_same_chain() {
    let folder = tempfile::tempdir().unwrap();
    let small = || AuditOptions { max_file_bytes: 2000, ..options(folder.path()) };
    let log = AuditLog::open(small()).unwrap();
    for number in 0..20 {
        log.intent(intent(&format!("q{number}")), Durability::Immediate).await.unwrap();
    }
    log.close().await.unwrap();
    let report = verify(folder.path(), &[]).unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(report.records, 22);
    assert!(report.files > 3, "{report:?}");
    AuditLog::open(small()).unwrap().close().await.unwrap();

    // Old files may be archived: the rest is still a chain, and says where it begins.
    let files = log_files(folder.path()).unwrap();
    fs::remove_file(&files[0].1).unwrap();
    let report = verify(folder.path(), &[]).unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(report.first, Some(files[1].0));
    // One from the middle may not.
    fs::remove_file(&files[2].1).unwrap();
    assert_eq!(verify(folder.path(), &[]).unwrap().problems.len(), 1);
}

#[tokio::test]
async fn a_crash_right_after_a_file_was_begun_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(folder.path())).unwrap();
    log.close().await.unwrap();
    let next = verify(folder.path(), &[]).unwrap().head.unwrap().seq + 1;
    fs::write(folder.path().join(format!("audit-{next:020}.jsonl")), b"").unwrap();
    AuditLog::open(options(folder.path())).unwrap().close().await.unwrap();
    let report = verify(folder.path(), &[]).unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.files, report.records), (2, 4));
}

#[tokio::test]
async fn an_immediate_record_is_synced_before_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let slow = AuditOptions { group_commit: Duration::from_secs(3600), ..options(folder.path()) };
    let (log, switch) = open_faulty(slow);
    let syncs = || switch.syncs.load(Ordering::SeqCst);
    assert_eq!(syncs(), 1, "the started record");
    log.intent(intent("q1"), Durability::Grouped).await.unwrap();
    log.intent(intent("q2"), Durability::Immediate).await.unwrap();
    assert_eq!(syncs(), 2);
    assert_eq!(kinds(folder.path()), ["started", "intent", "intent"]);
    log.outcome(outcome("q1"));
    log.flush().await.unwrap();
    assert_eq!(syncs(), 3);
    log.flush().await.unwrap();
    assert_eq!(syncs(), 3, "nothing to make durable");
    log.close().await.unwrap();
    assert!(matches!(log.flush().await, Err(AuditError::Closed)));
    assert!(matches!(log.intent(intent("q3"), Durability::Grouped).await, Err(AuditError::Closed)));
}

#[tokio::test]
async fn a_grouped_record_is_synced_within_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (log, switch) = open_faulty(options(folder.path()));
    log.intent(intent("q1"), Durability::Grouped).await.unwrap();
    let synced = async {
        while switch.syncs.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), synced).await.unwrap();
    log.close().await.unwrap();
}

#[tokio::test]
async fn nothing_runs_while_the_disk_is_full_and_nothing_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (log, switch) = open_faulty(options(folder.path()));
    log.intent(intent("q1"), Durability::Immediate).await.unwrap();
    switch.full.store(true, Ordering::SeqCst);
    assert!(matches!(log.intent(intent("q2"), Durability::Immediate).await, Err(AuditError::Unavailable)));
    assert!(!log.healthy());
    assert!(matches!(log.intent(intent("q3"), Durability::Grouped).await, Err(AuditError::Unavailable)));
    assert!(matches!(log.intent(intent("q3"), Durability::Immediate).await, Err(AuditError::Unavailable)));
    // What ends meanwhile is kept until there is room.
    log.outcome(outcome("q1"));
    assert!(log.flush().await.is_err());
    switch.full.store(false, Ordering::SeqCst);
    log.flush().await.unwrap();
    assert!(log.healthy());
    log.intent(intent("q4"), Durability::Immediate).await.unwrap();
    log.close().await.unwrap();
    let ids: Vec<_> =
        entries(folder.path()).iter().filter_map(|entry| entry.statement_id().map(str::to_owned)).collect();
    assert_eq!(ids, ["q1", "q2", "q1", "q4"]);
}

#[tokio::test]
async fn a_failed_sync_is_a_failed_record() {
    let folder = tempfile::tempdir().unwrap();
    let (log, switch) = open_faulty(options(folder.path()));
    switch.sync_fails.store(true, Ordering::SeqCst);
    assert!(log.intent(intent("q1"), Durability::Immediate).await.is_err());
    assert!(!log.healthy());
    switch.sync_fails.store(false, Ordering::SeqCst);
    log.flush().await.unwrap();
    assert!(log.healthy());
    log.close().await.unwrap();
    assert_eq!(kinds(folder.path()), ["started", "intent", "stopped"]);
}

#[tokio::test]
async fn what_cannot_be_kept_is_counted_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (log, switch) = open_faulty(options(folder.path()));
    switch.full.store(true, Ordering::SeqCst);
    assert!(log.intent(intent("q0"), Durability::Immediate).await.is_err());
    // More than memory may hold while the disk is full.
    let route = "x".repeat(64 * 1024);
    for _ in 0..400 {
        log.outcome(Outcome { route: route.clone(), ..outcome("q1") });
    }
    assert!(log.flush().await.is_err());
    let lost = log.lost();
    assert!(lost > 0 && lost < 400, "{lost}");
    switch.full.store(false, Ordering::SeqCst);
    log.flush().await.unwrap();
    log.close().await.unwrap();
    let entries = entries(folder.path());
    let told: u64 = entries
        .iter()
        .filter(|entry| entry.kind == "lost")
        .filter_map(|entry| entry.members["records"].as_u64())
        .sum();
    assert_eq!(told, lost);
    assert_eq!(entries.iter().filter(|entry| entry.kind == "outcome").count() as u64, 400 - lost);
    assert_eq!(entries.last().unwrap().members["lost"], lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_statements_at_once_share_syncs_and_keep_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (log, switch) = open_faulty(options(folder.path()));
    let tasks: Vec<_> = (0..500)
        .map(|number| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let id = format!("q{number}");
                log.intent(intent(&id), Durability::Immediate).await.unwrap();
                log.outcome(outcome(&id));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    log.close().await.unwrap();
    let report = verify(folder.path(), &[]).unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.records, report.open_statements), (1002, 0));
    assert!(switch.syncs.load(Ordering::SeqCst) < 500);
}

#[tokio::test]
async fn a_log_that_somebody_cut_off_is_not_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let (log, switch) = open_faulty(options(folder.path()));
    log.intent(intent("q1"), Durability::Immediate).await.unwrap();
    switch.sync_fails.store(true, Ordering::SeqCst);
    assert!(log.intent(intent("q2"), Durability::Immediate).await.is_err());
    OpenOptions::new().write(true).open(newest(folder.path())).unwrap().set_len(10).unwrap();
    switch.sync_fails.store(false, Ordering::SeqCst);
    assert!(log.flush().await.is_err());
    assert!(!log.healthy());
}

#[tokio::test]
async fn a_head_kept_elsewhere_shows_what_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let small = || AuditOptions { max_file_bytes: 2000, ..options(folder.path()) };
    let key = AuditKey::new(&options(folder.path()).key).unwrap();
    let log = AuditLog::open(small()).unwrap();
    let mut heads = Vec::new();
    for number in 0..20 {
        log.intent(intent(&format!("q{number}")), Durability::Immediate).await.unwrap();
        let signed = log.signed_head().unwrap();
        assert!(key.has_signed(&signed));
        assert_eq!(signed.head.seq, number + 2);
        heads.push(signed.head);
    }
    let mut forged = log.signed_head().unwrap();
    forged.head.seq += 1;
    assert!(!key.has_signed(&forged));
    log.close().await.unwrap();
    let report = verify(folder.path(), &heads).unwrap();
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(report.confirmed_heads, 20);

    let files = log_files(folder.path()).unwrap();
    // An archived beginning is no loss.
    let first = fs::read(&files[0].1).unwrap();
    fs::remove_file(&files[0].1).unwrap();
    let report = verify(folder.path(), &heads).unwrap();
    assert!(report.is_intact() && report.older_heads > 0, "{report:?}");
    fs::write(&files[0].1, first).unwrap();

    // A chain without its tail is a chain; a shorter or another one is not the one that was.
    for (_, path) in &files[1..] {
        fs::remove_file(path).unwrap();
    }
    assert!(verify(folder.path(), &[]).unwrap().is_intact());
    assert!(!verify(folder.path(), &heads).unwrap().is_intact());
    fs::remove_file(&files[0].1).unwrap();
    assert!(!verify(folder.path(), &heads).unwrap().is_intact());
    let log = AuditLog::open(options(folder.path())).unwrap();
    for number in 0..30 {
        log.intent(intent(&format!("other{number}")), Durability::Immediate).await.unwrap();
    }
    log.close().await.unwrap();
    assert!(verify(folder.path(), &[]).unwrap().is_intact());
    assert!(verify(folder.path(), &heads).unwrap().problems.len() >= 20);
}
