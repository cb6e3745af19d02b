//! A table's columns, descriptions and tags: everything but its files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::datasource::table_schema::TableSchema;
use delta_kernel::schema::{DataType as KernelType, MetadataValue, StructField};
use delta_kernel::snapshot::SnapshotRef;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::error::LoadError;
use crate::options::TableAnnotation;
use crate::shape::{FieldShape, FileColumns, MatchBy, Shape, advertised};

/// Table property and column metadata key: tags, separated by commas.
const TAGS_KEY: &str = "lakeward.tags";
/// Column metadata key that writers keep comments under.
const COMMENT_KEY: &str = "comment";

/// What a table version looks like, apart from its files.
#[derive(Debug, Clone)]
pub(crate) struct TableDefinition {
    /// Advertised: columns in the order of the table, no metadata, strings as views.
    pub(crate) schema: SchemaRef,
    /// The same columns as a scan has them: those in the files, then the partition columns, all by
    /// their physical names, which are what files and log call them.
    pub(crate) scan_schema: TableSchema,
    /// For each advertised column its position in the scan's schema.
    pub(crate) scan_positions: Vec<usize>,
    /// For each column of the scan's schema its advertised name.
    pub(crate) scan_names: Vec<String>,
    /// Shapes of the file columns, in the order of the scan's schema.
    pub(crate) file_columns: Arc<FileColumns>,
    /// Advertised names, in the table's partition order.
    pub(crate) partition_columns: Vec<String>,
    /// Time zone of partition values that name none; UTC unless configured.
    pub(crate) partition_zone: Option<Tz>,
    /// File columns that the log keeps statistics of, by physical name.
    pub(crate) indexed_columns: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<String>,
    columns: BTreeMap<String, ColumnNotes>,
    /// Physical names by advertised name.
    physical_names: BTreeMap<String, String>,
    /// When the table was created, milliseconds since the epoch.
    pub(crate) created: Option<i64>,
}

#[derive(Debug, Clone, Default)]
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
        let mode = configuration.column_mapping_mode();
        let logical = snapshot.schema();

        let partition_columns = metadata.partition_columns().to_vec();
        let columns = logical
            .fields()
            .map(|field| Ok((advertised(field)?, FieldShape::new(field, mode))))
            .collect::<Result<Vec<_>, LoadError>>()?;
        let is_partition = |field: &FieldRef| partition_columns.contains(field.name());
        let in_files: Vec<_> = columns.iter().filter(|(field, _)| !is_partition(field)).collect();
        let partitions = partition_columns
            .iter()
            .map(|name| {
                let found = columns.iter().find(|(field, _)| field.name() == name);
                found
                    .ok_or_else(|| LoadError::Broken(format!("partition column {name} is not in the schema")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let scanned: Vec<_> = in_files.iter().chain(&partitions).collect();
        let match_by = MatchBy::of(mode);
        let physical = |(field, shape): &(FieldRef, FieldShape)| {
            let field = field.as_ref().clone().with_name(&shape.physical_name);
            // The engine leaves out adapting a file whose schema is the scan's: with the ids in it, a
            // file of the same names but other ids, or none, is not taken for one.
            let ids = (match_by == MatchBy::Id).then_some(shape.id).flatten();
            let ids = ids.map(|id| (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string()));
            Arc::new(field.with_metadata(ids.into_iter().collect()))
        };
        let file_fields: Vec<_> = in_files.iter().map(|column| physical(column)).collect();
        let scan_schema = TableSchema::builder(Arc::new(Schema::new(file_fields)))
            .with_table_partition_cols(partitions.iter().map(|column| physical(column)).collect::<Vec<_>>())
            .build();
        let scan_names: Vec<String> = scanned.iter().map(|(field, _)| field.name().clone()).collect();
        let scan_positions = columns
            .iter()
            .filter_map(|(field, _)| scan_names.iter().position(|name| name == field.name()))
            .collect();
        let indexed_columns = indexed_columns(snapshot)?
            .into_iter()
            .filter(|name| {
                in_files.iter().any(|(_, c)| c.physical_name == *name && c.shape == Shape::Primitive)
            })
            .collect();

        let properties = snapshot.metadata_configuration();
        let mut definition = Self {
            schema: Arc::new(Schema::new(columns.iter().map(|(f, _)| Arc::clone(f)).collect::<Vec<_>>())),
            file_columns: Arc::new(FileColumns {
                columns: in_files.iter().map(|(_, shape)| shape.clone()).collect(),
                match_by,
            }),
            scan_schema,
            scan_positions,
            scan_names,
            partition_columns,
            partition_zone: None,
            indexed_columns,
            description: metadata.description().map(str::to_owned),
            tags: properties.get(TAGS_KEY).map(|tags| split_tags(tags)).unwrap_or_default(),
            columns: logical.fields().map(|field| (field.name.clone(), ColumnNotes::new(field))).collect(),
            physical_names: columns
                .iter()
                .map(|(field, shape)| (field.name().clone(), shape.physical_name.clone()))
                .collect(),
            created: metadata.created_time(),
        };
        if let Some(annotation) = annotation {
            definition.annotate(annotation)?;
        }
        Ok(definition)
    }

    /// This older definition as it may be shown today: the columns that the table still has, under
    /// the names that they have now, with today's description and tags on top of their own.
    ///
    /// Today's policies speak of today's columns. Of one that is gone they say nothing, so nobody
    /// sees it; one that was renamed is the same one as long as its name in the files is.
    pub(crate) fn as_of_today(&self, today: &Self) -> Self {
        let now: BTreeMap<&str, &str> =
            today.physical_names.iter().map(|(name, physical)| (physical.as_str(), name.as_str())).collect();
        let name_now = |name: &str| now.get(self.physical_names.get(name)?.as_str()).copied();
        let mut definition = self.clone();
        let kept = self.schema.fields().iter().zip(&self.scan_positions).filter_map(|(field, position)| {
            let name = name_now(field.name())?;
            Some((Arc::new(field.as_ref().clone().with_name(name)), *position))
        });
        let (fields, positions): (Vec<_>, Vec<_>) = kept.unzip();
        definition.schema = Arc::new(Schema::new(fields));
        definition.scan_positions = positions;
        // No statement can name what holds a NUL.
        let scan_name = |name: &String| name_now(name).map_or_else(|| format!("\0{name}"), str::to_owned);
        definition.scan_names = self.scan_names.iter().map(scan_name).collect();
        definition.partition_columns =
            self.partition_columns.iter().filter_map(|name| name_now(name)).map(str::to_owned).collect();
        definition.columns = self
            .columns
            .iter()
            .filter_map(|(name, notes)| {
                let (name, mut notes) = (name_now(name)?, notes.clone());
                if let Some(now) = today.columns.get(name) {
                    add_tags(&mut notes.tags, &now.tags);
                    notes.description.clone_from(&now.description);
                }
                Some((name.to_owned(), notes))
            })
            .collect();
        definition.physical_names = self
            .physical_names
            .iter()
            .filter_map(|(name, physical)| Some((name_now(name)?.to_owned(), physical.clone())))
            .collect();
        definition.description.clone_from(&today.description);
        definition.partition_zone = today.partition_zone;
        add_tags(&mut definition.tags, &today.tags);
        definition
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
        if let Some(zone) = &annotation.partition_time_zone {
            let zone = zone.parse().map_err(|_| {
                LoadError::Misconfigured(format!("the configuration names an unknown time zone {zone}"))
            })?;
            self.partition_zone = Some(zone);
        }
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
