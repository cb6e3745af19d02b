//! For any files and any filter: the rows found with file skipping are those found without.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::in_list;
use datafusion::scalar::ScalarValue;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::spelling::lines;
use super::support::{TestTable, open, session};

type Row = (Option<i64>, Option<String>, Option<i64>);

/// A file: its partition value, whether it has statistics, its rows.
#[derive(Debug, Clone)]
struct File {
    part: Option<String>,
    indexed: bool,
    rows: Vec<Row>,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("a".to_owned()),
        Just("ab".to_owned()),
        Just("b%".to_owned()),
        Just("é".to_owned()),
        Just("zz top".to_owned())
    ]
}

fn file() -> impl Strategy<Value = File> {
    let row = (option::of(-5..5_i64), option::of(text()), option::of(-2_500..2_500_i64));
    (option::of(prop_oneof![Just("p"), Just("q"), Just("r/ %41")]), any::<bool>(), vec(row, 1..5))
        .prop_map(|(part, indexed, rows)| File { part: part.map(str::to_owned), indexed, rows })
}

fn time(micros: i64) -> Expr {
    Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())), None)
}

fn filter() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        (-6..6_i64, 0..6).prop_map(|(v, op)| compare(col("n"), lit(v), op)),
        (text(), 0..6).prop_map(|(v, op)| compare(col("t"), lit(v), op)),
        (-2_600..2_600_i64, 0..6).prop_map(|(v, op)| compare(col("at"), time(v), op)),
        (prop_oneof![Just("p"), Just("q"), Just("none")], 0..6).prop_map(|(v, op)| compare(
            col("part"),
            lit(v),
            op
        )),
        prop_oneof![Just("n"), Just("t"), Just("at"), Just("part")].prop_map(|c| col(c).is_null()),
        prop_oneof![Just("n"), Just("t"), Just("at"), Just("part")].prop_map(|c| col(c).is_not_null()),
        (vec(-5..5_i64, 1..4), any::<bool>()).prop_map(|(vs, not)| in_list(
            col("n"),
            vs.into_iter().map(lit).collect(),
            not
        )),
        (vec(prop_oneof![Just("p"), Just("r/ %41")], 1..3), any::<bool>()).prop_map(|(vs, not)| in_list(
            col("part"),
            vs.into_iter().map(lit).collect(),
            not
        )),
        prop_oneof![Just("a%"), Just("%b"), Just("_"), Just("")].prop_map(|p| col("t").like(lit(p))),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.prop_map(|a| !a),
        ]
    })
}

fn compare(left: Expr, right: Expr, op: i32) -> Expr {
    match op {
        0 => left.eq(right),
        1 => left.not_eq(right),
        2 => left.lt(right),
        3 => left.lt_eq(right),
        4 => left.gt(right),
        _ => left.gt_eq(right),
    }
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("t", DataType::Utf8, true),
        Field::new("at", time, true),
        Field::new("part", DataType::Utf8, true),
    ]))
}

fn batch(file: &File) -> RecordBatch {
    let numbers = Int64Array::from_iter(file.rows.iter().map(|row| row.0));
    let texts = StringArray::from_iter(file.rows.iter().map(|row| row.1.clone()));
    let times = TimestampMicrosecondArray::from_iter(file.rows.iter().map(|row| row.2));
    let parts = StringArray::from_iter(file.rows.iter().map(|_| file.part.clone()));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(numbers), Arc::new(texts), Arc::new(times.with_timezone("UTC")), Arc::new(parts)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Statistics as writers make them: times cut to milliseconds, strings to one letter.
fn stats(file: &File) -> Value {
    let number = |pick: fn(&mut dyn Iterator<Item = i64>) -> Option<i64>| {
        json!(pick(&mut file.rows.iter().filter_map(|row| row.0)))
    };
    let text = |pick: fn(&mut dyn Iterator<Item = String>) -> Option<String>| {
        pick(&mut file.rows.iter().filter_map(|row| row.1.clone()))
    };
    let cut = |text: &str| text.chars().take(1).collect::<String>();
    let low = text(|all| all.min()).map(|text| cut(&text));
    let high = text(|all| all.max()).map(|text| match cut(&text) == text {
        true => text,
        false => format!("{}\u{10ffff}", cut(&text)),
    });
    let time = |pick: fn(&mut dyn Iterator<Item = i64>) -> Option<i64>| {
        let micros = pick(&mut file.rows.iter().filter_map(|row| row.2))?;
        let time = chrono::DateTime::from_timestamp_millis(micros / 1000)?;
        Some(time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    };
    json!({
        "numRecords": file.rows.len(),
        "minValues": {"n": number(|all| all.min()), "t": low, "at": time(|all| all.min())},
        "maxValues": {"n": number(|all| all.max()), "t": high, "at": time(|all| all.max())},
        "nullCount": {
            "n": file.rows.iter().filter(|row| row.0.is_none()).count(),
            "t": file.rows.iter().filter(|row| row.1.is_none()).count(),
            "at": file.rows.iter().filter(|row| row.2.is_none()).count(),
        },
    })
}

async fn check(files: &[File], filters: &[Expr]) {
    let lake = tempfile::tempdir().unwrap();
    let mut table = TestTable::create(lake.path().join("t"), schema().as_ref().clone(), &["part"]);
    let mut whole = Vec::new();
    let mut adds = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let rows = batch(file);
        let data = rows.project(&[0, 1, 2]).unwrap();
        let path = format!("{number}.parquet");
        let part = json!({"part": file.part});
        adds.push(match file.indexed {
            true => table.add_with(&path, part, &data, &stats(file)),
            false => table.add(&path, part, &data),
        });
        whole.push(rows);
    }
    table.commit(&adds);
    let catalog = open(lake.path()).await;
    let context = session(&catalog);
    let whole = MemTable::try_new(schema(), vec![whole]).unwrap();
    context.register_table("whole", Arc::new(whole)).unwrap();
    for filter in filters {
        let skipped = context.table("lake.t").await.unwrap().filter(filter.clone()).unwrap();
        let all = context.table("whole").await.unwrap().filter(filter.clone()).unwrap();
        let skipped = lines(&skipped.collect().await.unwrap());
        assert_eq!(skipped, lines(&all.collect().await.unwrap()), "{filter}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn skipping_files_changes_no_answer(files in vec(file(), 1..6), filters in vec(filter(), 8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(&files, &filters));
    }
}
