//! Governed sessions over the Delta tables, inside this process.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use arrow::array::AsArray as _;
use lakeward_catalog::{CatalogOptions, LakeCatalog, LayerRoot, TableState};
use lakeward_executor::{RuntimeOptions, build_runtime};
use lakeward_policy::identity::{IdentityStore, ScramVerifier};
use lakeward_scheduler::audit::{AuditLog, AuditOptions};
use lakeward_scheduler::coordinator::{
    Coordinator, CoordinatorOptions, CoordinatorParts, Views, load_policies,
};
use lakeward_scheduler::session::{ClientInfo, Outcome, Protocol, Session};
use tempfile::TempDir;
use url::Url;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::data::{Data, SCHEMA};
use crate::engine::EngineOptions;

/// Somebody with a role in `policies.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    /// Under every filter and mask.
    Analyst,
    /// Under none.
    Steward,
    /// The analyst, who may also look at plans.
    Operator,
}

impl Person {
    const ALL: [Self; 3] = [Self::Analyst, Self::Steward, Self::Operator];

    const fn name(self) -> &'static str {
        match self {
            Self::Analyst => "analyst",
            Self::Steward => "steward",
            Self::Operator => "operator",
        }
    }

    const fn roles(self) -> &'static str {
        match self {
            Self::Operator => "analyst, operator",
            other => other.name(),
        }
    }
}

/// A coordinator over the data.
pub struct Lake {
    coordinator: Arc<Coordinator>,
    identity: Arc<IdentityStore>,
    /// Users, audit trail and spill files.
    _directory: TempDir,
}

impl Lake {
    /// Puts together what the service is made of.
    pub async fn open(data: &Data, options: &EngineOptions) -> Result<Self> {
        Self::open_folder(&data.lake(), options).await
    }

    /// The same over the tables in `folder`.
    pub(crate) async fn open_folder(folder: &Path, options: &EngineOptions) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let Ok(location) = Url::from_directory_path(folder) else { bail!("the data's path is not absolute") };
        let catalog = LakeCatalog::open(CatalogOptions {
            roots: vec![LayerRoot { schema: SCHEMA.to_owned(), location }],
            ..CatalogOptions::default()
        })
        .await?;
        for entry in catalog.snapshot().tables() {
            if let TableState::Unavailable { reason } = &entry.state {
                bail!("table {} is unavailable: {reason}", entry.name);
            }
        }
        let users = write_users(directory.path())?;
        let parts = {
            let (catalog, options) = (Arc::clone(&catalog), *options);
            let (audit, spill) = (directory.path().join("audit"), directory.path().join("spill"));
            tokio::task::spawn_blocking(move || -> Result<CoordinatorParts> {
                let runtime = RuntimeOptions {
                    memory_limit: options.memory_limit,
                    spill_directory: spill,
                    spill_limit: 64 << 30,
                    footer_cache: options.footer_cache,
                };
                Ok(CoordinatorParts {
                    policies: Arc::new(load_policies(vec![policies()], &catalog)?),
                    views: Arc::new(Views::none()),
                    identity: Arc::new(IdentityStore::load(users)?),
                    runtime: build_runtime(&runtime, catalog.object_stores())?,
                    audit: AuditLog::open(AuditOptions::new(audit, Zeroizing::new(vec![7; 32])))?,
                    metrics: prometheus::Registry::new(),
                    options: CoordinatorOptions {
                        database: "lakeward".to_owned(),
                        statement_timeout: None,
                        target_partitions: options.target_partitions,
                        batch_size: options.batch_size,
                        pushdown_filters: false,
                    },
                    catalog,
                })
            })
            .await??
        };
        let identity = Arc::clone(&parts.identity);
        Ok(Self { coordinator: Coordinator::start(parts)?, identity, _directory: directory })
    }

    /// A session of `person`.
    pub async fn session(&self, person: Person) -> Result<Governed> {
        let principal = self.identity.principal(person.name())?;
        let client = ClientInfo { protocol: Protocol::Internal, peer: None, application: "tpch".to_owned() };
        let session =
            self.coordinator.open_session(principal, client).await.map_err(|error| anyhow!("{error:?}"))?;
        Ok(Governed { session })
    }
}

/// A governed session.
pub struct Governed {
    session: Arc<Session>,
}

impl Governed {
    /// All rows, through everything a statement of a client goes through but the wire.
    pub async fn answer(&self, sql: &str) -> Result<Answer> {
        let failed = |error| anyhow!("{error:?}");
        let statements = self.session.parse(sql).map_err(failed)?;
        let [statement] = statements.as_slice() else { bail!("{} statements", statements.len()) };
        let prepared = self.session.prepare(statement, &[]).await.map_err(failed)?;
        match self.session.execute(&prepared, Vec::new()).await.map_err(failed)? {
            Outcome::Rows { stream, .. } => Answer::collect(stream.schema(), stream).await,
            other => bail!("no rows but {other:?}"),
        }
    }

    /// The plan as text; for an operator with its physical part.
    pub async fn plan(&self, sql: &str) -> Result<String> {
        let answer = self.answer(&format!("explain {sql}")).await?;
        let mut text = String::new();
        for batch in answer.batches() {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8)?;
            for line in column.as_string::<i32>().iter().flatten() {
                text.push_str(line);
                text.push('\n');
            }
        }
        ensure!(!text.is_empty(), "EXPLAIN says nothing");
        Ok(text)
    }
}

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tpch/policies.yaml")
}

/// Nobody logs in, so nobody needs to know the password.
fn write_users(directory: &Path) -> Result<PathBuf> {
    let verifier = ScramVerifier::generate(&uuid::Uuid::new_v4().to_string())?;
    let path = directory.join("users.yaml");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "version: 1\nusers:")?;
    for person in Person::ALL {
        writeln!(
            file,
            "  - {{ name: {}, tenant: FURNITURE, attributes: {{ priority: 5-LOW }}, roles: [{}], scram: \"{verifier}\" }}",
            person.name(),
            person.roles()
        )?;
    }
    file.sync_all().context("writing users.yaml")?;
    Ok(path)
}
