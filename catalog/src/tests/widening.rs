//! Files whose columns have narrower types than the table has now.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float32Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::logical_expr::{col, lit};
use serde_json::{Value, json};

use super::support::{Metadata, TestTable, open, opened, query, try_query};
use crate::data_file_error;

pub(super) fn widened(name: &str, from: &str, to: &str) -> Value {
    json!({"name": name, "type": to, "nullable": true, "metadata": {
        "delta.typeChanges": [{"fromType": from, "toType": to}],
    }})
}

pub(super) fn table(folder: &std::path::Path, fields: &Value) -> TestTable {
    let mut t = TestTable::create_with(folder.join("t"), Schema::empty(), &[], &Metadata::default());
    t.commit(&[
        json!({"protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["typeWidening", "timestampNtz"],
            "writerFeatures": ["typeWidening", "timestampNtz"],
        }}),
        json!({"metaData": {
            "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
            "partitionColumns": [],
            "configuration": {"delta.enableTypeWidening": "true"},
        }}),
    ]);
    t
}

pub(super) fn batch(columns: Vec<(&str, DataType, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<_>, Vec<_>) =
        columns.into_iter().map(|(name, kind, array)| (Field::new(name, kind, true), array)).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_from_before_a_widening_are_read_as_the_wider_type() {
    let lake = tempfile::tempdir().unwrap();
    let fields = json!([
        widened("short_long", "short", "long"),
        widened("int_double", "integer", "double"),
        widened("float_double", "float", "double"),
        widened("int_decimal", "integer", "decimal(12,2)"),
        widened("decimal", "decimal(5,2)", "decimal(10,4)"),
        widened("date", "date", "timestamp_ntz"),
    ]);
    let mut t = table(lake.path(), &fields);
    let old = batch(vec![
        ("short_long", DataType::Int16, Arc::new(Int16Array::from(vec![Some(-7), None]))),
        ("int_double", DataType::Int32, Arc::new(Int32Array::from(vec![Some(i32::MAX), None]))),
        ("float_double", DataType::Float32, Arc::new(Float32Array::from(vec![Some(0.5), None]))),
        ("int_decimal", DataType::Int32, Arc::new(Int32Array::from(vec![Some(i32::MIN), None]))),
        (
            "decimal",
            DataType::Decimal128(5, 2),
            Arc::new(Decimal128Array::from(vec![Some(12345), None]).with_precision_and_scale(5, 2).unwrap()),
        ),
        ("date", DataType::Date32, Arc::new(Date32Array::from(vec![Some(19_000), None]))),
    ]);
    let stats = json!({
        "numRecords": 2,
        "minValues": {"short_long": -7, "int_double": 2_147_483_647, "date": "2022-01-08", "decimal": 123.45},
        "maxValues": {"short_long": -7, "int_double": 2_147_483_647, "date": "2022-01-08", "decimal": 123.45},
        "nullCount": {"short_long": 1, "int_double": 1, "date": 1, "decimal": 1},
    });
    let new = batch(vec![
        ("short_long", DataType::Int64, Arc::new(Int64Array::from(vec![1_i64 << 40]))),
        (
            "date",
            DataType::Timestamp(TimeUnit::Microsecond, None),
            Arc::new(TimestampMicrosecondArray::from(vec![1])),
        ),
    ]);
    let more = json!({"numRecords": 1, "minValues": {"short_long": 1_i64 << 40}, "maxValues": {"short_long": 1_i64 << 40},
        "nullCount": {"short_long": 0}});
    let adds = [
        t.add_with("old.parquet", json!({}), &old, &stats),
        t.add_with("new.parquet", json!({}), &new, &more),
    ];
    t.commit(&adds);
    let catalog = open(lake.path()).await;
    let mut rows = query(&catalog, "SELECT * FROM lake.t").await;
    rows.sort();
    assert_eq!(
        rows,
        [
            "-7|f:41dfffffffc00000|f:3fe0000000000000|-2147483648.00|123.4500|t:1641600000000000",
            "1099511627776|null|null|null|null|t:1",
            "null|null|null|null|null|null",
        ],
    );
    assert_eq!(query(&catalog, "SELECT short_long FROM lake.t WHERE short_long < 0").await, ["-7"]);
    assert_eq!(
        query(&catalog, "SELECT short_long FROM lake.t WHERE date = TIMESTAMP '2022-01-08 00:00:00'").await,
        ["-7"],
    );
    assert_eq!(query(&catalog, "SELECT short_long FROM lake.t WHERE decimal > 123.44").await, ["-7"]);
    assert_eq!(opened(&catalog, "t", col("short_long").lt(lit(0_i64))).await, ["old.parquet"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_another_type_is_an_error_without_its_values() {
    let lake = tempfile::tempdir().unwrap();
    let fields = json!([{"name": "a", "type": "integer", "nullable": true, "metadata": {}}]);
    for (number, column) in [
        batch(vec![("a", DataType::Int64, Arc::new(Int64Array::from(vec![987_654_321])))]),
        batch(vec![("a", DataType::Utf8, Arc::new(StringArray::from(vec!["secret"])))]),
    ]
    .iter()
    .enumerate()
    {
        let folder = lake.path().join(number.to_string());
        let mut t = table(&folder, &fields);
        t.commit(&[t.add("a.parquet", json!({}), column)]);
        let catalog = open(&folder).await;
        let error = try_query(&catalog, "SELECT a FROM lake.t").await.unwrap_err();
        let found = data_file_error(&error).unwrap_or_else(|| panic!("{error}"));
        let text = format!("{found} {:?}", found.source.to_string());
        assert!(!text.contains("987654321") && !text.contains("secret"), "{text}");
    }
}
