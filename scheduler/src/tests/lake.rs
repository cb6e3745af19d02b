//! A lake on disk with policies and accounts, and a coordinator over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use datafusion::parquet::arrow::ArrowWriter;
use lakeward_catalog::{CatalogOptions, LakeCatalog, LayerRoot};
use lakeward_executor::{RuntimeOptions, build_runtime};
use lakeward_policy::Principal;
use lakeward_policy::identity::{IdentityStore, ScramVerifier};
use tempfile::TempDir;

use crate::audit::{AuditLog, AuditOptions};
use crate::coordinator::{Coordinator, CoordinatorOptions, CoordinatorParts, load_policies_and_views};
use crate::session::{ClientInfo, Protocol, Session};

pub(super) const POLICIES: &str = "version: 1
grants:
  - { role: analyst, object: silver.*, action: select }
  - { role: steward, object: \"*.*\", action: select }
  - { role: operator, object: \"*.*\", action: describe }
  - { role: operator, object: system.*, action: select }
  - { role: operator, object: system.policy_changes, action: select }
row_filters:
  - { name: own, on: [silver.*], to: [analyst], using: tenant_id = principal.tenant }
masks:
  - { name: names, tag: pii.name, to: [analyst], mask: { type: constant, value: somebody } }
";

/// A lake and everything that serves it; the directory goes with it.
pub(super) struct Lake {
    pub(super) directory: TempDir,
    pub(super) catalog: Arc<LakeCatalog>,
    pub(super) coordinator: Arc<Coordinator>,
}

/// Delta's name for a column's type.
fn delta_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 => "long",
        DataType::Utf8 => "string",
        other => panic!("no Delta name for {other} in this test"),
    }
}

/// Writes (or appends to) a Delta table by hand: protocol, metadata, one file per batch.
pub(super) fn write_table(path: &Path, version: u64, batch: &RecordBatch) {
    let log = path.join("_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let name = format!("part-{version}.parquet");
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path.join(&name)).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let size = std::fs::metadata(path.join(&name)).unwrap().len();
    let mut lines = Vec::new();
    if version == 0 {
        let fields: Vec<_> = batch
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let tags = if field.name() == "name" { "pii.name" } else { "" };
                serde_json::json!({"name": field.name(), "type": delta_type(field.data_type()), "nullable": true,
                    "metadata": {"comment": format!("The {}", field.name()), "lakeward.tags": tags}})
            })
            .collect();
        let schema = serde_json::json!({"type": "struct", "fields": fields}).to_string();
        lines.push(serde_json::json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}));
        lines.push(
            serde_json::json!({"metaData": {"id": uuid::Uuid::new_v4().to_string(), "description": "People",
            "format": {"provider": "parquet", "options": {}}, "schemaString": schema, "partitionColumns": [],
            "configuration": {}, "createdTime": 0}}),
        );
    }
    let stats = serde_json::json!({"numRecords": batch.num_rows()}).to_string();
    lines.push(serde_json::json!({"add": {"path": name, "partitionValues": {}, "size": size,
        "modificationTime": 0, "dataChange": true, "stats": stats}}));
    let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
    std::fs::write(log.join(format!("{version:020}.json")), text.join("\n")).unwrap();
}

pub(super) fn people(ids: &[i64], tenant: &str) -> RecordBatch {
    RecordBatch::try_from_iter(vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef),
        ("tenant_id", Arc::new(StringArray::from(vec![tenant; ids.len()]))),
        ("name", Arc::new(ids.iter().map(|id| Some(format!("Person {id}"))).collect::<StringArray>())),
        ("cost", Arc::new(Int64Array::from(ids.to_vec()))),
    ])
    .unwrap()
}

pub(super) fn users() -> String {
    let verifier = ScramVerifier::generate("secret-enough").unwrap();
    let mut text = "version: 1\nusers:\n".to_owned();
    for (name, tenant, role) in [
        ("alice", Some("a"), "analyst"),
        ("bob", Some("b"), "analyst"),
        ("stella", None, "steward"),
        ("oscar", None, "operator"),
    ] {
        text.push_str(&format!("  - name: {name}\n    scram: \"{verifier}\"\n    roles: [{role}]\n"));
        if role == "steward" {
            text.push_str("    end_users: optional\n");
        }
        if let Some(tenant) = tenant {
            text.push_str(&format!("    tenant: {tenant}\n"));
        }
    }
    text
}

impl Lake {
    /// `silver.people` (ids 1 to 3 of tenant a, 4 to 6 of tenant b) and `bronze.raw`.
    pub(super) async fn new() -> Self {
        Self::with_timeout(None).await
    }

    pub(super) async fn with_timeout(statement_timeout: Option<Duration>) -> Self {
        Self::with(statement_timeout, POLICIES, None).await
    }

    pub(super) async fn with(
        statement_timeout: Option<Duration>,
        policies: &str,
        views: Option<&str>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        write_table(&root.join("lake/silver/people"), 0, &people(&[1, 2, 3], "a"));
        write_table(&root.join("lake/silver/people"), 1, &people(&[4, 5, 6], "b"));
        write_table(&root.join("lake/bronze/raw"), 0, &people(&[9], "a"));
        std::fs::write(root.join("policies.yaml"), policies).unwrap();
        std::fs::write(root.join("users.yaml"), users()).unwrap();
        let layer = |schema: &str| LayerRoot {
            schema: schema.to_owned(),
            location: url::Url::from_directory_path(root.join("lake").join(schema)).unwrap(),
        };
        let catalog = LakeCatalog::open(CatalogOptions {
            roots: vec![layer("silver"), layer("bronze")],
            ..CatalogOptions::default()
        })
        .await
        .unwrap();
        let of_views = views.map(|text| {
            std::fs::write(root.join("views.yaml"), text).unwrap();
            root.join("views.yaml")
        });
        let file = root.join("policies.yaml");
        let (policies, views) = load_policies_and_views(vec![file.clone()], of_views, &catalog).unwrap();
        let policies = policies.managing(file);
        let runtime = build_runtime(
            &RuntimeOptions {
                memory_limit: 256 << 20,
                spill_directory: root.join("spill"),
                spill_limit: 1 << 30,
                footer_cache: 16 << 20,
            },
            catalog.object_stores(),
        )
        .unwrap();
        let audit =
            AuditLog::open(AuditOptions::new(root.join("audit"), zeroize::Zeroizing::new(vec![1; 32])))
                .unwrap();
        let coordinator = Coordinator::start(CoordinatorParts {
            catalog: Arc::clone(&catalog),
            policies: Arc::new(policies),
            views: Arc::new(views),
            identity: Arc::new(IdentityStore::load(root.join("users.yaml")).unwrap()),
            runtime,
            audit,
            metrics: prometheus::Registry::new(),
            options: CoordinatorOptions {
                database: "lakeward".to_owned(),
                statement_timeout,
                target_partitions: 2,
                batch_size: 8192,
                pushdown_filters: false,
            },
        })
        .unwrap();
        Self { directory, catalog, coordinator }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A session of one of the accounts.
    pub(super) async fn login(&self, user: &str) -> Arc<Session> {
        let (tenant, role) = match user {
            "alice" => (Some("a"), "analyst"),
            "bob" => (Some("b"), "analyst"),
            "stella" => (None, "steward"),
            _ => (None, "operator"),
        };
        let principal = Principal {
            user: user.to_owned(),
            tenant: tenant.map(str::to_owned),
            roles: [role.to_owned()].into(),
            attributes: BTreeMap::new(),
            expires_at: None,
        };
        let client = ClientInfo { protocol: Protocol::Internal, peer: None, application: "tests".to_owned() };
        self.coordinator.open_session(principal, client).await.unwrap()
    }
}
