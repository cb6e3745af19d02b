//! Definitions, parsed and in an order in which each comes after the views it reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use lakeward_policy::document::{Diagnostic, Diagnostics};
use lakeward_policy::view::{ViewDefinition, parse_views};
use sha2::{Digest, Sha256};
use sqlparser::ast::{self, Ident, ObjectName, Query, TableFactor, Visit, Visitor};

use super::compile::CompiledViews;
use crate::pg_catalog::{self, VisibleCatalog};
use crate::settings::SERVER_VERSION;
use crate::statement::{Kind, Statement};

/// How many views may stand on top of each other.
const DEEPEST: usize = 16;

/// Functions that may stand where a table does.
const TABLE_FUNCTIONS: [&str; 3] = ["generate_series", "range", "unnest"];

/// Schemas whose tables are about who asks.
const SYSTEM: [&str; 3] = ["information_schema", "pg_catalog", "system"];

/// Schema and name.
pub(crate) type ViewName = (String, String);

/// A definition whose query is one that a view may have.
#[derive(Debug)]
pub(crate) struct ParsedView {
    pub(crate) definition: ViewDefinition,
    /// Rewritten to the engine's SQL.
    pub(super) statement: ast::Statement,
    /// Tables and views that it names.
    pub(super) below: BTreeSet<ViewName>,
}

impl ParsedView {
    pub(super) fn name(&self) -> ViewName {
        (self.definition.schema.clone(), self.definition.name.clone())
    }

    pub(super) fn complain(&self, why: &str) -> Diagnostic {
        let message = format!("view {}: {why}", self.definition.full_name());
        Diagnostic { message, ..self.definition.place.clone() }
    }
}

/// All views of one file.
#[derive(Debug)]
pub(crate) struct ViewSet {
    /// Counts up with every change.
    pub(crate) epoch: u64,
    /// SHA-256 of the file.
    pub(super) digest: [u8; 32],
    /// Each after those it reads.
    pub(super) views: Vec<Arc<ParsedView>>,
}

impl ViewSet {
    pub(super) fn empty() -> Self {
        Self { epoch: 0, digest: [0; 32], views: Vec::new() }
    }

    /// Parses a file.
    pub(super) fn parse(path: &Path, text: &str, epoch: u64) -> Result<Self, Diagnostics> {
        let mut problems = Vec::new();
        let mut views = BTreeMap::new();
        for definition in parse_views(path, text)? {
            match query(&definition) {
                Ok((statement, below)) => {
                    let view = ParsedView { definition, statement, below };
                    views.insert(view.name(), Arc::new(view));
                }
                Err(why) => {
                    let message = format!("view {}: {why}", definition.full_name());
                    problems.push(Diagnostic { message, ..definition.place });
                }
            }
        }
        let mut order = Order { views: &views, sorted: Vec::new(), depths: BTreeMap::new(), problems };
        for name in views.keys() {
            order.visit(name, &mut Vec::new());
        }
        let Order { sorted, problems, .. } = order;
        if !problems.is_empty() {
            return Err(Diagnostics(problems));
        }
        Ok(Self { epoch, digest: Sha256::digest(text.as_bytes()).into(), views: sorted })
    }

    pub(super) fn get(&self, full_name: &str) -> Option<&Arc<ParsedView>> {
        self.views.iter().find(|view| view.definition.full_name() == full_name)
    }

    /// Whether `full_name` is no view in `before`, or one that this set defines alike.
    pub(crate) fn defines_same(&self, before: &CompiledViews, full_name: &str) -> bool {
        let Some((schema, name)) = full_name.split_once('.') else { return false };
        before.get(schema, name).is_none_or(|known| {
            self.get(full_name).is_some_and(|now| now.definition.says_same(&known.parsed.definition))
        })
    }
}

struct Order<'a> {
    views: &'a BTreeMap<ViewName, Arc<ParsedView>>,
    sorted: Vec<Arc<ParsedView>>,
    /// Of those that are done: how many views stand on top of each other, itself included.
    depths: BTreeMap<ViewName, usize>,
    problems: Vec<Diagnostic>,
}

impl Order<'_> {
    /// Depth of `name`; 0 for what is no view, or was complained about.
    fn visit(&mut self, name: &ViewName, path: &mut Vec<ViewName>) -> usize {
        let Some(view) = self.views.get(name) else { return 0 };
        if let Some(depth) = self.depths.get(name) {
            return *depth;
        }
        if path.contains(name) {
            self.problems.push(view.complain("it reads itself, by way of other views"));
            return 0;
        }
        if path.len() >= DEEPEST {
            self.problems
                .push(view.complain(&format!("more than {DEEPEST} views stand on top of each other")));
            return 0;
        }
        path.push(name.clone());
        let below = view.below.iter().map(|below| self.visit(below, path)).max().unwrap_or(0);
        path.pop();
        let depth = below + 1;
        if depth > DEEPEST && self.problems.is_empty() {
            self.problems
                .push(view.complain(&format!("more than {DEEPEST} views stand on top of each other")));
        }
        if self.depths.insert(name.clone(), depth).is_none() {
            self.sorted.push(Arc::clone(view));
        }
        depth
    }
}

/// The statement of a view, and what it names.
fn query(definition: &ViewDefinition) -> Result<(ast::Statement, BTreeSet<ViewName>), String> {
    let statements = Statement::parse_all(&definition.query).map_err(|error| error.message)?;
    let [statement] = statements.as_slice() else { return Err("expected one SELECT".to_owned()) };
    let Kind::Query(statement) = &*statement.kind else { return Err("expected a SELECT".to_owned()) };
    let mut statement = statement.as_ref().clone();
    let mut names = Names { expressions: BTreeSet::new(), relations: Vec::new() };
    if let ControlFlow::Break(why) = statement.visit(&mut names) {
        return Err(why);
    }
    let mut below = BTreeSet::new();
    for name in &names.relations {
        match name.as_slice() {
            [only] if names.expressions.contains(only) => {}
            [schema, table] => {
                if SYSTEM.contains(&schema.as_str()) {
                    return Err(format!(
                        "{schema}.{table} is about who asks; a view reads tables of the lake"
                    ));
                }
                if table.contains('@') {
                    return Err("a view reads tables as they are, not their versions".to_owned());
                }
                below.insert((schema.clone(), table.clone()));
            }
            _ => {
                return Err(format!(
                    "relation {} needs its schema: `schema.table`, whoever asks",
                    name.join(".")
                ));
            }
        }
    }
    pg_catalog::rewrite(&mut statement).map_err(|error| error.message)?;
    Ok((statement, below))
}

/// A catalog without anything in it.
pub(super) fn nobody() -> VisibleCatalog {
    let owner = "lakeward".to_owned();
    VisibleCatalog::new(owner.clone(), owner, Vec::new(), SERVER_VERSION.to_owned(), Vec::new())
}

/// What a query names.
struct Names {
    /// Common table expressions.
    expressions: BTreeSet<String>,
    relations: Vec<Vec<String>>,
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect()
}

impl Visitor for Names {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if let Some(with) = &query.with {
            self.expressions.extend(with.cte_tables.iter().map(|table| folded(&table.alias.name)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        let function = |name: &ObjectName| match parts(name).as_slice() {
            [only] if TABLE_FUNCTIONS.contains(&only.as_str()) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(format!("function {name} cannot stand for a table in a view")),
        };
        match factor {
            TableFactor::Table { name, args: None, .. } => {
                self.relations.push(parts(name));
                ControlFlow::Continue(())
            }
            TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => function(name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<String> {
        match expr {
            ast::Expr::Value(value) if matches!(value.value, ast::Value::Placeholder(_)) => {
                ControlFlow::Break("a view has no parameters".to_owned())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
