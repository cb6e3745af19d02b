//! The control state: the local directory, leases, pins.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use url::Url;

use super::writing::support::TestClock;
use crate::control::{
    Condition, ControlError, ControlState, Key, LeaseError, LeaseOptions, Leases, LocalControl,
    LocalControlOptions, Manifest, ManifestFile, NewPin, Pins, TableId, conformance,
};

async fn open(folder: &Path) -> Arc<dyn ControlState> {
    Arc::new(LocalControl::open(LocalControlOptions::new(folder)).await.unwrap())
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_directory_keeps_all_promises() {
    let folder = tempfile::tempdir().unwrap();
    let open = || async {
        let opened = LocalControl::open(LocalControlOptions::new(folder.path().join("control"))).await?;
        Ok(Arc::new(opened) as Arc<dyn ControlState>)
    };
    conformance::run(open).await.unwrap();
}

/// A directory that breaks a promise fails the suite: here two handles on two directories.
#[tokio::test]
async fn the_suite_notices_a_broken_promise() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let next = std::sync::atomic::AtomicUsize::new(0);
    let open = || async {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2;
        let opened = LocalControl::open(LocalControlOptions::new(folders[number].path().join("c"))).await?;
        Ok(Arc::new(opened) as Arc<dyn ControlState>)
    };
    assert!(matches!(conformance::run(open).await, Err(conformance::Violation::Broken(_))));
}

#[test]
fn keys_mean_the_same_everywhere() {
    for good in ["a", "leases/0f3a", "a/b-c_d/0"] {
        assert_eq!(Key::new(good).unwrap().as_str(), good);
    }
    let long = "x".repeat(Key::MAX_SEGMENT + 1);
    let deep = ["a"; Key::MAX_SEGMENTS + 1].join("/");
    for bad in ["", "/a", "a/", "a//b", "A", "a.b", "..", "a/../b", "ä", "a b", long.as_str(), deep.as_str()]
    {
        assert!(matches!(Key::new(bad), Err(ControlError::InvalidKey { .. })), "{bad}");
    }
    assert!(key("a/b").is_in(&key("a")) && !key("ab").is_in(&key("a")) && !key("a").is_in(&key("a")));
}

#[tokio::test]
async fn only_the_owner_can_look_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("control");
    let state = open(&root).await;
    state.put(&key("a/b"), Bytes::from_static(b"x"), Condition::Absent).await.unwrap();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0, "{folder:?}");
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{path:?}");
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
    let refused = LocalControl::open(LocalControlOptions::new(&root)).await;
    assert!(refused.unwrap_err().to_string().contains("chmod 700"));
}

/// The only record of a state, as a file.
async fn one_record() -> (TempDir, Arc<dyn ControlState>, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("control");
    let state = open(&root).await;
    state.put(&key("a/b"), Bytes::from_static(b"value"), Condition::Absent).await.unwrap();
    (folder, state, root.join("entries/a/b.entry"))
}

#[tokio::test]
async fn a_damaged_record_is_an_error_that_says_what_to_do() {
    type Damage = fn(&str) -> String;
    let damages: [(&str, Damage); 5] = [
        ("checksum", |text| text.replace("value", "other")),
        ("bytes instead of", |text| text[..text.len() - 1].to_owned()),
        ("no header", |_| String::new()),
        ("written as", |text| text.replace("a/b", "a/c")),
        ("missing or wrong", |text| text.replace("\"sha256\"", "\"sha\"")),
    ];
    for (reason, damage) in damages {
        let (_folder, state, path) = one_record().await;
        fs::write(&path, damage(&fs::read_to_string(&path).unwrap())).unwrap();
        let error = state.get(&key("a/b")).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ControlError::Damaged { .. }), "{reason}: {text}");
        assert!(text.contains(reason) && text.contains(path.to_str().unwrap()), "{reason}: {text}");
        assert!(text.contains("restore"), "{text}");
        // Nor is it overwritten.
        assert!(state.put(&key("a/b"), Bytes::new(), Condition::Absent).await.is_err());
    }
    for stranger in ["stranger", "Bad.entry"] {
        let (_folder, state, path) = one_record().await;
        fs::write(path.with_file_name(".hidden"), "x").unwrap();
        assert_eq!(state.list(&key("a"), None).await.unwrap().keys, [key("a/b")]);
        fs::write(path.with_file_name(stranger), "x").unwrap();
        assert!(matches!(state.list(&key("a"), None).await, Err(ControlError::Damaged { .. })), "{stranger}");
    }
}

#[tokio::test]
async fn newer_formats_are_refused() {
    let (folder, state, path) = one_record().await;
    let newer = fs::read_to_string(&path).unwrap().replace("\"format\":1", "\"format\":7");
    fs::write(&path, newer).unwrap();
    let error = state.get(&key("a/b")).await.unwrap_err();
    assert!(matches!(error, ControlError::UnsupportedFormat { found: 7, known: 1, .. }), "{error:?}");
    let root = folder.path().join("control");
    fs::write(root.join("control.json"), "{\"format\":2}").unwrap();
    let error = LocalControl::open(LocalControlOptions::new(&root)).await.unwrap_err();
    assert!(matches!(error, ControlError::UnsupportedFormat { found: 2, .. }), "{error:?}");
    fs::write(root.join("control.json"), "?").unwrap();
    let error = LocalControl::open(LocalControlOptions::new(&root)).await.unwrap_err();
    assert!(matches!(error, ControlError::Damaged { .. }), "{error:?}");
}

struct Holders {
    _folder: TempDir,
    state: Arc<dyn ControlState>,
    clock: Arc<TestClock>,
}

impl Holders {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = open(&folder.path().join("control")).await;
        Self { _folder: folder, state, clock: TestClock::new() }
    }

    fn leases(&self, name: &str) -> Leases {
        let options = LeaseOptions { time_to_live: Duration::from_secs(30), skew: Duration::from_secs(5) };
        Leases::with_clock(Arc::clone(&self.state), name, options, Arc::clone(&self.clock) as _)
    }
}

fn table(name: &str) -> TableId {
    TableId::new(&Url::parse(&format!("s3://lake/{name}")).unwrap())
}

#[tokio::test]
async fn one_holder_at_a_time_and_numbers_that_grow() {
    let holders = Holders::new().await;
    let (one, two) = (holders.leases("one"), holders.leases("two"));
    let first = one.acquire(&table("t")).await.unwrap();
    assert_eq!(first.fencing(), 1);
    let held = two.acquire(&table("t")).await.unwrap_err();
    assert!(held.to_string().contains("by one"), "{held}");
    assert_eq!(two.acquire(&table("other")).await.unwrap().fencing(), 1);
    assert_eq!(first.confirm().await.unwrap(), 1);
    first.release().await.unwrap();
    assert!(matches!(first.confirm().await, Err(LeaseError::Lost { .. })), "a released lease is no lease");

    let second = two.acquire(&table("t")).await.unwrap();
    assert_eq!(second.fencing(), 2);
    // The holder is gone without a word, and its clock may differ by the skew.
    holders.clock.advance(Duration::from_secs(34));
    assert!(matches!(second.confirm().await, Err(LeaseError::Lost { .. })), "its own time is up first");
    drop(second);
    assert!(matches!(one.acquire(&table("t")).await, Err(LeaseError::Held { .. })));
    holders.clock.advance(Duration::from_secs(2));
    let third = one.acquire(&table("t")).await.unwrap();
    assert_eq!(third.fencing(), 3);
}

#[tokio::test]
async fn a_holder_whose_lease_was_taken_over_learns_it() {
    let holders = Holders::new().await;
    // Clocks that differ more than they may.
    let late = TestClock::new();
    let options = LeaseOptions { time_to_live: Duration::from_secs(30), skew: Duration::ZERO };
    let slow = Leases::with_clock(Arc::clone(&holders.state), "slow", options, Arc::clone(&late) as _);
    let old = slow.acquire(&table("t")).await.unwrap();
    holders.clock.advance(Duration::from_secs(60));
    let new = holders.leases("new").acquire(&table("t")).await.unwrap();
    assert!(!old.lost().is_cancelled());
    assert!(matches!(old.confirm().await, Err(LeaseError::Lost { fencing: 1, .. })));
    assert!(old.lost().is_cancelled());
    assert!(old.release().await.is_err(), "what is not ours is not given back");
    assert_eq!(new.confirm().await.unwrap(), 2);
}

#[tokio::test]
async fn a_lease_is_renewed_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder.path().join("control")).await;
    let options = LeaseOptions { time_to_live: Duration::from_millis(1500), skew: Duration::ZERO };
    let leases = Leases::new(Arc::clone(&state), "one", options);
    let lease = leases.acquire(&table("t")).await.unwrap();
    let leased = crate::control::list_keys(state.as_ref(), &key("leases")).await.unwrap();
    let record = |entry: Option<crate::control::Entry>| entry.unwrap().version;
    let mut renewals = 0;
    let mut version = record(state.get(&leased[0]).await.unwrap());
    // Four thirds of its time to live.
    while renewals < 4 {
        let now = record(state.get(&leased[0]).await.unwrap());
        renewals += u32::from(now != version);
        version = now;
        tokio::task::yield_now().await;
    }
    assert_eq!(lease.confirm().await.unwrap(), 1);
    assert!(!lease.lost().is_cancelled());
    assert!(matches!(leases.acquire(&table("t")).await, Err(LeaseError::Held { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_want_one_lease_get_it_one_after_the_other() {
    let holders = Holders::new().await;
    let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let tasks = (0..8).map(|number| {
        let leases = holders.leases(&format!("holder {number}"));
        let inside = Arc::clone(&inside);
        tokio::spawn(async move {
            use std::sync::atomic::Ordering::SeqCst;
            let lease = leases.acquire_within(&table("t"), Duration::from_secs(600)).await.unwrap();
            assert_eq!(inside.fetch_add(1, SeqCst), 0);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, SeqCst);
            lease.release().await.unwrap();
            lease.fencing()
        })
    });
    let mut numbers = futures::future::try_join_all(tasks).await.unwrap();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn manifests_of_any_size_come_back() {
    let holders = Holders::new().await;
    let pins = Pins::new(Arc::clone(&holders.state), Duration::ZERO);
    let file = |number: u64| ManifestFile {
        path: format!("part={}/a file with a long name {number:08}.parquet", "x".repeat(100)),
        size: (!number.is_multiple_of(3)).then_some(number),
    };
    for (id, files) in [("none", 0), ("one", 1), ("many", 20_000)] {
        let manifest = Manifest::new((0..files).map(file));
        let new = NewPin {
            id: id.to_owned(),
            table: table("t"),
            version: 1,
            who: "w".to_owned(),
            why: "y".to_owned(),
            erasures: 0,
        };
        let pin = pins.put(new, &manifest).await.unwrap();
        assert_eq!(pins.manifest(&table("t"), &pin).await.unwrap(), manifest, "{id}");
    }
    let names: Vec<_> = pins.list(&table("t")).await.unwrap().into_iter().map(|pin| pin.id).collect();
    assert_eq!(names, ["many", "none", "one"]);
    assert!(pins.list(&table("other")).await.unwrap().is_empty());
    pins.remove(&table("t"), "many").await.unwrap();
    let left = crate::control::list_keys(holders.state.as_ref(), &key("pin-files")).await.unwrap();
    assert_eq!(left.len(), 1, "the manifest went with its pin: {left:?}");
}

/// Records of a release that knew no copies are read.
#[tokio::test]
async fn pins_of_the_first_format_are_read() {
    let holders = Holders::new().await;
    let pins = Pins::new(Arc::clone(&holders.state), Duration::ZERO);
    let new = NewPin {
        id: "old".to_owned(),
        table: table("t"),
        version: 1,
        who: "w".to_owned(),
        why: "y".to_owned(),
        erasures: 0,
    };
    let pin = pins.put(new, &Manifest::default()).await.unwrap();
    let keys = crate::control::list_keys(holders.state.as_ref(), &key("pins")).await.unwrap();
    let entry = holders.state.get(&keys[0]).await.unwrap().unwrap();
    let mut record: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
    let fields = record.as_object_mut().unwrap();
    fields.retain(|name, _| !["copies", "erasures"].contains(&name.as_str()));
    fields.insert("format".to_owned(), 1.into());
    let older = Bytes::from(record.to_string());
    holders.state.put(&keys[0], older, Condition::Is(entry.version)).await.unwrap();
    assert_eq!(pins.get(&table("t"), "old").await.unwrap(), Some(pin));
}
