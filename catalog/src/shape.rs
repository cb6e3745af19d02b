//! How a table's columns are found in its data files.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use delta_kernel::schema::{DataType as KernelType, PrimitiveType, StructField, StructType};
use delta_kernel::table_features::ColumnMappingMode;

use crate::error::LoadError;

/// Which mark of a file's column says which of the table's columns it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchBy {
    /// Its name: without column mapping, and in the mode `name`.
    Name,
    /// Its Parquet field id: in the mode `id`.
    Id,
}

/// One column or nested field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldShape {
    /// Its name in files that are matched by name.
    pub(crate) physical_name: String,
    /// Its id in files that are matched by id.
    pub(crate) id: Option<i64>,
    pub(crate) shape: Shape,
}

/// What is inside a column, as far as files may differ from what users see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Primitive,
    /// A variant in the files, JSON text for users.
    Variant,
    Struct(Vec<FieldShape>),
    List(Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
}

/// The columns that a table's files hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileColumns {
    pub(crate) columns: Vec<FieldShape>,
    pub(crate) match_by: MatchBy,
}

impl MatchBy {
    pub(crate) fn of(mode: ColumnMappingMode) -> Self {
        match mode {
            ColumnMappingMode::Id => Self::Id,
            ColumnMappingMode::None | ColumnMappingMode::Name => Self::Name,
        }
    }
}

impl FieldShape {
    pub(crate) fn new(field: &StructField, mode: ColumnMappingMode) -> Self {
        Self {
            physical_name: field.physical_name(mode).to_owned(),
            id: field.column_mapping_id(),
            shape: Shape::new(field.data_type(), mode),
        }
    }
}

impl Shape {
    fn new(data_type: &KernelType, mode: ColumnMappingMode) -> Self {
        match data_type {
            KernelType::Primitive(_) => Self::Primitive,
            KernelType::Variant(_) => Self::Variant,
            KernelType::Struct(fields) => {
                Self::Struct(fields.fields().map(|field| FieldShape::new(field, mode)).collect())
            }
            KernelType::Array(array) => Self::List(Box::new(Self::new(array.element_type(), mode))),
            KernelType::Map(map) => Self::Map(
                Box::new(Self::new(map.key_type(), mode)),
                Box::new(Self::new(map.value_type(), mode)),
            ),
        }
    }
}

/// A column as users see it. Strings and binaries of the top level are views, which is what the
/// Parquet reader decodes fastest; nested ones stay as files have them. Every field is nullable:
/// files need not declare what the table promises, and not every writer enforces it. Metadata of
/// fields stay behind; comments and tags have accessors of their own.
pub(crate) fn advertised(field: &StructField) -> Result<FieldRef, LoadError> {
    let data_type = match arrow_type(field.data_type())? {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        other => other,
    };
    Ok(Arc::new(Field::new(field.name(), data_type, true)))
}

fn arrow_type(data_type: &KernelType) -> Result<DataType, LoadError> {
    use delta_kernel::engine::arrow_conversion::TryIntoArrow as _;
    Ok(match data_type {
        KernelType::Primitive(PrimitiveType::Void) => {
            return Err(LoadError::Unsupported("type void".to_owned()));
        }
        KernelType::Primitive(_) => data_type.try_into_arrow()?,
        // JSON.
        KernelType::Variant(_) => DataType::Utf8,
        KernelType::Struct(fields) => DataType::Struct(arrow_fields(fields)?.into()),
        KernelType::Array(array) => {
            let element = Field::new("element", arrow_type(array.element_type())?, true);
            DataType::List(Arc::new(element))
        }
        KernelType::Map(map) => {
            // Entries and keys of a map cannot be null.
            let key = Field::new("key", arrow_type(map.key_type())?, false);
            let value = Field::new("value", arrow_type(map.value_type())?, true);
            let entries = Field::new("key_value", DataType::Struct(vec![key, value].into()), false);
            DataType::Map(Arc::new(entries), false)
        }
    })
}

fn arrow_fields(fields: &StructType) -> Result<Vec<FieldRef>, LoadError> {
    fields
        .fields()
        .map(|field| Ok(Arc::new(Field::new(field.name(), arrow_type(field.data_type())?, true))))
        .collect()
}
