//! Views planned against one catalog snapshot: columns, where they come from, and queries of owner's views.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use lakeward_catalog::{CatalogSnapshot, TableState};
use lakeward_policy::Securable;
use lakeward_policy::document::Diagnostic;
use lakeward_policy::view::{Rights, SourceColumn, ViewQuery, lineage};

use super::inlined::InlinedView;
use super::owner::{Functions, Shelf, planner, told};
use super::parse::{ParsedView, ViewName, ViewSet};
use crate::error::{QueryError, SqlState};
use crate::pg_catalog;
use crate::plan::is_system_table;

/// The views of a set at one catalog snapshot.
#[derive(Debug)]
pub(crate) struct CompiledViews {
    pub(crate) epoch: u64,
    pub(crate) generation: u64,
    views: BTreeMap<ViewName, CompiledView>,
}

/// One view at one catalog snapshot.
#[derive(Debug)]
pub(crate) struct CompiledView {
    pub(crate) parsed: Arc<ParsedView>,
    /// What it is; or why it cannot be planned, for operators.
    pub(crate) shape: Result<Shape, Broken>,
}

/// A view that can be planned, as its owner sees it.
#[derive(Debug)]
pub(crate) struct Shape {
    /// As policies see it. Of a view with the invoker's rights, raw types: what is masked below may have another.
    pub(crate) securable: Securable,
    /// For each column where it comes from.
    pub(crate) sources: Vec<BTreeSet<SourceColumn>>,
    /// Tags of the sources, by column, whatever the file says.
    pub(crate) flowing: Vec<BTreeSet<String>>,
    /// Of an owner's view: what runs.
    pub(crate) query: Option<Arc<ViewQuery>>,
}

/// Why a view cannot be planned.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) reason: String,
    /// Only because something below it cannot be read now.
    pub(crate) waits: bool,
    /// Where that is written, if not in the query.
    place: Option<Diagnostic>,
}

impl Broken {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), waits: false, place: None }
    }
}

impl From<QueryError> for Broken {
    fn from(error: QueryError) -> Self {
        let waits = error.state == SqlState::ObjectNotInPrerequisiteState;
        Self { reason: error.message, waits, place: None }
    }
}

impl From<DataFusionError> for Broken {
    fn from(error: DataFusionError) -> Self {
        told(&error).into()
    }
}

impl CompiledView {
    pub(crate) fn rights(&self) -> Rights {
        self.parsed.definition.rights
    }

    /// What to complain about when the file is loaded.
    pub(super) fn complaint(&self) -> Option<Diagnostic> {
        match &self.shape {
            Err(broken) if !broken.waits => {
                let complaint = self.parsed.complain(&broken.reason);
                let place = broken.place.clone().unwrap_or_else(|| complaint.clone());
                Some(Diagnostic { message: complaint.message, ..place })
            }
            _ => None,
        }
    }
}

impl CompiledViews {
    /// Plans every view of `set`.
    pub(super) async fn new(set: &ViewSet, catalog: &Arc<CatalogSnapshot>) -> Self {
        let mut compiled = Self { epoch: set.epoch, generation: catalog.generation, views: BTreeMap::new() };
        if set.views.is_empty() {
            return compiled;
        }
        let (strict, lenient) = (Shelf::default(), Shelf::default());
        let schemas = || set.views.iter().map(|view| view.definition.schema.clone());
        let planners = planner(catalog, schemas(), &strict, Functions::OfNobody)
            .and_then(|first| Ok((first, planner(catalog, schemas(), &lenient, Functions::OfAnybody)?)));
        let planners = planners.map_err(|error| {
            tracing::error!(%error, "views cannot be planned");
            "the planner of views could not be set up"
        });
        for view in &set.views {
            let shape = match &planners {
                Ok((owner, anybody)) => one(view, catalog, (owner, &strict), (anybody, &lenient)).await,
                Err(why) => Err(Broken { waits: true, ..Broken::new(*why) }),
            };
            if let Err(broken) = &shape {
                tracing::warn!(
                    view = view.definition.full_name(),
                    reason = broken.reason,
                    "a view is unavailable"
                );
            }
            compiled.views.insert(view.name(), CompiledView { parsed: Arc::clone(view), shape });
        }
        compiled
    }

    pub(crate) fn get(&self, schema: &str, name: &str) -> Option<&CompiledView> {
        self.views.get(&(schema.to_owned(), name.to_owned()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &CompiledView> {
        self.views.values()
    }

    /// Every view that can be planned, as policies see it.
    pub(crate) fn securables(&self) -> impl Iterator<Item = Securable> {
        self.iter().filter_map(|view| Some(view.shape.as_ref().ok()?.securable.clone()))
    }

    /// Tables below those of `named` that are views, through other views.
    pub(crate) fn tables_below(&self, schema: Option<&str>, name: &str) -> BTreeSet<ViewName> {
        let mut found = BTreeSet::new();
        let mut next: Vec<ViewName> = self
            .views
            .keys()
            .filter(|(s, n)| n == name && schema.is_none_or(|schema| schema == s))
            .cloned()
            .collect();
        while let Some(name) = next.pop() {
            match self.views.get(&name) {
                Some(view) => next.extend(view.parsed.below.iter().cloned()),
                None => drop(found.insert(name)),
            }
        }
        found
    }
}

type Planner<'a> = (&'a SessionState, &'a Shelf);

async fn one(
    view: &Arc<ParsedView>,
    catalog: &Arc<CatalogSnapshot>,
    strict: Planner<'_>,
    lenient: Planner<'_>,
) -> Result<Shape, Broken> {
    if catalog.table(&view.definition.schema, &view.definition.name).is_some() {
        return Err(Broken::new("a table of this name exists"));
    }
    let put = |shelf: &Shelf, planned: Option<&(LogicalPlan, SchemaRef)>| {
        let inlined = planned
            .map(|(plan, schema)| Arc::new(InlinedView { plan: plan.clone(), schema: Arc::clone(schema) }));
        shelf.write().insert(view.name(), inlined);
    };
    let as_owner = plan(strict.0, view).await;
    put(strict.1, as_owner.as_ref().ok());
    let planned = match (as_owner, view.definition.rights) {
        (Err(_), Rights::Invoker) => plan(lenient.0, view).await,
        (planned, _) => planned,
    };
    put(lenient.1, planned.as_ref().ok());
    let (plan, schema) = planned?;
    shape(view, catalog, plan, schema)
}

/// The plan of a view's query, not optimised, and the columns it has when it is.
pub(super) async fn plan(
    state: &SessionState,
    view: &ParsedView,
) -> Result<(LogicalPlan, SchemaRef), QueryError> {
    let statement = EngineStatement::Statement(Box::new(view.statement.clone()));
    let plan = state.statement_to_plan(statement).await.map_err(|error| told(&error))?;
    let analysed = state
        .analyzer()
        .execute_and_check(plan.clone(), state.config_options(), |_, _| {})
        .map_err(|error| told(&error))?;
    let mut fields: Vec<Arc<Field>> = Vec::new();
    for field in analysed.schema().fields() {
        let name = pg_catalog::display_name(field.name());
        if fields.iter().any(|known| known.name() == name) {
            let why = format!("column \"{name}\" appears more than once");
            return Err(QueryError::new(SqlState::AmbiguousColumn, why));
        }
        fields.push(Arc::new(Field::new(name, field.data_type().clone(), true)));
    }
    Ok((plan, Arc::new(Schema::new(fields))))
}

fn shape(
    view: &ParsedView,
    catalog: &CatalogSnapshot,
    plan: LogicalPlan,
    schema: SchemaRef,
) -> Result<Shape, Broken> {
    let definition = &view.definition;
    for (name, column) in &definition.columns {
        if schema.index_of(name).is_err() {
            let place = Some(column.place.clone());
            return Err(Broken { place, ..Broken::new(format!("it has no column \"{name}\"")) });
        }
    }
    let sources = lineage(&plan);
    if sources.len() != schema.fields().len() {
        return Err(Broken::new("where its columns come from is not known"));
    }
    let flowing: Vec<BTreeSet<String>> = sources.iter().map(|from| tags_of(catalog, from)).collect();
    let full = definition.full_name();
    let (query, below) = match definition.rights {
        Rights::Owner => {
            let query = ViewQuery::owner(&full, plan, Arc::clone(&schema), &is_system_table)
                .map_err(|problem| Broken::new(problem.reason))?;
            let below: Vec<String> = query.tables().iter().map(|read| read.table.clone()).collect();
            (Some(Arc::new(query)), below)
        }
        Rights::Invoker => (None, Vec::new()),
    };
    // What is below a view of the invoker's was filtered and masked by its own tags already.
    let flows = definition.rights == Rights::Owner;
    let mut column_tags = BTreeMap::new();
    for (field, flowing) in schema.fields().iter().zip(&flowing) {
        let said = definition.columns.get(field.name()).and_then(|column| column.tags.clone());
        let tags = said.unwrap_or_else(|| flowing.iter().filter(|_| flows).cloned().collect());
        if !tags.is_empty() {
            column_tags.insert(field.name().clone(), tags);
        }
    }
    let flowing_tags = || -> Vec<String> {
        let tables = below.iter().filter_map(|table| available(catalog, table));
        let tags: BTreeSet<String> = tables.flat_map(|table| table.tags().to_vec()).collect();
        tags.into_iter().collect()
    };
    let securable = Securable {
        schema: definition.schema.clone(),
        table: definition.name.clone(),
        columns: Some(schema),
        tags: definition.tags.clone().unwrap_or_else(flowing_tags),
        column_tags,
    };
    Ok(Shape { securable, sources, flowing, query })
}

fn available<'a>(
    catalog: &'a CatalogSnapshot,
    table: &str,
) -> Option<&'a Arc<lakeward_catalog::TableSnapshot>> {
    let (schema, name) = table.split_once('.')?;
    match &catalog.table(schema, name)?.state {
        TableState::Available(table) => Some(table),
        TableState::Unavailable { .. } => None,
    }
}

fn tags_of(catalog: &CatalogSnapshot, sources: &BTreeSet<SourceColumn>) -> BTreeSet<String> {
    sources
        .iter()
        .filter_map(|source| Some((available(catalog, &source.table)?, source)))
        .flat_map(|(table, source)| table.column_tags(&source.column).to_vec())
        .collect()
}
