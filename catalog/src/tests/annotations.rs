//! Descriptions and tags, from the table and from configuration.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;

use super::support::{Metadata, TestTable, options, reason, table};
use crate::{CatalogError, ColumnAnnotation, LakeCatalog, TableAnnotation};

fn create(lake: &std::path::Path) {
    let schema = Schema::new(vec![
        Field::new("nhs_number", DataType::Utf8, true),
        Field::new("practice", DataType::Utf8, true),
    ]);
    let metadata = Metadata {
        properties: [("lakeward.tags", "clinical, core")].into(),
        description: Some("People registered with a practice"),
        columns: [("nhs_number", json!({"comment": "Ten digits", "lakeward.tags": "pii.id"}))].into(),
    };
    TestTable::create_with(lake.join("patients"), schema, &["practice"], &metadata);
}

fn annotation(column: &str) -> TableAnnotation {
    let column_annotation =
        ColumnAnnotation { description: Some("From the file".to_owned()), tags: vec!["x".to_owned()] };
    TableAnnotation {
        partition_time_zone: None,
        refresh_interval: None,
        schema: "lake".to_owned(),
        table: "patients".to_owned(),
        description: None,
        tags: vec!["core".to_owned(), "audited".to_owned()],
        columns: BTreeMap::from([(column.to_owned(), column_annotation)]),
    }
}

#[tokio::test]
async fn the_tables_own_and_the_configured_ones_are_merged() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path());
    let mut options = options(lake.path());
    options.annotations.push(annotation("nhs_number"));
    let catalog = LakeCatalog::open(options).await.unwrap();
    let patients = table(&catalog, "patients");
    assert_eq!(patients.description(), Some("People registered with a practice"));
    assert_eq!(patients.tags(), ["clinical", "core", "audited"]);
    assert_eq!(patients.column_tags("nhs_number"), ["pii.id", "x"]);
    assert_eq!(patients.column_description("nhs_number"), Some("From the file"));
    assert!(patients.column_tags("practice").is_empty());
    assert_eq!(patients.column_description("nobody"), None);
    assert_eq!(patients.partition_columns(), ["practice"]);
    assert_eq!(patients.created().unwrap().timestamp_millis(), 1_700_000_000_000);
    assert!(patients.modified().is_some());
    assert!(patients.location().as_str().ends_with("/patients/"));
}

#[tokio::test]
async fn the_advertised_schema_carries_no_metadata() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path());
    let catalog = LakeCatalog::open(options(lake.path())).await.unwrap();
    let schema = table(&catalog, "patients").schema();
    assert!(schema.metadata().is_empty());
    assert!(schema.fields().iter().all(|field| field.metadata().is_empty()));
}

#[tokio::test]
async fn a_tag_on_a_column_that_does_not_exist_closes_the_table() {
    let lake = tempfile::tempdir().unwrap();
    create(lake.path());
    let mut options = options(lake.path());
    options.annotations.push(annotation("nhs_numbr"));
    let catalog = LakeCatalog::open(options).await.unwrap();
    assert!(reason(&catalog, "patients").contains("nhs_numbr"));
}

#[tokio::test]
async fn two_annotations_of_one_table_are_an_error() {
    let lake = tempfile::tempdir().unwrap();
    let mut options = options(lake.path());
    options.annotations = vec![annotation("a"), annotation("b")];
    let error = LakeCatalog::open(options).await.unwrap_err();
    assert!(matches!(error, CatalogError::DuplicateAnnotation { .. }), "{error}");
}

#[tokio::test]
async fn a_tag_below_a_column_is_a_tag_of_the_column() {
    let lake = tempfile::tempdir().unwrap();
    let fields = vec![Field::new("number", DataType::Utf8, true)];
    let item = Field::new("element", DataType::Struct(fields.into()), true);
    let schema = Schema::new(vec![Field::new("ids", DataType::List(item.into()), true)]);
    let mut table_of = TestTable::create(lake.path().join("t"), schema, &[]);
    let mut action = table_of.metadata_action(&Metadata::default());
    let text = action["metaData"]["schemaString"].as_str().unwrap();
    let mut parsed: serde_json::Value = serde_json::from_str(text).unwrap();
    parsed["fields"][0]["type"]["elementType"]["fields"][0]["metadata"] = json!({"lakeward.tags": "pii.id"});
    action["metaData"]["schemaString"] = json!(parsed.to_string());
    table_of.commit(&[action]);
    let catalog = LakeCatalog::open(options(lake.path())).await.unwrap();
    assert_eq!(table(&catalog, "t").column_tags("ids"), ["pii.id"]);
}
