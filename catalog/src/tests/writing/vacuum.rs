//! Vacuum and log cleanup: what is needed stays, what is not goes, pins count.

use std::fs::{File, FileTimes};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use datafusion::logical_expr::{col, lit};
use object_store::local::LocalFileSystem;
use serde_json::{Value, json};

use super::support::{Lake, Row, create, id, rows, spelled};
use crate::control::{Condition, NewPin, PinError, PinState};
use crate::tests::support::TestTable;
use crate::writer::{Optimise, TableWriter, Vacuum, WriteError};

const DAY: Duration = Duration::from_secs(24 * 3600);
const FILES: &[&[Row]] = &[&[(1, 1, "a")], &[(2, 2, "a")], &[(3, 3, "b c%")]];

async fn vacuum(writer: &TableWriter) -> crate::writer::Vacuumed {
    writer.vacuum(&Vacuum::default()).await.unwrap()
}

fn plan_only() -> Vacuum {
    Vacuum { dry_run: true, ..Vacuum::default() }
}

#[tokio::test]
async fn what_was_removed_goes_after_the_retention() {
    let lake = Lake::with_rows(FILES).await;
    let writer = lake.writer().await;
    writer.delete(&id("app", 1), Some(col("id").eq(lit(1_i64)))).await.unwrap();
    writer.optimise(&Optimise::default()).await.unwrap();
    let before = lake.files();
    assert!(vacuum(&writer).await.files.is_empty());
    lake.clock.advance(6 * DAY);
    assert!(vacuum(&writer).await.files.is_empty());
    assert_eq!(lake.files(), before);
    let version = lake.version().await;

    lake.clock.advance(2 * DAY);
    let planned = writer.vacuum(&plan_only()).await.unwrap();
    assert_eq!((planned.files.len(), planned.dry_run), (1, true));
    assert_eq!(lake.files(), before);
    assert_eq!(lake.version().await, version);
    let done = vacuum(&writer).await;
    assert_eq!(done.files, planned.files);
    assert!(done.bytes > 0);
    assert_eq!(lake.files().len(), before.len() - 1);
    assert_eq!(lake.read().await, spelled(&[(2, 2, "a"), (3, 3, "b c%")]));
    let operation = |version| lake.commit(version)[0]["commitInfo"]["operation"].clone();
    assert_eq!(operation(version + 1), "VACUUM START");
    assert_eq!(operation(version + 2), "VACUUM END");
    assert!(vacuum(&writer).await.files.is_empty());
}

#[tokio::test]
async fn the_floor_holds() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    create(&writer, &[("delta.deletedFileRetentionDuration", "interval 20 days")]).await;
    writer.append(&id("app", 1), &rows(&[(1, 1, "a")])).await.unwrap();
    writer.delete(&id("app", 2), None).await.unwrap();
    for days in [0, 6, 19] {
        let short = Vacuum { retention: Some(days * DAY), dry_run: true };
        let refused = writer.vacuum(&short).await;
        assert!(matches!(refused, Err(WriteError::InvalidRequest(_))), "{days}: {refused:?}");
    }
    lake.clock.advance(10 * DAY);
    assert!(vacuum(&writer).await.files.is_empty());
    lake.clock.advance(11 * DAY);
    let longer = Vacuum { retention: Some(30 * DAY), dry_run: true };
    assert!(writer.vacuum(&longer).await.unwrap().files.is_empty());
    assert_eq!(vacuum(&writer).await.files.len(), 1);
}

/// Makes a file as old as the epoch.
fn age(path: PathBuf) {
    let old = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + 1000 * DAY);
    File::options().write(true).open(path).unwrap().set_times(old).unwrap();
}

fn put(lake: &Lake, path: &str) {
    let path = lake.table().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "x").unwrap();
    age(path);
}

#[tokio::test]
async fn files_of_no_table_stay_unless_they_are_old_data_files() {
    let lake = Lake::with_rows(FILES).await;
    let writer = lake.writer().await;
    let stay = [
        "_SUCCESS",
        ".hidden.parquet",
        "_internal/x.parquet",
        "part=a/.x.crc",
        "nested/_delta_log/00000000000000000000.json",
        "nested/x.parquet",
        "nested/part=a/y.parquet",
        "_delta_log/_sidecars/x.parquet",
    ];
    let go = [
        "orphan.parquet",
        "part=a/orphan.parquet",
        "_change_data/cdc-0.parquet",
        "deletion_vector_x.bin",
        "nested2/x.parquet",
    ];
    stay.iter().chain(&go).for_each(|path| put(&lake, path));
    std::fs::write(lake.table().join("young.parquet"), "x").unwrap();
    let mut gone = vacuum(&writer).await.files;
    gone.sort();
    let mut expected = go.to_vec();
    expected.sort_unstable();
    assert_eq!(gone, expected);
    assert!(stay.iter().all(|path| lake.table().join(path).exists()));
    assert!(lake.table().join("young.parquet").exists());
    assert_eq!(lake.read().await.len(), 3);
}

#[tokio::test]
async fn pinned_versions_keep_their_files() {
    let lake = Lake::with_rows(FILES).await;
    let writer = lake.writer().await;
    let pin = writer.pin("study", "dana", "training set of May").await.unwrap();
    assert_eq!((pin.version, pin.files), (3, 3));
    writer.overwrite(&id("app", 1), &rows(&[(9, 9, "z")])).await.unwrap();
    writer.overwrite(&id("app", 2), &rows(&[(8, 8, "z")])).await.unwrap();
    lake.clock.advance(30 * DAY);
    let done = vacuum(&writer).await;
    assert_eq!((done.files.len(), done.kept_for_pins), (1, 3));
    assert_eq!(lake.read_at(3).await, spelled(&[(1, 1, "a"), (2, 2, "a"), (3, 3, "b c%")]));

    let pins = writer.pins();
    let listed = pins.list(writer.table()).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&pin));
    assert_eq!(pins.manifest(writer.table(), &pin).await.unwrap().files().len(), 3);
    let again = writer.pin("study", "someone", "else").await;
    assert!(matches!(again, Err(WriteError::Pins(PinError::Exists { .. }))), "{again:?}");

    let invalid = pins.invalidate(writer.table(), "study", "erasure of a patient").await.unwrap();
    assert!(matches!(&invalid.state, PinState::Invalid { reason, .. } if reason == "erasure of a patient"));
    assert_eq!(pins.get(writer.table(), "study").await.unwrap(), Some(invalid));
    let done = vacuum(&writer).await;
    assert_eq!((done.files.len(), done.kept_for_pins), (3, 0));
    assert_eq!(lake.read().await, spelled(&[(8, 8, "z")]));
    pins.remove(writer.table(), "study").await.unwrap();
    assert_eq!(pins.get(writer.table(), "study").await.unwrap(), None);
    let gone = pins.remove(writer.table(), "study").await;
    assert!(matches!(gone, Err(PinError::NotFound { .. })), "{gone:?}");
}

/// A pin that cannot be read may need any file.
#[tokio::test]
async fn nothing_is_removed_when_a_pin_cannot_be_read() {
    let lake = Lake::with_rows(FILES).await;
    let writer = lake.writer().await;
    writer.pin("study", "dana", "why").await.unwrap();
    writer.delete(&id("app", 1), None).await.unwrap();
    lake.clock.advance(30 * DAY);
    let entries = lake.folder.path().join("control/entries/pin-files");
    let part = walk(&entries).pop().unwrap();
    let content = std::fs::read(&part).unwrap();
    std::fs::write(&part, &content[..content.len() - 1]).unwrap();
    let before = lake.files();
    let refused = writer.vacuum(&Vacuum::default()).await;
    assert!(matches!(refused, Err(WriteError::Pins(_))), "{refused:?}");
    assert_eq!(lake.files(), before);
    assert!(refused.unwrap_err().to_string().contains(part.to_str().unwrap()));
}

fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn nothing_is_pinned_while_files_are_removed() {
    let lake = Lake::with_rows(FILES).await;
    let writer = lake.writer().await;
    let until = crate::control::Clock::wall(lake.clock.as_ref()) + Duration::from_secs(60);
    let (key, value) = crate::control::left_over_mark(writer.table(), 0, until);
    lake.control.put(&key, value, Condition::Absent).await.unwrap();
    let new = || NewPin {
        id: "study".to_owned(),
        table: writer.table().clone(),
        version: 1,
        who: "dana".to_owned(),
        why: "why".to_owned(),
        erasures: 0,
    };
    let refused = writer.pins().put(new(), &Default::default()).await;
    assert!(matches!(refused, Err(PinError::Removing { .. })), "{refused:?}");
    assert_eq!(writer.pins().list(writer.table()).await.unwrap(), []);
    // The process that set the mark died: it counts no longer, and the next vacuum replaces it.
    lake.clock.advance(Duration::from_secs(120));
    writer.pins().put(new(), &Default::default()).await.unwrap();
    lake.clock.advance(30 * DAY);
    vacuum(&writer).await;
    assert_eq!(lake.control.get(&key).await.unwrap(), None);
}

/// A deletion vector file stays while the version that had it may be in use, although it is old itself.
#[tokio::test]
async fn deletion_vector_files_stay_as_long_as_their_versions() {
    let lake = Lake::new().await;
    let rows = super::support::batch(&[(1, 1, "a"), (2, 2, "a")]);
    let mut table = TestTable::create(lake.table(), super::support::schema().as_ref().clone(), &[]);
    let protocol = json!({"protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"],
    }});
    // The file names are those that the protocol gives these texts.
    let vector = |name: &str| json!({"storageType": "u", "pathOrInlineDv": name, "offset": 1, "sizeInBytes": 36, "cardinality": 1});
    let (first, second) = ("vBn[lx{q8@P<9BNH/isA", "^Bpt#y{q8@P<9BNH/isA");
    let with_vector = |mut action: Value, name: &str| {
        let kind = action.as_object().unwrap().keys().next().unwrap().clone();
        action[kind]["deletionVector"] = vector(name);
        action
    };
    let add = table.add("a.parquet", json!({}), &rows);
    let now = chrono::Utc::now().timestamp_millis();
    let remove = |path: &str| json!({"remove": {"path": path, "dataChange": true, "deletionTimestamp": now}});
    table.commit(&[protocol, add.clone()]);
    table.commit(&[remove("a.parquet"), with_vector(add.clone(), first)]);
    table.commit(&[with_vector(remove("a.parquet"), first), with_vector(add, second)]);
    let file = |name: &str| {
        use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
        let descriptor = DeletionVectorDescriptor {
            storage_type: "u".parse().unwrap(),
            path_or_inline_dv: name.to_owned(),
            offset: Some(1),
            size_in_bytes: 36,
            cardinality: 1,
        };
        let url = descriptor.absolute_path(&lake.url()).unwrap().unwrap();
        url.path_segments().unwrap().next_back().unwrap().to_owned()
    };
    put(&lake, &file(first));
    put(&lake, &file(second));
    put(&lake, "deletion_vector_none.bin");
    age(lake.table().join("a.parquet"));

    let writer = lake.writer().await;
    assert_eq!(vacuum(&writer).await.files, ["deletion_vector_none.bin"]);
    lake.clock.advance(8 * DAY);
    assert_eq!(vacuum(&writer).await.files, [file(first)]);
    let mut left = vec![file(second), "a.parquet".to_owned()];
    left.sort();
    assert_eq!(lake.files(), left);
}

/// Others may bring old files back while a vacuum runs.
#[tokio::test]
async fn files_that_others_restore_meanwhile_stay() {
    use futures::FutureExt as _;
    let lake = Arc::new(Lake::with_rows(FILES).await);
    let writer = lake.writer().await;
    writer.delete(&id("app", 1), None).await.unwrap();
    lake.clock.advance(30 * DAY);
    let restore = {
        let lake = Arc::clone(&lake);
        async move {
            lake.bare().await.restore().with_version_to_restore(3).await.unwrap();
        }
    };
    let store = super::support::TestStore::new([super::support::Step::First(restore.boxed())]);
    let done = vacuum(&lake.writer_over(&store).await).await;
    assert_eq!((done.files.len(), store.left()), (0, 0));
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a"), (3, 3, "b c%")]));
}

#[tokio::test]
async fn old_log_files_go_unless_a_pin_needs_them() {
    let lake = Lake::new().await;
    let mut options = lake.options();
    options.retention_floor = Duration::ZERO;
    let writer = lake.writer_with(Arc::new(LocalFileSystem::new()), options).await;
    create(&writer, &[("delta.logRetentionDuration", "interval 10 days")]).await;
    let json = |version: u64| lake.table().join(format!("_delta_log/{version:020}.json"));
    for number in 1..=2 {
        writer.append(&id("app", number), &rows(&[(number, 0, "a")])).await.unwrap();
    }
    writer.checkpoint().await.unwrap();
    writer.append(&id("app", 3), &rows(&[(3, 0, "a")])).await.unwrap();
    writer.pin("study", "dana", "why").await.unwrap();
    for number in 4..=5 {
        writer.append(&id("app", number), &rows(&[(number, 0, "a")])).await.unwrap();
    }
    writer.checkpoint().await.unwrap();
    assert_eq!(writer.clean_log().await.unwrap(), 0, "nothing is old");
    lake.clock.advance(11 * DAY);
    // Version 3 is pinned: it starts from the checkpoint of version 2.
    assert_eq!(writer.clean_log().await.unwrap(), 2);
    assert!(!json(1).exists() && json(2).exists() && json(3).exists());
    assert_eq!(lake.read_at(3).await.len(), 3);

    writer.pins().remove(writer.table(), "study").await.unwrap();
    assert_eq!(writer.clean_log().await.unwrap(), 4);
    assert!(!json(4).exists() && json(5).exists());
    assert_eq!(lake.read().await.len(), 5);
    let again = writer.append(&id("app", 5), &rows(&[(6, 0, "a")])).await;
    assert!(matches!(again, Err(WriteError::AlreadyApplied { .. })), "{again:?}");
    writer.append(&id("app", 6), &rows(&[(6, 0, "a")])).await.unwrap();
    assert_eq!(lake.read().await.len(), 6);
}

/// The engine would clean the log after its own commits, without asking for pins.
#[tokio::test]
async fn no_operation_cleans_the_log_behind_a_pin() {
    let lake = Lake::with_rows(FILES).await;
    let writer = lake.writer().await;
    writer.checkpoint().await.unwrap();
    writer.pin("study", "dana", "why").await.unwrap();
    for version in 0..=3 {
        age(lake.table().join(format!("_delta_log/{version:020}.json")));
    }
    age(lake.table().join(format!("_delta_log/{:020}.checkpoint.parquet", 3)));
    writer.optimise(&Optimise::default()).await.unwrap();
    writer.overwrite(&id("app", 1), &rows(&[(9, 9, "z")])).await.unwrap();
    assert_eq!(lake.read_at(3).await.len(), 3);
    assert!((0..=3).all(|version| lake.table().join(format!("_delta_log/{version:020}.json")).exists()));
}
