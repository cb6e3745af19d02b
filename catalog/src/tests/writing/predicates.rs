//! For any rows and any predicate: an update changes and a delete removes those rows for which the engine,
//! without any file skipping, finds the predicate true.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, col, lit, when};
use datafusion::prelude::{DataFrame, SessionContext, in_list};
use datafusion::scalar::ScalarValue;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::support::{Lake, id};
use crate::tests::spelling::lines;
use crate::writer::{CreateTable, Rows, TableWriter, Update, WriteOutcome};

const CASES: u32 = 12;

type Row = (Option<i64>, Option<f64>, Option<i128>, Option<String>, Option<i64>, Option<&'static str>);

const NAMES: [&str; 7] = ["n", "x", "d", "t", "at", "flag", "part"];

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("x", DataType::Float64, true),
        Field::new("d", DataType::Decimal128(30, 2), true),
        Field::new("t", DataType::Utf8, true),
        Field::new("at", time, true),
        Field::new("flag", DataType::Int64, true),
        Field::new("part", DataType::Utf8, true),
    ]))
}

/// Texts that statistics cut, and some that they do not.
fn text() -> impl Strategy<Value = String> {
    let long = |end: &str| format!("{}{end}", "long ".repeat(30));
    prop_oneof![
        Just(String::new()),
        Just("a".to_owned()),
        Just("é%".to_owned()),
        Just(long("")),
        Just(long("a")),
        Just(long("\u{10ffff}")),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![Just(-1.5), Just(-0.0), Just(0.0), Just(7.0), Just(f64::NAN), Just(f64::INFINITY)]
}

/// Added to decimals: more digits than a floating-point number has.
const MANY_DIGITS: i128 = 123_456_789_012_345_678_901;
const LARGE: i128 = 4;

fn decimal(value: i128) -> Expr {
    Expr::Literal(ScalarValue::Decimal128(Some(MANY_DIGITS + value), 30, 2), None)
}

fn row() -> impl Strategy<Value = Row> {
    let part = prop_oneof![Just("p"), Just("q/ %41")];
    (
        option::of(-3..3_i64),
        option::of(number()),
        option::of(-LARGE..LARGE),
        option::of(text()),
        option::of(-2_500..2_500_i64),
        option::of(part),
    )
}

fn time(micros: i64) -> Expr {
    Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())), None)
}

fn compare(left: Expr, right: Expr, op: u8) -> Expr {
    match op {
        0 => left.eq(right),
        1 => left.not_eq(right),
        2 => left.lt(right),
        3 => left.lt_eq(right),
        4 => left.gt(right),
        _ => left.gt_eq(right),
    }
}

fn predicate() -> impl Strategy<Value = Expr> {
    let part = prop_oneof![Just("p"), Just("q/ %41"), Just("none")];
    let leaf = prop_oneof![
        (-4..4_i64, 0..6_u8).prop_map(|(value, op)| compare(col("n"), lit(value), op)),
        (number(), 0..6_u8).prop_map(|(value, op)| compare(col("x"), lit(value), op)),
        (-LARGE..LARGE, 0..6_u8).prop_map(|(value, op)| compare(col("d"), decimal(value), op)),
        (text(), 0..6_u8).prop_map(|(value, op)| compare(col("t"), lit(value), op)),
        (-2_600..2_600_i64, 0..6_u8).prop_map(|(value, op)| compare(col("at"), time(value), op)),
        (part, 0..6_u8).prop_map(|(value, op)| compare(col("part"), lit(value), op)),
        prop_oneof![Just("n"), Just("x"), Just("d"), Just("t"), Just("at"), Just("part")]
            .prop_flat_map(|name| prop_oneof![Just(col(name).is_null()), Just(col(name).is_not_null())]),
        (vec(-4..4_i64, 1..3), any::<bool>()).prop_map(|(values, not)| in_list(
            col("n"),
            values.into_iter().map(lit).collect(),
            not
        )),
        prop_oneof![Just("long%"), Just("%a"), Just("_")].prop_map(|pattern| col("t").like(lit(pattern))),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.prop_map(|a| !a),
        ]
    })
}

fn batch(rows: &[Row]) -> RecordBatch {
    let times = TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.4));
    let decimals = Decimal128Array::from_iter(rows.iter().map(|row| Some(MANY_DIGITS + row.2?)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.1))),
        Arc::new(decimals.with_precision_and_scale(30, 2).unwrap()),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.3.clone()))),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(Int64Array::from_iter(rows.iter().map(|_| Some(0)))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.5))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// A table with a file or more for each batch, written by delta-rs alone: the writer leaves out what
/// statistics would get wrong.
async fn with_files(lake: &Lake, batches: &[RecordBatch]) -> TableWriter {
    let writer = lake.writer().await;
    let table = CreateTable {
        schema: schema(),
        partition_by: vec!["part".to_owned()],
        name: None,
        description: None,
        properties: Default::default(),
    };
    writer.create(&id("create", 1), table).await.unwrap();
    for batch in batches {
        lake.bare().await.write(vec![batch.clone()]).await.unwrap();
    }
    writer
}

/// One file of two rows: the only number that is not NaN is its smallest and its largest value, and so is
/// its only decimal, which has more digits than a floating-point number.
fn deceptive() -> RecordBatch {
    batch(&[
        (Some(1), Some(f64::NAN), Some(1), None, None, Some("p")),
        (Some(2), Some(-1.5), Some(1), None, None, Some("p")),
    ])
}

/// Which row goes, and how the other one reads afterwards.
fn deceived() -> [(Expr, RecordBatch); 2] {
    let rows = deceptive();
    [
        (col("x").lt(lit(8.0)), rows.slice(0, 1)),
        (col("d").gt_eq(decimal(-3)).and(col("n").eq(lit(1_i64))), rows.slice(1, 1)),
    ]
}

/// delta-rs alone takes what statistics say of a column for what is in it, and so removes rows that are not
/// selected.
#[tokio::test]
async fn bare_deletes_believe_statistics() {
    let [(predicate, left), _] = deceived();
    let lake = Lake::new().await;
    with_files(&lake, &[deceptive()]).await;
    lake.bare().await.delete().with_predicate(predicate).await.unwrap();
    assert_ne!(lake.read().await, lines(&[left]));
}

/// Of files that the writer wrote, statistics deceive nobody.
#[tokio::test]
async fn bare_deletes_of_what_the_writer_wrote_are_right() {
    for (predicate, left) in deceived() {
        let lake = Lake::new().await;
        let writer = with_files(&lake, &[]).await;
        writer.append(&id("app", 1), &Rows::Batches(vec![deceptive()])).await.unwrap();
        lake.bare().await.delete().with_predicate(predicate.clone()).await.unwrap();
        assert_eq!(lake.read().await, lines(&[left]), "{predicate}");
    }
}

#[tokio::test]
async fn what_statistics_say_is_not_believed() {
    for (predicate, left) in deceived() {
        let lake = Lake::new().await;
        let writer = with_files(&lake, &[deceptive()]).await;
        writer.delete(&id("delete", 1), Some(predicate.clone())).await.unwrap();
        assert_eq!(lake.read().await, lines(&[left]), "{predicate}");
    }
}

async fn check(files: Vec<Vec<Row>>, predicate: Expr) {
    let lake = Lake::new().await;
    let batches: Vec<_> = files.iter().map(|rows| batch(rows)).collect();
    let writer = with_files(&lake, &batches).await;
    // In memory nothing is skipped.
    let context = SessionContext::new();
    let memory = MemTable::try_new(schema(), vec![batches.clone()]).unwrap();
    let rows = context.read_table(Arc::new(memory)).unwrap();
    let collect = |frame: DataFrame| async { lines(&frame.collect().await.unwrap()) };

    let changed =
        rows.clone().with_column("flag", when(predicate.clone(), lit(1_i64)).otherwise(col("flag")).unwrap());
    let changed = changed.unwrap().select_columns(&NAMES).unwrap();
    let update = Update { predicate: Some(predicate.clone()), set: vec![("flag".to_owned(), lit(1_i64))] };
    writer.update(&id("update", 1), &update).await.unwrap();
    assert_eq!(lake.read().await, collect(changed.clone()).await, "update where {predicate}");

    let left = changed.filter(predicate.clone().is_not_true()).unwrap();
    let left = collect(left).await;
    let outcome = writer.delete(&id("delete", 1), Some(predicate.clone())).await.unwrap();
    assert_eq!(lake.read().await, left, "delete where {predicate}");
    let unchanged = matches!(outcome, WriteOutcome::Unchanged { .. });
    assert_eq!(unchanged, lines(&batches).len() == left.len(), "delete where {predicate}");
}

#[test]
fn predicates_select_the_rows_that_they_say() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    proptest!(config, |(files in vec(vec(row(), 1..5), 1..4), predicate in predicate())| {
        runtime.block_on(check(files, predicate));
    });
}
