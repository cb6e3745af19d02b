//! Older versions, history and changes.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::spelling::lines;
use super::support::{Metadata, TestTable, open, session, table};
use crate::{LakeCatalog, TableSnapshot, TableVersion, VersionError};

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, true)])
}

fn rows(ids: &[i64]) -> RecordBatch {
    RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(Int64Array::from(ids.to_vec()))]).unwrap()
}

async fn read(catalog: &LakeCatalog, provider: Arc<dyn datafusion::catalog::TableProvider>) -> Vec<String> {
    let frame = session(catalog).read_table(provider).unwrap();
    lines(&frame.collect().await.unwrap())
}

async fn read_at(catalog: &LakeCatalog, t: &Arc<TableSnapshot>, version: u64) -> Vec<String> {
    let old = t.at(TableVersion::Number(version)).await.unwrap();
    assert_eq!(old.version(), version);
    read(catalog, old.provider()).await
}

/// Sets when a commit was written, in seconds since the epoch.
fn written(t: &TestTable, version: u64, seconds: u64) {
    let path = t.folder.join(format!("_delta_log/{version:020}.json"));
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

fn at(seconds: i64) -> TableVersion {
    TableVersion::Time(DateTime::<Utc>::from_timestamp(seconds, 0).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_reads_as_it_was() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = TestTable::create(lake.path().join("t"), schema(), &[]);
    t.commit(&[t.add("1.parquet", json!({}), &rows(&[1]))]);
    t.commit(&[t.add("2.parquet", json!({}), &rows(&[2]))]);
    t.commit(&[TestTable::remove("1.parquet")]);
    for (version, seconds) in [(0, 1000), (1, 2000), (2, 3000), (3, 3000)] {
        written(&t, version, seconds);
    }
    let catalog = open(lake.path()).await;
    let now = table(&catalog, "t");
    let expected: [&[&str]; 4] = [&[], &["1"], &["1", "2"], &["2"]];
    for (version, expected) in (0..).zip(expected) {
        assert_eq!(read_at(&catalog, &now, version).await, expected, "version {version}");
    }
    // Times: the last commit at or before; two commits of one time are told apart by order.
    for (seconds, version) in [(1000, 0), (1999, 0), (2000, 1), (3000, 2), (3001, 3), (9999, 3)] {
        assert_eq!(now.at(at(seconds)).await.unwrap().version(), version, "{seconds}");
    }
    assert!(matches!(now.at(at(999)).await, Err(VersionError::NoVersionThen { .. })));
    let missing = now.at(TableVersion::Number(4)).await.unwrap_err();
    let text = "table lake.t has no version 4: versions 0 to 3 can be read";
    assert_eq!(missing.to_string(), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_are_gone_are_not_shown_and_renamed_ones_have_todays_names() {
    let lake = tempfile::tempdir().unwrap();
    let both = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("nhs_number", DataType::Utf8, true),
    ]);
    let notes = json!({"lakeward.tags": "pii.id"});
    let mut t = TestTable::create(lake.path().join("t"), both.clone(), &[]);
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["943 476 5919"]))];
    let data = RecordBatch::try_new(Arc::new(both), columns).unwrap();
    t.commit(&[t.add("1.parquet", json!({}), &data)]);
    let narrower = TestTable::create_with(
        lake.path().join("unused"),
        schema(),
        &[],
        &Metadata { columns: [("id", notes)].into(), ..Metadata::default() },
    );
    let metadata = json!({"metaData": {
        "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": narrower.metadata_action(&Metadata {
            columns: [("id", json!({"lakeward.tags": "pii.id"}))].into(), ..Metadata::default()
        })["metaData"]["schemaString"],
        "partitionColumns": [],
        "configuration": {},
    }});
    t.commit(&[metadata]);
    let catalog = open(lake.path()).await;
    let now = table(&catalog, "t");
    let old = now.at(TableVersion::Number(1)).await.unwrap();
    let names: Vec<_> = old.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id"]);
    // Tagged today, so tagged then.
    assert_eq!(old.column_tags("id"), ["pii.id"]);
    assert_eq!(read(&catalog, old.provider()).await, ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_says_who_did_what() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = TestTable::create(lake.path().join("t"), schema(), &[]);
    let info = json!({"commitInfo": {
        "timestamp": 1, "operation": "WRITE", "operationParameters": {"mode": "Append"},
        "operationMetrics": {"numOutputRows": "1"}, "engineInfo": "Some Engine 1.2", "userName": "someone",
    }});
    t.commit(&[info, t.add("1.parquet", json!({}), &rows(&[1]))]);
    written(&t, 0, 1000);
    // A clock that went back.
    written(&t, 1, 500);
    let catalog = open(lake.path()).await;
    let history = table(&catalog, "t").history(10).await.unwrap();
    assert_eq!(history.iter().map(|commit| commit.version).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(history[0].operation.as_deref(), Some("WRITE"));
    assert_eq!(history[0].parameters.as_deref(), Some(r#"{"mode":"Append"}"#));
    assert_eq!(history[0].user.as_deref(), Some("someone"));
    assert!(history[0].timestamp > history[1].timestamp);
    assert_eq!(table(&catalog, "t").history(1).await.unwrap().len(), 1);
}

fn with_vector(mut action: Value, kind: &str, vector: &Value) -> Value {
    action[kind]["deletionVector"] = vector.clone();
    action
}

/// As a writer that records all that a remove may have.
fn full_remove(add: &Value) -> Value {
    let add = &add["add"];
    json!({"remove": {"path": add["path"], "dataChange": true, "extendedFileMetadata": true,
        "partitionValues": add["partitionValues"], "size": add["size"]}})
}

fn inline(removed: &[u64]) -> Value {
    let mut bytes = 1_681_511_377_u32.to_le_bytes().to_vec();
    let bitmap: roaring::RoaringTreemap = removed.iter().copied().collect();
    bitmap.serialize_into(&mut bytes).unwrap();
    let size = bytes.len();
    bytes.resize(size.next_multiple_of(4), 0);
    json!({"storageType": "i", "pathOrInlineDv": z85::encode(&bytes), "sizeInBytes": size,
        "cardinality": removed.len()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_inserts_deletes_and_differences_of_vectors() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = TestTable::create(lake.path().join("t"), schema(), &[]);
    let protocol = json!({"protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"],
    }});
    let first = t.add("1.parquet", json!({}), &rows(&[10, 11, 12]));
    let second = t.add("2.parquet", json!({}), &rows(&[20]));
    t.commit(&[protocol, first.clone(), second.clone()]);
    // Row 0 goes, then row 1 goes and row 0 comes back, then the file goes.
    let (a, b) = (inline(&[0]), inline(&[1]));
    let remove = full_remove(&first);
    t.commit(&[remove.clone(), with_vector(first.clone(), "add", &a)]);
    t.commit(&[with_vector(remove.clone(), "remove", &a), with_vector(first.clone(), "add", &b)]);
    t.commit(&[with_vector(remove.clone(), "remove", &b)]);
    // Compaction changes no rows.
    let mut compacted = t.add("3.parquet", json!({}), &rows(&[20]));
    compacted["add"]["dataChange"] = json!(false);
    let mut gone = full_remove(&second);
    gone["remove"]["dataChange"] = json!(false);
    t.commit(&[compacted, gone]);
    // Change files say it themselves.
    let feed = RecordBatch::try_new(
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("_change_type", DataType::Utf8, true),
        ])),
        vec![
            Arc::new(Int64Array::from(vec![20, 21])),
            Arc::new(StringArray::from(vec!["update_preimage", "update_postimage"])),
        ],
    )
    .unwrap();
    let mut cdc = t.add("_change_data/c.parquet", json!({}), &feed)["add"].clone();
    cdc["dataChange"] = json!(false);
    let rewritten = t.add("4.parquet", json!({}), &rows(&[21]));
    t.commit(&[json!({"cdc": cdc}), rewritten, TestTable::remove("3.parquet")]);
    for version in 0..=6 {
        written(&t, version, 1000 + version);
    }
    let catalog = open(lake.path()).await;
    let now = table(&catalog, "t");
    let changes = now.changes(0, 6).await.unwrap();
    let row = |id: i64, change: &str, version: i64| {
        format!("{id}|\"{change}\"|{version}|t:{}", (1000 + version) * 1_000_000)
    };
    let mut expected = vec![
        row(10, "insert", 1),
        row(11, "insert", 1),
        row(12, "insert", 1),
        row(20, "insert", 1),
        row(10, "delete", 2),
        row(11, "delete", 3),
        row(10, "insert", 3),
        row(10, "delete", 4),
        row(12, "delete", 4),
        row(20, "update_preimage", 6),
        row(21, "update_postimage", 6),
    ];
    expected.sort();
    assert_eq!(read(&catalog, changes).await, expected);
    let some = now.changes(2, 3).await.unwrap();
    assert_eq!(read(&catalog, some).await.len(), 3);
    assert!(matches!(now.changes(3, 2).await, Err(VersionError::BackwardRange { .. })));
    assert!(matches!(now.changes(5, 7).await, Err(VersionError::NoVersion { version: 7, .. })));
    fs::remove_file(t.folder.join("_delta_log/00000000000000000000.json")).unwrap();
    assert!(matches!(now.changes(0, 2).await, Err(VersionError::NoVersion { oldest: 1, .. })));
}
