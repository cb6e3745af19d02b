//! The service over one lake, in this process: what the binary puts together, without its configuration.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use lakeward_catalog::{CatalogOptions, LakeCatalog, LayerRoot, TableState};
use lakeward_executor::{RuntimeOptions, build_runtime};
use lakeward_frontend::pg::{PgOptions, PgServer};
use lakeward_policy::identity::{IdentityStore, ScramVerifier};
use lakeward_scheduler::audit::{AuditLog, AuditOptions};
use lakeward_scheduler::coordinator::{
    Coordinator, CoordinatorOptions, CoordinatorParts, load_policies_and_views,
};
use lakeward_scheduler::session::{ClientInfo, Protocol, Session};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;
use zeroize::Zeroizing;

use crate::delta::Layout;
use crate::lakes::{self, Filter, Lake, Which};

/// Everybody's password.
pub const PASSWORD: &str = "open sesame";

/// Who there is: name, tenant, roles, clinic.
const PEOPLE: [(&str, &str, &str, &str); 6] = [
    ("alice", "a", "analyst", "north"),
    ("bob", "b", "analyst", "north"),
    ("dora", "a", "clerk", "north"),
    ("norman", "a", "nobody", "north"),
    ("oscar", "a", "operator", "north"),
    ("stella", "a", "steward", "north"),
];

/// How a service plans and reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Partitions that plans are cut into.
    pub partitions: usize,
    /// Whether predicates are evaluated while Parquet is decoded.
    pub pushdown_filters: bool,
}

/// A lake and the service over it.
pub struct Service {
    coordinator: Arc<Coordinator>,
    identity: Arc<IdentityStore>,
    /// Where the PostgreSQL wire listens.
    pub address: SocketAddr,
    policies: String,
    directory: TempDir,
    stop: CancellationToken,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Service {
    /// Writes the lake and starts the service.
    pub async fn start(which: Which, layout: Layout, filter: Filter, tuning: Tuning) -> Result<Self> {
        Self::over(lakes::lake(which, layout, filter), tuning).await
    }

    /// Starts the service over another lake.
    pub async fn over(lake: Lake, tuning: Tuning) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        #[cfg(feature = "mutations")]
        crate::listed::prepare(directory.path(), lake.layout)?;
        let (root, policies) = (directory.path().to_owned(), lake.policies.clone());
        tokio::task::spawn_blocking(move || lakes::write(&root, &lake)).await??;
        let catalog = open_catalog(directory.path()).await?;
        let users = write_users(directory.path())?;
        let (root, known) = (directory.path().to_owned(), Arc::clone(&catalog));
        let parts = tokio::task::spawn_blocking(move || parts(&root, users, known, tuning)).await??;
        let identity = Arc::clone(&parts.identity);
        let coordinator = Coordinator::start(parts)?;
        let options = PgOptions::new("lakeward", prometheus::Registry::new());
        let server = PgServer::new(options, Arc::clone(&coordinator), Arc::clone(&identity))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { server.serve(listener, stopped).await });
        Ok(Self { coordinator, identity, address, policies, directory, stop })
    }

    /// A session of `person` without a wire.
    pub async fn session(&self, person: &str) -> Result<Arc<Session>> {
        let principal = self.identity.principal(person)?;
        let client = ClientInfo { protocol: Protocol::Internal, peer: None, application: "suite".to_owned() };
        self.coordinator.open_session(principal, client).await.map_err(|error| anyhow!("{error:?}"))
    }

    /// Changes the policies: `original`, `deny TABLE` (the analyst sees it no more), `withhold TABLE` (they read it
    /// no more), or `broken`, which must change nothing.
    pub async fn reload(&self, what: &str) -> Result<()> {
        let deny = |table: &str, action: &str| {
            format!("- {{ role: analyst, object: {table}, action: {action}, effect: deny }}")
        };
        let text = match what.split_once(' ') {
            Some(("deny", table)) => {
                let both = format!("{}\n  {}", deny(table, "select"), deny(table, "describe"));
                self.policies.replace("# reload", &both)
            }
            Some(("withhold", table)) => self.policies.replace("# reload", &deny(table, "select")),
            None if what == "original" => self.policies.clone(),
            None if what == "broken" => format!("{}\ngrants: everything\n", self.policies),
            _ => bail!("there is no reload `{what}`"),
        };
        fs::write(self.directory.path().join("policies.yaml"), text)?;
        let coordinator = Arc::clone(&self.coordinator);
        let outcome = tokio::task::spawn_blocking(move || coordinator.reload_policies()).await?;
        match outcome {
            Ok(_) if what == "broken" => bail!("broken policies were accepted"),
            Err(_) if what == "broken" => Ok(()),
            Ok(_) => Ok(()),
            Err(problems) => bail!("the policies were refused: {problems}"),
        }
    }

    /// Where the tables lie.
    #[must_use]
    pub fn lake(&self) -> PathBuf {
        self.directory.path().join("lake")
    }
}

async fn open_catalog(root: &Path) -> Result<Arc<LakeCatalog>> {
    let mut roots = Vec::new();
    for schema in ["bronze", "silver", "gold"] {
        let folder = root.join("lake").join(schema);
        if folder.is_dir() {
            let Ok(location) = Url::from_directory_path(&folder) else { bail!("the path is not absolute") };
            roots.push(LayerRoot { schema: schema.to_owned(), location });
        }
    }
    let catalog = LakeCatalog::open(CatalogOptions { roots, ..CatalogOptions::default() }).await?;
    for entry in catalog.snapshot().tables() {
        if let TableState::Unavailable { reason } = &entry.state {
            bail!("table {} is unavailable: {reason}", entry.name);
        }
    }
    Ok(catalog)
}

fn parts(root: &Path, users: PathBuf, catalog: Arc<LakeCatalog>, tuning: Tuning) -> Result<CoordinatorParts> {
    let runtime = RuntimeOptions {
        memory_limit: 1 << 30,
        spill_directory: root.join("spill"),
        spill_limit: 1 << 30,
        footer_cache: 16 << 20,
    };
    let views = root.join("views.yaml");
    let (policies, views) = load_policies_and_views(vec![root.join("policies.yaml")], Some(views), &catalog)
        .map_err(|problems| anyhow!("the suite's policies: {problems}"))?;
    Ok(CoordinatorParts {
        policies: Arc::new(policies),
        views: Arc::new(views),
        identity: Arc::new(IdentityStore::load(users)?),
        runtime: build_runtime(&runtime, catalog.object_stores())?,
        audit: AuditLog::open(AuditOptions::new(root.join("audit"), Zeroizing::new(vec![7; 32])))?,
        metrics: prometheus::Registry::new(),
        options: CoordinatorOptions {
            database: "lakeward".to_owned(),
            statement_timeout: None,
            target_partitions: tuning.partitions,
            // Several batches for every table, so that what is hidden moves their ends.
            batch_size: 128,
            pushdown_filters: tuning.pushdown_filters,
        },
        catalog,
    })
}

fn write_users(directory: &Path) -> Result<PathBuf> {
    let verifier = ScramVerifier::generate(PASSWORD)?;
    let path = directory.join("users.yaml");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "version: 1\nusers:")?;
    for (name, tenant, role, clinic) in PEOPLE {
        writeln!(
            file,
            "  - {{ name: {name}, tenant: {tenant}, roles: [{role}], attributes: {{ clinic: {clinic} }}, \
             scram: \"{verifier}\" }}"
        )?;
    }
    file.sync_all().context("writing users.yaml")?;
    Ok(path)
}
