//! The system relations PostgreSQL 15 has, and their columns: names, order and types.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Schema, SchemaRef};

use super::types::{pg_field, type_table};

/// A column of a system relation.
#[derive(Debug)]
pub(super) struct ColumnDefinition {
    pub(super) name: String,
    /// Oid of its type.
    pub(super) type_oid: u32,
    pub(super) not_null: bool,
}

/// A system relation.
#[derive(Debug)]
pub(super) struct RelationDefinition {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// `r` or `v`.
    pub(super) kind: char,
    pub(super) columns: Vec<ColumnDefinition>,
    /// The same columns for the engine.
    pub(super) arrow: SchemaRef,
}

/// Every system relation.
pub(super) struct Relations {
    pub(super) all: Vec<RelationDefinition>,
    by_name: HashMap<String, HashMap<String, usize>>,
}

impl Relations {
    /// The relation of that schema and name.
    pub(super) fn find(&self, schema: &str, name: &str) -> Option<&RelationDefinition> {
        self.all.get(*self.by_name.get(schema)?.get(name)?)
    }

    /// Every relation of a schema.
    pub(super) fn of_schema(&self, schema: &str) -> impl Iterator<Item = &RelationDefinition> {
        self.all.iter().filter(move |relation| relation.schema == schema)
    }
}

/// Schema of the system catalogue.
pub(super) const PG_CATALOG: &str = "pg_catalog";
/// Schema of the standard's views.
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// The system relations, read once from the list taken from PostgreSQL 15.
pub(super) fn relations() -> &'static Relations {
    static RELATIONS: OnceLock<Relations> = OnceLock::new();
    RELATIONS.get_or_init(|| {
        let all: Vec<RelationDefinition> =
            include_str!("data/relations.txt").lines().filter_map(parse).collect();
        let mut by_name: HashMap<String, HashMap<String, usize>> = HashMap::new();
        for (index, relation) in all.iter().enumerate() {
            by_name.entry(relation.schema.clone()).or_default().insert(relation.name.clone(), index);
        }
        Relations { all, by_name }
    })
}

/// `kind schema.name oid column:type[!] …`, `!` for NOT NULL.
fn parse(line: &str) -> Option<RelationDefinition> {
    let mut words = line.split(' ');
    let kind = words.next()?.chars().next()?;
    let (schema, name) = words.next()?.split_once('.')?;
    let oid = words.next()?.parse().ok()?;
    let mut columns = Vec::new();
    for word in words {
        let (column, type_name) = word.split_once(':')?;
        let not_null = type_name.ends_with('!');
        let type_oid = type_table().by_name(type_name.trim_end_matches('!'))?.oid;
        columns.push(ColumnDefinition { name: column.to_string(), type_oid, not_null });
    }
    let fields: Vec<_> =
        columns.iter().map(|column| pg_field(&column.name, column.type_oid, !column.not_null)).collect();
    Some(RelationDefinition {
        oid,
        schema: schema.to_string(),
        name: name.to_string(),
        kind,
        columns,
        arrow: Arc::new(Schema::new(fields)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_line_of_the_list_is_understood() {
        assert_eq!(relations().all.len(), include_str!("data/relations.txt").lines().count());
        let class = relations().find(PG_CATALOG, "pg_class").unwrap();
        assert_eq!(class.oid, 1259);
        assert_eq!(class.columns.len(), 33);
        assert!(relations().find(PG_CATALOG, "pg_authid").is_none());
    }
}
