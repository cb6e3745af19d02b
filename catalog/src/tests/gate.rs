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

fn properties(property: &'static str, value: &'static str) -> Metadata {
    Metadata { properties: [(property, value)].into(), ..Metadata::default() }
}

#[tokio::test]
async fn features_that_change_nothing_for_a_reader_are_read() {
    for (reader, writer) in [
        (&["timestampNtz"][..], &["timestampNtz"][..]),
        (&["v2Checkpoint", "vacuumProtocolCheck"], &["v2Checkpoint", "vacuumProtocolCheck"]),
        (&["deletionVectors"], &["deletionVectors"]),
        (&[], &["appendOnly", "invariants", "identityColumns", "domainMetadata", "rowTracking"]),
    ] {
        assert_eq!(refusal(reader, writer, Metadata::default()).await, None, "{reader:?} {writer:?}");
    }
}

#[tokio::test]
async fn features_not_read_yet_are_refused_by_name() {
    for feature in ["typeWidening", "variantType", "catalogManaged", "someDayMaybe"] {
        let reason = refusal(&[feature], &[feature], Metadata::default()).await.unwrap();
        assert!(reason.contains(feature), "{feature}: {reason}");
    }
    let vectors = properties("delta.enableDeletionVectors", "true");
    let reason = refusal(&["deletionVectors"], &["deletionVectors"], vectors).await.unwrap();
    assert!(reason.contains("deletion vectors"), "{reason}");
}

#[tokio::test]
async fn column_mapping_is_refused() {
    let mut metadata = properties("delta.columnMapping.mode", "name");
    let notes = json!({"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "c-1"});
    metadata.columns.insert("id", notes);
    let reason = refusal(&["columnMapping"], &["columnMapping"], metadata).await.unwrap();
    assert!(reason.contains("column mapping (mode name)"), "{reason}");
}

#[tokio::test]
async fn a_changed_column_type_is_refused_even_without_its_feature() {
    let mut metadata = Metadata::default();
    let changes = json!([{"fromType": "integer", "toType": "long", "tableVersion": 1}]);
    metadata.columns.insert("id", json!({"delta.typeChanges": changes}));
    let reason = refusal(&[], &["appendOnly"], metadata).await.unwrap();
    assert!(reason.contains("type widening"), "{reason}");
}

#[tokio::test]
async fn a_deletion_vector_on_one_file_is_refused_at_load_and_at_refresh() {
    let lake = tempfile::tempdir().unwrap();
    let mut table = TestTable::create(lake.path().join("t"), schema(), &[]);
    let features = json!({"protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"],
    }});
    let add = table.add("a.parquet", json!({}), &rows(&[1, 2]));
    table.commit(&[features, add.clone()]);
    let catalog = open(lake.path()).await;
    assert_eq!(query(&catalog, "SELECT id FROM lake.t").await, ["1", "2"]);

    let mut with_vector = add;
    with_vector["add"]["deletionVector"] = json!({
        "storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
        "sizeInBytes": 40, "cardinality": 1,
    });
    table.commit(&[with_vector, TestTable::remove("a.parquet")]);
    catalog.refresh().await.unwrap();
    assert!(reason(&catalog, "t").contains("deletion vectors"));
    let fresh = open(lake.path()).await;
    assert!(reason(&fresh, "t").contains("deletion vectors"));
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
