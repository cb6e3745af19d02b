//! Which tables this writer writes. Everything else is refused by name, never written wrongly.

use delta_kernel::schema::{DataType, StructType};

use super::base::Base;
use super::rules::Kind;

/// Newest protocol versions whose meaning is a list of features.
const READER_VERSION: i32 = 3;
const WRITER_VERSION: i32 = 7;

/// Features that the engine keeps to, as tests show.
const WRITTEN: &[&str] = &[
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "deletionVectors",
    "invariants",
    "timestampNtz",
    "v2Checkpoint",
];

/// Features that a table may have as long as it makes no use of them; [`check`] looks.
const UNUSED: &[&str] = &["columnMapping", "generatedColumns"];

/// What a column's metadata say when it needs a feature that is not written.
const COLUMN_MARKS: &[(&str, &str)] = &[
    ("delta.generationExpression", "generated columns"),
    ("delta.identity.start", "identity columns"),
    ("delta.identity.step", "identity columns"),
    ("delta.columnMapping.physicalName", "column mapping"),
    ("delta.typeChanges", "type widening"),
    ("CURRENT_DEFAULT", "column defaults"),
];

/// Property under which the log forgets application transactions.
const FORGETS: &str = "delta.setTransactionRetentionDuration";

/// Why a table must not be written by an operation of `kind`, and what to do; None when it may be.
pub(super) fn check(base: &Base, kind: Kind) -> Option<String> {
    let protocol = base.state().protocol();
    let (reader, writer) = (protocol.min_reader_version(), protocol.min_writer_version());
    if reader > READER_VERSION || writer > WRITER_VERSION {
        return Some(format!("it needs protocol version {reader} to read and {writer} to write"));
    }
    let features = protocol
        .reader_features()
        .unwrap_or_default()
        .iter()
        .chain(protocol.writer_features().unwrap_or_default());
    if let Some(unknown) = check_names(features.map(ToString::to_string)) {
        return Some(unknown);
    }
    // Writer version 6 stands for features up to identity columns, which the engine does not write.
    if writer == 6 {
        return Some("writer version 6 (identity columns)".to_owned());
    }
    if let Some(mode) = base.property("delta.columnMapping.mode").filter(|mode| *mode != "none") {
        return Some(format!("column mapping (mode {mode})"));
    }
    if let Some(value) = base.property(FORGETS) {
        return Some(format!(
            "{FORGETS} is {value}: the log forgets which writes it has, and a repeated one would be \
             committed twice; unset the property"
        ));
    }
    if let Some(reason) = check_struct(base.state().schema().as_ref()) {
        return Some(reason);
    }
    if let Some(reason) = check_partitions(base.state().schema().as_ref(), base.partition_columns()) {
        return Some(reason);
    }
    if base.enabled("delta.enableChangeDataFeed") && matches!(kind, Kind::Update | Kind::Merge) {
        return Some(format!(
            "change data feed (delta.enableChangeDataFeed): the change data of {} would be incomplete; \
             delete and append instead, or disable the feed",
            kind.name(),
        ));
    }
    None
}

/// The features that are not written, of those that a table needs.
pub(super) fn check_names(names: impl Iterator<Item = String>) -> Option<String> {
    let mut unknown: Vec<String> =
        names.filter(|name| !WRITTEN.contains(&name.as_str()) && !UNUSED.contains(&name.as_str())).collect();
    unknown.sort();
    unknown.dedup();
    (!unknown.is_empty()).then(|| format!("table feature {}", unknown.join(", ")))
}

/// Why a table must not be created with a property.
pub(super) fn check_property(key: &str, value: &str) -> Option<String> {
    let on = !matches!(value.to_ascii_lowercase().as_str(), "false" | "none");
    let refused = match key {
        FORGETS => true,
        "delta.columnMapping.mode"
        | "delta.enableDeletionVectors"
        | "delta.enableTypeWidening"
        | "delta.enableRowTracking"
        | "delta.enableInCommitTimestamps" => on,
        "delta.minReaderVersion" | "delta.minWriterVersion" => true,
        _ => key.starts_with("delta.feature.") || key.starts_with("delta.coordinatedCommits"),
    };
    refused.then(|| format!("table property {key} = {value} is not supported"))
}

/// Why a table with these partition columns is not written.
///
/// The engine escapes binary values twice, so that they are read back as the text of their escapes.
pub(super) fn check_partitions(schema: &StructType, columns: &[String]) -> Option<String> {
    let binary = columns.iter().find(|column| {
        schema.field(column.as_str()).is_some_and(|field| field.data_type() == &DataType::BINARY)
    });
    binary.map(|column| format!("partition column {column} of type binary"))
}

fn check_struct(fields: &StructType) -> Option<String> {
    fields.fields().find_map(|field| {
        let mark = COLUMN_MARKS.iter().find(|(key, _)| field.metadata.contains_key(*key));
        match mark {
            Some((_, what)) => Some(format!("{what} (column {})", field.name)),
            None => check_type(field.data_type()),
        }
    })
}

fn check_type(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Primitive(_) => None,
        DataType::Array(array) => check_type(array.element_type()),
        DataType::Map(map) => check_type(map.key_type()).or_else(|| check_type(map.value_type())),
        DataType::Struct(fields) => check_struct(fields),
        DataType::Variant(_) => Some("type variant".to_owned()),
    }
}
