//! Tags that policy files add to those of the catalog.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use crate::document::Diagnostic;
use crate::known::KnownTables;
use crate::object_index::ObjectIndex;
use crate::pattern::{ObjectPattern, glob};
use crate::records::{TagRecord, at};
use crate::securable::Securable;

/// A tag and what carries it.
#[derive(Debug)]
pub(crate) struct TagRule {
    pub(crate) tag: String,
    pub(crate) on: ObjectPattern,
    /// Name or glob; None tags the tables themselves.
    pub(crate) column: Option<String>,
    /// Where it is written.
    pub(crate) place: Diagnostic,
}

/// The tags of all files.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    pub(crate) rules: Vec<TagRule>,
    index: ObjectIndex,
}

impl Tags {
    /// Reads the tag records of one file and complains about those that tag nothing.
    pub(crate) fn read(
        &mut self,
        path: &Path,
        records: Vec<TagRecord>,
        tables: &KnownTables<'_>,
        problems: &mut Vec<Diagnostic>,
    ) {
        for record in records {
            let tag = &record.tag.value;
            if tag.is_empty() || tag.contains(',') {
                problems.push(at(path, &record.tag, "a tag is not empty and holds no comma"));
            }
            let on = match record.on.value.parse::<ObjectPattern>() {
                Ok(on) => on,
                Err(why) => {
                    problems.push(at(path, &record.on, why));
                    continue;
                }
            };
            let mut named = tables.matching(&on).peekable();
            if named.peek().is_none() {
                problems.push(at(path, &record.on, format!("there is no table `{on}`")));
            } else if let Some(column) = &record.column {
                let has = |table: &Securable| {
                    let Some(columns) = &table.columns else { return true };
                    columns.fields().iter().any(|field| glob(&column.value, field.name()))
                };
                if !named.any(has) {
                    let why = format!("no table of `{on}` has a column `{}`", column.value);
                    problems.push(at(path, column, why));
                }
            }
            self.index.add_pattern(&on, self.rules.len());
            self.rules.push(TagRule {
                place: at(path, &record.on, ""),
                tag: record.tag.value,
                on,
                column: record.column.map(|column| column.value),
            });
        }
    }

    fn concerning(&self, schema: &str, table: &str) -> impl Iterator<Item = &TagRule> {
        let numbers = self.index.concerning(schema, table, std::iter::empty());
        numbers.into_iter().filter_map(|number| self.rules.get(number))
    }

    /// The table with the tags of the files beside the catalog's. A view carries those of its origins, too.
    pub(crate) fn apply<'a>(&self, table: &'a Securable) -> Cow<'a, Securable> {
        let mut tagged = Cow::Borrowed(table);
        for rule in self.concerning(&table.schema, &table.table) {
            let Some(column) = &rule.column else {
                add(&mut tagged.to_mut().tags, &rule.tag);
                continue;
            };
            let fields = table.columns.iter().flat_map(|columns| columns.fields());
            for field in fields.filter(|field| glob(column, field.name())) {
                add(tagged.to_mut().column_tags.entry(field.name().clone()).or_default(), &rule.tag);
            }
        }
        let Some(origins) = &table.origins else { return tagged };
        for rule in origins.tables.iter().flat_map(|(schema, table)| self.concerning(schema, table)) {
            if rule.column.is_none() {
                add(&mut tagged.to_mut().tags, &rule.tag);
            }
        }
        for (column, source) in
            origins.columns.iter().flat_map(|(to, from)| from.iter().map(move |s| (to, s)))
        {
            for rule in self.concerning(&source.schema, &source.table) {
                if rule.column.as_ref().is_some_and(|named| glob(named, &source.column)) {
                    add(tagged.to_mut().column_tags.entry(column.clone()).or_default(), &rule.tag);
                }
            }
        }
        tagged
    }

    /// The tags of `table` itself, not of its columns: those of the catalog and those of the files.
    pub(crate) fn of_table<'a>(&self, table: &'a Securable) -> Cow<'a, [String]> {
        let origins = table.origins.iter().flat_map(|origins| &origins.tables);
        let names = origins.map(|(schema, name)| (schema, name)).chain([(&table.schema, &table.table)]);
        let mut tags = Cow::Borrowed(table.tags.as_slice());
        for rule in names.flat_map(|(schema, name)| self.concerning(schema, name)) {
            if rule.column.is_none() && !tags.contains(&rule.tag) {
                tags.to_mut().push(rule.tag.clone());
            }
        }
        tags
    }
}

fn add(tags: &mut Vec<String>, tag: &String) {
    if !tags.contains(tag) {
        tags.push(tag.clone());
    }
}

/// Tags that tables carry, and tags that columns carry.
pub(crate) fn carried(tables: &[Securable]) -> (HashSet<&String>, HashSet<&String>) {
    (
        tables.iter().flat_map(|table| &table.tags).collect(),
        tables.iter().flat_map(|table| table.column_tags.values().flatten()).collect(),
    )
}
