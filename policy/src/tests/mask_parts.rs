//! Masks on fields of structs and elements of lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder,
    StructArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef};
use datafusion::arrow::util::pretty::pretty_format_columns;

use super::{load, principal, resolve};
use crate::{Access, Securable};

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// `address: struct<line, postcode, geo: struct<lat>>`, the third one NULL; its fields may not be NULL.
fn addresses() -> ArrayRef {
    let geo = StructArray::from(vec![(
        Arc::new(Field::new("lat", DataType::Int64, false)),
        Arc::new(Int64Array::from(vec![53, 54, 55])) as ArrayRef,
    )]);
    let fields = Fields::from(vec![
        Field::new("line", DataType::Utf8, false),
        Field::new("postcode", DataType::Utf8, false),
        Field::new("geo", geo.data_type().clone(), false),
    ]);
    let columns = vec![
        text(&[Some("1 High St"), Some("2 Low Rd"), Some("under NULL")]),
        text(&[Some("LS6 2AB"), Some("none"), Some("SW1A 1AA")]),
        Arc::new(geo) as ArrayRef,
    ];
    Arc::new(StructArray::new(fields, columns, Some(NullBuffer::from(vec![true, true, false]))))
}

/// `names: list<struct<use, family, given: list<text>>>`: two, none, NULL.
fn names() -> ArrayRef {
    let given: ArrayRef = Arc::new(ListArray::new(
        Arc::new(Field::new("item", DataType::Utf8, true)),
        OffsetBuffer::from_lengths([2, 1]),
        text(&[Some("Ann"), Some("May"), None]),
        None,
    ));
    let fields = Fields::from(vec![
        Field::new("use", DataType::Utf8, true),
        Field::new("family", DataType::Utf8, false),
        Field::new("given", given.data_type().clone(), true),
    ]);
    let columns =
        vec![text(&[Some("official"), Some("maiden")]), text(&[Some("Smith"), Some("Jones")]), given];
    let values = StructArray::new(fields, columns, None);
    Arc::new(ListArray::new(
        Arc::new(Field::new("item", values.data_type().clone(), false)),
        OffsetBuffer::from_lengths([2, 0, 0]),
        Arc::new(values),
        Some(NullBuffer::from(vec![true, true, false])),
    ))
}

fn attributes() -> ArrayRef {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for value in ["a", "b", "c"] {
        builder.keys().append_value("key");
        builder.values().append_value(value);
        builder.append(true).expect("keys and values");
    }
    Arc::new(builder.finish())
}

fn people() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("address", addresses().data_type().clone(), true),
        Field::new("names", names().data_type().clone(), true),
        Field::new("attributes", attributes().data_type().clone(), false),
        Field::new("names.family", DataType::Utf8, true),
    ]);
    let columns = vec![addresses(), names(), attributes(), text(&[Some("x"), Some("y"), None])];
    RecordBatch::try_new(Arc::new(schema), columns).expect("a batch")
}

fn securable(schema: SchemaRef) -> Securable {
    Securable {
        schema: "silver".to_owned(),
        table: "people".to_owned(),
        columns: Some(schema),
        tags: Vec::new(),
        column_tags: BTreeMap::from([("address".to_owned(), vec!["pii.address".to_owned()])]),
        origins: None,
    }
}

/// A file that masks columns of `silver.people`: name of the column and mask.
fn policies(masks: &[(&str, &str)]) -> String {
    let mut file = "version: 1\ngrants: [{ role: a, object: silver.*, action: select }]\nmasks:\n".to_owned();
    for (index, (column, mask)) in masks.iter().enumerate() {
        file.push_str(&format!(
            "  - {{ name: m{index}, on: silver.people, column: {column}, mask: {{ {mask} }} }}\n"
        ));
    }
    file
}

/// The masked columns of `batch`, as the barrier makes them of it.
async fn shown(masks: &[(&str, &str)], batch: &RecordBatch) -> RecordBatch {
    let table = securable(batch.schema());
    let access = resolve(&policies(masks), &table, &principal("x", None, &["a"])).await.access(&table);
    let Access::Select(policy) = access else { panic!("{access:?}") };
    let columns = batch.columns().iter().enumerate().map(|(index, column)| {
        policy.masks.get(&index).map_or_else(|| Arc::clone(column), |mask| mask.apply(column).expect("total"))
    });
    RecordBatch::try_new(policy.schema(), columns.collect()).expect("of the types that the policy says")
}

fn refused(masks: &[(&str, &str)]) -> String {
    load(&policies(masks), &[securable(people().schema())]).expect_err("refused").to_string()
}

fn lines(column: &ArrayRef) -> Vec<String> {
    let table = pretty_format_columns("c", &[Arc::clone(column)]).expect("printable").to_string();
    table
        .lines()
        .skip(3)
        .filter(|l| !l.starts_with('+'))
        .map(|l| l.trim_matches(['|', ' ']).to_owned())
        .collect()
}

#[tokio::test]
async fn a_field_of_a_struct_is_masked_and_its_siblings_shown() {
    let batch = shown(
        &[("address.postcode", "type: outward_postcode"), ("address.geo.lat", "type: bucket, width: 10")],
        &people(),
    )
    .await;
    assert_eq!(
        lines(batch.column(0)),
        [
            "{line: 1 High St, postcode: LS6, geo: {lat: 50}}",
            "{line: 2 Low Rd, postcode: , geo: {lat: 50}}",
            ""
        ]
    );
    // What stands below a NULL struct is masked, too: the array itself leaves the barrier.
    let below = batch.column(0).as_struct().column_by_name("postcode").expect("a field").clone();
    assert_eq!(below.as_string::<i32>().value(2), "SW1A");
    assert_eq!(lines(batch.column(1)), lines(&names()), "other columns are as they were");
}

#[tokio::test]
async fn fields_in_lists_are_masked_in_every_element() {
    let batch =
        shown(&[("names.use", "type: show_first, n: 3"), ("names.given", "type: redact")], &people()).await;
    assert_eq!(
        lines(batch.column(1)),
        [
            "[{use: off*****, family: Smith, given: [xxx, xxx]}, {use: mai***, family: Jones, given: []}]",
            "[]",
            ""
        ]
    );
    // A slice has all elements of what it was cut from; only its own are masked and kept.
    let slice = people().slice(0, 1);
    let batch = shown(&[("names.given", "type: \"null\"")], &slice).await;
    assert_eq!(
        lines(batch.column(1)),
        ["[{use: official, family: Smith, given: }, {use: maiden, family: Jones, given: }]"]
    );
}

#[tokio::test]
async fn a_field_may_change_its_type_and_become_null() {
    let text = policies(&[
        ("address.geo.lat", "type: token, domain: d, key: k"),
        ("address.line", "type: \"null\""),
        ("address.postcode", "type: constant, value: hidden"),
    ]) + "keys: { k: { from: \"file:mask.key\" } }\n";
    let table = securable(people().schema());
    let access = resolve(&text, &table, &principal("x", None, &["a"])).await.access(&table);
    let Access::Select(policy) = access else { panic!("{access:?}") };
    let mask = policy.masks.get(&0).expect("a mask");
    let raw = addresses();
    let masked = mask.apply(&raw).expect("total");
    assert_eq!(*masked.data_type(), mask.output_type(raw.data_type()));
    let fields = masked.as_struct();
    assert_eq!(fields.column_by_name("line").expect("a field").null_count(), 3);
    assert_eq!(fields.column_by_name("postcode").expect("a field").as_string::<i32>().value(0), "hidden");
    let geo = fields.column_by_name("geo").expect("a field").as_struct();
    assert_eq!(geo.column(0).data_type(), &DataType::Utf8);
    assert_eq!(geo.column(0).as_string::<i32>().value(0).len(), 32);
}

#[tokio::test]
async fn null_hides_nested_columns_whole() {
    for column in ["address", "names", "attributes"] {
        let batch = shown(&[(column, "type: \"null\"")], &people()).await;
        let index = batch.schema().index_of(column).expect("a column");
        assert_eq!(batch.column(index).null_count(), 3, "{column}");
    }
    // No field of a struct keeps what it had.
    let batch = shown(&[("address", "type: \"null\"")], &people()).await;
    assert_eq!(batch.column(0).as_struct().column(0).null_count(), 3);
}

#[tokio::test]
async fn a_column_with_a_dot_in_its_name_wins_over_a_path() {
    let batch = shown(&[("names.family", "type: redact")], &people()).await;
    assert_eq!(lines(batch.column(3)), ["x", "x", ""]);
    assert_eq!(lines(batch.column(1)), lines(&names()));
}

#[test]
fn what_cannot_be_masked_is_refused() {
    for (column, mask, words) in [
        ("address", "type: redact", "name a field of it, as in `column.field`"),
        ("address", "type: constant, value: x", "`constant` is defined for"),
        ("names", "type: constant, value: x", "`constant` is defined for"),
        ("address.geo", "type: zip3", "silver.people.address.geo: mask `zip3` is defined for"),
        ("attributes", "type: redact", "not for Map"),
        ("attributes.key", "type: redact", "has no field `key`"),
        ("address.town", "type: redact", "has no field `town`"),
        ("address.postcode.outward", "type: redact", "has no field `postcode.outward`"),
        ("address.", "type: redact", "has no field ``"),
        ("adress.postcode", "type: redact", "has a column `adress.postcode`"),
        ("address.postcode", "type: bucket, width: 3", "silver.people.address.postcode: mask `bucket`"),
    ] {
        let why = refused(&[(column, mask)]);
        assert!(why.contains(words), "{column}: {why}");
    }
}

#[test]
fn masks_that_overlap_are_refused() {
    let null = "type: \"null\"";
    for (a, b) in [
        ("address", "address.postcode"),
        ("address.geo.lat", "address"),
        ("address.geo", "address.geo.lat"),
        ("address.line", "address.line"),
        ("names", "names.given"),
    ] {
        let why = refused(&[(a, null), (b, null)]);
        assert!(why.contains("masks `m0` and `m1` can both apply to silver.people."), "{a}, {b}: {why}");
    }
    let by_tag = policies(&[("address.line", null)])
        + "  - { name: by-tag, tag: pii.address, mask: { type: \"null\" } }\n";
    let why = load(&by_tag, &[securable(people().schema())]).expect_err("refused").to_string();
    assert!(why.contains("can both apply"), "{why}");
    let apart = policies(&[("address.line", null), ("address.geo", null), ("names.use", null)]);
    load(&apart, &[securable(people().schema())]).expect("fields side by side");
}

/// Where the table changes so that a field is elsewhere, its values would be shown raw.
#[tokio::test]
async fn a_table_that_loses_a_masked_field_shows_nothing() {
    let table = securable(people().schema());
    let text = policies(&[("address.postcode", "type: redact")]);
    let resolved = resolve(&text, &table, &principal("x", None, &["a"])).await;
    assert!(matches!(resolved.access(&table), Access::Select(_)));
    let mut changed = table.clone();
    changed.columns = Some(Arc::new(Schema::new(vec![Field::new("address", DataType::Utf8, true)])));
    assert!(matches!(resolved.access(&changed), Access::Unresolved(_)));
}

#[tokio::test]
async fn elements_of_a_plain_list_are_masked() {
    let numbers = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(12), None, Some(27)]),
        None,
        Some(vec![]),
    ]);
    let batch = RecordBatch::try_from_iter(vec![("ages", Arc::new(numbers) as ArrayRef)]).expect("a batch");
    let batch = shown(&[("ages", "type: bucket, width: 10")], &batch).await;
    assert_eq!(lines(batch.column(0)), ["[10, , 20]", "", "[]"]);
}
