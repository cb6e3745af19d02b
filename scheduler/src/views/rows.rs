//! Rows of `system.views` and `system.view_columns`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use lakeward_policy::PolicySnapshot;

use super::compile::{CompiledView, CompiledViews, Shape};

fn text<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// One row for each view.
pub(crate) fn listed(
    views: &CompiledViews,
    policies: &PolicySnapshot,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let all: Vec<&CompiledView> = views.iter().collect();
    let definition = |view: &&CompiledView| view.parsed.definition.clone();
    let arrays = vec![
        text(all.iter().map(|view| Some(definition(view).schema))),
        text(all.iter().map(|view| Some(definition(view).name))),
        text(all.iter().map(|view| Some(view.rights().word()))),
        text(all.iter().map(|view| Some(if view.shape.is_ok() { "available" } else { "unavailable" }))),
        text(all.iter().map(|view| view.shape.as_ref().err().map(|broken| broken.reason.as_str()))),
        text(
            all.iter()
                .map(|view| Some(policies.tagged(&view.shape.as_ref().ok()?.securable).tags.join(", "))),
        ),
        text(all.iter().map(|view| Some(definition(view).query))),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

/// One row of `system.view_columns`.
struct ColumnRow {
    schema: String,
    view: String,
    column: String,
    /// Table and column that it derives from; None where it derives from none.
    source: Option<(String, String)>,
    tags: String,
    /// Tags that flow to it and that the file takes away.
    declassified: Option<String>,
}

/// One row for each column of a view and each column that it derives from.
pub(crate) fn listed_columns(
    views: &CompiledViews,
    policies: &PolicySnapshot,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let rows: Vec<ColumnRow> = views
        .iter()
        .filter_map(|view| Some((view, view.shape.as_ref().ok()?)))
        .flat_map(|(view, shape)| columns(view, shape, policies))
        .collect();
    let arrays = vec![
        text(rows.iter().map(|row| Some(&row.schema))),
        text(rows.iter().map(|row| Some(&row.view))),
        text(rows.iter().map(|row| Some(&row.column))),
        text(rows.iter().map(|row| row.source.as_ref().map(|(table, _)| table))),
        text(rows.iter().map(|row| row.source.as_ref().map(|(_, column)| column))),
        text(rows.iter().map(|row| Some(&row.tags))),
        text(rows.iter().map(|row| row.declassified.as_ref())),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

/// Columns of a view with the tags that flow to them, from the catalog or by the policy files, and that the file
/// of views takes away.
pub(super) fn declassified(shape: &Shape, policies: &PolicySnapshot) -> BTreeMap<String, Vec<String>> {
    let kept = policies.tagged(&shape.securable);
    let flowing = policies.tagged(&shape.undeclassified);
    let gone = flowing.column_tags.iter().map(|(column, tags)| {
        let gone = tags.iter().filter(|tag| !kept.column_has_tag(column, tag));
        (column.clone(), gone.cloned().collect::<Vec<_>>())
    });
    gone.filter(|(_, tags)| !tags.is_empty()).collect()
}

fn columns(view: &CompiledView, shape: &Shape, policies: &PolicySnapshot) -> Vec<ColumnRow> {
    let definition = &view.parsed.definition;
    let names = shape.securable.columns.iter().flat_map(|schema| schema.fields());
    let declassified = declassified(shape, policies);
    let tagged = policies.tagged(&shape.securable);
    let mut rows = Vec::new();
    for (field, sources) in names.zip(&shape.sources) {
        let tags: BTreeSet<&str> =
            tagged.column_tags.get(field.name()).into_iter().flatten().map(String::as_str).collect();
        let gone = declassified.get(field.name()).map(|tags| tags.join(", "));
        let from: Vec<Option<(String, String)>> = match sources.is_empty() {
            true => vec![None],
            false => sources
                .iter()
                .map(|from| Some((format!("{}.{}", from.schema, from.table), from.column.clone())))
                .collect(),
        };
        rows.extend(from.into_iter().map(|source| ColumnRow {
            schema: definition.schema.clone(),
            view: definition.name.clone(),
            column: field.name().clone(),
            source,
            tags: tags.iter().copied().collect::<Vec<_>>().join(", "),
            declassified: gone.clone(),
        }));
    }
    rows
}
