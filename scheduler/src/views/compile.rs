//! Views planned against one catalog snapshot: columns, where they come from, and queries of owner's views.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use lakeward_catalog::{CatalogSnapshot, TableState};
use lakeward_policy::document::Diagnostic;
use lakeward_policy::view::{Rights, SourceColumn, ViewDefinition, ViewQuery, lineage};
use lakeward_policy::{Origins, Securable};

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
    /// The same as if the file took no tags from it.
    pub(crate) undeclassified: Securable,
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

    /// What decides whether it may be known of, also where it cannot be planned: its name, and its tags as
    /// far as they are known then.
    pub(crate) fn by_name(&self) -> Securable {
        let definition = &self.parsed.definition;
        if let (Rights::Owner, Ok(shape)) = (definition.rights, &self.shape) {
            return shape.securable.clone();
        }
        let known = definition.rights == Rights::Invoker || definition.tags.is_some();
        Securable {
            schema: definition.schema.clone(),
            table: definition.name.clone(),
            columns: known.then(|| Arc::new(Schema::empty())),
            tags: definition.tags.clone().unwrap_or_default(),
            column_tags: BTreeMap::new(),
            origins: None,
        }
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

    /// Every view as policies see it. One that cannot be planned is like a table that cannot be read: rules may
    /// name it.
    pub(crate) fn securables(&self, catalog: &CatalogSnapshot) -> impl Iterator<Item = Securable> {
        let views = self.views.iter().filter(|((schema, name), _)| catalog.table(schema, name).is_none());
        views.map(|(_, view)| match &view.shape {
            Ok(shape) => shape.securable.clone(),
            Err(_) => Securable { columns: None, ..view.by_name() },
        })
    }

    /// Tables below `named`, through other views.
    pub(crate) fn tables_below(&self, named: &CompiledView) -> BTreeSet<ViewName> {
        let mut found = BTreeSet::new();
        let mut next = vec![named.parsed.name()];
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
    let full = definition.full_name();
    // What is below a view of the invoker's was filtered and masked by its own tags already.
    let (query, flowing) = match definition.rights {
        Rights::Owner => {
            let query = ViewQuery::owner(&full, plan, Arc::clone(&schema), &is_system_table)
                .map_err(|problem| Broken::new(problem.reason))?;
            let tables = query.tables().iter().map(|read| (read.schema.clone(), read.name.clone())).collect();
            let names = schema.fields().iter().map(|field| field.name().clone());
            let columns = names.zip(sources.iter().cloned()).collect();
            (Some(Arc::new(query)), Origins { tables, columns })
        }
        Rights::Invoker => (None, Origins::default()),
    };
    let undeclassified = carrying(definition, Arc::clone(&schema), catalog, flowing.clone());
    let mut kept = flowing;
    if definition.tags.is_some() {
        kept.tables.clear();
    }
    let said = |name: &str| definition.columns.get(name).and_then(|column| column.tags.clone());
    kept.columns.retain(|name, _| said(name).is_none());
    let mut securable = carrying(definition, schema, catalog, kept);
    securable.tags.extend(definition.tags.iter().flatten().cloned());
    let told = definition.columns.keys().filter_map(|name| Some((name.clone(), said(name)?)));
    securable.column_tags.extend(told.filter(|(_, tags)| !tags.is_empty()));
    Ok(Shape { securable, sources, undeclassified, query })
}

/// The view with the tags that flow to it from `origins`.
fn carrying(
    definition: &ViewDefinition,
    columns: SchemaRef,
    catalog: &CatalogSnapshot,
    origins: Origins,
) -> Securable {
    let tables = origins.tables.iter().filter_map(|(schema, name)| available(catalog, schema, name));
    let tags: BTreeSet<String> = tables.flat_map(|table| table.tags().to_vec()).collect();
    let flowing = origins.columns.iter().map(|(name, from)| (name.clone(), tags_of(catalog, from)));
    let column_tags = flowing.filter(|(_, tags)| !tags.is_empty());
    Securable {
        schema: definition.schema.clone(),
        table: definition.name.clone(),
        columns: Some(columns),
        tags: tags.into_iter().collect(),
        column_tags: column_tags.map(|(name, tags)| (name, tags.into_iter().collect())).collect(),
        origins: (origins != Origins::default()).then(|| Arc::new(origins)),
    }
}

fn available<'a>(
    catalog: &'a CatalogSnapshot,
    schema: &str,
    name: &str,
) -> Option<&'a Arc<lakeward_catalog::TableSnapshot>> {
    match &catalog.table(schema, name)?.state {
        TableState::Available(table) => Some(table),
        TableState::Unavailable { .. } => None,
    }
}

fn tags_of(catalog: &CatalogSnapshot, sources: &BTreeSet<SourceColumn>) -> BTreeSet<String> {
    sources
        .iter()
        .filter_map(|source| Some((available(catalog, &source.schema, &source.table)?, source)))
        .flat_map(|(table, source)| table.column_tags(&source.column).to_vec())
        .collect()
}
