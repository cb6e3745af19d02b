//! Columns whose names in the files are not those of the table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::logical_expr::{col, lit};
use serde_json::{Value, json};

use super::support::{Metadata, TestTable, open, opened, query, reason, try_query};
use crate::data_file_error;

/// A table whose schema is given as the log has it.
pub(super) fn mapped(folder: &std::path::Path, mode: &str, fields: &Value, partitions: &[&str]) -> TestTable {
    let mut t = TestTable::create_with(folder.join("t"), Schema::empty(), partitions, &Metadata::default());
    t.commit(&[
        json!({"protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["columnMapping"], "writerFeatures": ["columnMapping"],
        }}),
        metadata(mode, fields, partitions),
    ]);
    t
}

fn metadata(mode: &str, fields: &Value, partitions: &[&str]) -> Value {
    json!({"metaData": {
        "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
        "partitionColumns": partitions,
        "configuration": {"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "20"},
        "createdTime": 1_700_000_000_000_i64,
    }})
}

pub(super) fn field(name: &str, data_type: impl Into<Value>, id: i64, physical: &str) -> Value {
    json!({"name": name, "type": data_type.into(), "nullable": true, "metadata": {
        "delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical,
    }})
}

pub(super) fn with_id(field: Field, id: i64) -> Field {
    field.with_metadata(HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]))
}

pub(super) fn batch(columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(super) fn longs(name: &str, values: &[i64]) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Int64, true), Arc::new(Int64Array::from(values.to_vec())))
}

pub(super) fn texts(name: &str, values: &[&str]) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Utf8, true), Arc::new(StringArray::from(values.to_vec())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renamed_swapped_and_dropped_columns_are_found() {
    let lake = tempfile::tempdir().unwrap();
    let before = json!([
        field("a", "long", 1, "a"),
        field("b", "string", 2, "b"),
        field("c", "long", 3, "c"),
        field("p", "string", 4, "phys-p"),
    ]);
    let mut t = mapped(lake.path(), "name", &before, &["p"]);
    let rows = batch(vec![longs("a", &[1, 2]), texts("b", &["x", "y"]), longs("c", &[8, 9])]);
    let stats = json!({"numRecords": 2, "minValues": {"a": 1, "b": "x"}, "maxValues": {"a": 2, "b": "y"},
        "nullCount": {"a": 0, "b": 0}});
    t.commit(&[t.add_with("1.parquet", json!({"phys-p": "one"}), &rows, &stats)]);
    // `a` and `b` change names, which changes nothing in the files; `c` is dropped, another `c` added.
    let after = json!([
        field("b", "long", 1, "a"),
        field("a", "string", 2, "b"),
        field("c", "string", 5, "col-5"),
        field("part", "string", 4, "phys-p"),
    ]);
    let rows = batch(vec![longs("a", &[3]), texts("b", &["z"]), texts("col-5", &["new"])]);
    let stats = json!({"numRecords": 1, "minValues": {"a": 3}, "maxValues": {"a": 3}, "nullCount": {"a": 0}});
    let add = t.add_with("2.parquet", json!({"phys-p": null}), &rows, &stats);
    t.commit(&[metadata("name", &after, &["part"]), add]);
    let catalog = open(lake.path()).await;
    assert_eq!(
        query(&catalog, "SELECT a, b, c, part FROM lake.t").await,
        [r#""x"|1|null|"one""#, r#""y"|2|null|"one""#, r#""z"|3|"new"|null"#,],
    );
    assert_eq!(query(&catalog, "SELECT a FROM lake.t WHERE b >= 2 AND part = 'one'").await, [r#""y""#]);
    assert_eq!(query(&catalog, "SELECT a AS b, b AS a FROM lake.t WHERE a = 'z'").await, [r#""z"|3"#]);
    // Statistics and partition values are those of the physical names.
    assert_eq!(opened(&catalog, "t", col("b").gt(lit(2_i64))).await, ["2.parquet"]);
    assert_eq!(opened(&catalog, "t", col("part").eq(lit("one"))).await, ["1.parquet"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_fields_are_mapped_too() {
    let lake = tempfile::tempdir().unwrap();
    let inner = json!({"type": "struct", "fields": [
        field("first", "integer", 2, "col-2"), field("second", "string", 3, "col-3"),
        field("late", "string", 9, "col-9"),
    ]});
    let list = json!({"type": "array", "containsNull": true, "elementType": {"type": "struct", "fields": [
        field("inside", "long", 5, "col-5"),
    ]}});
    let fields = json!([field("s", inner, 1, "col-1"), field("l", list, 4, "col-4")]);
    let mut t = mapped(lake.path(), "name", &fields, &[]);
    let in_struct: Fields =
        vec![Field::new("col-3", DataType::Utf8, true), Field::new("col-2", DataType::Int32, true)].into();
    let s = StructArray::new(
        in_struct.clone(),
        vec![Arc::new(StringArray::from(vec!["x", "y"])), Arc::new(Int32Array::from(vec![1, 2]))],
        Some(vec![true, false].into()),
    );
    let in_list: Fields = vec![Field::new("col-5", DataType::Int32, true)].into();
    let elements = StructArray::new(in_list.clone(), vec![Arc::new(Int32Array::from(vec![7, 8]))], None);
    let element = Arc::new(Field::new("element", DataType::Struct(in_list), true));
    let offsets = arrow::buffer::OffsetBuffer::new(vec![0, 2, 2].into());
    let l = ListArray::new(Arc::clone(&element), offsets, Arc::new(elements), None);
    let rows = batch(vec![
        (Field::new("col-4", DataType::List(element), true), Arc::new(l)),
        (Field::new("col-1", DataType::Struct(in_struct), true), Arc::new(s)),
    ]);
    t.commit(&[t.add("1.parquet", json!({}), &rows)]);
    let catalog = open(lake.path()).await;
    assert_eq!(
        query(&catalog, "SELECT s['first'], s['second'], s['late'], l[2]['inside'] FROM lake.t").await,
        [r#"1|"x"|null|8"#, "null|null|null|null"],
    );
    let rows = try_query(&catalog, "SELECT * FROM lake.t").await.unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_id_mode_names_in_files_mean_nothing() {
    let lake = tempfile::tempdir().unwrap();
    let fields = json!([field("a", "long", 1, "col-1"), field("b", "string", 2, "col-2")]);
    let mut t = mapped(lake.path(), "id", &fields, &[]);
    let (a, a_values) = longs("whatever", &[1]);
    let (b, b_values) = texts("col-1", &["x"]);
    let rows = batch(vec![(with_id(b, 2), b_values), (with_id(a, 1), a_values)]);
    t.commit(&[t.add("1.parquet", json!({}), &rows)]);
    let catalog = open(lake.path()).await;
    assert_eq!(query(&catalog, "SELECT a, b FROM lake.t").await, [r#"1|"x""#]);
    assert_eq!(query(&catalog, "SELECT a FROM lake.t WHERE b = 'x' AND a < 2").await, ["1"]);
    // A file without ids fits no table that maps by id.
    t.commit(&[t.add("2.parquet", json!({}), &batch(vec![longs("col-1", &[2]), texts("col-2", &["y"])]))]);
    catalog.refresh().await.unwrap();
    let error = try_query(&catalog, "SELECT a, b FROM lake.t").await.unwrap_err();
    assert!(data_file_error(&error).is_some(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_without_names_is_refused() {
    let lake = tempfile::tempdir().unwrap();
    let fields = json!([{"name": "a", "type": "long", "nullable": true, "metadata": {}}]);
    let _table = mapped(lake.path(), "name", &fields, &[]);
    let catalog = open(lake.path()).await;
    let why = reason(&catalog, "t");
    assert!(why.contains("olumn"), "{why}");
}
