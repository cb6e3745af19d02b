//! Pins with copies: what other writers remove stays readable, and what is erased does not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::logical_expr::{col, lit};
use deltalake_core::checkpoints::{cleanup_metadata, create_checkpoint};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use serde_json::json;

use super::faults::{Fault, FaultStore};
use super::support::{Lake, Row, create, id, rows, spelled};
use crate::PinnedError;
use crate::control::{NewPin, PinError, PinState};
use crate::tests::deletion::{add, set, stored, with_vector, with_vectors};
use crate::tests::spelling::lines;
use crate::tests::support::{TestTable, folder_url, open, session, table};
use crate::writer::{CopyPlace, TableWriter, Vacuum, WriteError};

const DAY: Duration = Duration::from_secs(24 * 3600);
const ROWS: [&[Row]; 3] = [&[(1, 1, "a"), (2, 2, "b c%")], &[(3, 3, "a")], &[(4, 4, "d")]];

/// Longer than anyone's copying counts without a word.
const LONG: Duration = Duration::from_secs(60);

fn pinned() -> Vec<String> {
    spelled(&ROWS.concat())
}

/// A lake whose table has [`ROWS`], and keeps no old log files.
async fn lake() -> Lake {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    create(
        &writer,
        &[
            ("delta.logRetentionDuration", "interval 0 seconds"),
            ("delta.deletedFileRetentionDuration", "interval 0 seconds"),
            ("delta.enableExpiredLogCleanup", "false"),
        ],
    )
    .await;
    for (number, file) in (1..).zip(ROWS) {
        writer.append(&id("seed", number), &rows(file)).await.unwrap();
    }
    lake
}

fn place_in(lake: &Lake, objects: Arc<dyn ObjectStore>) -> CopyPlace {
    CopyPlace { objects, url: folder_url(&lake.folder.path().join("copies")) }
}

fn place(lake: &Lake) -> CopyPlace {
    place_in(lake, Arc::new(LocalFileSystem::new()))
}

/// All files and folders in the place of copies, the place itself apart.
fn in_copies(lake: &Lake) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![lake.folder.path().join("copies")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

/// Rows of the pinned version as the catalog reads it.
async fn read(lake: &Lake, writer: &TableWriter, pin: &str) -> Result<Vec<String>, PinnedError> {
    let catalog = open(&lake.root()).await;
    let opened = catalog.open_pin(&table(&catalog, "t"), writer.pins(), pin).await?;
    let frame = session(&catalog).read_table(opened.provider()).unwrap();
    Ok(lines(&frame.collect().await.unwrap()))
}

/// What another writer does that knows of no pin: replaces all rows, vacuums, and cleans its log.
async fn others_clean_up(lake: &Lake) {
    let batch = super::support::batch(&[(9, 9, "z")]);
    let overwritten = lake.bare().await.write(vec![batch]);
    overwritten.with_save_mode(deltalake_core::protocol::SaveMode::Overwrite).await.unwrap();
    let vacuumed = lake.bare().await.vacuum().with_retention_period(chrono::Duration::zero());
    let (_, gone) = vacuumed.with_enforce_retention_duration(false).await.unwrap();
    assert!(gone.files_deleted.len() >= ROWS.len(), "{gone:?}");
    create_checkpoint(&lake.bare().await, None).await.unwrap();
    assert!(cleanup_metadata(&lake.bare().await, None).await.unwrap() > 0);
    assert!(!lake.table().join(format!("_delta_log/{:020}.json", 3)).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_outlive_what_other_writers_remove() {
    for same_store in [true, false] {
        let lake = lake().await;
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let writer = lake.writer_with(Arc::clone(&store), lake.options()).await;
        let place = if same_store { place_in(&lake, store) } else { place(&lake) };
        let pin = writer.pin_with_copies("study", "dana", "training set", &place).await.unwrap();
        assert_eq!((pin.version, pin.is_valid()), (3, true));
        writer.pin("bare", "dana", "no copies").await.unwrap();
        assert_eq!(read(&lake, &writer, "study").await.unwrap(), pinned());

        others_clean_up(&lake).await;
        assert_eq!(lake.read().await, spelled(&[(9, 9, "z")]));
        assert_eq!(read(&lake, &writer, "study").await.unwrap(), pinned(), "same store: {same_store}");
        let gone = read(&lake, &writer, "bare").await.unwrap_err();
        assert!(matches!(gone, PinnedError::Gone { version: 3, .. }), "{gone:?}");
        assert!(gone.to_string().contains("of copies, there are none"), "{gone}");

        // Asking again for what is done does nothing.
        let again = writer.pin_with_copies("study", "dana", "training set", &place).await.unwrap();
        assert_eq!(again, pin);
        let other = writer.pin_with_copies("study", "someone", "else", &place).await;
        assert!(matches!(other, Err(WriteError::Pins(PinError::Exists { .. }))), "{other:?}");
    }
}

/// As long as the table has everything, it is read and not the copies; a file of another size is not it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_itself_is_read_while_it_has_everything() {
    let lake = lake().await;
    let writer = lake.writer().await;
    writer.pin_with_copies("study", "dana", "why", &place(&lake)).await.unwrap();
    let catalog = open(&lake.root()).await;
    let t = table(&catalog, "t");
    let opened = catalog.open_pin(&t, writer.pins(), "study").await.unwrap();
    assert_eq!(opened.location(), t.location());
    let file = lake.table().join(lake.files().pop().unwrap());
    std::fs::write(file, "shorter").unwrap();
    let opened = catalog.open_pin(&t, writer.pins(), "study").await.unwrap();
    assert_ne!(opened.location(), t.location());
    assert_eq!(read(&lake, &writer, "study").await.unwrap(), pinned());

    // Copies that someone damaged are not read either.
    let copy = in_copies(&lake).into_iter().find(|path| path.extension().is_some_and(|e| e == "parquet"));
    std::fs::remove_file(copy.unwrap()).unwrap();
    let gone = read(&lake, &writer, "study").await.unwrap_err();
    assert!(matches!(gone, PinnedError::Gone { .. }), "{gone:?}");
    let none = read(&lake, &writer, "other").await.unwrap_err();
    assert!(matches!(none, PinnedError::NotFound { .. }), "{none:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletion_vectors_are_copied() {
    let lake = Lake::new().await;
    let mut t = with_vectors(&lake.root());
    let vectors = stored(&t, &[set(0..90)]);
    let file = add(&t, "a.parquet", 0..100);
    t.commit(&[with_vector(file, &vectors[0])]);
    let writer = lake.writer().await;
    let pin = writer.pin_with_copies("study", "dana", "why", &place(&lake)).await.unwrap();
    assert_eq!(pin.files, 2);
    let expected = read(&lake, &writer, "study").await.unwrap();
    assert_eq!(expected.len(), 10);
    t.commit(&[TestTable::remove("a.parquet"), add(&t, "b.parquet", 0..1)]);
    for file in lake.files().iter().filter(|file| *file != "b.parquet") {
        std::fs::remove_file(lake.table().join(file)).unwrap();
    }
    assert_eq!(read(&lake, &writer, "study").await.unwrap(), expected);
}

/// At each request (or every so many): the store fails or the process dies, and asking again ends well.
async fn crash_while_pinning(fault: Fault, same_store: bool, every: usize) {
    for at in (0..).step_by(every) {
        let lake = lake().await;
        let store = FaultStore::new(fault, at);
        let place = place_in(&lake, Arc::clone(&store) as _);
        let writer = match same_store {
            true => lake.writer_with(Arc::clone(&store) as _, lake.options()).await,
            false => lake.writer().await,
        };
        let pinning = writer.pin_with_copies("study", "dana", "why", &place);
        let done = tokio::select! {
            done = pinning => Some(done),
            () = store.hung.notified() => None,
        };
        store.over.cancel();
        let (writer, place) = (lake.writer().await, self::place(&lake));
        let listed = writer.pins().list(writer.table()).await.unwrap();
        if let Some(Ok(pin)) = &done {
            assert_eq!(listed, std::slice::from_ref(pin), "{fault:?} at {at}");
        } else {
            assert!(store.struck(), "{fault:?} at {at}: {done:?}");
            // What is not done does not look as if it were.
            assert!(listed.iter().all(|pin| !pin.is_valid()), "{fault:?} at {at}: {listed:?}");
            assert!(read(&lake, &writer, "study").await.is_err(), "{fault:?} at {at}");
            lake.clock.advance(LONG);
        }
        let pin = writer.pin_with_copies("study", "dana", "why", &place).await.unwrap();
        assert_eq!(writer.pins().list(writer.table()).await.unwrap(), [pin]);
        others_clean_up(&lake).await;
        assert_eq!(read(&lake, &writer, "study").await.unwrap(), pinned(), "{fault:?} at {at}");
        writer.release("study", &[place]).await.unwrap();
        assert_eq!(files(&lake), Vec::<PathBuf>::new(), "{fault:?} at {at}");
        if !store.struck() {
            assert!(at > 5, "{fault:?}: {at} requests");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pinning_can_be_repeated_after_the_store_failed_at_any_step() {
    crash_while_pinning(Fault::Fails, false, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pinning_can_be_repeated_after_a_crash_at_any_step() {
    crash_while_pinning(Fault::Hangs, false, 1).await;
}

/// Here the table cannot be read either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pinning_within_one_store_can_be_repeated_after_it_failed() {
    crash_while_pinning(Fault::Fails, true, 3).await;
}

fn files(lake: &Lake) -> Vec<PathBuf> {
    in_copies(lake).into_iter().filter(|path| path.is_file()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releasing_can_be_repeated_after_a_crash_at_any_step() {
    for fault in [Fault::Fails, Fault::Hangs] {
        for at in 0.. {
            let lake = lake().await;
            let writer = lake.writer().await;
            writer.pin_with_copies("study", "dana", "why", &place(&lake)).await.unwrap();
            let kept = writer.pin_with_copies("other", "dana", "why", &place(&lake)).await.unwrap();
            let all = files(&lake).len();
            let removed = writer.pins().remove(writer.table(), "study").await;
            assert!(matches!(removed, Err(PinError::HasCopies { .. })), "{removed:?}");
            let store = FaultStore::new(fault, at);
            let places = [place_in(&lake, Arc::clone(&store) as _)];
            let done = tokio::select! {
                done = writer.release("study", &places) => Some(done),
                () = store.hung.notified() => None,
            };
            if !matches!(done, Some(Ok(()))) {
                let error = read(&lake, &writer, "study").await.unwrap_err();
                assert!(matches!(error, PinnedError::Unfinished { doing: "being removed", .. }), "{error:?}");
                writer.release("study", &[place(&lake)]).await.unwrap();
            }
            assert_eq!(writer.pins().list(writer.table()).await.unwrap(), [kept]);
            assert_eq!(files(&lake).len(), all / 2);
            others_clean_up(&lake).await;
            assert_eq!(read(&lake, &writer, "other").await.unwrap(), pinned());
            let gone = writer.release("study", &[place(&lake)]).await;
            assert!(matches!(gone, Err(WriteError::Pins(PinError::NotFound { .. }))), "{gone:?}");
            if !store.struck() {
                break;
            }
        }
    }
}

/// Erases row 1, and gives the files that had it.
async fn erase_row(lake: &Lake, writer: &TableWriter) -> Vec<Path> {
    let before = writer.delete(&id("erasure", 1), Some(col("id").eq(lit(1_i64)))).await.unwrap().version();
    let commit = lake.commit(before);
    let removed = commit.iter().filter_map(|action| action.get("remove")?.get("path")?.as_str());
    removed.map(|path| Path::from_url_path(path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_wins_over_pins() {
    let lake = lake().await;
    let writer = lake.writer().await;
    let places = [place(&lake)];
    writer.pin_with_copies("copied", "dana", "why", &places[0]).await.unwrap();
    writer.pin("bare", "dana", "why").await.unwrap();
    let gone = erase_row(&lake, &writer).await;
    assert_eq!(gone.len(), 1);
    let later = writer.pin_with_copies("later", "dana", "without that row", &places[0]).await.unwrap();
    let with_all = files(&lake).len();

    let erased = writer.erase_from_pins(&gone, "erasure request 17", &places).await.unwrap();
    let names: Vec<_> = erased.iter().map(|pin| pin.id.as_str()).collect();
    assert_eq!(names, ["bare", "copied"]);
    for name in names {
        let error = read(&lake, &writer, name).await.unwrap_err();
        let PinnedError::Invalid { id, reason, at, .. } = &error else { panic!("{error:?}") };
        assert_eq!((id.as_str(), reason.as_str()), (name, "erasure request 17"));
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(reason) && text.contains(&at.to_string()), "{text}");
        let listed = writer.pins().get(writer.table(), name).await.unwrap().unwrap();
        assert!(matches!(listed.state, PinState::Invalid { .. }), "{listed:?}");
        assert_eq!(listed.copies, None);
        // It is over for good: not even under its name is it pinned again.
        let again = writer.pin_with_copies(name, "dana", "why", &places[0]).await;
        assert!(matches!(again, Err(WriteError::Pins(PinError::Exists { .. }))), "{again:?}");
    }
    let left = files(&lake);
    assert!(
        left.len() < with_all && left.iter().all(|path| path.to_str().unwrap().contains("/later-")),
        "{left:?}"
    );
    // Folders are named after partition values.
    assert!(in_copies(&lake).iter().all(|path| !path.to_str().unwrap().contains("/copied-")));
    let others = writer.pins().get(writer.table(), "later").await.unwrap().unwrap();
    assert_eq!(others, later);
    assert_eq!(read(&lake, &writer, "later").await.unwrap(), spelled(&ROWS.concat()[1..]));

    // The file goes with the next vacuum, and erasing again finds nothing left to do.
    lake.clock.advance(30 * DAY);
    let vacuumed = writer.vacuum(&Vacuum::default()).await.unwrap();
    assert!(vacuumed.files.contains(&gone[0].to_string()), "{vacuumed:?}");
    let again = writer.erase_from_pins(&gone, "erasure request 17", &places).await.unwrap();
    assert_eq!(again.len(), 2);
    writer.release("copied", &places).await.unwrap();
}

/// An erasure that could not do everything is an error, does what it can, and can be repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_is_not_complete_is_an_error() {
    for at in 0.. {
        let lake = lake().await;
        let writer = lake.writer().await;
        writer.pin_with_copies("copied", "dana", "why", &place(&lake)).await.unwrap();
        writer.pin_with_copies("second", "dana", "why", &place(&lake)).await.unwrap();
        let gone = erase_row(&lake, &writer).await;
        let store = FaultStore::new(Fault::Fails, at);
        let erased = writer.erase_from_pins(&gone, "why", &[place_in(&lake, Arc::clone(&store) as _)]).await;
        assert_eq!(erased.is_err(), store.struck(), "{at}: {erased:?}");
        for name in ["copied", "second"] {
            let error = read(&lake, &writer, name).await.unwrap_err();
            assert!(matches!(error, PinnedError::Invalid { .. }), "{error:?}");
        }
        writer.erase_from_pins(&gone, "why", &[place(&lake)]).await.unwrap();
        assert_eq!(files(&lake), Vec::<PathBuf>::new());
        if !store.struck() {
            break;
        }
    }
    let lake = lake().await;
    let writer = lake.writer().await;
    writer.pin_with_copies("copied", "dana", "why", &place(&lake)).await.unwrap();
    let gone = erase_row(&lake, &writer).await;
    let nowhere = writer.erase_from_pins(&gone, "why", &[]).await;
    assert!(nowhere.unwrap_err().to_string().contains("in none of the places"));
    assert!(!files(&lake).is_empty());
}

/// A pin whose record cannot be read is not opened, and no erasure is complete beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_that_cannot_be_read_is_not_opened_and_fails_erasures() {
    let lake = lake().await;
    let writer = lake.writer().await;
    writer.pin("a", "dana", "why").await.unwrap();
    writer.pin_with_copies("b", "dana", "why", &place(&lake)).await.unwrap();
    let folder = std::fs::read_dir(lake.folder.path().join("control/entries/pins")).unwrap().next().unwrap();
    let record = folder.unwrap().path().join("a.entry");
    let content = std::fs::read(&record).unwrap();
    std::fs::write(&record, &content[..content.len() - 2]).unwrap();
    let unknown = read(&lake, &writer, "a").await.unwrap_err();
    assert!(matches!(unknown, PinnedError::Unknown { .. }), "{unknown:?}");

    let gone = erase_row(&lake, &writer).await;
    let failed = writer.erase_from_pins(&gone, "why", &[place(&lake)]).await;
    assert!(matches!(failed, Err(WriteError::Pins(_))), "{failed:?}");
    let other = read(&lake, &writer, "b").await.unwrap_err();
    assert!(matches!(other, PinnedError::Invalid { .. }), "{other:?}");
    assert_eq!(files(&lake), Vec::<PathBuf>::new());
}

/// Who is copying while an erasure comes must not bring anything back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_waits_for_who_is_copying() {
    let lake = lake().await;
    let writer = lake.writer().await;
    let store = FaultStore::new(Fault::Hangs, 4);
    let slow = place_in(&lake, Arc::clone(&store) as _);
    {
        let pinning = writer.pin_with_copies("study", "dana", "why", &slow);
        futures::pin_mut!(pinning);
        tokio::select! {
            done = &mut pinning => panic!("{done:?}"),
            () = store.hung.notified() => {}
        }
        let second = writer.pin_with_copies("study", "dana", "why", &place(&lake)).await;
        assert!(matches!(second, Err(WriteError::Pins(PinError::Copying { .. }))), "{second:?}");
        let gone = erase_row(&lake, &writer).await;
        let refused = writer.erase_from_pins(&gone, "why", &[place(&lake)]).await;
        assert!(matches!(refused, Err(WriteError::Pins(PinError::Copying { .. }))), "{refused:?}");
        // Invalid it is at once.
        let error = read(&lake, &writer, "study").await.unwrap_err();
        assert!(matches!(error, PinnedError::Invalid { .. }), "{error:?}");
    }
    lake.clock.advance(LONG);
    let gone: Vec<Path> = lake
        .commit(4)
        .iter()
        .filter_map(|action| {
            action.get("remove")?.get("path")?.as_str().map(|path| Path::from_url_path(path).unwrap())
        })
        .collect();
    writer.erase_from_pins(&gone, "why", &[place(&lake)]).await.unwrap();
    assert_eq!(files(&lake), Vec::<PathBuf>::new());
    let over = writer.pin_with_copies("study", "dana", "why", &place(&lake)).await;
    assert!(matches!(over, Err(WriteError::Pins(PinError::Exists { .. }))), "{over:?}");
}

/// A pin that was planned before an erasure and written after it is given up.
#[tokio::test]
async fn a_pin_and_an_erasure_never_miss_each_other() {
    let lake = lake().await;
    let writer = lake.writer().await;
    let erasures = writer.pins().erasures(writer.table()).await.unwrap();
    let late = || NewPin {
        id: "late".to_owned(),
        table: writer.table().clone(),
        version: 3,
        who: "dana".to_owned(),
        why: "why".to_owned(),
        erasures,
    };
    let gone = erase_row(&lake, &writer).await;
    assert!(writer.erase_from_pins(&gone, "why", &[]).await.unwrap().is_empty());
    let refused = writer.pins().put(late(), &Default::default()).await;
    assert!(matches!(refused, Err(PinError::Erasing { .. })), "{refused:?}");
    assert_eq!(writer.pins().list(writer.table()).await.unwrap(), []);
}

/// Files that are sent in several parts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_are_copied_byte_by_byte() {
    let lake = Lake::new().await;
    let mut t = TestTable::create(lake.table(), super::support::schema().as_ref().clone(), &[]);
    // No two alike, so that nothing is compressed.
    let mix = |row: i64| row.wrapping_mul(0x5851_F42D_4C95_7F2D_i64).rotate_left(29);
    let large: Vec<Row> = (0..1_200_000).map(|row| (mix(row), mix(row).wrapping_mul(row), "a")).collect();
    let file = t.add("a.parquet", json!({}), &super::support::batch(&large));
    t.commit(&[file]);
    let writer = lake.writer().await;
    writer.pin_with_copies("study", "dana", "why", &place(&lake)).await.unwrap();
    let copy = files(&lake).into_iter().find(|path| path.ends_with("a.parquet")).unwrap();
    let content = std::fs::read(lake.table().join("a.parquet")).unwrap();
    assert!(content.len() > 16 << 20);
    assert!(std::fs::read(copy).unwrap() == content);
}

#[tokio::test]
async fn copies_are_not_put_into_the_table() {
    let lake = lake().await;
    let writer = lake.writer().await;
    let inside =
        CopyPlace { objects: Arc::new(LocalFileSystem::new()), url: folder_url(&lake.table().join("x")) };
    let refused = writer.pin_with_copies("study", "dana", "why", &inside).await;
    assert!(matches!(refused, Err(WriteError::InvalidRequest(_))), "{refused:?}");

    // Nor is a version copied whose log names files by where they are.
    let lake = Lake::new().await;
    let mut t = TestTable::create(lake.table(), super::support::schema().as_ref().clone(), &[]);
    let mut file = t.add("a.parquet", json!({}), &super::support::batch(&[(1, 1, "a")]));
    file["add"]["path"] = json!(lake.url().join("a.parquet").unwrap().as_str());
    t.commit(&[file]);
    let writer = lake.writer().await;
    let refused = writer.pin_with_copies("study", "dana", "why", &place(&lake)).await;
    assert!(matches!(refused, Err(WriteError::Unsupported { .. })), "{refused:?}");
    assert_eq!(writer.pins().list(writer.table()).await.unwrap(), []);
}
