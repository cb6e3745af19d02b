//! Which parts of which tables the mask records of policy files concern.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use datafusion::arrow::datatypes::{Schema, SchemaRef};

use crate::audience::Audience;
use crate::document::Diagnostic;
use crate::known::KnownTables;
use crate::mask::{MaskKey, field_names, splits};
use crate::object_index::ObjectIndex;
use crate::pattern::{ObjectPattern, glob};
use crate::records::{MaskRecord, MaskSpec, at};
use crate::securable::Securable;

/// A mask, ready to be applied to columns.
#[derive(Debug)]
pub(crate) struct MaskRule {
    /// Name of the record; of a preset's record behind the preset's.
    pub(crate) name: String,
    pub(crate) target: MaskTarget,
    pub(crate) audience: Audience,
    pub(crate) spec: MaskSpec,
    /// For complaints about tables that appear later.
    pub(crate) place: Diagnostic,
}

/// What a mask record names.
#[derive(Debug)]
pub(crate) enum MaskTarget {
    /// Whole columns that carry the tag.
    Tag(String),
    /// A column of the tables, or fields of one, joined to it by dots; with `*` in it, all columns whose
    /// names match, and no fields.
    Column { on: ObjectPattern, column: String },
}

impl fmt::Display for MaskTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Column { on, column } => write!(f, "{on}.{column}"),
        }
    }
}

/// A column, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaskedPart {
    /// Index of the raw column.
    pub(crate) column: usize,
    /// Fields that lead to the part; none for the whole column.
    pub(crate) fields: Vec<String>,
}

impl MaskedPart {
    /// Whether one holds the other, or both are the same.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.column == other.column && self.fields.iter().zip(&other.fields).all(|(a, b)| a == b)
    }

    /// The part as a policy file names it.
    pub(crate) fn name(&self, schema: &Schema) -> String {
        let column = schema.fields().get(self.column).map_or("", |field| field.name());
        std::iter::once(column).chain(self.fields.iter().map(String::as_str)).collect::<Vec<_>>().join(".")
    }
}

/// The columns of a table by name and by tag: tables may have very many, and masks for each.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    schema: &'a Schema,
    by_name: HashMap<&'a str, usize>,
    by_tag: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Columns<'a> {
    /// Of `table`, which has the columns of `schema` and carries all its tags.
    pub(crate) fn of(table: &'a Securable, schema: &'a Schema) -> Self {
        let mut columns = Self { schema, by_name: HashMap::new(), by_tag: HashMap::new() };
        for (index, field) in schema.fields().iter().enumerate() {
            columns.by_name.entry(field.name()).or_insert(index);
            let tags: HashSet<&String> = table.column_tags.get(field.name()).into_iter().flatten().collect();
            for tag in tags {
                columns.by_tag.entry(tag).or_default().push(index);
            }
        }
        columns
    }

    /// Whole columns whose names match a glob, or the one place that a name leads to.
    fn parts(&self, name: &str) -> Result<Vec<MaskedPart>, String> {
        if !name.contains('*') {
            return Ok(locate(self, name)?.into_iter().collect());
        }
        let fields = self.schema.fields().iter().enumerate();
        Ok(fields
            .filter(|(_, field)| glob(name, field.name()))
            .map(|(column, _)| MaskedPart { column, fields: Vec::new() })
            .collect())
    }
}

/// Masks by table and by the tags of columns.
pub(crate) fn index(masks: &[MaskRule]) -> ObjectIndex {
    let mut index = ObjectIndex::default();
    for (number, mask) in masks.iter().enumerate() {
        match &mask.target {
            MaskTarget::Tag(tag) => index.add_tag(tag, number),
            MaskTarget::Column { on, .. } => index.add_pattern(on, number),
        }
    }
    index
}

/// Where `name` leads: a column of that name, else fields of one; None where no column fits.
///
/// Errors where a column fits but has no such fields: shown as it is, it would show what the mask
/// was to hide wherever that now stands.
fn locate(columns: &Columns<'_>, name: &str) -> Result<Option<MaskedPart>, String> {
    let mut without_field = None;
    for (column, rest) in splits(name) {
        let Some(index) = columns.by_name.get(column).copied() else { continue };
        let Some(rest) = rest else {
            return Ok(Some(MaskedPart { column: index, fields: Vec::new() }));
        };
        let data_type = columns.schema.field(index).data_type();
        match field_names(data_type, rest) {
            Some(fields) => return Ok(Some(MaskedPart { column: index, fields })),
            None => {
                without_field = Some(format!("column `{column}` is {data_type} and has no field `{rest}`"))
            }
        }
    }
    without_field.map_or(Ok(None), Err)
}

impl MaskRule {
    /// The parts of `table` that are masked.
    pub(crate) fn parts(&self, table: &Securable, columns: &Columns<'_>) -> Result<Vec<MaskedPart>, String> {
        match &self.target {
            MaskTarget::Tag(tag) => {
                let tagged = columns.by_tag.get(tag.as_str()).into_iter().flatten();
                Ok(tagged.map(|column| MaskedPart { column: *column, fields: Vec::new() }).collect())
            }
            MaskTarget::Column { on, column } if on.matches(&table.schema, &table.table) => {
                columns.parts(column)
            }
            MaskTarget::Column { .. } => Ok(Vec::new()),
        }
    }

    /// What decides how `part` is shown, in words that can be compared; keys by fingerprint.
    pub(crate) fn recipe(&self, part: &str, key: Option<&MaskKey>, year: i32) -> String {
        let mut recipe = format!("{part} {}", self.spec.describe());
        if matches!(self.spec, MaskSpec::AgeCap {}) {
            recipe.push_str(&format!(" in {year}"));
        }
        for byte in key.iter().flat_map(|key| key.fingerprint()) {
            // Writing to a text cannot fail.
            let _ = write!(recipe, "{byte:02x}");
        }
        recipe
    }
}

/// Reads the mask records of one file.
pub(crate) fn read(
    path: &Path,
    records: Vec<MaskRecord>,
    tables: &KnownTables<'_>,
    names: &mut HashSet<String>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<MaskRule> {
    let mut rules = Vec::new();
    for record in records {
        if !names.insert(record.name.value.clone()) {
            let why = format!("the name `{}` is used twice", record.name.value);
            problems.push(at(path, &record.name, why));
        }
        let target = match target(path, &record, tables, problems) {
            Ok(target) => target,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        rules.push(MaskRule {
            name: record.name.value.clone(),
            target,
            audience: Audience::new(record.to.as_deref(), &record.except),
            place: at(path, &record.mask, ""),
            spec: record.mask.value,
        });
    }
    rules
}

fn target(
    path: &Path,
    record: &MaskRecord,
    tables: &KnownTables<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Result<MaskTarget, Diagnostic> {
    match (&record.tag, &record.on, &record.column) {
        (Some(tag), None, None) => {
            if !tables.column_tags.contains(&tag.value) {
                problems.push(at(path, tag, format!("no column carries the tag `{}`", tag.value)));
            }
            Ok(MaskTarget::Tag(tag.value.clone()))
        }
        (None, Some(on), Some(column)) => {
            let pattern = on.value.parse::<ObjectPattern>().map_err(|why| at(path, on, why))?;
            problems.extend(tables.unknown(&pattern).map(|why| at(path, on, why)));
            // A column that has not the fields is known, and complained about with its table's name.
            let has = |table: &Securable, schema: &SchemaRef| {
                !matches!(Columns::of(table, schema).parts(&column.value).as_deref(), Ok([]))
            };
            let known = tables
                .matching(&pattern)
                .any(|table| table.columns.as_ref().is_none_or(|schema| has(table, schema)));
            if !known {
                let why = format!("no table of `{pattern}` has a column `{}`", column.value);
                problems.push(at(path, column, why));
            }
            Ok(MaskTarget::Column { on: pattern, column: column.value.clone() })
        }
        _ => Err(at(path, &record.name, "expected either `tag`, or `on` with `column`")),
    }
}
