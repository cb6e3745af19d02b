//! Hand-made Delta tables and a plain session over a catalog.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionConfig;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use url::Url;

use super::spelling::lines;
use crate::{CatalogOptions, LakeCatalog, LayerRoot, TableSnapshot, TableState};

/// A table that tests write commit by commit.
pub(super) struct TestTable {
    pub(super) folder: PathBuf,
    schema: SchemaRef,
    partition_columns: Vec<String>,
    /// The next commit's version.
    version: u64,
}

/// What a table says of itself besides its columns.
#[derive(Default)]
pub(super) struct Metadata {
    pub(super) properties: BTreeMap<&'static str, &'static str>,
    pub(super) description: Option<&'static str>,
    /// Column metadata by column.
    pub(super) columns: BTreeMap<&'static str, Value>,
}

impl TestTable {
    pub(super) fn create(folder: PathBuf, schema: Schema, partition_columns: &[&str]) -> Self {
        Self::create_with(folder, schema, partition_columns, &Metadata::default())
    }

    pub(super) fn create_with(
        folder: PathBuf,
        schema: Schema,
        partition_columns: &[&str],
        metadata: &Metadata,
    ) -> Self {
        let mut table = Self {
            folder,
            schema: Arc::new(schema),
            partition_columns: partition_columns.iter().map(|&name| name.to_owned()).collect(),
            version: 0,
        };
        let protocol = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
        let actions = [protocol, table.metadata_action(metadata)];
        table.commit(&actions);
        table
    }

    pub(super) fn metadata_action(&self, metadata: &Metadata) -> Value {
        let fields: Vec<Value> = self
            .schema
            .fields()
            .iter()
            .map(|field| {
                let notes = metadata.columns.get(field.name().as_str()).cloned();
                json!({
                    "name": field.name(),
                    "type": delta_type(field.data_type()),
                    "nullable": true,
                    "metadata": notes.unwrap_or_else(|| json!({})),
                })
            })
            .collect();
        json!({"metaData": {
            "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
            "partitionColumns": self.partition_columns,
            "configuration": metadata.properties,
            "createdTime": 1_700_000_000_000_i64,
            "description": metadata.description,
        }})
    }

    /// Writes the next commit and says which version it is.
    pub(super) fn commit(&mut self, actions: &[Value]) -> u64 {
        let log = self.folder.join("_delta_log");
        fs::create_dir_all(&log).unwrap();
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        fs::write(log.join(format!("{:020}.json", self.version)), text).unwrap();
        self.version += 1;
        self.version - 1
    }

    /// Writes a data file and gives its `add` action, without statistics.
    pub(super) fn add(&self, path: &str, partition: Value, rows: &RecordBatch) -> Value {
        let file = self.folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut writer = ArrowWriter::try_new(fs::File::create(&file).unwrap(), rows.schema(), None).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        json!({"add": {
            "path": path,
            "partitionValues": partition,
            "size": fs::metadata(&file).unwrap().len(),
            "modificationTime": 1_700_000_000_000_i64,
            "dataChange": true,
        }})
    }

    /// As [`Self::add`], with statistics as given.
    pub(super) fn add_with(&self, path: &str, partition: Value, rows: &RecordBatch, stats: &Value) -> Value {
        let mut action = self.add(path, partition, rows);
        action["add"]["stats"] = json!(stats.to_string());
        action
    }

    pub(super) fn remove(path: &str) -> Value {
        json!({"remove": {"path": path, "dataChange": true, "deletionTimestamp": 1_700_000_000_000_i64}})
    }
}

fn delta_type(data_type: &DataType) -> Value {
    match data_type {
        DataType::Int64 => json!("long"),
        DataType::Int32 => json!("integer"),
        DataType::Float64 => json!("double"),
        DataType::Boolean => json!("boolean"),
        DataType::Utf8 => json!("string"),
        DataType::Binary => json!("binary"),
        DataType::Date32 => json!("date"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => json!("timestamp"),
        DataType::Decimal128(precision, scale) => json!(format!("decimal({precision},{scale})")),
        DataType::Struct(fields) => {
            let fields: Vec<Value> = fields
                .iter()
                .map(|field| {
                    json!({
                        "name": field.name(),
                        "type": delta_type(field.data_type()),
                        "nullable": true,
                        "metadata": {},
                    })
                })
                .collect();
            json!({"type": "struct", "fields": fields})
        }
        DataType::List(element) => {
            json!({"type": "array", "elementType": delta_type(element.data_type()), "containsNull": true})
        }
        other => panic!("no Delta type for {other}"),
    }
}

pub(super) fn folder_url(folder: &Path) -> Url {
    Url::from_directory_path(folder).unwrap()
}

/// A catalog whose schema `lake` is `root`.
pub(super) async fn open(root: &Path) -> Arc<LakeCatalog> {
    LakeCatalog::open(options(root)).await.unwrap()
}

pub(super) fn options(root: &Path) -> CatalogOptions {
    CatalogOptions {
        roots: vec![LayerRoot { schema: "lake".to_owned(), location: folder_url(root) }],
        ..CatalogOptions::default()
    }
}

/// The readable table `lake.<name>`.
pub(super) fn table(catalog: &LakeCatalog, name: &str) -> Arc<TableSnapshot> {
    match catalog.snapshot().table("lake", name).map(|entry| entry.state.clone()) {
        Some(TableState::Available(table)) => table,
        other => panic!("{name}: {other:?}"),
    }
}

/// Why the table `lake.<name>` cannot be read.
pub(super) fn reason(catalog: &LakeCatalog, name: &str) -> String {
    match catalog.snapshot().table("lake", name).map(|entry| entry.state.clone()) {
        Some(TableState::Unavailable { reason }) => reason,
        other => panic!("{name}: {other:?}"),
    }
}

/// A session that sees every readable table, without any policy.
pub(super) fn session(catalog: &LakeCatalog) -> SessionContext {
    session_with(catalog, SessionConfig::new().with_target_partitions(2))
}

pub(super) fn session_with(catalog: &LakeCatalog, config: SessionConfig) -> SessionContext {
    let context = SessionContext::new_with_config(config);
    for (url, store) in catalog.object_stores() {
        context.register_object_store(&url, store);
    }
    let snapshot = catalog.snapshot();
    for schema in snapshot.schemas() {
        let provider = Arc::new(MemorySchemaProvider::new());
        context.catalog("datafusion").unwrap().register_schema(schema, provider).unwrap();
    }
    for entry in snapshot.tables() {
        if let TableState::Available(table) = &entry.state {
            let name =
                datafusion::common::TableReference::partial(entry.schema.as_str(), entry.name.as_str());
            context.register_table(name, table.provider()).unwrap();
        }
    }
    context
}

/// Rows of a query, spelled and sorted.
pub(super) async fn query(catalog: &LakeCatalog, sql: &str) -> Vec<String> {
    try_query(catalog, sql).await.unwrap()
}

pub(super) async fn try_query(catalog: &LakeCatalog, sql: &str) -> datafusion::error::Result<Vec<String>> {
    let batches = session(catalog).sql(sql).await?.collect().await?;
    Ok(lines(&batches))
}

/// Paths, relative to the table, of the files that a query with `filter` would open.
pub(super) async fn opened(catalog: &LakeCatalog, name: &str, filter: Expr) -> Vec<String> {
    let prefix = format!("{}/", table(catalog, name).location.path);
    let table = TableReference::partial("lake", name);
    let frame = session(catalog).table(table).await.unwrap().filter(filter).unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let mut files = Vec::new();
    plan.apply(|node| {
        if let Some(source) = node.downcast_ref::<DataSourceExec>() {
            let config = source.data_source().downcast_ref::<FileScanConfig>().unwrap();
            let opened = config.file_groups.iter().flat_map(|group| group.files());
            files.extend(opened.map(|f| f.path().as_ref().strip_prefix(&prefix).unwrap().to_owned()));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    files.sort();
    files.dedup();
    files
}
