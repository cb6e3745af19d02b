//! Damage is an error that names the table, never a partial result, and stays where it is.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;

use super::spelling::lines;
use super::support::{TestTable, open, query, reason, session, table, try_query};
use crate::data_file_error;

fn rows(from: i64, to: i64) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from_iter_values(from..to))]).unwrap()
}

/// A table of two files with 1,000 rows each.
fn create(lake: &Path, name: &str) -> TestTable {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let mut table = TestTable::create(lake.join(name), schema, &[]);
    let a = table.add("a.parquet", json!({}), &rows(0, 1000));
    let b = table.add("b.parquet", json!({}), &rows(1000, 2000));
    table.commit(&[a, b]);
    table
}

#[tokio::test]
async fn a_corrupt_log_closes_one_table_only() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), "good");
    let commits: [(&str, &[u8]); 4] = [
        ("not_json", b"\x00\xffgarbage"),
        ("no_metadata", b"{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"),
        ("empty_commit", b""),
        ("bad_schema", b"{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n{\"metaData\":{\"id\":\"x\",\"format\":{\"provider\":\"parquet\",\"options\":{}},\"schemaString\":\"{\",\"partitionColumns\":[],\"configuration\":{}}}\n"),
    ];
    for (name, commit) in commits {
        let log = lake.path().join(name).join("_delta_log");
        fs::create_dir_all(&log).unwrap();
        fs::write(log.join("00000000000000000000.json"), commit).unwrap();
    }
    // A hole in the versions.
    create(lake.path(), "hole");
    let log = lake.path().join("hole/_delta_log");
    fs::rename(log.join(format!("{:020}.json", 1)), log.join(format!("{:020}.json", 2))).unwrap();

    let catalog = open(lake.path()).await;
    for (name, _) in commits {
        assert!(!reason(&catalog, name).is_empty());
    }
    assert!(!reason(&catalog, "hole").is_empty());
    assert_eq!(query(&catalog, "SELECT count(*) FROM lake.good").await, ["2000"]);
}

/// The query fails with an error that names the table and, to users, nothing else.
async fn assert_fails(lake: &Path, sql: &str) {
    let catalog = open(lake).await;
    let error = try_query(&catalog, sql).await.unwrap_err();
    let found = data_file_error(&error).unwrap_or_else(|| panic!("{sql}: {error:?}"));
    assert_eq!(found.table, "lake.t", "{sql}");
    assert!(!error.to_string().contains("parquet\""), "{error}");
    assert!(!error.to_string().contains(lake.to_str().unwrap()), "{error}");
}

const QUERIES: [&str; 4] = [
    "SELECT id FROM lake.t",
    "SELECT sum(id) FROM lake.t",
    "SELECT count(*) FROM lake.t",
    "SELECT id FROM lake.t WHERE id = 1999",
];

#[tokio::test]
async fn a_missing_file_is_an_error() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), "t");
    fs::remove_file(lake.path().join("t/b.parquet")).unwrap();
    for sql in QUERIES {
        assert_fails(lake.path(), sql).await;
    }
}

#[tokio::test]
async fn a_file_of_another_size_is_an_error() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), "t");
    let file = lake.path().join("t/b.parquet");
    let whole = fs::read(&file).unwrap();
    let longer = [&whole[..], b"PAR1"].concat();
    // A valid file with other rows.
    let table = create(lake.path(), "other");
    table.add("other.parquet", json!({}), &rows(1000, 1900));
    let other = fs::read(lake.path().join("other/other.parquet")).unwrap();
    assert_ne!(other.len(), whole.len());
    for content in [&whole[..whole.len() / 2], b"", &longer, &other] {
        fs::write(&file, content).unwrap();
        for sql in QUERIES {
            assert_fails(lake.path(), sql).await;
        }
    }
}

#[tokio::test]
async fn a_file_whose_inside_is_damaged_is_an_error() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), "t");
    let file = lake.path().join("t/b.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 40..].fill(0);
    fs::write(&file, &bytes).unwrap();
    for sql in QUERIES {
        assert_fails(lake.path(), sql).await;
    }
}

#[tokio::test]
async fn a_footer_longer_than_its_file_is_an_error_and_a_problem() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), "t");
    let file = lake.path().join("t/b.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let length = bytes.len() - 8;
    bytes[length..length + 4].copy_from_slice(&(1_u32 << 31).to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    for sql in QUERIES {
        assert_fails(lake.path(), sql).await;
    }
    let catalog = open(lake.path()).await;
    let problems = table(&catalog, "t").check_files(|_| ()).await.unwrap();
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.path, "b.parquet");
    assert!(problem.problem.starts_with("its footer cannot be read"), "{}", problem.problem);
}

#[tokio::test]
async fn a_file_that_vanishes_after_its_footer_was_cached_is_an_error() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), "t");
    let catalog = open(lake.path()).await;
    let context = session(&catalog);
    let all = context.sql("SELECT id FROM lake.t").await.unwrap().collect().await.unwrap();
    assert_eq!(lines(&all).len(), 2000);
    let whole = fs::read(lake.path().join("t/a.parquet")).unwrap();
    for content in [None, Some(&whole[..100])] {
        match content {
            None => fs::remove_file(lake.path().join("t/a.parquet")).unwrap(),
            Some(content) => fs::write(lake.path().join("t/a.parquet"), content).unwrap(),
        }
        for sql in QUERIES {
            let error = context.sql(sql).await.unwrap().collect().await.unwrap_err();
            assert!(data_file_error(&error).is_some(), "{sql}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_table_made_anew_under_old_names_is_read_with_its_own_footers() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path(), "t");
    let catalog = open(lake.path()).await;
    let context = session(&catalog);
    let sum = "SELECT sum(id) FROM lake.t";
    assert_eq!(lines(&context.sql(sum).await.unwrap().collect().await.unwrap()), ["1999000"]);
    fs::remove_dir_all(lake.path().join("t")).unwrap();
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let mut table = TestTable::create(lake.path().join("t"), schema, &[]);
    let adds = [("a.parquet", 5000), ("b.parquet", 9000)]
        .map(|(path, from)| table.add(path, json!({}), &rows(from, from + 1000)));
    table.commit(&adds);
    catalog.refresh().await.unwrap();
    // The same runtime, and so the same footer cache.
    let config = datafusion::prelude::SessionConfig::new();
    let again =
        datafusion::execution::context::SessionContext::new_with_config_rt(config, context.runtime_env());
    again.register_table("t", super::support::table(&catalog, "t").provider()).unwrap();
    let rows = again.sql("SELECT min(id), max(id) FROM t").await.unwrap().collect().await.unwrap();
    assert_eq!(lines(&rows), ["5000|9999"]);
}
