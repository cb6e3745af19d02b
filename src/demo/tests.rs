//! The demo lake as its users meet it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

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

use super::people::check_digit;
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
    unique_keys(&context).await;
    references(&context).await;
    plausible_values(&context).await;
    gold_equals_silver(&context).await;
    nhs_numbers(&context).await;
    bronze_equals_silver(&context).await;
}

async fn unique_keys(context: &SessionContext) {
    for (table, key) in [
        ("tenants", "tenant_id"),
        ("practices", "practice_id"),
        ("practitioners", "practitioner_id"),
        ("patients", "patient_id"),
        ("conditions", "condition_id"),
        ("appointments", "appointment_id"),
        ("encounters", "encounter_id"),
        ("claims", "claim_id"),
        ("observations", "observation_id"),
    ] {
        let repeated =
            number(context, &format!("SELECT count(*) - count(DISTINCT {key}) FROM silver.{table}")).await;
        assert_eq!(repeated, 0, "{table}.{key}");
    }
    for column in ["nhs_number", "mrn"] {
        let sql = format!("SELECT count({column}) - count(DISTINCT {column}) FROM silver.patients");
        assert_eq!(number(context, &sql).await, 0, "{column}");
    }
}

/// Every reference leads to a row of the same tenant.
async fn references(context: &SessionContext) {
    let mut references = vec![
        ("practices", "tenants", "tenant_id"),
        ("practitioners", "practices", "practice_id"),
        ("patients", "practices", "practice_id"),
        ("claims", "encounters", "encounter_id"),
        ("observations", "encounters", "encounter_id"),
        ("encounters", "appointments", "appointment_id"),
    ];
    for from in ["conditions", "appointments", "encounters", "claims", "observations"] {
        references.push((from, "patients", "patient_id"));
    }
    for from in ["appointments", "encounters", "claims"] {
        references.push((from, "practitioners", "practitioner_id"));
    }
    for (from, to, key) in references {
        let sql = format!(
            "SELECT count(*) FROM silver.{from} f LEFT JOIN silver.{to} t ON f.{key} = t.{key} AND f.tenant_id = t.tenant_id \
             WHERE f.{key} IS NOT NULL AND t.{key} IS NULL"
        );
        assert_eq!(number(context, &sql).await, 0, "{from}.{key} -> {to}");
    }
}

async fn plausible_values(context: &SessionContext) {
    for (none_of, broken) in [
        (
            "claims",
            "billed_amount <> adjusted_amount + paid_amount + outstanding_amount OR outstanding_amount < 0",
        ),
        ("claims", "(paid_on IS NULL) <> (paid_amount = 0) OR paid_on < service_date"),
        ("claims", "(ageing_bucket = 'settled') <> (outstanding_amount = 0)"),
        ("encounters", "ended_at <= started_at OR year <> date_part('year', started_at)"),
        ("observations", "month <> CAST(date_trunc('month', effective_at) AS DATE)"),
        ("observations", "(loinc_code = '85354-9') <> (systolic_mmhg IS NOT NULL)"),
        ("observations", "systolic_mmhg <= diastolic_mmhg OR (systolic_mmhg IS NULL) = (value IS NULL)"),
        (
            "appointments",
            "booked_at >= scheduled_at OR wait_days < 0 OR (waited_minutes IS NOT NULL AND status <> 'completed')",
        ),
        ("patients", "registered_on < birth_date OR (postcode IS NULL) = (zip_code IS NULL)"),
        ("patients", "(tenant_id = 'lakeside') <> (mrn IS NOT NULL)"),
        ("conditions", "icd10_code = ''"),
    ] {
        let count = number(context, &format!("SELECT count(*) FROM silver.{none_of} WHERE {broken}")).await;
        assert_eq!(count, 0, "{none_of}: {broken}");
    }
    let missed = number(
        context,
        "SELECT 1000 * count(*) FILTER (WHERE status = 'no_show') / count(*) FROM silver.appointments WHERE status <> 'booked'",
    )
    .await;
    assert!((40..160).contains(&missed), "{missed} of 1,000 appointments missed");
    let old = number(context, "SELECT 1000 * count(*) FILTER (WHERE birth_date < DATE '1961-10-01') / count(*) FROM silver.patients").await;
    assert!((130..260).contains(&old), "{old} of 1,000 patients over 65");
    let hypertensive = number(
        context,
        "SELECT 1000 * (SELECT count(*) FROM silver.conditions WHERE icd10_code = 'I10') / (SELECT count(*) FROM silver.patients)",
    )
    .await;
    assert!((120..260).contains(&hypertensive), "{hypertensive} of 1,000 patients with hypertension");
    assert!(
        number(
            context,
            "SELECT count(*) FROM silver.patients WHERE nhs_number IS NULL AND tenant_id <> 'lakeside'"
        )
        .await
            > 0
    );
    assert!(number(context, "SELECT count(DISTINCT ageing_bucket) FROM silver.claims").await == 6);
}

async fn gold_equals_silver(context: &SessionContext) {
    let expected = [
        (
            "gold.monthly_revenue_by_doctor",
            "tenant_id, practice_id, practitioner_id, month, claims, billed_amount, paid_amount, outstanding_amount, currency",
            "SELECT tenant_id, practice_id, practitioner_id, CAST(date_trunc('month', service_date) AS DATE), count(*),
                    CAST(sum(billed_amount) AS DECIMAL(12,2)), CAST(sum(paid_amount) AS DECIMAL(12,2)),
                    CAST(sum(outstanding_amount) AS DECIMAL(12,2)), currency
             FROM silver.claims GROUP BY 1, 2, 3, 4, currency",
        ),
        (
            "gold.blood_pressure_control",
            "tenant_id, practice_id, hypertensive_patients, measured_patients, controlled_patients",
            "WITH hypertensive AS (
                SELECT tenant_id, practice_id, patient_id FROM silver.conditions
                WHERE icd10_code = 'I10' AND clinical_status = 'active'),
             latest AS (
                SELECT patient_id, systolic_mmhg < 140 AND diastolic_mmhg < 90 AS controlled,
                       row_number() OVER (PARTITION BY patient_id ORDER BY effective_at DESC, observation_id DESC) AS place
                FROM silver.observations WHERE loinc_code = '85354-9')
             SELECT tenant_id, practice_id, count(*), count(controlled), count(*) FILTER (WHERE controlled)
             FROM hypertensive LEFT JOIN latest ON hypertensive.patient_id = latest.patient_id AND place = 1 GROUP BY 1, 2",
        ),
        (
            "gold.no_show_rates",
            "tenant_id, practice_id, month, appointments, no_shows, cancellations, no_show_percent, average_waited_minutes",
            "SELECT tenant_id, practice_id, CAST(date_trunc('month', scheduled_at) AS DATE),
                    count(*) FILTER (WHERE status IN ('completed', 'no_show')), count(*) FILTER (WHERE status = 'no_show'),
                    count(*) FILTER (WHERE status LIKE 'cancelled%'),
                    CAST(round(100.0 * count(*) FILTER (WHERE status = 'no_show')
                        / nullif(count(*) FILTER (WHERE status IN ('completed', 'no_show')), 0), 2) AS DECIMAL(5,2)),
                    CAST(round(avg(waited_minutes), 2) AS DECIMAL(8,2))
             FROM silver.appointments WHERE status <> 'booked' GROUP BY 1, 2, 3",
        ),
        (
            "gold.claims_ageing",
            "tenant_id, practice_id, payer, ageing_bucket, claims, outstanding_amount, currency",
            "SELECT tenant_id, practice_id, payer, ageing_bucket, count(*), CAST(sum(outstanding_amount) AS DECIMAL(12,2)), currency
             FROM silver.claims WHERE outstanding_amount > 0 GROUP BY 1, 2, 3, 4, currency",
        ),
    ];
    for (table, columns, recomputed) in expected {
        let gold: BTreeSet<_> =
            texts(context, &format!("SELECT {columns} FROM {table}")).await.into_iter().collect();
        let silver: BTreeSet<_> = texts(context, recomputed).await.into_iter().collect();
        assert_eq!(gold, silver, "{table}");
    }
}

async fn nhs_numbers(context: &SessionContext) {
    for row in texts(context, "SELECT nhs_number FROM silver.patients WHERE nhs_number IS NOT NULL").await {
        let number = row[0].clone().unwrap();
        assert!(number.len() == 10 && number.starts_with("999"), "{number}");
        let expected = check_digit(number[..9].parse().unwrap()).unwrap();
        assert_eq!(number[9..].parse::<u32>().unwrap(), expected, "{number}");
    }
}

/// Every resource parses and says what its flattened row says.
async fn bronze_equals_silver(context: &SessionContext) {
    let mut patients = BTreeMap::new();
    for row in texts(context, "SELECT resource FROM bronze.patients_fhir").await {
        let resource: Value = serde_json::from_str(row[0].as_ref().unwrap()).unwrap();
        assert_eq!(resource["resourceType"], "Patient");
        patients.insert(resource["id"].as_str().unwrap().to_owned(), resource);
    }
    let silver = texts(
        context,
        "SELECT patient_id, coalesce(nhs_number, mrn), given_name, family_name, sex, birth_date, coalesce(postcode, zip_code), \
         address_line, phone, practice_id FROM silver.patients",
    )
    .await;
    assert_eq!(silver.len(), patients.len());
    for row in silver {
        let resource = &patients[row[0].as_ref().unwrap()];
        let said = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        if row[1].is_some() {
            assert_eq!(said("/identifier/0/value"), row[1]);
        }
        assert_eq!(said("/name/0/given/0"), row[2]);
        assert_eq!(said("/name/0/family"), row[3]);
        assert_eq!(said("/gender"), row[4]);
        assert_eq!(said("/birthDate"), row[5]);
        assert_eq!(said("/address/0/postalCode"), row[6]);
        assert_eq!(said("/address/0/line/0"), row[7]);
        assert_eq!(said("/telecom/0/value"), row[8]);
        assert_eq!(
            said("/managingOrganization/reference"),
            row[9].as_ref().map(|id| format!("Organization/{id}"))
        );
    }

    let mut observations = BTreeMap::new();
    for row in texts(context, "SELECT resource FROM bronze.observations_fhir").await {
        let resource: Value = serde_json::from_str(row[0].as_ref().unwrap()).unwrap();
        assert_eq!(resource["resourceType"], "Observation");
        observations.insert(resource["id"].as_str().unwrap().to_owned(), resource);
    }
    let silver = texts(
        context,
        "SELECT observation_id, patient_id, encounter_id, loinc_code, CAST(CAST(value AS DOUBLE) AS VARCHAR), systolic_mmhg, \
         diastolic_mmhg, to_char(effective_at, '%Y-%m-%dT%H:%M:%SZ') FROM silver.observations",
    )
    .await;
    assert_eq!(silver.len(), observations.len());
    for row in silver {
        let resource = &observations[row[0].as_ref().unwrap()];
        let said = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        let measured = |pointer: &str| resource.pointer(pointer).and_then(Value::as_f64);
        let number = |text: &Option<String>| text.as_ref().map(|text| text.parse::<f64>().unwrap());
        assert_eq!(said("/subject/reference"), row[1].as_ref().map(|id| format!("Patient/{id}")));
        assert_eq!(said("/encounter/reference"), row[2].as_ref().map(|id| format!("Encounter/{id}")));
        assert_eq!(said("/code/coding/0/code"), row[3]);
        assert_eq!(measured("/valueQuantity/value"), number(&row[4]));
        assert_eq!(measured("/component/0/valueQuantity/value"), number(&row[5]));
        assert_eq!(measured("/component/1/valueQuantity/value"), number(&row[6]));
        if row[5].is_some() {
            assert_eq!(said("/component/0/code/coding/0/code").as_deref(), Some("8480-6"));
            assert_eq!(said("/component/1/code/coding/0/code").as_deref(), Some("8462-4"));
        }
        assert_eq!(said("/effectiveDateTime"), row[7]);
    }
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
    assert_eq!((patients.version(), patients.files()), (5, 5));
    assert_eq!(patients.column_tags("nhs_number"), ["pii.id"]);
    assert_eq!(patients.column_tags("birth_date"), ["pii.date"]);
    assert_eq!(patients.tags(), ["phi"]);
    // The correction replaced the only file.
    assert_eq!((table("silver.practitioners").version(), table("silver.practitioners").files()), (2, 1));
    let encounters = table("silver.encounters");
    assert_eq!(encounters.partition_columns(), ["tenant_id", "year"]);
    assert_eq!((encounters.version(), encounters.files()), (3, 9));
    let observations = table("silver.observations");
    assert_eq!(observations.partition_columns(), ["tenant_id", "month"]);
    assert_eq!((observations.version(), observations.files()), (4, 36));
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
        })
        .collect();
    let policies = match PolicySnapshot::load(&[lake.join("policies.yaml")], &securables, 1) {
        Ok(policies) => Arc::new(policies),
        Err(problems) => panic!("{problems}"),
    };
    let mut visible = BTreeMap::new();
    for person in PEOPLE {
        let resolved =
            policies.resolve(&Arc::new(users.get(person.user).unwrap().principal())).await.unwrap();
        let schemas: BTreeSet<&str> = securables
            .iter()
            .filter(|table| resolved.may_see(&table.schema, &table.table))
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
    {
        // Polled once and dropped: what Ctrl-C does.
        let mut run = Box::pin(create(DemoOptions { patients: 50_000, ..DemoOptions::new(&lake) }));
        assert!(futures::poll!(&mut run).is_pending());
    }
    assert_eq!(existing(&lake).unwrap(), None);
    assert!(!lake.exists());
    // The leftovers of a run that was killed are cleared away.
    let partial = home.path().join(".lake.partial");
    if !partial.exists() {
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join(".demo-under-way"), "").unwrap();
    }
    let made = loop {
        match create(DemoOptions { patients: 200, ..DemoOptions::new(&lake) }).await {
            // The dropped run's blocking part may not have noticed yet.
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
