//! The process-wide state that sessions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use datafusion::execution::runtime_env::RuntimeEnv;
use lakeward_catalog::LakeCatalog;
use lakeward_policy::change::{ChangeError, Changed, PolicyChange};
use lakeward_policy::document::Diagnostics;
use lakeward_policy::identity::IdentityStore;
use lakeward_policy::{PolicyEngine, Principal, Reload};
use prometheus::Registry;

use crate::acting::Acting;
use crate::audit::{Actor, AuditLog, AuditedEndUser, Client, Login, PolicyReload};
use crate::error::{QueryError, SqlState};
use crate::governed::all_securables;
pub use crate::governed::securables;
use crate::metrics::Metrics;
use crate::registry::QueryRegistry;
use crate::session::{ClientInfo, Session};
pub use crate::views::Views;

/// What a coordinator is made of.
pub struct CoordinatorParts {
    /// The lake.
    pub catalog: Arc<LakeCatalog>,
    /// Policies in force.
    pub policies: Arc<PolicyEngine>,
    /// Views over the lake, checked together with the policies.
    pub views: Arc<Views>,
    /// Accounts.
    pub identity: Arc<IdentityStore>,
    /// Memory, spill files, stores.
    pub runtime: Arc<RuntimeEnv>,
    /// Audit trail.
    pub audit: Arc<AuditLog>,
    /// Where counters are registered.
    pub metrics: Registry,
    /// Limits and names.
    pub options: CoordinatorOptions,
}

/// Limits and names of a coordinator.
#[derive(Debug, Clone)]
pub struct CoordinatorOptions {
    /// The one database that clients see.
    pub database: String,
    /// Longest time a statement may take; a session may ask for less, not for more. None: no limit.
    pub statement_timeout: Option<Duration>,
    /// Partitions a plan is cut into.
    pub target_partitions: usize,
    /// Rows in a batch.
    pub batch_size: usize,
    /// Whether scans drop rows by their predicates while they decode Parquet, besides skipping files and pages.
    pub pushdown_filters: bool,
}

/// Catalog, policies, runtime, registry and audit of one process.
pub struct Coordinator {
    catalog: Arc<LakeCatalog>,
    policies: Arc<PolicyEngine>,
    views: Arc<Views>,
    identity: Arc<IdentityStore>,
    runtime: Arc<RuntimeEnv>,
    audit: Arc<AuditLog>,
    metrics: Metrics,
    registry: QueryRegistry,
    options: CoordinatorOptions,
    closing: AtomicBool,
    /// One reload or change of policies and views at a time.
    reloading: parking_lot::Mutex<()>,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Checks policy files against a catalog and puts them in force. Reads files: not for async tasks.
pub fn load_policies(
    files: Vec<std::path::PathBuf>,
    catalog: &LakeCatalog,
) -> Result<PolicyEngine, Diagnostics> {
    PolicyEngine::load(files, &securables(&catalog.snapshot()))
}

/// The same with a file of views: policies are checked against tables and views. Reads files: not for async
/// tasks.
pub fn load_policies_and_views(
    files: Vec<std::path::PathBuf>,
    views: Option<std::path::PathBuf>,
    catalog: &LakeCatalog,
) -> Result<(PolicyEngine, Views), Diagnostics> {
    let snapshot = catalog.snapshot();
    let views = Views::load(views, &snapshot)?;
    let compiled = views.changed(&snapshot)?.compiled;
    let policies = PolicyEngine::load(files, &all_securables(&snapshot, &compiled))?;
    Ok((policies, views))
}

impl Coordinator {
    /// Starts with everything in place; fails only where a counter's name is taken.
    pub fn start(parts: CoordinatorParts) -> Result<Arc<Self>, prometheus::Error> {
        Ok(Arc::new(Self {
            metrics: Metrics::new(&parts.metrics)?,
            catalog: parts.catalog,
            policies: parts.policies,
            views: parts.views,
            identity: parts.identity,
            runtime: parts.runtime,
            audit: parts.audit,
            registry: QueryRegistry::default(),
            options: parts.options,
            closing: AtomicBool::new(false),
            reloading: parking_lot::Mutex::new(()),
        }))
    }

    /// Opens a governed session for an authenticated principal.
    pub async fn open_session(
        self: &Arc<Self>,
        principal: Principal,
        client: ClientInfo,
    ) -> Result<Arc<Session>, QueryError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(QueryError::new(SqlState::AdminShutdown, "the service is shutting down"));
        }
        let session = Session::open(Arc::clone(self), principal, client.clone()).await?;
        self.audit.login(Login {
            user: session.principal().user.clone(),
            client: audited(&client),
            session_id: Some(session.id().to_owned()),
            sqlstate: None,
            reason: None,
        });
        Ok(session)
    }

    /// Writes down a login that failed. `reason` is for operators.
    pub fn refused_login(&self, user: &str, client: &ClientInfo, state: SqlState, reason: &str) {
        self.audit.login(Login {
            user: user.chars().take(128).collect(),
            client: audited(client),
            session_id: None,
            sqlstate: Some(state.code().to_owned()),
            reason: Some(reason.to_owned()),
        });
    }

    /// Loads policy files and views again; on any problem those in force stay. Reads files: not for async tasks.
    pub fn reload_policies(&self) -> Result<Reload, Diagnostics> {
        let _one = self.reloading.lock();
        let catalog = self.catalog.snapshot();
        let outcome = self.views.changed(&catalog).and_then(|changed| {
            let tables = all_securables(&catalog, &changed.compiled);
            if !changed.differs {
                return self.policies.reload(&tables);
            }
            let outcome = self.policies.reload_with(&tables, || self.views.put_aside());
            if outcome.is_ok() {
                self.views.put_in_force(changed);
            }
            // Views alone are a change, too.
            outcome.map(|_| Reload::Changed(self.policies.current().epoch()))
        });
        if !matches!(outcome, Ok(Reload::Unchanged)) {
            self.audit.policy_reload(PolicyReload {
                subject: "policies".to_owned(),
                digest: self.policies.current().digest().to_owned(),
                accepted: outcome.is_ok(),
            });
        }
        outcome
    }

    /// Changes records of the managed policy file, all or none of them: `who` asked. Writes a file: not for
    /// async tasks.
    pub(crate) fn change_policies(
        &self,
        changes: &[PolicyChange],
        who: &str,
    ) -> Result<Changed, ChangeError> {
        let _one = self.reloading.lock();
        let catalog = self.catalog.snapshot();
        let tables = all_securables(&catalog, &self.views.compiled_now(&catalog));
        self.policies.change(changes, who, &tables)
    }

    /// No new sessions from now on.
    pub fn stop_accepting(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Statements that run now.
    pub fn running_statements(&self) -> usize {
        self.registry.running()
    }

    /// Epoch of the policies in force.
    pub fn policy_epoch(&self) -> u64 {
        self.policies.current().epoch()
    }

    /// Whether the policies in force let anybody see anything.
    pub fn grants_anything(&self) -> bool {
        self.policies.current().grants_anything()
    }

    /// Name of the one database.
    pub fn database(&self) -> &str {
        &self.options.database
    }

    /// The audit trail.
    pub fn audit(&self) -> &Arc<AuditLog> {
        &self.audit
    }

    pub(crate) fn catalog(&self) -> &Arc<LakeCatalog> {
        &self.catalog
    }

    pub(crate) fn policies(&self) -> &Arc<PolicyEngine> {
        &self.policies
    }

    pub(crate) fn views(&self) -> &Arc<Views> {
        &self.views
    }

    pub(crate) fn identity(&self) -> &Arc<IdentityStore> {
        &self.identity
    }

    pub(crate) fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn registry(&self) -> &QueryRegistry {
        &self.registry
    }

    pub(crate) fn options(&self) -> &CoordinatorOptions {
        &self.options
    }
}

pub(crate) fn audited(client: &ClientInfo) -> Client {
    Client { address: client.peer, application: client.application.clone(), protocol: client.protocol.word() }
}

pub(crate) fn actor(acting: &Acting) -> Actor {
    let end_user = acting.end_user.as_ref().map(|user| AuditedEndUser::of(&user.issuer, &user.principal));
    Actor { end_user, ..Actor::from(acting.account.as_ref()) }
}
