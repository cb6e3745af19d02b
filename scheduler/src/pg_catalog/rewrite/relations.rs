//! Which relations a statement names: qualification, scope, and whether all of them are the system's.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Select, Statement, TableFactor, TableWithJoins, Visit,
    VisitMut, Visitor, VisitorMut,
};

use super::super::relations::{INFORMATION_SCHEMA, PG_CATALOG, RelationDefinition, relations};

/// A name part as SQL folds it.
pub(super) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The parts of a name, folded; None where one is not a plain identifier.
pub(super) fn parts(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(fold)).collect()
}

/// Names of common table expressions in scope. They come in one by one: an expression of a plain WITH sees those
/// before it, one of a recursive WITH sees all.
#[derive(Default)]
struct Scopes(Vec<Scope>);

struct Scope {
    visible: Vec<String>,
    /// Expressions whose bodies are still to come.
    pending: Vec<String>,
}

impl Scopes {
    fn enter(&mut self, query: &Query) {
        let mut visible = self.0.last().map(|scope| scope.visible.clone()).unwrap_or_default();
        let mut pending = Vec::new();
        if let Some(with) = &query.with {
            let names = with.cte_tables.iter().map(|cte| fold(&cte.alias.name));
            if with.recursive {
                visible.extend(names);
            } else {
                pending = names.collect();
                pending.reverse();
            }
        }
        self.0.push(Scope { visible, pending });
    }

    fn leave(&mut self) {
        self.0.pop();
        // The WITH of a query is walked before its body, so the first queries inside it are its expressions.
        if let Some(scope) = self.0.last_mut()
            && let Some(name) = scope.pending.pop()
        {
            scope.visible.push(name);
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.0.last().is_some_and(|scope| scope.visible.iter().any(|visible| visible == name))
    }
}

struct Qualifier(Scopes);

impl VisitorMut for Qualifier {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.0.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.0.leave();
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if let Some([name]) = parts(relation).as_deref()
            && relations().find(PG_CATALOG, name).is_some()
            && !self.0.contains(name)
        {
            relation.0.insert(0, ObjectNamePart::Identifier(Ident::new(PG_CATALOG)));
        }
        ControlFlow::Continue(())
    }
}

/// Unqualified names of pg_catalog's relations are found there, as PostgreSQL finds them before any other schema.
pub(super) fn qualify(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Qualifier(Scopes::default()));
}

struct SystemOnly(Scopes);

impl Visitor for SystemOnly {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.0.leave();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let system = match factor {
            // A function in FROM reads no table.
            TableFactor::Table { args: Some(_), .. }
            | TableFactor::Derived { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::Function { .. }
            | TableFactor::NestedJoin { .. } => true,
            TableFactor::Table { name, .. } => match parts(name).as_deref() {
                Some([name]) => self.0.contains(name) || relations().find(PG_CATALOG, name).is_some(),
                Some([schema, _] | [_, schema, _]) => is_system_schema(schema),
                _ => false,
            },
            _ => false,
        };
        if system { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

fn is_system_schema(name: &str) -> bool {
    name == PG_CATALOG || name == INFORMATION_SCHEMA
}

/// Whether every relation a query names is in `pg_catalog` or `information_schema` (or there is none). Of
/// statements other than queries, only EXPLAIN of such a query is.
#[must_use]
pub fn reads_only_system_schemas(statement: &Statement) -> bool {
    match statement {
        Statement::Query(_) => Visit::visit(statement, &mut SystemOnly(Scopes::default())).is_continue(),
        Statement::Explain { statement, .. } => reads_only_system_schemas(statement),
        _ => false,
    }
}

/// System tables in scope: a stack of FROM clauses, the innermost last.
#[derive(Default)]
pub(super) struct Tables(Vec<Vec<(String, Option<&'static RelationDefinition>)>>);

impl Tables {
    pub(super) fn enter(&mut self, select: &Select) {
        let mut scope = Vec::new();
        for table in &select.from {
            collect(table, &mut scope);
        }
        self.0.push(scope);
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// The system table a qualifier stands for.
    pub(super) fn qualified(&self, qualifier: &str) -> Option<&'static RelationDefinition> {
        self.0
            .iter()
            .rev()
            .find_map(|scope| scope.iter().find(|(name, _)| name == qualifier))
            .and_then(|(_, table)| *table)
    }

    /// The one table of the innermost FROM, where it has one and that is a system table.
    pub(super) fn only(&self) -> Option<&'static RelationDefinition> {
        match self.0.last().map(Vec::as_slice) {
            Some([(_, table)]) => *table,
            _ => None,
        }
    }

    /// Types of the columns of that name in scope.
    pub(super) fn column_types(&self, name: &str) -> impl Iterator<Item = u32> {
        self.0
            .iter()
            .flatten()
            .filter_map(|(_, table)| *table)
            .flat_map(|table| &table.columns)
            .filter(move |column| column.name == name)
            .map(|column| column.type_oid)
    }
}

fn collect(table: &TableWithJoins, scope: &mut Vec<(String, Option<&'static RelationDefinition>)>) {
    let factors = std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation));
    for factor in factors {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let parts = parts(name).unwrap_or_default();
                let definition = match parts.as_slice() {
                    [schema, name] | [_, schema, name] => relations().find(schema, name),
                    _ => None,
                };
                let called = alias.as_ref().map(|alias| fold(&alias.name)).or_else(|| parts.last().cloned());
                scope.push((called.unwrap_or_default(), definition));
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::Function { alias, .. } => {
                scope.push((alias.as_ref().map(|alias| fold(&alias.name)).unwrap_or_default(), None));
            }
            TableFactor::NestedJoin { table_with_joins, .. } => collect(table_with_joins, scope),
            _ => scope.push((String::new(), None)),
        }
    }
}
