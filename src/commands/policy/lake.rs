//! Policies, people and tables, without a service.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use lakeward_catalog::LakeCatalog;
use lakeward_policy::identity::IdentityStore;
use lakeward_policy::{PolicyEngine, Principal, Resolved, Securable};
use lakeward_scheduler::coordinator::{self, Views};

use crate::config::Config;
use crate::service::parts;

/// Everything that decisions are made of.
pub(super) struct PolicyLake {
    pub(super) config: Config,
    pub(super) catalog: Arc<LakeCatalog>,
    pub(super) tables: Vec<Securable>,
    pub(super) users: Arc<IdentityStore>,
    pub(super) policies: Arc<PolicyEngine>,
    pub(super) views: Arc<Views>,
}

impl PolicyLake {
    pub(super) async fn open(config: &Path) -> anyhow::Result<Self> {
        let config = Config::load(config)?;
        let catalog = parts::open_catalog(&config).await?;
        let (policies, views) = parts::load_policies(&config, &catalog).await?;
        let users = parts::load_users(&config.identity).await?;
        let mut tables = coordinator::securables(&catalog.snapshot());
        tables.extend(views.securables(&catalog.snapshot()).await);
        Ok(Self { config, catalog, tables, users, policies: Arc::new(policies), views: Arc::new(views) })
    }

    /// The policies of other files, for the same tables and views.
    pub(super) async fn policies_of(&self, files: Vec<PathBuf>) -> anyhow::Result<(PolicyEngine, Views)> {
        let first = files.first().cloned().unwrap_or_default();
        let (known, views) = (Arc::clone(&self.catalog), self.views.file().map(Path::to_path_buf));
        let load = move || coordinator::load_policies_and_views(files, views, &known);
        Ok(parts::blocking(&first, load).await?)
    }

    /// Every user who could log in now, in the order of the users file; or those that are named.
    pub(super) fn people(&self, named: &[String]) -> anyhow::Result<Vec<Principal>> {
        if !named.is_empty() {
            return named.iter().map(|user| self.principal(user)).collect();
        }
        let directory = self.users.directory();
        Ok(directory.users().filter_map(|user| self.users.principal(&user.name).ok()).collect())
    }

    pub(super) fn principal(&self, user: &str) -> anyhow::Result<Principal> {
        self.users.principal(user).with_context(|| format!("user {user}"))
    }

    pub(super) fn resolved(&self, user: &str) -> anyhow::Result<Arc<Resolved>> {
        Ok(self.resolve(self.principal(user)?))
    }

    pub(super) fn resolve(&self, principal: Principal) -> Arc<Resolved> {
        self.policies.resolve(&Arc::new(principal))
    }
}
