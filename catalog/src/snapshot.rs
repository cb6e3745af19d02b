//! What is published: immutable views of the catalog and of table versions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use url::Url;

use crate::error::LoadError;
use crate::index::FileIndex;
use crate::log::LoadedLog;
use crate::scan::LakeTable;
use crate::stores::Location;

/// The catalog at one moment. Cheap to keep; never changes.
#[derive(Debug, Default)]
pub struct CatalogSnapshot {
    /// Differs from that of another snapshot when anything visible differs.
    pub generation: u64,
    schemas: BTreeMap<String, BTreeMap<String, TableEntry>>,
}

impl CatalogSnapshot {
    pub(crate) fn new(
        generation: u64,
        schemas: impl IntoIterator<Item = String>,
        tables: impl IntoIterator<Item = TableEntry>,
    ) -> Self {
        let mut by_schema: BTreeMap<String, BTreeMap<String, TableEntry>> =
            schemas.into_iter().map(|schema| (schema, BTreeMap::new())).collect();
        for table in tables {
            by_schema.entry(table.schema.clone()).or_default().insert(table.name.clone(), table);
        }
        Self { generation, schemas: by_schema }
    }

    /// Names of all schemas, in order, those without tables too.
    pub fn schemas(&self) -> impl Iterator<Item = &str> {
        self.schemas.keys().map(String::as_str)
    }

    /// All tables, ordered by schema and name.
    pub fn tables(&self) -> impl Iterator<Item = &TableEntry> {
        self.schemas.values().flat_map(BTreeMap::values)
    }

    /// The table of exactly this name.
    pub fn table(&self, schema: &str, name: &str) -> Option<&TableEntry> {
        self.schemas.get(schema)?.get(name)
    }

    /// Whether both show the same, generations aside.
    pub(crate) fn shows_same(&self, other: &Self) -> bool {
        self.schemas().eq(other.schemas())
            && self.tables().count() == other.tables().count()
            && self.tables().zip(other.tables()).all(|(a, b)| a.shows_same(b))
    }
}

/// One name in the catalog.
#[derive(Debug, Clone)]
pub struct TableEntry {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub name: String,
    /// Whether it can be read.
    pub state: TableState,
}

impl TableEntry {
    fn shows_same(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.name == other.name
            && match (&self.state, &other.state) {
                (TableState::Available(a), TableState::Available(b)) => a.id == b.id,
                (TableState::Unavailable { reason: a }, TableState::Unavailable { reason: b }) => a == b,
                _ => false,
            }
    }
}

/// Whether a table can be read.
#[derive(Debug, Clone)]
pub enum TableState {
    /// Yes, at this version.
    Available(Arc<TableSnapshot>),
    /// No.
    Unavailable {
        /// Why, for operators: may name locations.
        reason: String,
    },
}

/// Identity of a [`TableSnapshot`] within this process. Unlike a version it also differs when another
/// table was put in the place of one, so caches are keyed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(u64);

impl SnapshotId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl std::fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One version of one table, with its files.
pub struct TableSnapshot {
    id: SnapshotId,
    /// `schema.table`, for errors.
    pub(crate) qualified_name: String,
    pub(crate) location: Location,
    pub(crate) log: LoadedLog,
}

impl std::fmt::Debug for TableSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableSnapshot")
            .field("table", &self.qualified_name)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

impl TableSnapshot {
    pub(crate) fn new(qualified_name: String, location: Location, log: LoadedLog) -> Self {
        Self { id: SnapshotId::next(), qualified_name, location, log }
    }

    /// Identity within this process.
    pub fn id(&self) -> SnapshotId {
        self.id
    }

    /// Version of the Delta log.
    pub fn version(&self) -> u64 {
        self.log.version()
    }

    /// Columns in the order of the table; what every scan of it produces.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.log.definition.schema)
    }

    /// Description, from configuration or else from the table.
    pub fn description(&self) -> Option<&str> {
        self.log.definition.description.as_deref()
    }

    /// Tags of the table, its own first.
    pub fn tags(&self) -> &[String] {
        &self.log.definition.tags
    }

    /// Tags of a column, the table's own first; none for an unknown column.
    pub fn column_tags(&self, column: &str) -> &[String] {
        self.log.definition.column_tags(column)
    }

    /// Description of a column, from configuration or else from the table.
    pub fn column_description(&self, column: &str) -> Option<&str> {
        self.log.definition.column_description(column)
    }

    /// Names of the partition columns, in partition order.
    pub fn partition_columns(&self) -> &[String] {
        &self.log.definition.partition_columns
    }

    /// Number of data files; none while the index was put aside and not read since the last commit.
    pub fn files(&self) -> Option<u64> {
        self.log.index.files()
    }

    /// The file index, read again if it was put aside.
    pub(crate) async fn index(&self) -> Result<Arc<FileIndex>, LoadError> {
        self.log.index(&self.location).await
    }

    /// Bytes of memory that the file index takes now.
    pub fn index_memory(&self) -> usize {
        self.log.index.memory_size()
    }

    /// Folder of the table, ending in `/`. For operators.
    pub fn location(&self) -> &Url {
        &self.location.url
    }

    /// When the table was created, if its metadata say.
    pub fn created(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.log.definition.created?)
    }

    /// When the newest commit was written, if its object still exists.
    pub fn modified(&self) -> Option<DateTime<Utc>> {
        self.log.modified()
    }

    /// A provider that scans this version. It accepts every filter as a hint only.
    pub fn provider(self: &Arc<Self>) -> Arc<dyn TableProvider> {
        Arc::new(LakeTable::new(Arc::clone(self)))
    }
}
