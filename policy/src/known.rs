//! The tables there are, by name: what policy files are checked against.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::pattern::ObjectPattern;
use crate::securable::Securable;
use crate::tags::carried;

/// Tables by schema and name, and the tags that they and their columns carry.
#[derive(Debug)]
pub(crate) struct KnownTables<'a> {
    by_schema: HashMap<&'a str, BTreeMap<&'a str, &'a Securable>>,
    pub(crate) table_tags: HashSet<&'a String>,
    pub(crate) column_tags: HashSet<&'a String>,
}

impl<'a> KnownTables<'a> {
    pub(crate) fn new(tables: &'a [Securable]) -> Self {
        let mut by_schema: HashMap<&str, BTreeMap<&str, &Securable>> = HashMap::new();
        for table in tables {
            by_schema.entry(&table.schema).or_default().insert(&table.table, table);
        }
        let (table_tags, column_tags) = carried(tables);
        Self { by_schema, table_tags, column_tags }
    }

    /// The tables that `pattern` names.
    pub(crate) fn matching(&self, pattern: &ObjectPattern) -> Box<dyn Iterator<Item = &'a Securable> + '_> {
        match (pattern.exact(), pattern.exact_schema()) {
            (Some((schema, table)), _) => {
                Box::new(self.by_schema.get(schema).and_then(|tables| tables.get(table)).copied().into_iter())
            }
            (None, Some(schema)) => {
                let pattern = pattern.clone();
                let tables = self.by_schema.get(schema).into_iter().flat_map(BTreeMap::values).copied();
                Box::new(tables.filter(move |table| pattern.matches(&table.schema, &table.table)))
            }
            (None, None) => {
                let pattern = pattern.clone();
                let tables = self.by_schema.values().flat_map(BTreeMap::values).copied();
                Box::new(tables.filter(move |table| pattern.matches(&table.schema, &table.table)))
            }
        }
    }

    /// Why an exact pattern, or one limited to a schema, names nothing there is.
    pub(crate) fn unknown(&self, pattern: &ObjectPattern) -> Option<String> {
        if pattern.exact_schema() == Some("system") || self.matching(pattern).next().is_some() {
            return None;
        }
        match (pattern.exact(), pattern.exact_schema()) {
            (Some((schema, table)), _) => Some(format!("there is no table `{schema}.{table}`")),
            (None, Some(schema)) if !self.by_schema.contains_key(schema) => {
                Some(format!("there is no schema `{schema}` with tables in it"))
            }
            _ => None,
        }
    }
}
