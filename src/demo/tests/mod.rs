//! The demo lake as its users meet it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use lakeward_catalog::{CatalogOptions, LakeCatalog, LayerRoot, TableSnapshot, TableState};
use lakeward_policy::identity::UserDirectory;
use lakeward_policy::{PolicySnapshot, Securable};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::{DemoError, DemoOptions, DemoSummary, PEOPLE, create, existing};

async fn demo(directory: &Path, patients: u64, seed: u64) -> DemoSummary {
    create(DemoOptions { patients, seed, ..DemoOptions::new(directory) }).await.unwrap()
}

/// Every file of the lake with its digest; log entries without their times.
fn digests(directory: &Path) -> BTreeMap<PathBuf, String> {
    let lake = directory.join("lake");
    let mut found = BTreeMap::new();
    let mut pending = vec![lake.clone()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let bytes = match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => timeless(&String::from_utf8(bytes).unwrap()).into_bytes(),
                _ => bytes,
            };
            let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            found.insert(path.strip_prefix(&lake).unwrap().to_owned(), digest);
        }
    }
    found
}

fn timeless(log: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in log.lines() {
        let mut action: Value = serde_json::from_str(line).unwrap();
        if action.get("commitInfo").is_some() {
            continue;
        }
        for body in action.as_object_mut().unwrap().values_mut() {
            for time in ["modificationTime", "createdTime", "deletionTimestamp"] {
                body.as_object_mut().unwrap().remove(time);
            }
        }
        lines.push(action.to_string());
    }
    lines.join("\n")
}

async fn catalog(directory: &Path) -> Arc<LakeCatalog> {
    let roots = ["bronze", "silver", "gold"]
        .map(|layer| LayerRoot {
            schema: layer.to_owned(),
            location: Url::from_directory_path(directory.join("lake").join(layer)).unwrap(),
        })
        .into();
    LakeCatalog::open(CatalogOptions { roots, ..CatalogOptions::default() }).await.unwrap()
}

fn available(catalog: &LakeCatalog) -> Vec<(String, String, Arc<TableSnapshot>)> {
    let snapshot = catalog.snapshot();
    snapshot
        .tables()
        .map(|entry| match &entry.state {
            TableState::Available(table) => (entry.schema.clone(), entry.name.clone(), Arc::clone(table)),
            TableState::Unavailable { reason } => panic!("{}.{}: {reason}", entry.schema, entry.name),
        })
        .collect()
}

async fn engine(directory: &Path) -> SessionContext {
    let catalog = catalog(directory).await;
    let context = SessionContext::new();
    for (url, store) in catalog.object_stores() {
        context.register_object_store(&url, store);
    }
    let default = context.catalog("datafusion").unwrap();
    for schema in ["bronze", "silver", "gold"] {
        default.register_schema(schema, Arc::new(datafusion::catalog::MemorySchemaProvider::new())).unwrap();
    }
    for (schema, name, table) in available(&catalog) {
        default.schema(&schema).unwrap().register_table(name, table.provider()).unwrap();
    }
    context
}

async fn rows(context: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    context.sql(sql).await.unwrap().collect().await.unwrap()
}

/// The one number that a query answers.
async fn number(context: &SessionContext, sql: &str) -> i64 {
    let batches = rows(context, &format!("SELECT CAST(n AS BIGINT) FROM ({sql}) AS one(n)")).await;
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

async fn texts(context: &SessionContext, sql: &str) -> Vec<Vec<Option<String>>> {
    let mut found = Vec::new();
    for batch in rows(context, sql).await {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            found.push(
                columns
                    .iter()
                    .map(|column| {
                        column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned())
                    })
                    .collect(),
            );
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_lake() {
    let home = tempfile::tempdir().unwrap();
    let [one, two, other] = ["one", "two", "other"].map(|name| home.path().join(name));
    demo(&one, 1_300, 7).await;
    demo(&two, 1_300, 7).await;
    demo(&other, 1_300, 8).await;
    let (one, two, other) = (digests(&one), digests(&two), digests(&other));
    assert_eq!(one, two);
    let alike = other.iter().filter(|(path, digest)| one.get(*path) == Some(*digest)).count();
    // Tenants and protocol entries do not depend on the seed.
    assert!(alike * 10 < one.len(), "{alike} of {} files are alike", one.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn silver_is_consistent_and_gold_follows_from_it() {
    let home = tempfile::tempdir().unwrap();
    let lake = home.path().join("lake");
    let summary = demo(&lake, 2_500, 11).await;
    let context = engine(&lake).await;
    for (table, expected) in &summary.tables {
        let counted = number(&context, &format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(u64::try_from(counted).unwrap(), *expected, "{table}");
        assert!(counted > 0, "{table}");
    }
    rows::unique_keys(&context).await;
    rows::references(&context).await;
    rows::plausible_values(&context).await;
    rows::gold_equals_silver(&context).await;
    rows::nhs_numbers(&context).await;
    rows::bronze_equals_silver(&context).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_versions_partitions_comments_and_tags() {
    let home = tempfile::tempdir().unwrap();
    let lake = home.path().join("lake");
    demo(&lake, 4_000, 3).await;
    let catalog = catalog(&lake).await;
    let tables = available(&catalog);
    assert_eq!(tables.len(), 15);
    for (schema, name, table) in &tables {
        assert!(table.description().is_some(), "{schema}.{name}");
        assert!(!table.tags().is_empty(), "{schema}.{name}");
        assert!(table.version() >= 1, "{schema}.{name}");
        for field in table.schema().fields() {
            assert!(table.column_description(field.name()).is_some(), "{schema}.{name}.{}", field.name());
        }
        if schema != "bronze" {
            assert!(table.schema().field_with_name("tenant_id").is_ok(), "{schema}.{name}");
        }
    }
    let table = |wanted: &str| {
        let found = tables.iter().find(|(schema, name, _)| format!("{schema}.{name}") == wanted);
        Arc::clone(&found.unwrap().2)
    };
    let patients = table("silver.patients");
    // Created, four loads, and what came late.
    assert_eq!((patients.version(), patients.files()), (5, Some(5)));
    assert_eq!(patients.column_tags("nhs_number"), ["pii.id"]);
    assert_eq!(patients.column_tags("birth_date"), ["pii.date"]);
    assert_eq!(patients.tags(), ["phi"]);
    // The correction replaced the only file.
    assert_eq!(
        (table("silver.practitioners").version(), table("silver.practitioners").files()),
        (2, Some(1))
    );
    let encounters = table("silver.encounters");
    assert_eq!(encounters.partition_columns(), ["tenant_id", "year"]);
    assert_eq!((encounters.version(), encounters.files()), (3, Some(9)));
    let observations = table("silver.observations");
    assert_eq!(observations.partition_columns(), ["tenant_id", "month"]);
    assert_eq!((observations.version(), observations.files()), (4, Some(36)));
    for (_, name, table) in &tables {
        if table.schema().field_with_name("patient_id").is_ok() {
            assert_eq!(table.column_tags("patient_id"), ["pii.id"], "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_policies_fit_the_lake() {
    let home = tempfile::tempdir().unwrap();
    let lake = home.path().join("lake");
    let summary = demo(&lake, 300, 3).await;
    let users = UserDirectory::load(lake.join("users.yaml")).unwrap();
    assert_eq!(users.len(), PEOPLE.len());
    for person in PEOPLE {
        let record = users.get(person.user).unwrap();
        assert!(record.verifier.check_password(person.password), "{}", person.user);
        assert_eq!(record.tenant.as_deref(), person.tenant);
        assert_eq!(record.expires.is_some(), person.user == "parker");
    }
    crate::config::Config::load_with(&summary.configuration(), std::iter::empty()).unwrap();

    let catalog = catalog(&lake).await;
    let securables: Vec<Securable> = available(&catalog)
        .into_iter()
        .map(|(schema, name, table)| Securable {
            schema,
            table: name,
            tags: table.tags().to_vec(),
            column_tags: table
                .schema()
                .fields()
                .iter()
                .map(|field| (field.name().clone(), table.column_tags(field.name()).to_vec()))
                .collect(),
            columns: Some(table.schema()),
            origins: None,
        })
        .collect();
    let policies = match PolicySnapshot::load(&[lake.join("policies.yaml")], &securables, 1) {
        Ok(policies) => Arc::new(policies),
        Err(problems) => panic!("{problems}"),
    };
    let mut visible = BTreeMap::new();
    for person in PEOPLE {
        let resolved = policies.resolve(&Arc::new(users.get(person.user).unwrap().principal()));
        let schemas: BTreeSet<&str> = securables
            .iter()
            .filter(|table| resolved.may_see(table))
            .map(|table| table.schema.as_str())
            .collect();
        visible.insert(person.user, schemas.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(visible["alice"], ["gold", "silver"]);
    assert_eq!(visible["bob"], ["gold", "silver"]);
    assert_eq!(visible["dana"], ["gold", "silver"]);
    assert_eq!(visible["parker"], ["gold"]);
    assert_eq!(visible["stella"], ["bronze", "gold", "silver"]);
    assert_eq!(visible["oscar"], ["bronze", "gold", "silver"]);
    #[cfg(unix)]
    for secret in ["users.yaml", "keys/mask.key", "keys/audit.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(lake.join(secret)).unwrap().permissions().mode() & 0o777, 0o600, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_lake_never_looks_complete() {
    let home = tempfile::tempdir().unwrap();
    let lake = home.path().join("lake");
    assert_eq!(existing(&lake).unwrap(), None);
    let partial = home.path().join(".lake.partial");
    let begun = async {
        while !partial.join("lake").exists() {
            tokio::task::yield_now().await;
        }
    };
    // Dropped on the way: what Ctrl-C does.
    tokio::select! {
        biased;
        () = begun => {}
        made = create(DemoOptions { patients: 100_000, ..DemoOptions::new(&lake) }) => panic!("{made:?}"),
    }
    assert_eq!(existing(&lake).unwrap(), None);
    assert!(!lake.exists() && partial.exists());
    // The next run clears the leftovers away, once the dropped run's last file is written.
    let made = loop {
        match create(DemoOptions { patients: 200, ..DemoOptions::new(&lake) }).await {
            Err(DemoError::Busy(_)) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    assert!(!partial.exists());
    assert_eq!(existing(&lake).unwrap(), Some(made));
    assert!(matches!(create(DemoOptions::new(&lake)).await, Err(DemoError::Exists(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_peoples_directories_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("thesis.txt"), "years of work").unwrap();
    assert!(matches!(create(DemoOptions::new(home.path())).await, Err(DemoError::NotEmpty(_))));
    assert_eq!(fs::read_to_string(home.path().join("thesis.txt")).unwrap(), "years of work");
    let lake = home.path().join("lake");
    assert!(matches!(
        create(DemoOptions { patients: 0, ..DemoOptions::new(&lake) }).await,
        Err(DemoError::Patients(0))
    ));
    assert!(!lake.exists());
}
