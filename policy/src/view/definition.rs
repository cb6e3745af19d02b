//! The views file as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::document::{Diagnostic, Diagnostics};
use crate::records::at;

/// Longest name of a schema or a view, in bytes, as in PostgreSQL.
const LONGEST_NAME: usize = 63;

/// Schemas that the service itself fills.
const RESERVED: [&str; 3] = ["information_schema", "pg_catalog", "system"];

/// Whose rights count for the tables below a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rights {
    /// Those of whoever asks: what is hidden from them in a table is hidden in the view.
    #[default]
    Invoker,
    /// Those of the policies' owner: the tables' own filters and masks do not apply, the view's do.
    Owner,
}

impl Rights {
    /// The word in files and listings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Invoker => "invoker",
            Self::Owner => "owner",
        }
    }
}

/// One view as its file defines it.
#[derive(Debug, Clone)]
pub struct ViewDefinition {
    /// Schema of the view.
    pub schema: String,
    /// Name of the view.
    pub name: String,
    /// One SELECT.
    pub query: String,
    /// Whose rights count below.
    pub rights: Rights,
    /// What it holds, for people.
    pub description: Option<String>,
    /// Tags in place of those that flow from the tables; None lets them flow.
    pub tags: Option<Vec<String>>,
    /// What the file says of single columns.
    pub columns: BTreeMap<String, ViewColumn>,
    /// Where the query is written, for complaints.
    pub place: Diagnostic,
}

/// What a views file says of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    /// What it holds, for people.
    pub description: Option<String>,
    /// Tags in place of those that flow from the tables; None lets them flow.
    pub tags: Option<Vec<String>>,
    /// Where it is written, for complaints.
    pub place: Diagnostic,
}

impl ViewDefinition {
    /// `schema.view`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Whether both say the same, wherever they are written.
    #[must_use]
    pub fn says_same(&self, other: &Self) -> bool {
        let columns = |view: &Self| -> Vec<_> {
            view.columns
                .iter()
                .map(|(name, column)| (name.clone(), column.description.clone(), column.tags.clone()))
                .collect()
        };
        self.schema == other.schema
            && self.name == other.name
            && self.query == other.query
            && self.rights == other.rights
            && self.description == other.description
            && self.tags == other.tags
            && columns(self) == columns(other)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewFile {
    version: Spanned<u32>,
    #[serde(default)]
    views: Vec<ViewRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewRecord {
    view: Spanned<String>,
    query: Spanned<String>,
    #[serde(default)]
    rights: Rights,
    description: Option<String>,
    tags: Option<Vec<String>>,
    #[serde(default)]
    columns: BTreeMap<String, Spanned<ColumnRecord>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnRecord {
    description: Option<String>,
    tags: Option<Vec<String>>,
}

/// Reads a views file; every complaint names its place.
///
/// # Errors
/// Everything that is wrong with the records. What is wrong with the queries is for who knows the tables.
pub fn parse_views(path: &Path, text: &str) -> Result<Vec<ViewDefinition>, Diagnostics> {
    let file: ViewFile = crate::yaml::parse(path, text)?;
    if file.version.value != 1 {
        let message = format!("version {} is not known; expected 1", file.version.value);
        return Err(at(path, &file.version, message).into());
    }
    let (mut problems, mut names, mut views) = (Vec::new(), BTreeSet::new(), Vec::new());
    for record in file.views {
        let (schema, name) = match name_of(&record.view.value) {
            Ok(parts) => parts,
            Err(why) => {
                problems.push(at(path, &record.view, why));
                continue;
            }
        };
        if !names.insert((schema.clone(), name.clone())) {
            problems.push(at(path, &record.view, format!("view `{schema}.{name}` is defined twice")));
        }
        let columns = record
            .columns
            .into_iter()
            .map(|(name, column)| {
                let place = at(path, &column, "");
                let ColumnRecord { description, tags } = column.value;
                (name, ViewColumn { description, tags, place })
            })
            .collect();
        views.push(ViewDefinition {
            schema,
            name,
            place: at(path, &record.query, ""),
            query: record.query.value,
            rights: record.rights,
            description: record.description,
            tags: record.tags,
            columns,
        });
    }
    if problems.is_empty() { Ok(views) } else { Err(Diagnostics(problems)) }
}

/// Schema and name of a view. Of letters, digits and `_` only: other signs ask for versions of tables.
fn name_of(text: &str) -> Result<(String, String), String> {
    let plain = |part: &str| {
        !part.is_empty()
            && part.len() <= LONGEST_NAME
            && !part.starts_with(|first: char| first.is_ascii_digit())
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    match text.split_once('.') {
        Some((schema, name)) if plain(schema) && plain(name) => {
            if RESERVED.contains(&schema.to_ascii_lowercase().as_str()) {
                return Err(format!("schema `{schema}` is the service's own"));
            }
            Ok((schema.to_owned(), name.to_owned()))
        }
        _ => Err("expected `schema.view`, both of letters, digits and `_`".to_owned()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        let problems = parse_views(Path::new("views.yaml"), text).map(|_| ()).unwrap_err();
        problems.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn records_are_read() {
        let text = "version: 1\nviews:\n  - view: gold.summary\n    query: SELECT 1 AS one\n    rights: owner\n    \
                    columns: { one: { tags: [] } }\n  - { view: gold.other, query: SELECT 2 AS two }\n";
        let views = parse_views(Path::new("views.yaml"), text).unwrap();
        assert_eq!(views[0].full_name(), "gold.summary");
        assert_eq!((views[0].rights, views[1].rights), (Rights::Owner, Rights::Invoker));
        assert_eq!(views[0].columns["one"].tags, Some(Vec::new()));
        assert_eq!((views[0].place.line, views[0].place.column), (4, 12));
        assert!(views[1].tags.is_none());
    }

    #[test]
    fn every_mistake_has_its_place() {
        for (record, told) in [
            ("{ view: summary, query: SELECT 1 }", "views.yaml:3:13: expected `schema.view`"),
            ("{ view: \"gold.a@v1\", query: SELECT 1 }", "expected `schema.view`"),
            ("{ view: system.tables, query: SELECT 1 }", "schema `system` is the service's own"),
            ("{ view: gold.a, query: SELECT 1, right: owner }", "unknown key `right`"),
            ("{ view: gold.a, query: SELECT 1, rights: Owner }", "views.yaml:3"),
            ("{ view: gold.a }", "missing key `query`"),
        ] {
            let told_all = complaints(&format!("version: 1\nviews:\n  - {record}\n"));
            assert!(told_all[0].contains(told), "{record}: {told_all:?}");
        }
        let twice = "version: 1\nviews:\n  - { view: a.b, query: x }\n  - { view: a.b, query: y }\n";
        assert_eq!(complaints(twice), ["views.yaml:4:13: view `a.b` is defined twice"]);
        assert!(complaints("version: 2\n")[0].contains("version 2 is not known"));
    }
}
