//! A table's columns, descriptions and tags: everything but its files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::datasource::table_schema::TableSchema;
use delta_kernel::engine::arrow_conversion::TryIntoArrow as _;
use delta_kernel::schema::{DataType as KernelType, MetadataValue, StructField};
use delta_kernel::snapshot::SnapshotRef;

use crate::error::LoadError;
use crate::options::TableAnnotation;

/// Table property and column metadata key: tags, separated by commas.
const TAGS_KEY: &str = "lakeward.tags";
/// Column metadata key that writers keep comments under.
const COMMENT_KEY: &str = "comment";

/// What a table version looks like, apart from its files.
#[derive(Debug)]
pub(crate) struct TableDefinition {
    /// Advertised: columns in the order of the table, no metadata, strings as views.
    pub(crate) schema: SchemaRef,
    /// The same columns as a scan has them: those in the files, then the partition columns.
    pub(crate) scan_schema: TableSchema,
    /// For each advertised column its position in the scan's schema.
    pub(crate) scan_positions: Vec<usize>,
    /// In the table's partition order.
    pub(crate) partition_columns: Vec<String>,
    /// File columns that the log keeps statistics of.
    pub(crate) indexed_columns: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<String>,
    columns: BTreeMap<String, ColumnNotes>,
    /// When the table was created, milliseconds since the epoch.
    pub(crate) created: Option<i64>,
}

#[derive(Debug, Default)]
struct ColumnNotes {
    description: Option<String>,
    tags: Vec<String>,
}

impl TableDefinition {
    pub(crate) fn new(
        snapshot: &SnapshotRef,
        annotation: Option<&TableAnnotation>,
    ) -> Result<Self, LoadError> {
        let configuration = snapshot.table_configuration();
        let metadata = configuration.metadata();
        let logical = snapshot.schema();

        let partition_columns = metadata.partition_columns().to_vec();
        let mut file_fields: Vec<FieldRef> = Vec::new();
        let mut fields: Vec<FieldRef> = Vec::new();
        for field in logical.fields() {
            let arrow: Field = field.try_into_arrow()?;
            let field = Arc::new(advertised(&arrow));
            if !partition_columns.contains(field.name()) {
                file_fields.push(Arc::clone(&field));
            }
            fields.push(field);
        }
        let mut partition_fields: Vec<FieldRef> = Vec::new();
        for name in &partition_columns {
            let field = fields
                .iter()
                .find(|field| field.name() == name)
                .ok_or_else(|| LoadError::Broken(format!("partition column {name} is not in the schema")))?;
            partition_fields.push(Arc::clone(field));
        }
        let scan_schema = TableSchema::builder(Arc::new(Schema::new(file_fields)))
            .with_table_partition_cols(partition_fields)
            .build();
        let scan_positions = fields
            .iter()
            .map(|field| scan_schema.table_schema().index_of(field.name()))
            .collect::<Result<_, _>>()?;

        let properties = snapshot.metadata_configuration();
        let mut definition = Self {
            schema: Arc::new(Schema::new(fields)),
            scan_schema,
            scan_positions,
            partition_columns,
            indexed_columns: indexed_columns(snapshot)?,
            description: metadata.description().map(str::to_owned),
            tags: properties.get(TAGS_KEY).map(|tags| split_tags(tags)).unwrap_or_default(),
            columns: logical.fields().map(|field| (field.name.clone(), ColumnNotes::new(field))).collect(),
            created: metadata.created_time(),
        };
        if let Some(annotation) = annotation {
            definition.annotate(annotation)?;
        }
        Ok(definition)
    }

    pub(crate) fn column_tags(&self, column: &str) -> &[String] {
        self.columns.get(column).map_or(&[], |notes| &notes.tags)
    }

    pub(crate) fn column_description(&self, column: &str) -> Option<&str> {
        self.columns.get(column)?.description.as_deref()
    }

    fn annotate(&mut self, annotation: &TableAnnotation) -> Result<(), LoadError> {
        if annotation.description.is_some() {
            self.description.clone_from(&annotation.description);
        }
        add_tags(&mut self.tags, &annotation.tags);
        for (name, column) in &annotation.columns {
            let notes = self.columns.get_mut(name).ok_or_else(|| {
                LoadError::Misconfigured(format!(
                    "the configuration annotates column {name}, which the table does not have"
                ))
            })?;
            if column.description.is_some() {
                notes.description.clone_from(&column.description);
            }
            add_tags(&mut notes.tags, &column.tags);
        }
        Ok(())
    }
}

impl ColumnNotes {
    fn new(field: &StructField) -> Self {
        let mut notes =
            Self { description: text(field, COMMENT_KEY).filter(|text| !text.is_empty()), tags: Vec::new() };
        notes.add_field_tags(field);
        notes
    }

    /// Tags of the field and of all below it: what is hidden or masked is a whole column.
    fn add_field_tags(&mut self, field: &StructField) {
        if let Some(tags) = text(field, TAGS_KEY) {
            add_tags(&mut self.tags, &split_tags(&tags));
        }
        self.add_type_tags(field.data_type());
    }

    fn add_type_tags(&mut self, data_type: &KernelType) {
        match data_type {
            KernelType::Struct(fields) => fields.fields().for_each(|field| self.add_field_tags(field)),
            KernelType::Array(array) => self.add_type_tags(array.element_type()),
            KernelType::Map(map) => {
                self.add_type_tags(map.key_type());
                self.add_type_tags(map.value_type());
            }
            _ => {}
        }
    }
}

fn text(field: &StructField, key: &str) -> Option<String> {
    match field.metadata.get(key) {
        Some(MetadataValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn split_tags(tags: &str) -> Vec<String> {
    let mut split = Vec::new();
    add_tags(&mut split, &tags.split(',').map(|tag| tag.trim().to_owned()).collect::<Vec<_>>());
    split
}

fn add_tags(tags: &mut Vec<String>, more: &[String]) {
    for tag in more {
        if !tag.is_empty() && !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
}

/// File columns of a primitive type that files have statistics of by the table's own rules.
fn indexed_columns(snapshot: &SnapshotRef) -> Result<Vec<String>, LoadError> {
    let expected = snapshot.table_configuration().build_expected_stats_schemas(None, None)?;
    let Some(KernelType::Struct(null_counts)) =
        expected.physical.field("nullCount").map(StructField::data_type)
    else {
        return Ok(Vec::new());
    };
    Ok(null_counts
        .fields()
        .filter(|field| matches!(field.data_type(), KernelType::Primitive(_)))
        .map(|field| field.name.clone())
        .collect())
}

/// The field as users see it. Strings and binaries of the top level are views, which is what the
/// Parquet reader decodes fastest; nested ones stay as the files have them. Every field is nullable:
/// files need not declare what the table promises, and not every writer enforces it.
fn advertised(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        nested => without_metadata(nested),
    };
    Field::new(field.name(), data_type, true)
}

/// Metadata of fields would travel to clients; comments and tags have accessors of their own.
fn without_metadata(data_type: &DataType) -> DataType {
    let plain = |field: &FieldRef| {
        let data_type = without_metadata(field.data_type());
        Arc::new(Field::new(field.name(), data_type, true))
    };
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        DataType::List(element) => DataType::List(plain(element)),
        DataType::Map(entries, sorted) => {
            // Entries and keys of a map cannot be null.
            let DataType::Struct(pair) = entries.data_type() else { return data_type.clone() };
            let pair = pair.iter().enumerate().map(|(part, field)| {
                let field = plain(field);
                if part == 0 { Arc::new(field.as_ref().clone().with_nullable(false)) } else { field }
            });
            let entries = Field::new(entries.name(), DataType::Struct(pair.collect()), false);
            DataType::Map(Arc::new(entries), *sorted)
        }
        other => other.clone(),
    }
}
