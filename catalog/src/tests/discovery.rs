//! Which folders become tables, and under which names.

use std::fs;

use arrow::datatypes::{DataType, Field, Schema};

use super::support::{TestTable, folder_url, open, options};
use crate::{CatalogError, ExplicitTable, LakeCatalog, LayerRoot};

fn create(folder: std::path::PathBuf) {
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    TestTable::create(folder, schema, &[]);
}

fn names(catalog: &LakeCatalog) -> Vec<String> {
    catalog.snapshot().tables().map(|table| format!("{}.{}", table.schema, table.name)).collect()
}

#[tokio::test]
async fn children_with_a_log_are_tables_under_usable_names() {
    let lake = tempfile::tempdir().unwrap();
    for folder in ["Patients", "claims_2024", "Odd name-1", "_hidden", ".git", "Twice", "twice"] {
        create(lake.path().join(folder));
    }
    fs::create_dir_all(lake.path().join("not_a_table/data")).unwrap();
    fs::create_dir_all(lake.path().join("empty_log/_delta_log")).unwrap();
    create(lake.path().join("nested/deeper"));
    let catalog = open(lake.path()).await;
    let expected = ["lake.Odd name-1", "lake.Twice", "lake.claims_2024", "lake.patients", "lake.twice"];
    assert_eq!(names(&catalog), expected);
    for table in catalog.snapshot().tables() {
        assert!(matches!(table.state, crate::TableState::Available(_)), "{table:?}");
    }
}

#[tokio::test]
async fn an_empty_schema_exists() {
    let lake = tempfile::tempdir().unwrap();
    assert_eq!(open(lake.path()).await.snapshot().schemas().collect::<Vec<_>>(), ["lake"]);
}

#[tokio::test]
async fn explicit_tables_stand_beside_discovered_ones() {
    let lake = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    create(lake.path().join("a"));
    create(elsewhere.path().join("somewhere"));
    let mut options = options(lake.path());
    options.tables.push(ExplicitTable {
        schema: "lake".to_owned(),
        name: "b".to_owned(),
        location: folder_url(&elsewhere.path().join("somewhere")),
    });
    options.tables.push(ExplicitTable {
        schema: "other".to_owned(),
        name: "gone".to_owned(),
        location: folder_url(&elsewhere.path().join("nowhere")),
    });
    let catalog = LakeCatalog::open(options).await.unwrap();
    assert_eq!(names(&catalog), ["lake.a", "lake.b", "other.gone"]);
    let snapshot = catalog.snapshot();
    let gone = snapshot.table("other", "gone").unwrap();
    let crate::TableState::Unavailable { reason } = &gone.state else { panic!("{gone:?}") };
    assert!(reason.contains("no Delta log"), "{reason}");
}

#[tokio::test]
async fn a_name_taken_twice_is_an_error_that_names_both_places() {
    let lake = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    create(lake.path().join("a"));
    create(elsewhere.path().join("a"));

    let mut explicit = options(lake.path());
    explicit.tables.push(ExplicitTable {
        schema: "lake".to_owned(),
        name: "a".to_owned(),
        location: folder_url(&elsewhere.path().join("a")),
    });
    let mut roots = options(lake.path());
    let location = folder_url(elsewhere.path());
    roots.roots.push(LayerRoot { schema: "lake".to_owned(), location });
    for options in [explicit, roots] {
        let error = LakeCatalog::open(options).await.unwrap_err();
        assert!(matches!(error, CatalogError::DuplicateTable { .. }), "{error}");
        let text = error.to_string();
        for part in ["lake.a", lake.path().to_str().unwrap(), elsewhere.path().to_str().unwrap()] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[tokio::test]
async fn a_missing_layer_or_an_unknown_scheme_is_an_error() {
    let lake = tempfile::tempdir().unwrap();
    let error = LakeCatalog::open(options(&lake.path().join("none"))).await.unwrap_err();
    assert!(matches!(error, CatalogError::LayerUnreadable { .. }), "{error}");

    let mut cloud = options(lake.path());
    cloud.roots[0].location = "hdfs://namenode/silver/".parse().unwrap();
    let error = LakeCatalog::open(cloud).await.unwrap_err();
    assert!(matches!(error, CatalogError::UnsupportedLocation { .. }), "{error}");
}
