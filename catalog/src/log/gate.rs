//! What a table may need and still be read correctly. Everything else is refused, never misread.

use delta_kernel::schema::{DataType, StructType};
use delta_kernel::snapshot::SnapshotRef;

use crate::error::LoadError;

/// Newest reader protocol whose meaning is a list of features.
const READER_VERSION: i32 = 3;

/// Reader features that a scan, or the log replay, takes care of.
const READER_FEATURES: &[&str] = &[
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    "vacuumProtocolCheck",
    "variantShredding",
    "variantShredding-preview",
    "variantType",
    "variantType-preview",
];

const MAPPING_MODES: &[&str] = &["none", "name", "id"];

/// Refuses a table that needs a feature outside the list above.
pub(super) fn check_readable(snapshot: &SnapshotRef) -> Result<(), LoadError> {
    let configuration = snapshot.table_configuration();
    let protocol = configuration.protocol();
    let version = protocol.min_reader_version();
    if version > READER_VERSION {
        return Err(LoadError::Unsupported(format!("reader version {version}")));
    }
    let unknown: Vec<String> = protocol
        .reader_features()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .filter(|name| !READER_FEATURES.contains(&name.as_str()))
        .collect();
    if !unknown.is_empty() {
        return Err(LoadError::Unsupported(format!("reader feature {}", unknown.join(", "))));
    }
    let mode = snapshot.metadata_configuration().get("delta.columnMapping.mode");
    if let Some(mode) = mode.filter(|mode| !MAPPING_MODES.contains(&mode.as_str())) {
        return Err(LoadError::Unsupported(format!("column mapping of the mode {mode:?}")));
    }
    check_struct(snapshot.schema().as_ref())
}

fn check_struct(fields: &StructType) -> Result<(), LoadError> {
    for field in fields.fields() {
        check_type(field.data_type())
            .map_err(|kind| LoadError::Unsupported(format!("{kind} (column {})", field.name)))?;
    }
    Ok(())
}

fn check_type(data_type: &DataType) -> Result<(), String> {
    match data_type {
        DataType::Primitive(primitive) => {
            use delta_kernel::schema::PrimitiveType as P;
            match primitive {
                P::String
                | P::Long
                | P::Integer
                | P::Short
                | P::Byte
                | P::Float
                | P::Double
                | P::Boolean
                | P::Binary
                | P::Date
                | P::Timestamp
                | P::TimestampNtz
                | P::Decimal(_) => Ok(()),
                other => Err(format!("type {other}")),
            }
        }
        DataType::Array(array) => check_type(array.element_type()),
        DataType::Map(map) => check_type(map.key_type()).and_then(|()| check_type(map.value_type())),
        DataType::Struct(fields) => check_struct(fields).map_err(|error| match error {
            LoadError::Unsupported(text) => text,
            other => other.to_string(),
        }),
        DataType::Variant(_) => Ok(()),
    }
}
