//! Which tables the row filter records of policy files concern.

use std::collections::HashSet;
use std::path::Path;

use crate::audience::Audience;
use crate::document::Diagnostic;
use crate::known::KnownTables;
use crate::object_index::ObjectIndex;
use crate::pattern::ObjectPattern;
use crate::records::{FilterKind, RowFilterRecord, at};
use crate::row_filter::RowFilterTemplate;
use crate::securable::Securable;

/// A row filter, ready to be bound.
#[derive(Debug)]
pub(crate) struct RowFilter {
    pub(crate) name: String,
    pub(crate) on: Vec<ObjectPattern>,
    pub(crate) tag: Option<String>,
    pub(crate) kind: FilterKind,
    pub(crate) audience: Audience,
    pub(crate) template: RowFilterTemplate,
    /// For complaints about tables that appear later.
    pub(crate) place: Diagnostic,
}

impl RowFilter {
    /// Whether it is on `table`, which carries all its tags.
    pub(crate) fn is_on(&self, table: &Securable) -> bool {
        self.tag.as_ref().is_some_and(|tag| table.tags.contains(tag))
            || self.on.iter().any(|pattern| pattern.matches(&table.schema, &table.table))
    }

    /// What it names, in words.
    pub(crate) fn object(&self) -> String {
        let on = self.on.iter().map(ToString::to_string);
        on.chain(self.tag.iter().map(|tag| format!("tag {tag}"))).collect::<Vec<_>>().join(", ")
    }
}

/// Row filters by table.
pub(crate) fn index(filters: &[RowFilter]) -> ObjectIndex {
    let mut index = ObjectIndex::default();
    for (number, filter) in filters.iter().enumerate() {
        filter.on.iter().for_each(|pattern| index.add_pattern(pattern, number));
        filter.tag.iter().for_each(|tag| index.add_tag(tag, number));
    }
    index
}

/// Reads the row filter records of one file.
pub(crate) fn read(
    path: &Path,
    records: Vec<RowFilterRecord>,
    tables: &KnownTables<'_>,
    names: &mut HashSet<String>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<RowFilter> {
    let mut filters = Vec::new();
    for record in records {
        if !names.insert(record.name.value.clone()) {
            let why = format!("the name `{}` is used twice", record.name.value);
            problems.push(at(path, &record.name, why));
        }
        if record.on.is_empty() && record.tag.is_none() {
            problems.push(at(path, &record.name, "expected `on` (a list of table patterns) or `tag`"));
        }
        let mut on = Vec::new();
        for place in &record.on {
            match place.value.parse::<ObjectPattern>() {
                Ok(pattern) => {
                    problems.extend(tables.unknown(&pattern).map(|why| at(path, place, why)));
                    on.push(pattern);
                }
                Err(why) => problems.push(at(path, place, why)),
            }
        }
        if let Some(tag) = &record.tag
            && !tables.table_tags.contains(&tag.value)
        {
            problems.push(at(path, tag, format!("no table carries the tag `{}`", tag.value)));
        }
        match RowFilterTemplate::parse(&record.using.value) {
            Ok(template) => filters.push(RowFilter {
                name: record.name.value.clone(),
                on,
                tag: record.tag.map(|tag| tag.value),
                kind: record.kind,
                audience: Audience::new(record.to.as_deref(), &record.except),
                template,
                place: at(path, &record.using, ""),
            }),
            Err(why) => problems.push(at(path, &record.using, why)),
        }
    }
    filters
}
