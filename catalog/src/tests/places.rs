//! Files outside their table's folder.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value, json};
use url::Url;

use super::support::{TestTable, folder_url, open, options, query, reason};
use crate::{ExplicitTable, LakeCatalog};

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, true)])
}

fn rows(ids: &[i64]) -> RecordBatch {
    RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(Int64Array::from(ids.to_vec()))]).unwrap()
}

/// The action with its path as an absolute URL.
fn absolute(table: &TestTable, mut action: Value) -> Value {
    let path = action["add"]["path"].as_str().unwrap().to_owned();
    action["add"]["path"] = json!(folder_url(&table.folder).join(&path).unwrap().as_str());
    action
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shallow_clone_reads_the_files_of_its_source() {
    let lake = tempfile::tempdir().unwrap();
    let mut source = TestTable::create(lake.path().join("source"), schema(), &[]);
    let shared = source.add("a%20b/1.parquet", json!({}), &rows(&[1, 2]));
    std::fs::create_dir_all(source.folder.join("a b")).unwrap();
    std::fs::rename(source.folder.join("a%20b/1.parquet"), source.folder.join("a b/1.parquet")).unwrap();
    source.commit(std::slice::from_ref(&shared));
    let mut clone = TestTable::create(lake.path().join("clone"), schema(), &[]);
    let own = clone.add("2.parquet", json!({}), &rows(&[3]));
    let own_absolute = absolute(&clone, clone.add("3.parquet", json!({}), &rows(&[4])));
    clone.commit(&[absolute(&source, shared.clone()), own, own_absolute]);
    let catalog = open(lake.path()).await;
    assert_eq!(query(&catalog, "SELECT id FROM lake.source").await, ["1", "2"]);
    assert_eq!(query(&catalog, "SELECT id FROM lake.clone").await, ["1", "2", "3", "4"]);
    // Removed by its absolute path, and by a relative one what was added by an absolute one.
    let removed = absolute(&source, shared)["add"]["path"].as_str().unwrap().to_owned();
    clone.commit(&[TestTable::remove(&removed), TestTable::remove("3.parquet")]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, "SELECT id FROM lake.clone").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_in_places_that_are_not_configured_are_not_read() {
    let elsewhere = tempfile::tempdir().unwrap();
    let lake = tempfile::tempdir().unwrap();
    let source = TestTable::create(elsewhere.path().join("source"), schema(), &[]);
    let shared = source.add("1.parquet", json!({}), &rows(&[1]));
    let mut clone = TestTable::create(lake.path().join("clone"), schema(), &[]);
    clone.commit(&[absolute(&source, shared)]);
    let catalog = open(lake.path()).await;
    assert!(reason(&catalog, "clone").contains("configure"), "{}", reason(&catalog, "clone"));
    // Configuring the place as a table makes it readable.
    let mut with_source = options(lake.path());
    with_source.tables.push(ExplicitTable {
        schema: "other".to_owned(),
        name: "source".to_owned(),
        location: Url::from_directory_path(&source.folder).unwrap(),
    });
    let catalog = LakeCatalog::open(with_source).await.unwrap();
    assert_eq!(query(&catalog, "SELECT id FROM lake.clone").await, ["1"]);
    // Climbing out of a configured place leads nowhere.
    let mut climber = TestTable::create(lake.path().join("climber"), schema(), &[]);
    let mut action = climber.add("1.parquet", json!({}), &rows(&[1]));
    let url = folder_url(&source.folder);
    action["add"]["path"] = json!(format!("{url}../../x/1.parquet"));
    climber.commit(&[action]);
    catalog.refresh().await.unwrap();
    assert!(reason(&catalog, "climber").contains("configure"), "{}", reason(&catalog, "climber"));
}
