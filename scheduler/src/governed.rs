//! The catalog as one principal sees it: what may not be seen does not exist.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use indexmap::IndexMap;
use lakeward_catalog::{CatalogSnapshot, TableEntry, TableSnapshot, TableState, VersionError};
use lakeward_policy::mutation::{Mutation, active};
use lakeward_policy::view::Rights;
use lakeward_policy::{Access, PolicyTable, Resolved, Securable};

use crate::error::{QueryError, SqlState};
use crate::history::{self, Shown};
use crate::versioned::Request;
use crate::views::{self, CompiledView, CompiledViews};

/// Name of the schema that stands for the search path. No lake schema can be called so.
pub(crate) const SEARCH_PATH: &str = "$search_path";

/// Commits that a table's history shows at most.
const HISTORY_LIMIT: usize = 1000;

/// A table that the principal may see but that cannot be read now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("table {table} is unavailable")]
pub(crate) struct Unavailable {
    table: String,
}

impl Unavailable {
    pub(crate) fn to_error(&self) -> QueryError {
        QueryError::new(
            SqlState::ObjectNotInPrerequisiteState,
            format!("table \"{}\" is unavailable", self.table),
        )
        .with_hint("Its files cannot be read as they are; operators see the reason in system.tables.")
    }
}

/// Describes a catalog entry to the policies.
pub(crate) fn securable(entry: &TableEntry) -> Securable {
    let mut securable = Securable {
        schema: entry.schema.clone(),
        table: entry.name.clone(),
        columns: None,
        tags: Vec::new(),
        column_tags: std::collections::BTreeMap::new(),
        origins: None,
    };
    if let TableState::Available(table) = &entry.state {
        let schema = table.schema();
        for field in schema.fields() {
            let tags = table.column_tags(field.name());
            if !tags.is_empty() {
                securable.column_tags.insert(field.name().clone(), tags.to_vec());
            }
        }
        securable.tags = table.tags().to_vec();
        securable.columns = Some(schema);
    }
    securable
}

/// Every table of a catalog as policies see it.
pub fn securables(catalog: &CatalogSnapshot) -> Vec<Securable> {
    catalog.tables().map(securable).collect()
}

/// Every table and every view.
pub(crate) fn all_securables(catalog: &CatalogSnapshot, views: &CompiledViews) -> Vec<Securable> {
    catalog.tables().map(securable).chain(views.securables(catalog)).collect()
}

/// The lake as `resolved` shows it, at one catalog snapshot.
#[derive(Clone)]
pub(crate) struct GovernedLake {
    pub(crate) catalog: Arc<CatalogSnapshot>,
    pub(crate) resolved: Arc<Resolved>,
    pub(crate) views: Arc<CompiledViews>,
    /// Plans views with the invoker's rights; set by the session's view that the lake belongs to.
    pub(crate) planner: Arc<OnceLock<Weak<SessionState>>>,
}

impl fmt::Debug for GovernedLake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernedLake").field("generation", &self.catalog.generation).finish_non_exhaustive()
    }
}

impl GovernedLake {
    pub(crate) fn new(
        catalog: Arc<CatalogSnapshot>,
        resolved: Arc<Resolved>,
        views: Arc<CompiledViews>,
    ) -> Self {
        Self { catalog, resolved, views, planner: Arc::default() }
    }

    /// The same lake, for another view.
    pub(crate) fn of_other_session(&self) -> Self {
        Self { planner: Arc::default(), ..self.clone() }
    }

    /// Views that the principal may know of. A table of the same name goes before a view.
    pub(crate) fn visible_views(&self) -> impl Iterator<Item = &CompiledView> {
        self.views.iter().filter(|view| {
            let definition = &view.parsed.definition;
            self.catalog.table(&definition.schema, &definition.name).is_none()
                && self.resolved.may_see(&view.by_name())
        })
    }

    /// The table or view of this name as policies see it, by its raw columns; whoever asks.
    pub(crate) fn described(&self, schema: &str, name: &str) -> Option<Securable> {
        if let Some(entry) = self.catalog.table(schema, name) {
            return Some(securable(entry));
        }
        let view = self.views.get(schema, name)?;
        Some(view.shape.as_ref().map_or_else(|_| view.by_name(), |shape| shape.securable.clone()))
    }

    /// The table or owner's view of this name as policies see it. A view with the invoker's rights is one
    /// for each of them.
    pub(crate) fn securable_named(&self, schema: &str, name: &str) -> Option<Securable> {
        match self.catalog.table(schema, name) {
            Some(entry) => Some(securable(entry)),
            None => {
                let view = self.views.get(schema, name).filter(|view| view.rights() == Rights::Owner)?;
                view.shape.as_ref().ok().map(|shape| shape.securable.clone())
            }
        }
    }

    /// A view, sealed or for the statement to take in.
    async fn view(&self, view: &CompiledView) -> Result<Option<Arc<dyn TableProvider>>> {
        let definition = &view.parsed.definition;
        if !self.resolved.may_see(&view.by_name()) {
            return Ok(None);
        }
        let broken = || DataFusionError::External(Box::new(views::unavailable(&definition.full_name())));
        let query = match (view.rights(), &view.shape) {
            (Rights::Invoker, _) => return views::invoker_provider(self, view).await,
            (Rights::Owner, Ok(shape)) => shape.query.as_ref().map(|query| (query, &shape.securable)),
            (Rights::Owner, Err(_)) => None,
        };
        let Some((query, securable)) = query else { return Err(broken()) };
        let (policy, readable) = match self.resolved.access(securable) {
            Access::Invisible => return Ok(None),
            Access::Unresolved(_) => return Err(broken()),
            Access::Describe(policy) => (policy, false),
            Access::Select(policy) => (policy, true),
        };
        Ok(Some(Arc::new(PolicyTable::of_view(Arc::clone(query), policy, readable))))
    }

    /// Tables that the principal may know of, in catalog order.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (&TableEntry, Access)> {
        self.catalog.tables().filter_map(|entry| match self.resolved.access(&securable(entry)) {
            Access::Invisible => None,
            access => Some((entry, access)),
        })
    }

    async fn provider(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(entry) = self.catalog.table(schema, name).filter(|_| !Request::is_asked(name)) {
            return self.sealed(&securable(entry), &entry.state, None);
        }
        if let Some(view) = self.views.get(schema, name) {
            return self.view(view).await;
        }
        let Some((name, request)) = Request::of_name(name) else { return Ok(None) };
        if self.catalog.table(schema, name).is_none()
            && self.views.get(schema, name).is_some_and(|view| self.resolved.may_see(&view.by_name()))
        {
            let refused = QueryError::new(
                SqlState::FeatureNotSupported,
                format!("\"{schema}.{name}\" is a view: it has no versions, history or changes of its own"),
            );
            return Err(DataFusionError::External(Box::new(refused)));
        }
        let Some(entry) = self.catalog.table(schema, name) else { return Ok(None) };
        // Whether it may be seen is decided before anything is read for it.
        let access = self.resolved.access(&securable(entry));
        let TableState::Available(table) = &entry.state else {
            return self.sealed(&securable(entry), &entry.state, None);
        };
        match (request, access) {
            (_, Access::Invisible) => Ok(None),
            (_, Access::Unresolved(_)) => unavailable(schema, name),
            (Request::Version(version), _) => {
                let table = table.at(version).await.map_err(asked_in_vain)?;
                let state = TableState::Available(table);
                let entry = TableEntry { state, ..entry.clone() };
                self.sealed(&securable(&entry), &entry.state, None)
            }
            (Request::Changes { from, to }, _) => {
                let changes = table.changes(from, to).await.map_err(asked_in_vain)?;
                let mut securable = securable(entry);
                securable.columns = Some(changes.schema());
                self.sealed(&securable, &entry.state, Some(changes))
            }
            (Request::History, access) => {
                let commits = table.history(HISTORY_LIMIT).await.map_err(asked_in_vain)?;
                // Parameters hold literals of the writer's statements, so they are for who reads the rows
                // as they are; metrics count all rows, which operators may know.
                let reads_all = matches!(access, Access::Select(policy) if policy.shows_everything());
                let counts = reads_all || self.resolved.may_read("system", "tables");
                let shown = Shown { parameters: reads_all, counts };
                Ok(Some(history::table(commits, shown)))
            }
        }
    }

    /// The table under what applies to it; `changes` stand in its place when they are asked for.
    fn sealed(
        &self,
        securable: &Securable,
        state: &TableState,
        changes: Option<Arc<dyn TableProvider>>,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let (policy, readable) = match self.resolved.access(securable) {
            Access::Invisible if active(Mutation::ForbiddenTold) => {
                let refused = QueryError::new(SqlState::InsufficientPrivilege, "permission denied");
                return Err(DataFusionError::External(Box::new(refused)));
            }
            Access::Invisible => return Ok(None),
            Access::Unresolved(_) => return unavailable(&securable.schema, &securable.table),
            Access::Describe(policy) => (policy, false),
            Access::Select(policy) => (policy, true),
        };
        match state {
            TableState::Available(table) => {
                let raw = changes.unwrap_or_else(|| provider(table));
                Ok(Some(Arc::new(PolicyTable::new(raw, policy, readable, table.version()))))
            }
            TableState::Unavailable { .. } => unavailable(&securable.schema, &securable.table),
        }
    }
}

/// The table's own scan, or what tests put in its place.
fn provider(table: &Arc<TableSnapshot>) -> Arc<dyn TableProvider> {
    #[cfg(feature = "mutations")]
    if let Some(other) = lakeward_policy::mutation::substituted(table.location().as_str(), &table.schema()) {
        return other;
    }
    table.provider()
}

fn unavailable<T>(schema: &str, name: &str) -> Result<T> {
    let table = format!("{schema}.{name}");
    Err(DataFusionError::External(Box::new(Unavailable { table })))
}

/// What was asked of an older version cannot be had. The text names the table, which may be seen.
fn asked_in_vain(error: VersionError) -> DataFusionError {
    let state = match &error {
        VersionError::Unreadable { .. } => SqlState::ObjectNotInPrerequisiteState,
        _ => SqlState::InvalidParameterValue,
    };
    DataFusionError::External(Box::new(QueryError::new(state, error.to_string())))
}

/// One schema of the lake.
#[derive(Debug)]
struct GovernedSchema {
    lake: GovernedLake,
    name: String,
}

#[async_trait]
impl SchemaProvider for GovernedSchema {
    fn table_names(&self) -> Vec<String> {
        let tables = self.lake.catalog.tables().filter(|entry| entry.schema == self.name);
        let tables = tables
            .filter(|entry| self.lake.resolved.may_see(&securable(entry)))
            .map(|entry| entry.name.clone());
        let views = self.lake.visible_views().map(|view| &view.parsed.definition);
        let views = views.filter(|definition| definition.schema == self.name);
        tables.chain(views.map(|definition| definition.name.clone())).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.lake.provider(&self.name, name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        let name = Request::of_name(name).map_or(name, |(table, _)| table);
        match self.lake.catalog.table(&self.name, name) {
            Some(entry) => self.lake.resolved.may_see(&securable(entry)),
            None => {
                let view = self.lake.views.get(&self.name, name);
                view.is_some_and(|view| self.lake.resolved.may_see(&view.by_name()))
            }
        }
    }
}

/// Unqualified names: the first schema of the search path that has the table.
#[derive(Debug)]
struct SearchPathSchema {
    schemas: IndexMap<String, Arc<dyn SchemaProvider>>,
    path: Vec<String>,
}

#[async_trait]
impl SchemaProvider for SearchPathSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        for schema in &self.path {
            if let Some(provider) = self.schemas.get(schema)
                && let Some(table) = provider.table(name).await?
            {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.path
            .iter()
            .any(|schema| self.schemas.get(schema).is_some_and(|provider| provider.table_exist(name)))
    }
}

/// The only catalog that a governed session has.
#[derive(Debug)]
pub(crate) struct GovernedCatalog {
    name: String,
    schemas: IndexMap<String, Arc<dyn SchemaProvider>>,
    search_path: Arc<dyn SchemaProvider>,
}

impl GovernedCatalog {
    /// `system` holds the generated schemas; they win over lake schemas of the same name.
    pub(crate) fn new(
        name: &str,
        lake: &GovernedLake,
        system: Vec<(String, Arc<dyn SchemaProvider>)>,
        search_path: Vec<String>,
    ) -> Self {
        let mut schemas: IndexMap<String, Arc<dyn SchemaProvider>> = IndexMap::new();
        for schema in visible_schemas(lake) {
            schemas.insert(schema.clone(), Arc::new(GovernedSchema { lake: lake.clone(), name: schema }));
        }
        schemas.extend(system);
        let search_path = Arc::new(SearchPathSchema { schemas: schemas.clone(), path: search_path });
        Self { name: name.to_owned(), schemas, search_path }
    }
}

/// Lake schemas with at least one visible table or view.
pub(crate) fn visible_schemas(lake: &GovernedLake) -> Vec<String> {
    // In catalog order tables of one schema stand together: the first that may be seen shows it.
    let mut names: Vec<String> = Vec::new();
    for entry in lake.catalog.tables() {
        if names.last() != Some(&entry.schema) && lake.resolved.may_see(&securable(entry)) {
            names.push(entry.schema.clone());
        }
    }
    names.extend(lake.visible_views().map(|view| view.parsed.definition.schema.clone()));
    names.sort();
    names.dedup();
    names
}

impl CatalogProvider for GovernedCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.schemas.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == SEARCH_PATH {
            return Some(Arc::clone(&self.search_path));
        }
        self.schemas.get(name).cloned()
    }
}

/// A list of exactly one catalog; nothing can be added.
#[derive(Debug)]
pub(crate) struct GovernedCatalogList(pub(crate) Arc<GovernedCatalog>);

impl CatalogProviderList for GovernedCatalogList {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        tracing::error!("a catalog was offered to a governed session and not taken");
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == self.0.name).then(|| Arc::clone(&self.0) as Arc<dyn CatalogProvider>)
    }
}
