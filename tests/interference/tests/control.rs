//! The suite must be able to fail: what protects nothing gives itself away, and what only operators see differs.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests; the views that are shown to leak are made by hand"
)]

use std::path::Path;

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::config::Dialect;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use lakeward_interference::cases::{Case, Step, read_all};
use lakeward_interference::delta::Layout;
use lakeward_interference::doors::{Door, Visitor};
use lakeward_interference::lakes::{self, Filter, Which};
use lakeward_interference::matrix::find;
use lakeward_interference::service::Service;
use lakeward_interference::tables::{Variant, all};

/// Filters and masks as somebody would write them by hand. Tokens are left out: all lakes hold the same ones.
const VIEWS: [(&str, &str); 6] = [
    (
        "patients",
        "SELECT id, tenant_id, CASE WHEN name IS NULL THEN NULL ELSE 'somebody' END AS name, \
         repeat('*', 6) || right(nhs_number, 4) AS nhs_number, md5(mrn) AS mrn, \
         md5(account::text) AS account, date_trunc('year', birth_date)::date AS birth_date, \
         CASE WHEN strpos(postcode, ' ') > 0 THEN split_part(postcode, ' ', 1) ELSE '' END AS postcode, \
         CASE WHEN length(zip) = 5 THEN left(zip, 3) ELSE '' END AS zip, NULL::text AS phone, \
         score, weight, status, remark FROM raw_patients WHERE tenant_id = 'a'",
    ),
    (
        "encounters",
        "SELECT id, patient_id, tenant_id, clinic, public, started, days, 'withheld' AS reason \
         FROM raw_encounters WHERE tenant_id = 'a' AND (clinic = 'north' OR public IS TRUE)",
    ),
    (
        "observations",
        "SELECT id, encounter_id, tenant_id, kind, value, date_trunc('month', taken)::date AS taken, flag, \
         consented FROM raw_observations WHERE tenant_id = 'a' AND consented",
    ),
    (
        "claims",
        "SELECT id, patient_id, tenant_id, amount, quantity, md5(policy_no) AS policy_no, state \
         FROM raw_claims WHERE tenant_id = 'a'",
    ),
    (
        "documents",
        "SELECT id, tenant_id, author, labels, CASE WHEN false THEN address END AS address, \
         CASE WHEN body IS NULL THEN NULL ELSE 'withheld' END AS body FROM raw_documents WHERE tenant_id = 'a'",
    ),
    (
        "appointments",
        "SELECT id, day FROM raw_appointments WHERE day BETWEEN DATE '2000-01-01' AND DATE '2099-12-31'",
    ),
];

fn cases() -> Vec<Case> {
    read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("statements")).unwrap()
}

/// Plain views over the files of one lake.
async fn views(which: Which) -> (tempfile::TempDir, SessionContext) {
    let directory = tempfile::tempdir().unwrap();
    lakes::write(directory.path(), &lakes::lake(which, Layout::Plain, Filter::Cheap)).unwrap();
    let mut config = SessionConfig::new().with_target_partitions(8).with_batch_size(128);
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let context = SessionContext::new_with_config(config);
    for schema in ["silver", "gold"] {
        context.sql(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    }
    for table in all(Variant::A) {
        let (schema, name) = table.name.split_once('.').unwrap();
        let folder = directory.path().join("lake").join(schema).join(name);
        let view = VIEWS.iter().find(|(view, _)| *view == name);
        let file = if view.is_some() { format!("raw_{name}") } else { table.name.to_owned() };
        if schema != "bronze" {
            context
                .register_parquet(&file, folder.to_str().unwrap(), ParquetReadOptions::default())
                .await
                .unwrap();
        }
        if let Some((view, sql)) = view {
            context.sql(&format!("CREATE VIEW silver.{view} AS {sql}")).await.unwrap();
        }
    }
    (directory, context)
}

/// Rows, or that there was an error.
async fn observe(context: &SessionContext, sql: &str) -> String {
    let rows = async { context.sql(sql).await?.collect().await };
    match rows.await {
        Ok(batches) => {
            let text = pretty_format_batches(&batches).map(|text| text.to_string()).unwrap_or_default();
            let mut lines: Vec<_> = text.lines().collect();
            lines.sort_unstable();
            lines.join("\n")
        }
        Err(_) => "error".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_views_fail_the_comparison() {
    let ((_a, a), (_b, b)) = (views(Which::A).await, views(Which::B).await);
    let mut told = Vec::new();
    let cases = cases();
    for case in &cases {
        let [Step::Run(sql)] = case.steps.as_slice() else { continue };
        let word = sql.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if !["select", "with"].contains(&word.as_str()) {
            continue;
        }
        if observe(&a, sql).await != observe(&b, sql).await {
            told.push(case.name.as_str());
        }
    }
    println!("plain views: {} of {} cases tell the lakes apart: {}", told.len(), cases.len(), told.join(" "));
    assert!(told.len() >= 30, "only {} cases would notice views that leak: {told:?}", told.len());
}

/// The hidden part is large enough: the engine turns a join around and cuts scans otherwise, as operators see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_rows_change_plans_that_only_operators_see() {
    let tuning = find("plain_8").unwrap().tuning;
    let mut plans = Vec::new();
    for which in [Which::A, Which::B] {
        let service = Service::start(which, Layout::Plain, Filter::Cheap, tuning).await.unwrap();
        let mut oscar = Visitor::enter(&service, Door::Inside, "oscar").await.unwrap();
        let sql = "EXPLAIN SELECT count(*) FROM silver.patients p JOIN silver.codes k ON k.id = p.id";
        let plan = oscar.run(sql).await.unwrap();
        plans.push(plan.rows.into_iter().skip_while(|line| !line.contains("Physical")).collect::<Vec<_>>());
    }
    let order = |plan: &[String]| -> Vec<bool> {
        plan.iter().filter(|line| line.contains("table=")).map(|line| line.contains("patients")).collect()
    };
    assert_eq!(order(&plans[0]).len(), 2, "{:#?}", plans[0]);
    assert_ne!(order(&plans[0]), order(&plans[1]), "{plans:#?}");
    let files = |plan: &[String]| {
        plan.iter().filter(|line| line.contains("file_groups")).cloned().collect::<Vec<_>>()
    };
    assert_ne!(files(&plans[0]), files(&plans[1]), "{plans:#?}");
}
