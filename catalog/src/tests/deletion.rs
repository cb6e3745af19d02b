//! Rows that a deletion vector removes are gone from every kind of read, and pruning stays.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{col, lit};
use datafusion::prelude::SessionConfig;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use roaring::RoaringTreemap;
use serde_json::{Value, json};

use super::spelling::lines;
use super::support::{Metadata, TestTable, open, opened, query, session_with, table, try_query};
use crate::data_file_error;

fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("text", DataType::Utf8, true)])
}

/// Rows `ids`, in row groups of 100 rows.
pub(super) fn add(t: &TestTable, path: &str, ids: std::ops::Range<i64>) -> Value {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids.clone())),
        Arc::new(StringArray::from_iter_values(ids.clone().map(|id| format!("t{id}")))),
    ];
    let rows = RecordBatch::try_new(Arc::new(schema()), columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
    let file = fs::File::create(t.folder.join(path)).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let stats = json!({
        "numRecords": ids.end - ids.start,
        "minValues": {"id": ids.start}, "maxValues": {"id": ids.end - 1}, "nullCount": {"id": 0},
        "tightBounds": false,
    });
    json!({"add": {
        "path": path,
        "partitionValues": {},
        "size": fs::metadata(t.folder.join(path)).unwrap().len(),
        "modificationTime": 1_700_000_000_000_i64,
        "dataChange": true,
        "stats": stats.to_string(),
    }})
}

/// The serialised vector, without its frame.
fn body(removed: &RoaringTreemap) -> Vec<u8> {
    let mut body = 1_681_511_377_u32.to_le_bytes().to_vec();
    removed.serialize_into(&mut body).unwrap();
    body
}

/// Writes vectors into one file and gives their descriptors.
pub(super) fn stored(t: &TestTable, vectors: &[RoaringTreemap]) -> Vec<Value> {
    let uuid = uuid::Uuid::new_v4();
    let mut bytes = vec![1];
    let mut descriptors = Vec::new();
    for removed in vectors {
        let body = body(removed);
        descriptors.push(json!({
            "storageType": "u",
            "pathOrInlineDv": z85::encode(uuid.as_bytes()),
            "offset": bytes.len(),
            "sizeInBytes": body.len(),
            "cardinality": removed.len(),
        }));
        bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(&body);
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&body);
        bytes.extend(checksum.to_be_bytes());
    }
    fs::write(t.folder.join(format!("deletion_vector_{uuid}.bin")), bytes).unwrap();
    descriptors
}

fn inline(removed: &RoaringTreemap) -> Value {
    let mut bytes = body(removed);
    let size = bytes.len();
    bytes.resize(size.next_multiple_of(4), 0);
    json!({
        "storageType": "i",
        "pathOrInlineDv": z85::encode(&bytes),
        "sizeInBytes": size,
        "cardinality": removed.len(),
    })
}

pub(super) fn with_vector(mut add: Value, vector: &Value) -> Value {
    add["add"]["deletionVector"] = vector.clone();
    add
}

pub(super) fn with_vectors(folder: &std::path::Path) -> TestTable {
    let properties = [("delta.enableDeletionVectors", "true")].into();
    let metadata = Metadata { properties, ..Metadata::default() };
    let mut t = TestTable::create_with(folder.join("t"), schema(), &[], &metadata);
    t.commit(&[json!({"protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"],
    }})]);
    t
}

pub(super) fn set(rows: impl IntoIterator<Item = u64>) -> RoaringTreemap {
    rows.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_rows_are_gone_from_every_read() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = with_vectors(lake.path());
    // Of three files: some rows of each row group, a whole row group, and nothing.
    let some = set((0..1000).filter(|row| row % 3 == 0));
    let group = set(100..200);
    let vectors = stored(&t, &[some, group]);
    let actions = [
        with_vector(add(&t, "a.parquet", 0..1000), &vectors[0]),
        with_vector(add(&t, "b.parquet", 1000..2000), &vectors[1]),
        add(&t, "c.parquet", 2000..3000),
        with_vector(add(&t, "d.parquet", 3000..3100), &inline(&set(0..99))),
    ];
    t.commit(&actions);
    let catalog = open(lake.path()).await;
    let expected: Vec<i64> = (0..1000)
        .filter(|id| id % 3 != 0)
        .chain((1000..2000).filter(|id| !(1100..1200).contains(id)))
        .chain(2000..3000)
        .chain([3099])
        .collect();
    let mut wanted: Vec<String> = expected.iter().map(ToString::to_string).collect();
    wanted.sort();
    assert_eq!(query(&catalog, "SELECT id FROM lake.t").await, wanted);
    let sum: i64 = expected.iter().sum();
    assert_eq!(
        query(&catalog, "SELECT count(*), sum(id) FROM lake.t").await,
        [format!("{}|{sum}", expected.len())],
    );
    assert_eq!(
        query(&catalog, "SELECT id, text FROM lake.t WHERE id BETWEEN 1098 AND 1201").await,
        [1098, 1099, 1200, 1201].map(|id| format!("{id}|\"t{id}\"")),
    );
    assert_eq!(query(&catalog, "SELECT min(id), max(id) FROM lake.t").await, ["1|3099"]);
    assert_eq!(query(&catalog, "SELECT id FROM lake.t ORDER BY id LIMIT 2").await, ["1", "2"]);
    assert_eq!(table(&catalog, "t").log.index.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_with_vectors_are_split_skipped_and_counted() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = with_vectors(lake.path());
    let vectors = stored(&t, &[set((0..1000).filter(|row| row % 2 == 0)), set([7])]);
    let actions = [
        with_vector(add(&t, "a.parquet", 0..1000), &vectors[0]),
        with_vector(add(&t, "b.parquet", 1000..1100), &vectors[1]),
    ];
    t.commit(&actions);
    let catalog = open(lake.path()).await;
    // Files are skipped by their bounds.
    assert_eq!(opened(&catalog, "t", col("id").gt(lit(1000_i64))).await, ["b.parquet"]);
    // Row counts are those of the rows that are left.
    let mut config =
        SessionConfig::new().with_target_partitions(4).with_batch_size(64).with_repartition_file_min_size(1);
    config.options_mut().execution.collect_statistics = true;
    let context = session_with(&catalog, config);
    let frame = context.sql("SELECT sum(id) FROM lake.t").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let mut scans = Vec::new();
    plan.apply(|node| {
        if let Some(source) = node.downcast_ref::<DataSourceExec>() {
            scans.push(source.data_source().downcast_ref::<FileScanConfig>().unwrap().clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    let scan = scans.remove(0);
    assert_eq!(scan.statistics().num_rows, Precision::Exact(599));
    // Files are split, and each part reads its own rows.
    let parts: usize = scan.file_groups.iter().map(|group| group.len()).sum();
    assert!(scan.file_groups.len() == 4 && parts > 2, "{:?}", scan.file_groups);
    let rows =
        lines(&context.sql("SELECT count(*), sum(id) FROM lake.t").await.unwrap().collect().await.unwrap());
    let odd: i64 = (0..1000).filter(|id| id % 2 == 1).sum();
    let rest: i64 = (1000..1100).filter(|&id| id != 1007).sum();
    assert_eq!(rows, [format!("599|{}", odd + rest)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vector_replaces_the_one_before() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = with_vectors(lake.path());
    let plain = add(&t, "a.parquet", 0..10);
    t.commit(std::slice::from_ref(&plain));
    let catalog = open(lake.path()).await;
    assert_eq!(query(&catalog, "SELECT count(*) FROM lake.t").await, ["10"]);
    let first = inline(&set([0]));
    let second = inline(&set([0, 1]));
    let mut removed = TestTable::remove("a.parquet");
    t.commit(&[removed.clone(), with_vector(plain.clone(), &first)]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, "SELECT count(*) FROM lake.t").await, ["9"]);
    removed["remove"]["deletionVector"] = first;
    // The order of actions in a commit means nothing.
    t.commit(&[with_vector(plain.clone(), &second), removed.clone()]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, "SELECT count(*) FROM lake.t").await, ["8"]);
    removed["remove"]["deletionVector"] = second;
    t.commit(&[removed, plain]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, "SELECT count(*) FROM lake.t").await, ["10"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_vector_is_an_error_and_never_a_row_too_many() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = with_vectors(lake.path());
    let vector = stored(&t, &[set([1, 2])]).remove(0);
    let data = add(&t, "a.parquet", 0..10);
    t.commit(&[with_vector(data.clone(), &vector)]);
    let file = fs::read_dir(&t.folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "bin"))
        .unwrap();
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[12] ^= 1;
    for damaged in [Some(flipped), Some(whole[..whole.len() - 1].to_vec()), Some(Vec::new()), None] {
        match &damaged {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let catalog = open(lake.path()).await;
        for sql in ["SELECT sum(id) FROM lake.t", "SELECT id FROM lake.t WHERE id = 5"] {
            let error = try_query(&catalog, sql).await.unwrap_err();
            let found = data_file_error(&error).unwrap_or_else(|| panic!("{damaged:?}: {error}"));
            assert_eq!(found.table, "lake.t");
        }
        fs::write(&file, &whole).unwrap();
    }
    // A count that is not the bitmap's, and rows that the file does not have.
    let mut lying = vector.clone();
    lying["cardinality"] = json!(3);
    for (number, vector) in [lying, inline(&set([10]))].iter().enumerate() {
        let mut other = with_vectors(&lake.path().join(format!("other{number}")));
        let data = add(&other, "a.parquet", 0..10);
        if number == 0 {
            fs::copy(&file, other.folder.join(file.file_name().unwrap())).unwrap();
        }
        other.commit(&[with_vector(data, vector)]);
        let catalog = open(&lake.path().join(format!("other{number}"))).await;
        let error = try_query(&catalog, "SELECT sum(id) FROM lake.t").await.unwrap_err();
        assert!(data_file_error(&error).is_some(), "{error}");
    }
}
