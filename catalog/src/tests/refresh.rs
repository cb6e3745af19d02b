//! New commits, new tables, vanished and replaced ones, without a restart.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::support::{Metadata, TestTable, open, options, query, reason, table};
use crate::LakeCatalog;

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("part", DataType::Utf8, true)])
}

fn create(lake: &Path, name: &str) -> TestTable {
    TestTable::create(lake.join(name), schema(), &["part"])
}

fn rows(ids: &[i64]) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(ids.to_vec()))]).unwrap()
}

/// An `add` of a file with its statistics, in partition `part`.
fn add(table: &TestTable, path: &str, part: &str, ids: &[i64]) -> serde_json::Value {
    let stats = json!({
        "numRecords": ids.len(),
        "minValues": {"id": ids.iter().min()},
        "maxValues": {"id": ids.iter().max()},
        "nullCount": {"id": 0},
    });
    table.add_with(path, json!({"part": part}), &rows(ids), &stats)
}

const ALL: &str = "SELECT id, part FROM lake.t";

/// The index reached step by step equals the one that a new process reads.
async fn assert_as_if_opened_now(catalog: &LakeCatalog, lake: &Path) {
    let fresh = open(lake).await;
    let (ours, theirs) = (table(catalog, "t"), table(&fresh, "t"));
    assert_eq!(ours.version(), theirs.version());
    let files = |table: &crate::TableSnapshot| table.log.index.current().unwrap().files();
    assert_eq!(files(&ours), files(&theirs));
}

#[tokio::test]
async fn new_commits_appear_and_what_was_taken_stays_as_it_was() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = create(lake.path(), "t");
    t.commit(&[add(&t, "a.parquet", "x", &[1, 2])]);
    let catalog = open(lake.path()).await;
    let before = catalog.snapshot();
    let old = table(&catalog, "t");
    assert_eq!(query(&catalog, ALL).await, ["1|\"x\"", "2|\"x\""]);

    t.commit(&[add(&t, "b.parquet", "y", &[3])]);
    t.commit(&[add(&t, "c.parquet", "z", &[4]), TestTable::remove("a.parquet")]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, ALL).await, ["3|\"y\"", "4|\"z\""]);
    assert_eq!(table(&catalog, "t").version(), 3);
    assert_ne!(table(&catalog, "t").id(), old.id());
    assert!(catalog.snapshot().generation > before.generation);
    assert_as_if_opened_now(&catalog, lake.path()).await;

    assert_eq!((old.version(), old.files()), (1, Some(1)));
    let still_old = table_of(&before);
    assert_eq!(still_old.id(), old.id());
}

fn table_of(snapshot: &crate::CatalogSnapshot) -> Arc<crate::TableSnapshot> {
    match &snapshot.table("lake", "t").unwrap().state {
        crate::TableState::Available(table) => Arc::clone(table),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refresh_without_news_publishes_nothing() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = create(lake.path(), "t");
    t.commit(&[add(&t, "a.parquet", "x", &[1])]);
    fs::create_dir_all(lake.path().join("broken/_delta_log")).unwrap();
    fs::write(lake.path().join("broken/_delta_log/00000000000000000000.json"), "{").unwrap();
    let catalog = open(lake.path()).await;
    let before = catalog.snapshot();
    catalog.refresh().await.unwrap();
    assert!(Arc::ptr_eq(&before, &catalog.snapshot()));
}

#[tokio::test]
async fn a_file_that_is_added_again_is_counted_once() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = create(lake.path(), "t");
    let a = add(&t, "a.parquet", "x", &[1, 2]);
    t.commit(std::slice::from_ref(&a));
    let catalog = open(lake.path()).await;
    let mut again = a.clone();
    again["add"]["dataChange"] = json!(false);
    t.commit(&[again]);
    t.commit(&[TestTable::remove("a.parquet")]);
    t.commit(&[a]);
    catalog.refresh().await.unwrap();
    assert_eq!(table(&catalog, "t").files(), Some(1));
    assert_eq!(query(&catalog, ALL).await, ["1|\"x\"", "2|\"x\""]);
    assert_as_if_opened_now(&catalog, lake.path()).await;
}

#[tokio::test]
async fn many_small_steps_equal_one_reading() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = create(lake.path(), "t");
    let catalog = open(lake.path()).await;
    let mut live: Vec<String> = Vec::new();
    for step in 0..24_i64 {
        let path = format!("f{:02}.parquet", (step * 7) % 24);
        let mut actions = vec![add(&t, &path, &format!("p{}", step % 3), &[step, step + 100])];
        if step % 4 == 3 {
            actions.push(TestTable::remove(&live.remove(0)));
        }
        live.push(path);
        t.commit(&actions);
        if step % 3 == 0 {
            catalog.refresh().await.unwrap();
            assert_as_if_opened_now(&catalog, lake.path()).await;
        }
    }
    catalog.refresh().await.unwrap();
    assert_as_if_opened_now(&catalog, lake.path()).await;
    assert_eq!(table(&catalog, "t").files(), Some(live.len() as u64));
}

#[tokio::test]
async fn a_changed_schema_is_seen() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = create(lake.path(), "t");
    t.commit(&[add(&t, "a.parquet", "x", &[1])]);
    let catalog = open(lake.path()).await;

    let wider = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("note", DataType::Utf8, true),
        Field::new("part", DataType::Utf8, true),
    ]);
    let scratch = tempfile::tempdir().unwrap();
    let other = TestTable::create(scratch.path().join("t"), wider, &["part"]);
    t.commit(&[other.metadata_action(&Metadata::default())]);
    let schema =
        Schema::new(vec![Field::new("note", DataType::Utf8, true), Field::new("id", DataType::Int64, true)]);
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(StringArray::from(vec!["new"])), Arc::new(Int64Array::from(vec![2]))];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    t.commit(&[t.add("b.parquet", json!({"part": "y"}), &batch)]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, "SELECT * FROM lake.t").await, ["1|null|\"x\"", "2|\"new\"|\"y\""]);
}

#[tokio::test]
async fn new_tables_appear_and_removed_ones_vanish() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), "t");
    let catalog = open(lake.path()).await;
    create(lake.path(), "later");
    catalog.refresh().await.unwrap();
    assert_eq!(table(&catalog, "later").version(), 0);
    fs::remove_dir_all(lake.path().join("t")).unwrap();
    fs::remove_dir_all(lake.path().join("later/_delta_log")).unwrap();
    catalog.refresh().await.unwrap();
    assert_eq!(catalog.snapshot().tables().count(), 0);
}

#[tokio::test]
async fn another_table_in_the_same_place_is_noticed_at_the_same_version() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = create(lake.path(), "t");
    t.commit(&[add(&t, "a.parquet", "x", &[1])]);
    let catalog = open(lake.path()).await;
    let old = table(&catalog, "t").id();
    fs::remove_dir_all(lake.path().join("t")).unwrap();
    let mut t = create(lake.path(), "t");
    t.commit(&[add(&t, "other.parquet", "y", &[2])]);
    catalog.refresh().await.unwrap();
    assert_ne!(table(&catalog, "t").id(), old);
    assert_eq!(query(&catalog, ALL).await, ["2|\"y\""]);
}

#[tokio::test]
async fn a_broken_table_heals_and_a_broken_commit_closes_it() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = create(lake.path(), "t");
    t.commit(&[add(&t, "a.parquet", "x", &[1])]);
    create(lake.path(), "other");
    let catalog = open(lake.path()).await;
    let commit = lake.path().join("t/_delta_log/00000000000000000002.json");
    fs::write(&commit, "{\"add\": not json").unwrap();
    catalog.refresh().await.unwrap();
    assert!(reason(&catalog, "t").contains("broken log"));
    assert_eq!(table(&catalog, "other").version(), 0);

    fs::remove_file(&commit).unwrap();
    t.commit(&[add(&t, "b.parquet", "y", &[2])]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, ALL).await, ["1|\"x\"", "2|\"y\""]);
}

#[tokio::test]
async fn a_layer_that_cannot_be_listed_keeps_its_tables_and_is_reported() {
    let lake = tempfile::tempdir().unwrap();
    let root = lake.path().join("layer");
    create(&root, "t");
    let catalog = open(&root).await;
    let aside = lake.path().join("aside");
    fs::rename(&root, &aside).unwrap();
    assert!(catalog.refresh().await.is_err());
    assert!(catalog.snapshot().table("lake", "t").is_some());
    fs::rename(&aside, &root).unwrap();
    catalog.refresh().await.unwrap();
    assert_eq!(table(&catalog, "t").version(), 0);
}

#[tokio::test]
async fn the_loop_refreshes_until_it_is_stopped() {
    let lake = tempfile::tempdir().unwrap();
    let mut options = options(lake.path());
    options.refresh_interval = Duration::from_millis(1);
    let catalog = LakeCatalog::open(options).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&catalog).run_refresh(stop.clone()));
    create(lake.path(), "t");
    while catalog.snapshot().table("lake", "t").is_none() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap();
}
