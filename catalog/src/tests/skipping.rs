//! Which files a filter opens; and that every row it keeps is still found.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::{SessionConfig, in_list};
use serde_json::{Value, json};

use super::spelling::lines;
use super::support::{TestTable, open, opened, query, session, session_with, table};
use crate::LakeCatalog;

/// A table with one column `v` and a file for each column of values and its statistics.
async fn column(lake: &Path, files: &[(ArrayRef, Value)]) -> Arc<LakeCatalog> {
    let field = Field::new("v", files[0].0.data_type().clone(), true);
    let schema = Schema::new(vec![field]);
    let mut table = TestTable::create(lake.join("t"), schema.clone(), &[]);
    let adds: Vec<Value> = files
        .iter()
        .enumerate()
        .map(|(number, (values, stats))| {
            let rows = RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::clone(values)]).unwrap();
            table.add_with(&format!("{number}.parquet"), json!({}), &rows, stats)
        })
        .collect();
    table.commit(&adds);
    open(lake).await
}

fn stats(rows: usize, min: &Value, max: &Value, nulls: usize) -> Value {
    json!({"numRecords": rows, "minValues": {"v": min}, "maxValues": {"v": max}, "nullCount": {"v": nulls}})
}

#[tokio::test]
async fn files_outside_the_bounds_are_not_opened() {
    let lake = tempfile::tempdir().unwrap();
    let ints = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let nulls = Arc::new(Int64Array::from(vec![None, None])) as ArrayRef;
    let catalog = column(
        lake.path(),
        &[
            (ints(&[1, 5]), stats(2, &json!(1), &json!(5), 0)),
            (ints(&[10, 15]), stats(2, &json!(10), &json!(15), 0)),
            (nulls, json!({"numRecords": 2, "nullCount": {"v": 2}})),
            (ints(&[3, 12]), json!({"numRecords": 2})),
        ],
    )
    .await;
    let v = || col("v");
    // The file without statistics is always opened.
    for (filter, expected) in [
        (v().eq(lit(5_i64)), &["0.parquet", "3.parquet"][..]),
        (v().gt(lit(5_i64)), &["1.parquet", "3.parquet"]),
        (v().gt(lit(5_i64)).or(v().lt(lit(2_i64))), &["0.parquet", "1.parquet", "3.parquet"]),
        (v().between(lit(6_i64), lit(9_i64)), &["3.parquet"]),
        (in_list(v(), vec![lit(1_i64), lit(2_i64)], false), &["0.parquet", "3.parquet"]),
        (v().is_null(), &["2.parquet", "3.parquet"]),
        (v().is_not_null(), &["0.parquet", "1.parquet", "3.parquet"]),
        (lit(true), &["0.parquet", "1.parquet", "2.parquet", "3.parquet"]),
    ] {
        assert_eq!(opened(&catalog, "t", filter.clone()).await, expected, "{filter}");
    }
    assert_eq!(query(&catalog, "SELECT v FROM lake.t WHERE v > 5 AND v < 13").await, ["10", "12"]);
    assert_eq!(query(&catalog, "SELECT count(*) FROM lake.t WHERE v IS NULL").await, ["2"]);
}

#[tokio::test]
async fn bounds_of_strings_dates_and_decimals_are_used() {
    let lake = tempfile::tempdir().unwrap();
    let texts = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let catalog = column(
        lake.path(),
        &[
            (texts(&["apple", "mango"]), stats(2, &json!("apple"), &json!("mango"), 0)),
            // Cut after four letters, with a tie breaker at the upper end.
            (texts(&["pear and more", "plum and more"]), stats(2, &json!("pear"), &json!("plum\u{7f}"), 0)),
        ],
    )
    .await;
    let v = || col("v");
    assert_eq!(opened(&catalog, "t", v().eq(lit("banana"))).await, ["0.parquet"]);
    assert_eq!(opened(&catalog, "t", v().gt_eq(lit("plum and more"))).await, ["1.parquet"]);
    assert_eq!(opened(&catalog, "t", v().like(lit("pe%"))).await, ["1.parquet"]);
    assert_eq!(query(&catalog, "SELECT v FROM lake.t WHERE v > 'plum'").await, ["\"plum and more\""]);

    let lake = tempfile::tempdir().unwrap();
    let days = |values: &[i32]| Arc::new(Date32Array::from(values.to_vec())) as ArrayRef;
    let catalog = column(
        lake.path(),
        &[
            (days(&[0, 30]), stats(2, &json!("1970-01-01"), &json!("1970-01-31"), 0)),
            (days(&[31]), stats(1, &json!("1970-02-01"), &json!("1970-02-01"), 0)),
        ],
    )
    .await;
    let february = Expr::Literal(datafusion::common::ScalarValue::Date32(Some(31)), None);
    assert_eq!(opened(&catalog, "t", col("v").lt(february.clone())).await, ["0.parquet"]);
    assert_eq!(opened(&catalog, "t", col("v").eq(february)).await, ["1.parquet"]);

    let lake = tempfile::tempdir().unwrap();
    let money = |values: &[i128]| {
        let values = Decimal128Array::from(values.to_vec()).with_precision_and_scale(12, 2).unwrap();
        Arc::new(values) as ArrayRef
    };
    let catalog = column(
        lake.path(),
        &[
            (money(&[100, 250]), stats(2, &json!(1.00), &json!(2.50), 0)),
            (money(&[99_999]), stats(1, &json!(999.99), &json!(999.99), 0)),
        ],
    )
    .await;
    let rows = query(&catalog, "SELECT v FROM lake.t WHERE v > 2.5").await;
    assert_eq!(rows, ["999.99"]);
    let price = Expr::Literal(datafusion::common::ScalarValue::Decimal128(Some(99_999), 12, 2), None);
    assert_eq!(opened(&catalog, "t", col("v").eq(price)).await, ["1.parquet"]);
}

#[tokio::test]
async fn timestamps_that_were_cut_to_milliseconds_lose_no_row() {
    let lake = tempfile::tempdir().unwrap();
    let times = |values: &[i64]| {
        Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("UTC")) as ArrayRef
    };
    // 1 s and 999 us; before the epoch, where cutting moves towards the epoch with some writers.
    let catalog = column(
        lake.path(),
        &[
            (
                times(&[1_000_999]),
                stats(1, &json!("1970-01-01T00:00:01.000Z"), &json!("1970-01-01T00:00:01.000Z"), 0),
            ),
            (
                times(&[-1_000_999]),
                stats(1, &json!("1969-12-31T23:59:59.000Z"), &json!("1969-12-31T23:59:59.000Z"), 0),
            ),
        ],
    )
    .await;
    let rows =
        query(&catalog, "SELECT v FROM lake.t WHERE v > TIMESTAMP '1970-01-01T00:00:01.000500Z'").await;
    assert_eq!(rows, ["t:1000999"]);
    let rows =
        query(&catalog, "SELECT v FROM lake.t WHERE v < TIMESTAMP '1969-12-31T23:59:58.999500Z'").await;
    assert_eq!(rows, ["t:-1000999"]);
    let later = "TIMESTAMP '1970-01-01T00:00:02Z'";
    assert_eq!(query(&catalog, &format!("SELECT v FROM lake.t WHERE v = {later}")).await, [""; 0]);
    let all = query(&catalog, "SELECT max(v), min(v) FROM lake.t").await;
    assert_eq!(all, ["t:1000999|t:-1000999"]);
}

#[tokio::test]
async fn decimals_that_went_through_floating_point_lose_no_row() {
    let lake = tempfile::tempdir().unwrap();
    let value = 123_456_789_012_345_678_901_i128;
    let values = Decimal128Array::from(vec![value]).with_precision_and_scale(38, 2).unwrap();
    // As a float: below the value.
    let bound = json!(1_234_567_890_123_456_700.0_f64);
    let catalog = column(lake.path(), &[(Arc::new(values), stats(1, &bound, &bound, 0))]).await;
    let rows =
        query(&catalog, "SELECT v FROM lake.t WHERE v = CAST('1234567890123456789.01' AS DECIMAL(38, 2))")
            .await;
    assert_eq!(rows, ["1234567890123456789.01"]);
}

#[tokio::test]
async fn floating_point_bounds_skip_no_nan() {
    let lake = tempfile::tempdir().unwrap();
    let values = Float64Array::from(vec![1.0, f64::NAN]);
    let catalog = column(lake.path(), &[(Arc::new(values), stats(2, &json!(1.0), &json!(1.0), 0))]).await;
    assert_eq!(opened(&catalog, "t", col("v").gt(lit(5.0))).await, ["0.parquet"]);
}

#[tokio::test]
async fn wide_bounds_are_no_exact_values() {
    let lake = tempfile::tempdir().unwrap();
    let mut wide = stats(1, &json!(0), &json!(100), 5);
    wide["tightBounds"] = json!(false);
    let values = Arc::new(Int64Array::from(vec![7])) as ArrayRef;
    let catalog = column(lake.path(), &[(values, wide)]).await;
    assert_eq!(query(&catalog, "SELECT min(v), max(v), count(v) FROM lake.t").await, ["7|7|1"]);
}

/// A table partitioned by `part` with one file for each value of it.
async fn partitioned(lake: &Path, kind: DataType, parts: &[(&str, Value)]) -> Arc<LakeCatalog> {
    let schema = Schema::new(vec![Field::new("part", kind, true), Field::new("id", DataType::Int64, true)]);
    let data = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let mut table = TestTable::create(lake.join("t"), schema, &["part"]);
    let adds: Vec<Value> = parts
        .iter()
        .zip(0_i64..)
        .map(|((path, value), id)| {
            let ids = Arc::new(Int64Array::from(vec![id])) as ArrayRef;
            let rows = RecordBatch::try_new(Arc::new(data.clone()), vec![ids]).unwrap();
            let stats = json!({"numRecords": 1, "minValues": {"id": id}, "maxValues": {"id": id},
                "nullCount": {"id": 0}});
            table.add_with(path, json!({"part": value}), &rows, &stats)
        })
        .collect();
    table.commit(&adds);
    open(lake).await
}

#[tokio::test]
async fn partitions_are_pruned_null_and_odd_values_too() {
    let lake = tempfile::tempdir().unwrap();
    let catalog = partitioned(
        lake.path(),
        DataType::Utf8,
        &[
            ("a.parquet", json!("north")),
            ("b.parquet", json!("so/uth %2F é")),
            ("c.parquet", Value::Null),
            ("d.parquet", json!("")),
        ],
    )
    .await;
    let part = || col("part");
    for (filter, expected) in [
        (part().eq(lit("north")), &["a.parquet"][..]),
        (part().eq(lit("so/uth %2F é")), &["b.parquet"]),
        (part().not_eq(lit("north")), &["b.parquet"]),
        (part().is_null(), &["c.parquet", "d.parquet"]),
        (part().is_not_null(), &["a.parquet", "b.parquet"]),
        (part().eq(lit("north")).or(part().is_null()), &["a.parquet", "c.parquet", "d.parquet"]),
        (part().like(lit("so%")), &["b.parquet"]),
        (part().eq(lit("north")).and(col("id").gt(lit(0_i64))), &[]),
    ] {
        assert_eq!(opened(&catalog, "t", filter.clone()).await, expected, "{filter}");
    }
    let many: Vec<Expr> = (0..100).map(|n| lit(format!("x{n}"))).chain([lit("north")]).collect();
    assert_eq!(opened(&catalog, "t", in_list(part(), many, false)).await, ["a.parquet"]);

    let rows = query(&catalog, "SELECT part, id FROM lake.t").await;
    assert_eq!(rows, ["\"north\"|0", "\"so/uth %2F é\"|1", "null|2", "null|3"]);
    assert_eq!(query(&catalog, "SELECT id FROM lake.t WHERE part IS NULL").await, ["2", "3"]);
    let grouped = query(&catalog, "SELECT part, count(*) FROM lake.t GROUP BY part").await;
    assert_eq!(grouped, ["\"north\"|1", "\"so/uth %2F é\"|1", "null|2"]);
}

#[tokio::test]
async fn file_names_of_the_log_are_url_encoded() {
    let lake = tempfile::tempdir().unwrap();
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let mut table = TestTable::create(lake.path().join("t"), schema.clone(), &[]);
    let rows = |id: i64| {
        let ids = Arc::new(Int64Array::from(vec![id])) as ArrayRef;
        RecordBatch::try_new(Arc::new(schema.clone()), vec![ids]).unwrap()
    };
    let mut adds = Vec::new();
    for (id, (on_disk, in_log)) in (0_i64..)
        .zip([("p=A%2FB/x.parquet", "p=A%252FB/x.parquet"), ("a b+é.parquet", "a%20b+%C3%A9.parquet")])
    {
        let mut add = table.add(on_disk, json!({}), &rows(id));
        add["add"]["path"] = json!(in_log);
        adds.push(add);
    }
    table.commit(&adds);
    let catalog = open(lake.path()).await;
    assert_eq!(query(&catalog, "SELECT id FROM lake.t").await, ["0", "1"]);
    // Removed under another spelling of the same path.
    table.commit(&[TestTable::remove("a%20b+%c3%a9.parquet")]);
    catalog.refresh().await.unwrap();
    assert_eq!(query(&catalog, "SELECT id FROM lake.t").await, ["0"]);
}

#[tokio::test]
async fn typed_partition_values_are_compared_as_their_type() {
    let lake = tempfile::tempdir().unwrap();
    let catalog = partitioned(
        lake.path(),
        DataType::Int32,
        &[("a.parquet", json!("9")), ("b.parquet", json!("10")), ("c.parquet", Value::Null)],
    )
    .await;
    assert_eq!(opened(&catalog, "t", col("part").gt(lit(9_i32))).await, ["b.parquet"]);

    let lake = tempfile::tempdir().unwrap();
    let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let catalog = partitioned(
        lake.path(),
        kind,
        &[
            ("a.parquet", json!("2024-01-01 10:00:00.000001")),
            ("b.parquet", json!("2024-01-02T00:00:00.000000Z")),
        ],
    )
    .await;
    let rows = query(&catalog, "SELECT part, id FROM lake.t").await;
    assert_eq!(rows, ["t:1704103200000001|0", "t:1704153600000000|1"]);
}

#[tokio::test]
async fn columns_that_old_files_lack_are_null() {
    let lake = tempfile::tempdir().unwrap();
    let point = |fields: &[&str]| {
        let fields: Vec<Field> = fields.iter().map(|&f| Field::new(f, DataType::Int64, true)).collect();
        DataType::Struct(fields.into())
    };
    let list = |item: DataType| DataType::List(Arc::new(Field::new("element", item, true)));
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("at", point(&["y", "x", "z"]), true),
        Field::new("path", list(point(&["y", "x"])), true),
    ]);
    let mut table = TestTable::create(lake.path().join("t"), schema, &[]);
    // Written by a JSON reader over an older schema: fewer fields, in another order.
    let old = Schema::new(vec![
        Field::new("path", list(point(&["x"])), true),
        Field::new("at", point(&["x", "y"]), true),
        Field::new("id", DataType::Int64, true),
    ]);
    let text = "{\"id\": 1, \"at\": {\"x\": 10, \"y\": 20}, \"path\": [{\"x\": 1}, {\"x\": 2}]}";
    let rows = arrow::json::ReaderBuilder::new(Arc::new(old))
        .build(text.as_bytes())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let add = table.add("a.parquet", json!({}), &rows);
    table.commit(&[add]);
    let catalog = open(lake.path()).await;
    let rows = query(&catalog, "SELECT * FROM lake.t").await;
    assert_eq!(rows, ["1|null|{y=20,x=10,z=null}|[{y=null,x=1},{y=null,x=2}]"]);
    assert_eq!(query(&catalog, "SELECT id FROM lake.t WHERE name IS NULL").await, ["1"]);
}

#[tokio::test]
async fn what_a_scan_produces_is_what_is_advertised() {
    let lake = tempfile::tempdir().unwrap();
    let catalog =
        partitioned(lake.path(), DataType::Utf8, &[("a.parquet", json!("x")), ("b.parquet", Value::Null)])
            .await;
    for views in [true, false] {
        let mut config = SessionConfig::new();
        config.options_mut().execution.parquet.schema_force_view_types = views;
        let context = session_with(&catalog, config);
        let frame = context.sql("SELECT * FROM lake.t").await.unwrap();
        for batch in frame.collect().await.unwrap() {
            assert_eq!(batch.schema().fields(), table(&catalog, "t").schema().fields());
        }
    }
}

#[tokio::test]
async fn row_filters_in_the_scan_change_no_answer() {
    let lake = tempfile::tempdir().unwrap();
    let catalog = partitioned(
        lake.path(),
        DataType::Utf8,
        &[("a.parquet", json!("x")), ("b.parquet", Value::Null), ("c.parquet", json!("y"))],
    )
    .await;
    for sql in [
        "SELECT id FROM lake.t WHERE part = 'x' OR id > 1",
        "SELECT part FROM lake.t WHERE id < 2 ORDER BY part LIMIT 1",
        "SELECT id FROM lake.t WHERE part IS NULL AND id = 1",
        "SELECT id FROM lake.t LIMIT 10",
    ] {
        let mut config = SessionConfig::new();
        config.options_mut().execution.parquet.pushdown_filters = true;
        let pushed = session_with(&catalog, config).sql(sql).await.unwrap().collect().await.unwrap();
        let plain = session(&catalog).sql(sql).await.unwrap().collect().await.unwrap();
        assert_eq!(lines(&pushed), lines(&plain), "{sql}");
    }
}
