//! Indexes that are put aside and read again; tables that are looked at as often as they say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::support::{Metadata, TestTable, options, query, table, try_query};
use crate::{LakeCatalog, TableAnnotation};

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, true)])
}

fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(Int64Array::from_iter_values(ids))]).unwrap()
}

/// Tables `t0`, `t1`, ... of one file with one row, their number.
fn create(lake: &Path, tables: i64) -> Vec<TestTable> {
    (0..tables)
        .map(|number| {
            let mut table = TestTable::create(lake.join(format!("t{number}")), schema(), &[]);
            let add = table.add("a.parquet", json!({}), &rows(number..number + 1));
            table.commit(&[add]);
            table
        })
        .collect()
}

/// A catalog with room for the index of one table.
async fn cramped(lake: &Path) -> Arc<LakeCatalog> {
    let options = crate::CatalogOptions { index_memory: 1, ..options(lake) };
    LakeCatalog::open(options).await.unwrap()
}

fn in_memory(catalog: &LakeCatalog, tables: usize) -> Vec<usize> {
    (0..tables).filter(|number| table(catalog, &format!("t{number}")).index_memory() > 0).collect()
}

#[tokio::test]
async fn indexes_that_nobody_asks_for_are_put_aside_and_read_again() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), 5);
    let catalog = cramped(lake.path()).await;
    assert_eq!(in_memory(&catalog, 5).len(), 1);
    for number in [3, 1, 1, 4, 0, 2] {
        assert_eq!(query(&catalog, &format!("SELECT id FROM lake.t{number}")).await, [number.to_string()]);
        assert_eq!(in_memory(&catalog, 5), [number], "the one that was just asked for stays");
    }
    let join = "SELECT a.id, b.id FROM lake.t1 a, lake.t3 b";
    assert_eq!(query(&catalog, join).await, ["1|3"]);
    // With room for all, nothing goes.
    let roomy = LakeCatalog::open(options(lake.path())).await.unwrap();
    assert_eq!(in_memory(&roomy, 5).len(), 5);
}

#[tokio::test]
async fn tables_move_on_while_their_indexes_are_aside() {
    let lake = tempfile::tempdir().unwrap();
    let mut tables = create(lake.path(), 2);
    let catalog = cramped(lake.path()).await;
    query(&catalog, "SELECT id FROM lake.t1").await;
    let add = tables[0].add("b.parquet", json!({}), &rows(10..12));
    tables[0].commit(&[TestTable::remove("a.parquet"), add]);
    catalog.refresh().await.unwrap();
    let moved = table(&catalog, "t0");
    assert_eq!((moved.version(), moved.files(), moved.index_memory()), (2, None, 0));
    assert_eq!(query(&catalog, "SELECT id FROM lake.t0").await, ["10", "11"]);
    assert_eq!(moved.files(), Some(1));

    // Another schema.
    query(&catalog, "SELECT id FROM lake.t1").await;
    let wider = Schema::new(vec![schema().field(0).clone(), Field::new("more", DataType::Int64, true)]);
    let metadata = Metadata::default();
    let again = TestTable::create_with(lake.path().join("wider"), wider, &[], &metadata);
    tables[0].commit(&[again.metadata_action(&metadata)]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, "SELECT id, more FROM lake.t0").await, ["10|null", "11|null"]);
}

#[tokio::test]
async fn an_index_that_cannot_be_read_again_is_an_error_of_its_table() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), 2);
    let catalog = cramped(lake.path()).await;
    query(&catalog, "SELECT id FROM lake.t1").await;
    let commit = lake.path().join("t0/_delta_log/00000000000000000001.json");
    let whole = std::fs::read(&commit).unwrap();
    std::fs::write(&commit, "{").unwrap();
    let error = try_query(&catalog, "SELECT id FROM lake.t0").await.unwrap_err();
    assert_eq!(crate::data_file_error(&error).unwrap().table, "lake.t0", "{error:?}");
    assert_eq!(query(&catalog, "SELECT id FROM lake.t1").await, ["1"]);
    std::fs::write(&commit, whole).unwrap();
    assert_eq!(query(&catalog, "SELECT id FROM lake.t0").await, ["0"]);
}

fn every(table: &str, interval: Duration) -> TableAnnotation {
    TableAnnotation {
        schema: "lake".to_owned(),
        table: table.to_owned(),
        refresh_interval: Some(interval),
        ..TableAnnotation::default()
    }
}

#[tokio::test]
async fn tables_are_looked_at_as_often_as_they_say() {
    const NEVER: Duration = Duration::from_secs(3600);
    const OFTEN: Duration = Duration::from_millis(1);
    for (general, annotations) in [
        (OFTEN, vec![every("t1", NEVER)]),
        (NEVER, vec![every("t0", OFTEN)]),
        (NEVER, vec![every("t0", OFTEN), every("t1", NEVER)]),
    ] {
        let lake = tempfile::tempdir().unwrap();
        let mut tables = create(lake.path(), 2);
        let options =
            crate::CatalogOptions { refresh_interval: general, annotations, ..options(lake.path()) };
        let catalog = LakeCatalog::open(options).await.unwrap();
        // The other one first, so that a look at all tables would show it.
        for number in [1, 0] {
            let add = tables[number].add("b.parquet", json!({}), &rows(10..11));
            tables[number].commit(&[add]);
        }
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&catalog).run_refresh(stop.clone()));
        while table(&catalog, "t0").version() < 2 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.unwrap();
        assert_eq!(table(&catalog, "t1").version(), 1, "{general:?}");
        catalog.refresh().await.unwrap();
        assert_eq!(table(&catalog, "t1").version(), 2, "on demand");
    }
}
