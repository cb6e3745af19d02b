//! What a table needs and cannot get is named, and nothing of it is read.

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value, json};
use std::sync::Arc;

use super::support::{Metadata, TestTable, open, query, reason};

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, true)])
}

fn rows(ids: &[i64]) -> RecordBatch {
    RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(Int64Array::from(ids.to_vec()))]).unwrap()
}

/// Why a table with these protocol features and properties is refused; None when it is read.
async fn refusal(reader: &[&str], writer: &[&str], metadata: Metadata) -> Option<String> {
    let lake = tempfile::tempdir().unwrap();
    let mut table = TestTable::create_with(lake.path().join("t"), schema(), &[], &metadata);
    let protocol = match reader {
        [] => json!({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": writer}),
        _ => json!({
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": reader, "writerFeatures": writer,
        }),
    };
    let add = table.add("a.parquet", json!({}), &rows(&[1, 2]));
    table.commit(&[json!({"protocol": protocol}), add]);
    let catalog = open(lake.path()).await;
    if let Some(crate::TableState::Available(_)) =
        catalog.snapshot().table("lake", "t").map(|entry| entry.state.clone())
    {
        assert_eq!(query(&catalog, "SELECT id FROM lake.t").await, ["1", "2"]);
        return None;
    }
    Some(reason(&catalog, "t"))
}

#[tokio::test]
async fn features_that_change_nothing_for_a_reader_are_read() {
    for (reader, writer) in [
        (&["timestampNtz"][..], &["timestampNtz"][..]),
        (&["v2Checkpoint", "vacuumProtocolCheck"], &["v2Checkpoint", "vacuumProtocolCheck"]),
        (&["deletionVectors", "columnMapping"], &["deletionVectors", "columnMapping"]),
        (&["typeWidening", "variantType"], &["typeWidening", "variantType"]),
        (&[], &["appendOnly", "invariants", "identityColumns", "domainMetadata", "rowTracking"]),
    ] {
        assert_eq!(refusal(reader, writer, Metadata::default()).await, None, "{reader:?} {writer:?}");
    }
}

#[tokio::test]
async fn features_that_are_not_known_are_refused_by_name() {
    for feature in ["catalogManaged", "geospatial", "someDayMaybe"] {
        let reason = refusal(&[feature], &[feature], Metadata::default()).await.unwrap();
        assert!(reason.contains(feature), "{feature}: {reason}");
    }
}

#[tokio::test]
async fn a_newer_reader_version_is_refused() {
    let lake = tempfile::tempdir().unwrap();
    let mut table = TestTable::create(lake.path().join("t"), schema(), &[]);
    table.commit(&[json!({"protocol": {"minReaderVersion": 4, "minWriterVersion": 7,
        "readerFeatures": [], "writerFeatures": []}})]);
    let catalog = open(lake.path()).await;
    let reason = reason(&catalog, "t");
    assert!(reason.contains("reader version"), "{reason}");
}

#[tokio::test]
async fn files_outside_the_table_are_refused() {
    let lake = tempfile::tempdir().unwrap();
    for (name, path) in [("absolute", "file:///etc/a.parquet"), ("parent", "../other/a.parquet")] {
        let mut table = TestTable::create(lake.path().join(name), schema(), &[]);
        let add: Value = json!({"add": {"path": path, "partitionValues": {}, "size": 1,
            "modificationTime": 0, "dataChange": true}});
        table.commit(&[add]);
    }
    let catalog = open(lake.path()).await;
    assert!(reason(&catalog, "absolute").contains("outside the table"));
    assert!(reason(&catalog, "parent").contains("broken log"));
}
