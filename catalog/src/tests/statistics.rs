//! What planning is told, and how scans are divided.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::SessionConfig;
use serde_json::json;

use super::support::{TestTable, open, session_with, table};
use crate::LakeCatalog;

/// Files of 3 and 5 rows, the second 100 times as large, in partitions `x` and null.
async fn lake(folder: &std::path::Path) -> Arc<LakeCatalog> {
    let schema = Schema::new(vec![
        Field::new("part", DataType::Utf8, true),
        Field::new("id", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let mut t = TestTable::create(folder.join("t"), schema, &["part"]);
    let data = |ids: Vec<i64>, text: &str| {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ]);
        let texts: Vec<String> = ids.iter().map(|id| format!("{text}{id}")).collect();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(ids)), Arc::new(StringArray::from(texts))];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    };
    let stats = |rows: usize, min: i64, max: i64| {
        json!({"numRecords": rows, "minValues": {"id": min, "text": "a"}, "maxValues": {"id": max, "text": "z"},
            "nullCount": {"id": 0, "text": 0}})
    };
    let a = t.add_with("a.parquet", json!({"part": "x"}), &data(vec![1, 2, 3], "a"), &stats(3, 1, 3));
    let long = "b".repeat(50_000);
    let b = t.add_with("b.parquet", json!({"part": null}), &data((4..9).collect(), &long), &stats(5, 4, 8));
    t.commit(&[a, b]);
    open(folder).await
}

async fn scan(
    catalog: &LakeCatalog,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
    target: usize,
) -> FileScanConfig {
    let config = SessionConfig::new().with_target_partitions(target);
    let state = session_with(catalog, config).state();
    let plan = table(catalog, "t").provider().scan(&state, projection, filters, None).await.unwrap();
    let source = plan.downcast_ref::<DataSourceExec>().unwrap();
    source.data_source().downcast_ref::<FileScanConfig>().unwrap().clone()
}

fn exact(value: i64) -> Precision<ScalarValue> {
    Precision::Exact(ScalarValue::Int64(Some(value)))
}

#[tokio::test]
async fn a_table_tells_counts_bounds_and_nulls() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = lake(folder.path()).await;
    let config = scan(&catalog, None, &[], 4).await;
    // In the scan's order: id, text, part.
    let Statistics { num_rows, total_byte_size, column_statistics } = config.statistics();
    assert_eq!(num_rows, Precision::Exact(8));
    assert!(matches!(total_byte_size, Precision::Inexact(bytes) if bytes > 1000));
    let [id, text, part] = &column_statistics[..] else { panic!("{column_statistics:?}") };
    assert_eq!((&id.min_value, &id.max_value), (&exact(1), &exact(8)));
    assert_eq!(id.null_count, Precision::Exact(0));
    assert!(matches!(text.max_value, Precision::Inexact(_)), "{text:?}");
    assert_eq!(part.null_count, Precision::Exact(5));
    assert_eq!(part.min_value, Precision::Exact(ScalarValue::Utf8View(Some("x".to_owned()))));
}

#[tokio::test]
async fn skipped_files_leave_the_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = lake(folder.path()).await;
    let config = scan(&catalog, None, &[col("id").lt(lit(4_i64))], 4).await;
    assert_eq!(config.statistics().num_rows, Precision::Inexact(3));
    let files: Vec<_> = config.file_groups.iter().flat_map(|group| group.files()).collect();
    assert_eq!(files.len(), 1);
    let statistics = files[0].statistics.as_ref().unwrap();
    assert_eq!(statistics.num_rows, Precision::Exact(3));
    assert_eq!(statistics.column_statistics[0].max_value, exact(3));
}

#[tokio::test]
async fn a_null_partition_is_known_to_be_null() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = lake(folder.path()).await;
    let config = scan(&catalog, None, &[col("part").is_null()], 4).await;
    let file = &config.file_groups[0].files()[0];
    assert_eq!(file.partition_values, [ScalarValue::Utf8View(None)]);
    assert_eq!(file.statistics.as_ref().unwrap().column_statistics[2].null_count, Precision::Exact(5));
}

#[tokio::test]
async fn only_columns_that_are_read_carry_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = lake(folder.path()).await;
    let config = scan(&catalog, Some(&vec![2]), &[], 4).await;
    let statistics = config.statistics();
    assert_eq!(statistics.num_rows, Precision::Exact(8));
    assert_eq!(statistics.column_statistics[0].min_value, Precision::Absent);
    assert_ne!(statistics.column_statistics[1].min_value, Precision::Absent);
    assert_eq!(config.projected_schema().unwrap().field(0).name(), "text");
}

#[tokio::test]
async fn files_are_spread_by_size_the_same_way_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
    let mut t = TestTable::create(folder.path().join("t"), schema.clone(), &[]);
    let adds: Vec<_> = [95_000, 10, 30_000, 40_000, 20_000]
        .iter()
        .enumerate()
        .map(|(number, &size)| {
            // Not compressible by the default, plain encoding.
            let text: String = (0..size).map(|i: u64| char::from(b'a' + (i * i % 23) as u8)).collect();
            let texts = Arc::new(StringArray::from(vec![text])) as ArrayRef;
            let rows = RecordBatch::try_new(Arc::new(schema.clone()), vec![texts]).unwrap();
            t.add(&format!("{number}.parquet"), json!({}), &rows)
        })
        .collect();
    t.commit(&adds);
    let catalog = open(folder.path()).await;
    let groups = |config: &FileScanConfig| -> Vec<Vec<String>> {
        let name = |file: &datafusion::datasource::listing::PartitionedFile| {
            file.path().filename().unwrap().to_owned()
        };
        config.file_groups.iter().map(|group| group.files().iter().map(name).collect()).collect()
    };
    let two = groups(&scan(&catalog, None, &[], 2).await);
    assert_eq!(two, [vec!["0.parquet"], vec!["1.parquet", "2.parquet", "3.parquet", "4.parquet"]]);
    assert_eq!(groups(&scan(&catalog, None, &[], 2).await), two);
    assert_eq!(groups(&scan(&catalog, None, &[], 99).await).len(), 5);
    assert_eq!(groups(&scan(&catalog, None, &[], 1).await).len(), 1);
}

#[tokio::test]
async fn a_scan_without_files_is_one_empty_partition() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = lake(folder.path()).await;
    let config = scan(&catalog, None, &[col("id").gt(lit(100_i64))], 4).await;
    assert_eq!(config.file_groups.len(), 1);
    assert!(config.file_groups[0].is_empty());
    let rows = super::support::query(&catalog, "SELECT id FROM lake.t WHERE id > 100").await;
    assert!(rows.is_empty());
    let count = super::support::query(&catalog, "SELECT count(*) FROM lake.t WHERE id > 100").await;
    assert_eq!(count, ["0"]);
}

#[tokio::test]
async fn the_provider_reveals_only_columns() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = lake(folder.path()).await;
    let provider = table(&catalog, "t").provider();
    assert!(provider.get_logical_plan().is_none());
    assert!(provider.get_table_definition().is_none());
    assert!(provider.constraints().is_none());
    assert!(provider.statistics().is_none());
    assert!(provider.get_column_default("id").is_none());
    let debug = format!("{provider:?}");
    assert!(!debug.contains(folder.path().to_str().unwrap()), "{debug}");
}
