//! Tables that are there for what they hold.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int32Builder, Int64Array, ListBuilder, MapBuilder,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::logical_expr::{col, lit};
use datafusion::scalar::ScalarValue;
use lakeward_catalog::writer::MergeClause;

use super::table::{Lake, Table, batch, named};

/// Texts that a folder's name cannot have as they are.
const ODD_TEXTS: [&str; 41] = [
    " ",
    "a b",
    " lead",
    "trail ",
    "a b%c/é",
    "50%",
    "%20",
    "%2F",
    "a:b",
    "a/b",
    "a\\b",
    "a+b",
    "a=b",
    "a&b",
    "#",
    "?",
    "[x]",
    "{x}",
    "*",
    "~",
    "^",
    "|",
    ";",
    ",",
    "'",
    "\"",
    "漢字",
    "🜨",
    "e\u{301}",
    "\u{e9}",
    "tab\there",
    "line\nbreak",
    "null",
    "NULL",
    "..",
    ".",
    "_underscore",
    "-",
    "$",
    "!",
    "@",
];

pub(super) async fn write(lake: &Lake) -> Result<()> {
    types(lake).await?;
    nested(lake).await?;
    not_a_number(lake).await?;
    decimals(lake).await?;
    partition_texts(lake).await?;
    partition_types(lake).await
}

/// A column of every type that is not nested: its name, three values of it, and a null.
fn scalars() -> Result<Vec<(&'static str, ArrayRef)>> {
    /// 0001-01-01 and 9999-12-31, days since 1970-01-01.
    const DAYS: [i32; 2] = [-719_162, 2_932_896];
    const DAY: i64 = 86_400_000_000;
    const DIGITS_38: i128 = 10_i128.pow(38) - 1;
    let instants = [Some(i64::from(DAYS[0]) * DAY), Some(-1), Some((i64::from(DAYS[1]) + 1) * DAY - 1), None];
    let binary: [Option<&[u8]>; 4] = [Some(b"\x00"), Some(b"a b/%\xff"), Some(&[0xff; 4]), None];
    let decimal = |values: [i128; 3], precision, scale| -> Result<ArrayRef> {
        let values = values.into_iter().map(Some).chain([None]);
        Ok(Arc::new(Decimal128Array::from_iter(values).with_precision_and_scale(precision, scale)?))
    };
    Ok(vec![
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), None]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(i8::MIN), Some(0), Some(i8::MAX), None]))),
        ("i16", Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(0), Some(i16::MAX), None]))),
        ("i32", Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(0), Some(i32::MAX), None]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some((1 << 53) + 1), Some(i64::MAX), None]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(f32::MIN), Some(1e-45), Some(f32::MAX), None]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(f64::MIN), Some(5e-324), Some(0.1), None]))),
        ("t", Arc::new(StringArray::from(vec![Some("\u{1}"), Some("漢 / %"), Some("\u{10ffff}"), None]))),
        ("x", Arc::new(BinaryArray::from_iter(binary))),
        ("d", Arc::new(Date32Array::from(vec![Some(DAYS[0]), Some(-141_419), Some(DAYS[1]), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(instants.to_vec()).with_timezone("UTC"))),
        ("ntz", Arc::new(TimestampMicrosecondArray::from(instants.to_vec()))),
        ("n9", decimal([-999_999_999, 1, 999_999_999], 9, 2)?),
        ("n18", decimal([-(10_i128.pow(18) - 1), 1, 10_i128.pow(18) - 1], 18, 0)?),
        ("n38", decimal([-DIGITS_38, 10_i128.pow(20) + 1, DIGITS_38], 38, 0)?),
        ("n38s", decimal([-DIGITS_38, 1, DIGITS_38], 38, 18)?),
    ])
}

fn schema_of(columns: &[(&str, ArrayRef)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, values)| Field::new(*name, values.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Appends each row of the columns by itself, so that each file has bounds of its own.
async fn append_rows(table: &mut Table, columns: &[(&str, ArrayRef)]) -> Result<()> {
    let arrays = columns.iter().map(|(_, values)| Arc::clone(values)).collect();
    let rows = batch(&schema_of(columns), arrays)?;
    for row in 0..rows.num_rows() {
        table.append(rows.slice(row, 1)).await?;
    }
    Ok(())
}

fn ids(count: i64) -> (&'static str, ArrayRef) {
    ("id", Arc::new(Int64Array::from_iter_values(0..count)))
}

async fn types(lake: &Lake) -> Result<()> {
    let mut columns = vec![ids(4)];
    columns.extend(scalars()?);
    let mut table = lake.create("types", &schema_of(&columns), &[], &[]).await?;
    append_rows(&mut table, &columns).await?;
    table.update(col("id").eq(lit(1_i64)), vec![("i8", lit(7_i8))]).await?;
    table.delete(Some(col("id").eq(lit(2_i64)))).await?;
    table.optimise().await?;
    table.checkpoint().await?;
    table.append(batch(&schema_of(&columns), columns.iter().map(|(_, v)| v.slice(2, 1)).collect())?).await
}

/// Structs, lists and maps, one in another, with nulls on every level.
async fn nested(lake: &Lake) -> Result<()> {
    let mut list = ListBuilder::new(Int32Builder::new());
    let mut map = MapBuilder::new(None, StringBuilder::new(), ListBuilder::new(Int32Builder::new()));
    for row in 0..4 {
        for item in 0..row {
            list.values().append_option((item != 1).then_some(item));
            map.keys().append_value(format!("k {item}/%"));
            map.values().values().append_option((item != 2).then_some(item));
            map.values().append(item != 1);
        }
        list.append(row != 2);
        map.append(row != 1)?;
    }
    let inner: Fields = vec![Field::new("y", DataType::Utf8, true)].into();
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("é")]));
    let inner = StructArray::new(inner, vec![texts], Some(vec![true, true, false, true].into()));
    let outer: Fields =
        vec![Field::new("x", DataType::Int32, true), Field::new("inner", inner.data_type().clone(), true)]
            .into();
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4)]));
    let outer =
        StructArray::new(outer, vec![numbers, Arc::new(inner)], Some(vec![true, true, true, false].into()));
    let columns: Vec<(&str, ArrayRef)> =
        vec![ids(4), ("l", Arc::new(list.finish())), ("m", Arc::new(map.finish())), ("s", Arc::new(outer))];
    let mut table = lake.create("nested", &schema_of(&columns), &[], &[]).await?;
    append_rows(&mut table, &columns).await?;
    table.update(col("id").eq(lit(0_i64)), vec![("id", lit(100_i64))]).await?;
    table.optimise().await
}

/// NaN, infinities and both zeros, changed by predicates on them.
async fn not_a_number(lake: &Lake) -> Result<()> {
    const FILES: [&[Option<f64>]; 8] = [
        &[Some(1.0), Some(2.0), Some(f64::NAN)],
        &[Some(f64::NAN), Some(f64::NAN)],
        &[Some(f64::NEG_INFINITY), Some(0.5)],
        &[Some(f64::INFINITY), Some(100.0)],
        &[Some(-0.0), Some(0.0)],
        &[None, Some(f64::NAN)],
        &[None, None],
        &[Some(10.0), Some(20.0)],
    ];
    let fields = [("id", DataType::Int64), ("d", DataType::Float64), ("f", DataType::Float32)];
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.to_vec()));
    let rows = |first: i64, values: &[Option<f64>]| {
        let single = values.iter().map(|value| value.map(|value| value as f32));
        batch(
            &schema,
            vec![
                Arc::new(Int64Array::from_iter_values((first..).take(values.len()))),
                Arc::new(Float64Array::from_iter(values.iter().copied())),
                Arc::new(Float32Array::from_iter(single)),
            ],
        )
    };
    let mut table = lake.create("not_a_number", &schema, &[], &[]).await?;
    for (first, values) in (0..).step_by(10).zip(FILES) {
        table.append(rows(first, values)?).await?;
    }
    table.update(col("d").gt(lit(15.0)), vec![("id", col("id") + lit(1000_i64))]).await?;
    table.delete(Some(col("f").lt(lit(0.25_f32)).and(col("f").lt(lit(0.0_f32))))).await?;
    let on = col("source.d").eq(col("target.d"));
    let set = named(vec![("id", col("target.id") + lit(10_000_i64))]);
    let source = rows(0, &[Some(f64::NAN), Some(f64::INFINITY)])?;
    table.merge(source, on, vec![MergeClause::MatchedUpdate { condition: None, set }]).await?;
    table.optimise().await?;
    table.checkpoint().await
}

/// Decimals with more digits than a double holds, close together, changed by predicates on them.
async fn decimals(lake: &Lake) -> Result<()> {
    const LARGE: i128 = 10_i128.pow(37);
    let values: Vec<_> = (-4..4).map(|step| LARGE + step).chain((-4..4).map(|step| step - LARGE)).collect();
    let decimal = |scale| -> Result<ArrayRef> {
        let values = values.iter().copied();
        Ok(Arc::new(Decimal128Array::from_iter_values(values).with_precision_and_scale(38, scale)?))
    };
    let columns = vec![ids(16), ("n", decimal(0)?), ("s", decimal(20)?)];
    let mut table = lake.create("decimals", &schema_of(&columns), &[], &[]).await?;
    append_rows(&mut table, &columns).await?;
    let bound = |scale| lit(ScalarValue::Decimal128(Some(LARGE + 1), 38, scale));
    table.update(col("n").gt(bound(0)), vec![("id", col("id") + lit(100_i64))]).await?;
    table.delete(Some(col("s").eq(bound(20)))).await?;
    table.optimise().await
}

async fn partition_texts(lake: &Lake) -> Result<()> {
    let texts = ODD_TEXTS.into_iter().map(Some).chain([Some(""), None]);
    let texts: ArrayRef = Arc::new(StringArray::from_iter(texts));
    let columns = vec![ids(texts.len() as i64), ("same", Arc::clone(&texts)), ("k", texts)];
    let schema = schema_of(&columns);
    let mut table = lake.create("partition_texts", &schema, &["k"], &[]).await?;
    let rows = |from: usize, length: usize| {
        batch(&schema, columns.iter().map(|(_, values)| values.slice(from, length)).collect())
    };
    table.append(rows(0, 43)?).await?;
    // A second file in some partitions, which are then changed, compacted and emptied.
    table.append(rows(0, 12)?).await?;
    table.update(col("k").eq(lit("a b%c/é")), vec![("id", col("id") + lit(100_i64))]).await?;
    table.delete(Some(col("k").eq(lit("a/b")))).await?;
    table.optimise().await?;
    table.checkpoint().await?;
    table.update(col("k").is_null(), vec![("id", lit(-1_i64))]).await
}

/// A table of each type that a partition column can have. `same` has its values, too.
async fn partition_types(lake: &Lake) -> Result<()> {
    for (name, values) in scalars()? {
        // The engine writes every digit of a double into the folder's name, which cannot have that many.
        let values: ArrayRef = match name {
            // Refused.
            "x" => continue,
            "f64" => Arc::new(Float64Array::from(vec![Some(-2.5e100), Some(0.1), Some(5e-100), None])),
            _ => values,
        };
        let columns = vec![ids(4), ("same", Arc::clone(&values)), ("k", values)];
        let schema = schema_of(&columns);
        let mut table = lake.create(&format!("partition_{name}"), &schema, &["k"], &[]).await?;
        table.append(batch(&schema, columns.into_iter().map(|(_, values)| values).collect())?).await?;
        table.update(col("k").is_null(), vec![("id", lit(100_i64))]).await?;
        table.checkpoint().await?;
        table.delete(Some(col("id").eq(lit(0_i64)))).await?;
    }
    let values: ArrayRef =
        Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]));
    let columns = vec![ids(4), ("same", Arc::clone(&values)), ("k", values)];
    let schema = schema_of(&columns);
    let mut table = lake.create("partition_not_a_number", &schema, &["k"], &[]).await?;
    table.append(batch(&schema, columns.into_iter().map(|(_, values)| values).collect())?).await
}
