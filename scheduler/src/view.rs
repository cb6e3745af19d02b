//! What one session plans against: a principal's catalog at one policy epoch, catalog generation and
//! set of settings. Immutable; a session makes a new one when any of the three moves.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::SchemaProvider;
use datafusion::config::Dialect;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::prelude::SessionConfig;
use lakeward_catalog::TableState;
use lakeward_policy::view::Rights;
use lakeward_policy::{Access, PostgresNumbers, PostgresOperators};
use parking_lot::Mutex;
use prometheus::IntCounter;

use crate::acting::Acting;
use crate::coordinator::Coordinator;
use crate::error::{QueryError, SqlState};
use crate::failure;
use crate::governed::{GovernedCatalog, GovernedCatalogList, GovernedLake, SEARCH_PATH, visible_schemas};
use crate::pg_catalog::{
    self, LazyCatalog, MakeVisible, VisibleCatalog, VisibleColumn, VisibleSchema, VisibleTable,
};
use crate::plan::Planned;
use crate::settings::{SERVER_VERSION, Settings};
use crate::system;
use crate::views::{CompiledView, Listing};

/// Plans kept per view; beyond it they start anew.
const PLAN_LIMIT: usize = 256;

/// Text of a statement and the parameter types its client declared.
type PlanKey = (Arc<str>, Vec<Option<DataType>>);

/// Identifies a view: plans made against another one are made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ViewKey {
    pub(crate) epoch: u64,
    pub(crate) generation: u64,
    pub(crate) settings: u64,
    pub(crate) turn: u64,
    /// Epoch of the views.
    pub(crate) views: u64,
}

/// A principal's governed catalog with everything to plan on it.
pub(crate) struct View {
    pub(crate) key: ViewKey,
    pub(crate) lake: GovernedLake,
    /// Whom it was made for.
    pub(crate) acting: Acting,
    pub(crate) state: SessionState,
    /// What views with the invoker's rights are planned with; `lake` refers to it.
    _planner: Arc<SessionState>,
    /// May see physical plans, other people's queries and policies, by a grant on `system.plans`.
    pub(crate) is_operator: bool,
    /// Counts plans that were refused because they could not be verified.
    pub(crate) unverified: IntCounter,
    plans: Mutex<HashMap<PlanKey, Arc<Planned>>>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("key", &self.key).finish_non_exhaustive()
    }
}

impl View {
    pub(crate) fn new(
        coordinator: &Arc<Coordinator>,
        lake: GovernedLake,
        acting: &Acting,
        settings: &Arc<Mutex<Settings>>,
        listing: &Arc<Listing>,
    ) -> Result<Self, QueryError> {
        let (generation, time_zone, search_path) = {
            let settings = settings.lock();
            (settings.generation(), settings.get("timezone").map(str::to_owned), settings.search_path())
        };
        let key = ViewKey {
            epoch: lake.resolved.snapshot().epoch(),
            generation: lake.catalog.generation,
            settings: generation,
            turn: acting.turn,
            views: lake.views.epoch,
        };
        let options = coordinator.options();
        let is_operator = lake.resolved.may_read("system", "plans");
        let make: MakeVisible = {
            let (database, lake, listing) = (options.database.clone(), lake.clone(), Arc::clone(listing));
            Box::new(move || visible_catalog(&database, &lake, &listing))
        };
        let visible = Arc::new(LazyCatalog::new(make));

        let mut schemas: Vec<(String, Arc<dyn SchemaProvider>)> = pg_catalog::schema_providers(&visible);
        schemas.push(("system".to_owned(), system::schema(coordinator, &lake, acting)));
        // PostgreSQL looks in pg_catalog first, whatever the path says.
        let mut path = vec!["pg_catalog".to_owned()];
        path.extend(search_path);
        let catalog = Arc::new(GovernedCatalog::new(&options.database, &lake, schemas, path));

        let mut config = session_config(time_zone)
            .with_target_partitions(options.target_partitions)
            .with_batch_size(options.batch_size)
            .with_default_catalog_and_schema(&options.database, SEARCH_PATH);
        let engine = config.options_mut();
        engine.execution.parquet.pushdown_filters = options.pushdown_filters;
        engine.execution.parquet.reorder_filters = options.pushdown_filters;
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(coordinator.runtime()))
            .with_catalog_list(Arc::new(GovernedCatalogList(catalog)))
            .with_default_features()
            .with_analyzer_rules(analyzer_rules())
            .with_optimizer_rule(Arc::new(PostgresNumbers))
            .build();
        state.table_factories_mut().clear();
        crate::bounded::register(&mut state).map_err(|error| failure::planning(&error))?;
        let reader = Arc::clone(settings);
        let read_setting =
            Arc::new(move |name: &str| reader.lock().get(&name.to_ascii_lowercase()).map(str::to_owned));
        for function in pg_catalog::functions(&visible, read_setting) {
            state.register_udf(Arc::new(function)).map_err(|error| {
                tracing::error!(%error, "a catalog function could not be registered");
                QueryError::new(SqlState::InternalError, "the session's functions could not be set up")
            })?;
        }
        let unverified = coordinator.metrics().unverified();
        let planner = Arc::new(state.clone());
        // Set once: a lake belongs to one view.
        let _ = lake.planner.set(Arc::downgrade(&planner));
        Ok(Self {
            key,
            lake,
            acting: acting.clone(),
            state,
            _planner: planner,
            is_operator,
            unverified,
            plans: Mutex::new(HashMap::new()),
        })
    }

    /// A plan made earlier in this view for the same text.
    pub(crate) fn known_plan(&self, text: &Arc<str>, types: &[Option<DataType>]) -> Option<Arc<Planned>> {
        self.plans.lock().get(&(Arc::clone(text), types.to_vec())).map(Arc::clone)
    }

    pub(crate) fn keep_plan(&self, text: &Arc<str>, types: &[Option<DataType>], plan: &Arc<Planned>) {
        let mut plans = self.plans.lock();
        if plans.len() >= PLAN_LIMIT {
            plans.clear();
        }
        plans.insert((Arc::clone(text), types.to_vec()), Arc::clone(plan));
    }
}

/// What planning is like for everybody, whatever they plan on.
pub(crate) fn session_config(time_zone: Option<String>) -> SessionConfig {
    let mut config =
        SessionConfig::new().with_create_default_catalog_and_schema(false).with_information_schema(false);
    let engine = config.options_mut();
    engine.sql_parser.dialect = Dialect::PostgreSQL;
    // `1.5` is a numeric to PostgreSQL's users; as a float 0.06 + 0.01 is not 0.07.
    engine.sql_parser.parse_float_as_decimal = true;
    engine.execution.time_zone = time_zone;
    engine.explain.show_statistics = false;
    config
}

pub(crate) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    // Before the engine's coercion of types.
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(PostgresOperators), Arc::new(PostgresNumbers)];
    rules.extend(Analyzer::new().rules);
    rules.push(pg_catalog::analyzer_rule());
    rules
}

/// Gold first: what unqualified names mean where a session did not say otherwise.
pub(crate) fn default_search_path(lake: &GovernedLake) -> Vec<String> {
    let rank = |name: &str| ["gold", "silver", "bronze"].iter().position(|layer| *layer == name).unwrap_or(3);
    let mut schemas = visible_schemas(lake);
    schemas.sort_by_key(|name| rank(name));
    schemas
}

fn visible_catalog(database: &str, lake: &GovernedLake, listing: &Listing) -> VisibleCatalog {
    let mut schemas: Vec<VisibleSchema> = Vec::new();
    let mut put = |schema: &str, table: VisibleTable| match schemas.iter_mut().find(|s| s.name == schema) {
        Some(schema) => schema.tables.push(table),
        None => {
            schemas.push(VisibleSchema { name: schema.to_owned(), description: None, tables: vec![table] })
        }
    };
    for (entry, access) in lake.visible() {
        let table = match (&entry.state, &access) {
            (TableState::Available(table), Access::Select(policy) | Access::Describe(policy)) => {
                VisibleTable {
                    name: entry.name.clone(),
                    is_view: false,
                    definition: None,
                    description: table.description().map(str::to_owned),
                    columns: policy
                        .schema()
                        .fields()
                        .iter()
                        .map(|field| VisibleColumn {
                            name: field.name().clone(),
                            data_type: field.data_type().clone(),
                            nullable: field.is_nullable(),
                            description: table.column_description(field.name()).map(str::to_owned),
                        })
                        .collect(),
                }
            }
            _ => VisibleTable {
                name: entry.name.clone(),
                is_view: false,
                definition: None,
                description: None,
                columns: Vec::new(),
            },
        };
        put(&entry.schema, table);
    }
    for view in lake.visible_views() {
        put(&view.parsed.definition.schema, visible_view(lake, view, listing));
    }
    schemas.push(system::visible_schema(lake));
    VisibleCatalog::new(
        database.to_owned(),
        lake.resolved.principal().user.clone(),
        lake.resolved.roles().iter().cloned().collect(),
        SERVER_VERSION.to_owned(),
        schemas,
    )
}

fn visible_view(lake: &GovernedLake, view: &CompiledView, listing: &Listing) -> VisibleTable {
    let definition = &view.parsed.definition;
    let columns = match (view.rights(), &view.shape) {
        (Rights::Invoker, _) => listing.get(&(definition.schema.clone(), definition.name.clone())).cloned(),
        (Rights::Owner, Ok(shape)) => match lake.resolved.access(&shape.securable) {
            Access::Select(policy) | Access::Describe(policy) => Some(policy.schema()),
            Access::Invisible | Access::Unresolved(_) => None,
        },
        (Rights::Owner, Err(_)) => None,
    };
    let described = |name: &str| definition.columns.get(name).and_then(|column| column.description.clone());
    VisibleTable {
        name: definition.name.clone(),
        is_view: true,
        definition: system::may_change_views(lake).then(|| definition.query.clone()),
        description: definition.description.clone(),
        columns: columns
            .iter()
            .flat_map(|schema| schema.fields())
            .map(|field| VisibleColumn {
                name: field.name().clone(),
                data_type: field.data_type().clone(),
                nullable: true,
                description: described(field.name()),
            })
            .collect(),
    }
}
