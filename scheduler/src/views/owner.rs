//! What the queries of views are planned against: the raw lake, as the policies' owner sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use lakeward_catalog::{CatalogSnapshot, TableState};
use lakeward_policy::view::OwnerTable;
use parking_lot::RwLock;

use super::parse::{ViewName, nobody};
use super::{inlined::InlinedView, unavailable};
use crate::failure;
use crate::governed::SEARCH_PATH;
use crate::pg_catalog::{self, LazyCatalog, MakeVisible};
use crate::view::{analyzer_rules, session_config};

/// Name of the one catalog; no statement says it.
const CATALOG: &str = "lake";

/// Views that are planned already; None for one that cannot be.
pub(super) type Shelf = Arc<RwLock<BTreeMap<ViewName, Option<Arc<InlinedView>>>>>;

/// Who may be asked for below a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Functions {
    /// None that answers by who asks: `current_user` is not known.
    OfNobody,
    /// All, to see what type they have.
    OfAnybody,
}

#[derive(Debug)]
struct OwnerSchema {
    name: String,
    catalog: Arc<CatalogSnapshot>,
    views: Shelf,
}

#[async_trait]
impl SchemaProvider for OwnerSchema {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let full = format!("{}.{name}", self.name);
        if let Some(entry) = self.catalog.table(&self.name, name) {
            return match &entry.state {
                TableState::Available(table) => {
                    let table = OwnerTable::new(table.provider(), &self.name, name, table.version());
                    Ok(Some(Arc::new(table)))
                }
                TableState::Unavailable { .. } => Err(external(&full)),
            };
        }
        match self.views.read().get(&(self.name.clone(), name.to_owned())) {
            Some(Some(view)) => Ok(Some(Arc::clone(view) as Arc<dyn TableProvider>)),
            Some(None) => Err(external(&full)),
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalog.table(&self.name, name).is_some()
            || self.views.read().contains_key(&(self.name.clone(), name.to_owned()))
    }
}

fn external(name: &str) -> DataFusionError {
    DataFusionError::External(Box::new(unavailable(name)))
}

#[derive(Debug)]
struct OwnerCatalog(BTreeMap<String, Arc<OwnerSchema>>);

impl CatalogProvider for OwnerCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.0.get(name).map(|schema| Arc::clone(schema) as Arc<dyn SchemaProvider>)
    }
}

#[derive(Debug)]
struct OwnerCatalogList(Arc<OwnerCatalog>);

impl CatalogProviderList for OwnerCatalogList {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::clone(&self.0) as Arc<dyn CatalogProvider>)
    }
}

/// A state that plans over the raw tables of `catalog` and the views on `shelf`. It plans and runs nothing:
/// what it plans runs inside a statement, below that statement's barrier.
pub(super) fn planner(
    catalog: &Arc<CatalogSnapshot>,
    views: impl Iterator<Item = String>,
    shelf: &Shelf,
    functions: Functions,
) -> Result<SessionState> {
    let names: BTreeSet<String> = catalog.schemas().map(str::to_owned).chain(views).collect();
    let schemas = names
        .into_iter()
        .map(|name| {
            let schema =
                OwnerSchema { name: name.clone(), catalog: Arc::clone(catalog), views: Arc::clone(shelf) };
            (name, Arc::new(schema))
        })
        .collect();
    let config = session_config(Some("UTC".to_owned())).with_default_catalog_and_schema(CATALOG, SEARCH_PATH);
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_catalog_list(Arc::new(OwnerCatalogList(Arc::new(OwnerCatalog(schemas)))))
        .with_default_features()
        .with_analyzer_rules(analyzer_rules())
        .build();
    state.table_factories_mut().clear();
    crate::bounded::register(&mut state)?;
    let make: MakeVisible = Box::new(nobody);
    let nobody = Arc::new(LazyCatalog::new(make));
    let more = match functions {
        Functions::OfNobody => pg_catalog::plain_functions(&nobody),
        Functions::OfAnybody => pg_catalog::functions(&nobody, Arc::new(|_: &str| Some(String::new()))),
    };
    for function in more {
        state.register_udf(Arc::new(function))?;
    }
    Ok(state)
}

/// What a view's planning error says, in the words that users get.
pub(super) fn told(error: &DataFusionError) -> crate::error::QueryError {
    failure::planning(error)
}
