//! Which parts of which tables the mask records of policy files concern.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use datafusion::arrow::datatypes::{Schema, SchemaRef};

use crate::audience::Audience;
use crate::document::Diagnostic;
use crate::mask::{MaskKey, field_names, splits};
use crate::pattern::{ObjectPattern, unknown};
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
    /// A column of the tables, or fields of one, joined to it by dots.
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

/// Where `name` leads: a column of that name, else fields of one; None where no column fits.
///
/// Errors where a column fits but has no such fields: shown as it is, it would show what the mask
/// was to hide wherever that now stands.
fn locate(schema: &Schema, name: &str) -> Result<Option<MaskedPart>, String> {
    let mut without_field = None;
    for (column, rest) in splits(name) {
        let Ok(index) = schema.index_of(column) else { continue };
        let Some(rest) = rest else {
            return Ok(Some(MaskedPart { column: index, fields: Vec::new() }));
        };
        let data_type = schema.field(index).data_type();
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
    pub(crate) fn parts(&self, table: &Securable, schema: &Schema) -> Result<Vec<MaskedPart>, String> {
        match &self.target {
            MaskTarget::Tag(tag) => Ok(schema
                .fields()
                .iter()
                .enumerate()
                .filter(|(_, field)| table.column_has_tag(field.name(), tag))
                .map(|(column, _)| MaskedPart { column, fields: Vec::new() })
                .collect()),
            MaskTarget::Column { on, column } if on.matches(&table.schema, &table.table) => {
                Ok(locate(schema, column)?.into_iter().collect())
            }
            MaskTarget::Column { .. } => Ok(Vec::new()),
        }
    }

    /// What decides how `part` is shown, in words that can be compared; keys by fingerprint.
    pub(crate) fn recipe(&self, part: &str, key: Option<&MaskKey>, year: i32) -> String {
        let mut recipe = format!("{part} {}", self.spec.describe());
        if self.spec == MaskSpec::AgeCap {
            recipe.push_str(&format!(" in {year}"));
        }
        for byte in key.iter().flat_map(|key| key.fingerprint()) {
            recipe.push_str(&format!("{byte:02x}"));
        }
        recipe
    }
}

/// Reads the mask records of one file.
pub(crate) fn read(
    path: &Path,
    records: Vec<MaskRecord>,
    tables: &[Securable],
    names: &mut BTreeSet<String>,
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
    tables: &[Securable],
    problems: &mut Vec<Diagnostic>,
) -> Result<MaskTarget, Diagnostic> {
    match (&record.tag, &record.on, &record.column) {
        (Some(tag), None, None) => {
            let carried =
                tables.iter().any(|t| t.column_tags.values().flatten().any(|own| *own == tag.value));
            if !carried {
                problems.push(at(path, tag, format!("no column carries the tag `{}`", tag.value)));
            }
            Ok(MaskTarget::Tag(tag.value.clone()))
        }
        (None, Some(on), Some(column)) => {
            let pattern = on.value.parse::<ObjectPattern>().map_err(|why| at(path, on, why))?;
            problems.extend(unknown(&pattern, tables).map(|why| at(path, on, why)));
            // A column that has not the fields is known, and complained about with its table's name.
            let is_known = |schema: &SchemaRef| !matches!(locate(schema, &column.value), Ok(None));
            let known = tables
                .iter()
                .filter(|t| pattern.matches(&t.schema, &t.table))
                .any(|t| t.columns.as_ref().is_none_or(is_known));
            if !known {
                let why = format!("no table of `{pattern}` has a column `{}`", column.value);
                problems.push(at(path, column, why));
            }
            Ok(MaskTarget::Column { on: pattern, column: column.value.clone() })
        }
        _ => Err(at(path, &record.name, "expected either `tag`, or `on` with `column`")),
    }
}
