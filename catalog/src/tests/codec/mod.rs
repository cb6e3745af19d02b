//! Scans in another process: the same rows, the same plan, or an error.

mod damage;
mod refusals;
mod support;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use datafusion::datasource::source::DataSourceExec;
use serde_json::json;

use self::support::{config, explain, plan, plan_of, scan, scan_config, travel, travel_sql};
use super::support::{TestTable, folder_url, open, options, session_with, table};
use super::{deletion, mapping, shared_tables, widening};
use crate::{ExplicitTable, LakeCatalog, TableState};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletion_vectors_travel_inline_and_stored() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = deletion::with_vectors(lake.path());
    let vectors = deletion::stored(&t, &[deletion::set((0..1000).filter(|row| row % 3 == 0))]);
    let actions = [
        deletion::with_vector(deletion::add(&t, "a.parquet", 0..1000), &vectors[0]),
        deletion::with_vector(
            deletion::add(&t, "b.parquet", 1000..1100),
            &deletion::inline(&deletion::set(0..99)),
        ),
        deletion::add(&t, "c.parquet", 2000..2100),
    ];
    t.commit(&actions);
    let catalog = open(lake.path()).await;
    let (decoded, rows) = travel_sql(&catalog, options(lake.path()), "SELECT id FROM lake.t").await;
    assert_eq!(rows.len(), 666 + 1 + 100);
    // The file was split, and each part reads its own rows.
    let groups = scan_config(&scan(&decoded)).file_groups;
    assert!(groups.len() == 4 && groups.iter().any(|group| group.files()[0].range.is_some()), "{groups:?}");
    for sql in [
        "SELECT count(*), sum(id), min(text) FROM lake.t",
        "SELECT text FROM lake.t WHERE id BETWEEN 500 AND 1200 AND text <> 't501'",
        "SELECT CAST(id AS INT) + 1 AS next, text FROM lake.t WHERE id IN (1, 4, 2003)",
        "SELECT id % 2 = 0 AS even, count(*) FROM lake.t GROUP BY 1",
        "SELECT a.id, b.text FROM lake.t a JOIN lake.t b ON a.id = b.id WHERE a.id > 900",
        "SELECT id FROM lake.t ORDER BY id DESC LIMIT 7",
        "SELECT count(*) FROM lake.t",
    ] {
        travel_sql(&catalog, options(lake.path()), sql).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_travel_with_the_rows_they_chose() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = deletion::with_vectors(lake.path());
    let plain = deletion::add(&t, "a.parquet", 0..10);
    let from = t.commit(std::slice::from_ref(&plain));
    let first = deletion::inline(&deletion::set([0]));
    let second = deletion::stored(&t, &[deletion::set([0, 4, 5])]).remove(0);
    let mut removed = TestTable::remove("a.parquet");
    t.commit(&[removed.clone(), deletion::with_vector(plain.clone(), &first)]);
    removed["remove"]["deletionVector"] = first;
    let to = t.commit(&[removed, deletion::with_vector(plain, &second)]);
    let catalog = open(lake.path()).await;
    let changes = table(&catalog, "t").changes(from, to).await.unwrap();
    let plan = plan_of(&catalog, changes).await;
    let (_, rows) = travel(&catalog, options(lake.path()), plan).await;
    assert_eq!(rows.iter().filter(|row| row.contains("delete")).count(), 3, "{rows:?}");
    assert_eq!(rows.len(), 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mapped_columns_and_nested_fields_are_found_there() {
    for mode in ["name", "id"] {
        let lake = tempfile::tempdir().unwrap();
        let inner = json!({"type": "struct", "fields": [
            mapping::field("first", "integer", 2, "col-2"), mapping::field("late", "string", 9, "col-9"),
        ]});
        let fields = json!([
            mapping::field("s", inner, 1, "col-1"),
            mapping::field("a", "long", 3, "col-3"),
            mapping::field("p", "string", 4, "phys-p"),
        ]);
        let mut t = mapping::mapped(lake.path(), mode, &fields, &["p"]);
        // By id, names in files mean nothing.
        let name = |physical: &str| match mode {
            "id" => format!("other-{physical}"),
            _ => physical.to_owned(),
        };
        let first = mapping::with_id(Field::new(name("col-2"), DataType::Int32, true), 2);
        let in_struct: Fields = vec![first].into();
        let s = StructArray::new(in_struct.clone(), vec![Arc::new(Int32Array::from(vec![1, 2]))], None);
        let (a, a_values) = mapping::longs(&name("col-3"), &[7, 8]);
        let rows = mapping::batch(vec![
            (mapping::with_id(a, 3), a_values),
            (
                mapping::with_id(Field::new(name("col-1"), DataType::Struct(in_struct), true), 1),
                Arc::new(s) as ArrayRef,
            ),
        ]);
        t.commit(&[t.add("1.parquet", json!({"phys-p": "x"}), &rows)]);
        let catalog = open(lake.path()).await;
        let sql = "SELECT a, s['first'], s['late'], p FROM lake.t WHERE a > 7 AND p = 'x'";
        let (_, rows) = travel_sql(&catalog, options(lake.path()), sql).await;
        assert_eq!(rows, [r#"8|2|null|"x""#], "{mode}");
        travel_sql(&catalog, options(lake.path()), "SELECT * FROM lake.t").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_from_before_a_widening_are_widened_there() {
    let lake = tempfile::tempdir().unwrap();
    let fields = json!([
        widening::widened("long", "short", "long"),
        widening::widened("decimal", "integer", "decimal(12,2)")
    ]);
    let mut t = widening::table(lake.path(), &fields);
    let old = widening::batch(vec![
        ("long", DataType::Int16, Arc::new(Int16Array::from(vec![Some(-7), None]))),
        ("decimal", DataType::Int32, Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(1)]))),
    ]);
    // A column that this file does not have.
    let new = widening::batch(vec![("long", DataType::Int64, Arc::new(Int64Array::from(vec![1_i64 << 40])))]);
    let adds = [t.add("old.parquet", json!({}), &old), t.add("new.parquet", json!({}), &new)];
    t.commit(&adds);
    let catalog = open(lake.path()).await;
    let (_, rows) = travel_sql(&catalog, options(lake.path()), "SELECT * FROM lake.t").await;
    assert_eq!(rows, ["-7|-2147483648.00", "1099511627776|null", "null|1.00"]);
    travel_sql(&catalog, options(lake.path()), "SELECT long FROM lake.t WHERE decimal < 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_and_bounds_of_every_type_travel() {
    let lake = tempfile::tempdir().unwrap();
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        Field::new("f", DataType::Float64, true),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", instant.clone(), true),
        Field::new("text", DataType::Utf8, true),
        Field::new("p", DataType::Date32, true),
        Field::new("q", DataType::Utf8, true),
    ]);
    let mut t = TestTable::create(lake.path().join("t"), schema, &["p", "q"]);
    let in_file = Schema::new(vec![
        Field::new("f", DataType::Float64, true),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", instant, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let rows = |n: i64| {
        let day = i32::try_from(n).unwrap();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(-0.0), None])),
            Arc::new(Decimal128Array::from(vec![i128::from(n); 3]).with_precision_and_scale(10, 2).unwrap()),
            Arc::new(Date32Array::from(vec![day; 3])),
            Arc::new(TimestampMicrosecondArray::from(vec![n; 3]).with_timezone("UTC")),
            Arc::new(StringArray::from(vec![Some("é"), Some(""), None])),
        ];
        RecordBatch::try_new(Arc::new(in_file.clone()), columns).unwrap()
    };
    let stats = |n: i64| {
        let bounds = json!({"f": 0.0, "d": 0.01 * n as f64, "day": format!("1970-01-{:02}", n + 1),
            "at": "1970-01-01T00:00:00.000Z", "text": "é"});
        json!({"numRecords": 3, "minValues": bounds, "maxValues": bounds,
            "nullCount": {"f": 1, "d": 0, "day": 0, "at": 0, "text": 1}})
    };
    let adds = [
        t.add_with("1.parquet", json!({"p": "2024-02-29", "q": "a b/%"}), &rows(1), &stats(1)),
        t.add_with("2.parquet", json!({"p": null, "q": null}), &rows(2), &stats(2)),
        t.add("3.parquet", json!({"p": "0001-01-01", "q": ""}), &rows(3)),
    ];
    t.commit(&adds);
    let catalog = open(lake.path()).await;
    for sql in [
        "SELECT * FROM lake.t",
        "SELECT p, q, count(*) FROM lake.t GROUP BY p, q",
        "SELECT f FROM lake.t WHERE f > 1",
        "SELECT d, q FROM lake.t WHERE p IS NULL AND d > 0.01",
        "SELECT day FROM lake.t WHERE day = DATE '1970-01-03' OR q = 'a b/%'",
        "SELECT at FROM lake.t WHERE at < TIMESTAMP '2000-01-01T00:00:00Z' ORDER BY at, text",
    ] {
        let (decoded, rows) = travel_sql(&catalog, options(lake.path()), sql).await;
        assert!(!rows.is_empty(), "{sql}: {}", explain(&decoded));
    }
    // What is known of each file is known there.
    let here = plan(&catalog, "SELECT * FROM lake.t").await;
    let (there, _) = travel(&catalog, options(lake.path()), Arc::clone(&here)).await;
    let (here, there) = (scan_config(&scan(&here)), scan_config(&scan(&there)));
    assert_eq!(here.statistics(), there.statistics());
    let files = |config: &datafusion::datasource::physical_plan::FileScanConfig| {
        let files = config.file_groups.iter().flat_map(|group| group.files().to_vec());
        files.map(|file| (file.object_meta, file.partition_values, file.statistics)).collect::<Vec<_>>()
    };
    assert_eq!(files(&here), files(&there));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shallow_clone_travels_with_the_place_of_its_source() {
    let elsewhere = tempfile::tempdir().unwrap();
    let lake = tempfile::tempdir().unwrap();
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let rows = |ids: &[i64]| {
        RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(Int64Array::from(ids.to_vec()))])
            .unwrap()
    };
    let source = TestTable::create(elsewhere.path().join("sou rce%"), schema.clone(), &[]);
    let mut shared = source.add("1.parquet", json!({}), &rows(&[1, 2]));
    shared["add"]["path"] = json!(folder_url(&source.folder).join("1.parquet").unwrap().as_str());
    let mut clone = TestTable::create(lake.path().join("clone"), schema.clone(), &[]);
    let own = clone.add("2.parquet", json!({}), &rows(&[3]));
    clone.commit(&[shared, own]);
    let mut both = options(lake.path());
    both.tables.push(ExplicitTable {
        schema: "other".to_owned(),
        name: "source".to_owned(),
        location: folder_url(&source.folder),
    });
    let catalog = LakeCatalog::open(both.clone()).await.unwrap();
    let (_, rows) = travel_sql(&catalog, both, "SELECT id FROM lake.clone").await;
    assert_eq!(rows, ["1", "2", "3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_groups_are_skipped_there_as_here() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = deletion::with_vectors(lake.path());
    let vector = deletion::stored(&t, &[deletion::set([5])]).remove(0);
    t.commit(&[deletion::with_vector(deletion::add(&t, "a.parquet", 0..1000), &vector)]);
    let catalog = open(lake.path()).await;
    let sql = "SELECT text FROM lake.t WHERE id BETWEEN 120 AND 130";
    let here = plan(&catalog, sql).await;
    let (there, rows) = travel(&catalog, options(lake.path()), Arc::clone(&here)).await;
    assert_eq!(rows.len(), 11);
    assert!(explain(&there).contains("predicate="), "{}", explain(&there));
    let skipped = |plan| {
        let metrics = scan(plan).metrics().unwrap();
        let skipped = metrics.sum_by_name("row_groups_pruned_statistics").unwrap();
        (skipped.to_string(), metrics.sum_by_name("bytes_scanned").unwrap().as_usize())
    };
    let (groups, bytes) = skipped(&there);
    assert_eq!((groups.clone(), bytes), skipped(&here));
    let (all, _) = travel_sql(&catalog, options(lake.path()), "SELECT text FROM lake.t").await;
    assert!(bytes < skipped(&all).1, "{groups} {bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_travel_whole() {
    let lake = tempfile::tempdir().unwrap();
    let mut t = deletion::with_vectors(lake.path());
    // One row group: of several, the first rows are those of whoever is first.
    t.commit(&[deletion::add(&t, "a.parquet", 0..100)]);
    let catalog = open(lake.path()).await;
    let (decoded, rows) = travel_sql(&catalog, options(lake.path()), "SELECT id FROM lake.t LIMIT 3").await;
    assert_eq!((rows.len(), scan_config(&scan(&decoded)).limit), (3, Some(3)));
    // The engine's own form of a scan would make 5 of this one.
    let large = (1_usize << 32) + 5;
    let mut config = scan_config(&scan(&decoded));
    config.limit = Some(large);
    let (decoded, rows) =
        travel(&catalog, options(lake.path()), DataSourceExec::from_data_source(config)).await;
    assert_eq!((rows.len(), scan_config(&decoded).limit), (100, Some(large)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_many_writers_travel() {
    let root = shared_tables::shared();
    let catalog = open(&root).await;
    let context = session_with(&catalog, config());
    let mut travelled = 0;
    for entry in catalog.snapshot().tables() {
        let TableState::Available(_) = &entry.state else { continue };
        let frame = context.sql(&format!("SELECT * FROM lake.\"{}\"", entry.name)).await.unwrap();
        // Some fixtures leave their data files out.
        if frame.clone().collect().await.is_err() {
            continue;
        }
        travel(&catalog, options(&root), frame.create_physical_plan().await.unwrap()).await;
        travelled += 1;
    }
    assert!(travelled > 25, "{travelled}");
}
