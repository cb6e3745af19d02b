//! What the catalog is made of, as configured.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use crate::stores::StoreOptions;

/// Configuration of a [`crate::LakeCatalog`].
#[derive(Debug, Clone)]
pub struct CatalogOptions {
    /// Folders whose children are tables.
    pub roots: Vec<LayerRoot>,
    /// Tables named one by one.
    pub tables: Vec<ExplicitTable>,
    /// Descriptions and tags added to what the tables say themselves.
    pub annotations: Vec<TableAnnotation>,
    /// Settings of stores, by URL prefix. A location that none fits gets the defaults of its kind.
    pub stores: Vec<StoreOptions>,
    /// Folders where copies of pinned versions may be ([`crate::LakeCatalog::open_pin`]). Copies in the store
    /// of a layer or a table are found without.
    pub copies: Vec<Url>,
    /// How often [`crate::LakeCatalog::run_refresh`] looks for new tables and commits.
    pub refresh_interval: Duration,
    /// Memory for the file indexes of all tables, in bytes. Past it, those that were not asked for the
    /// longest are put aside and read again when they are: their tables stay, and planning the first
    /// statement over one then takes longer.
    pub index_memory: usize,
    /// How long one table's log replay may take.
    pub load_timeout: Duration,
    /// How long one small request to a store (a listing, a look at one object) may take.
    pub request_timeout: Duration,
}

impl Default for CatalogOptions {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            tables: Vec::new(),
            annotations: Vec::new(),
            stores: Vec::new(),
            copies: Vec::new(),
            refresh_interval: Duration::from_secs(2),
            index_memory: 1 << 30,
            load_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(15),
        }
    }
}

/// A folder: each direct child with a `_delta_log` is the table `<schema>.<folder name>`.
#[derive(Debug, Clone)]
pub struct LayerRoot {
    /// Schema that the tables appear in.
    pub schema: String,
    /// URL of the folder, such as `file:///data/silver/` or `s3://lake/silver/`.
    pub location: Url,
}

/// One table at one place.
#[derive(Debug, Clone)]
pub struct ExplicitTable {
    /// Schema that the table appears in.
    pub schema: String,
    /// Name of the table.
    pub name: String,
    /// URL of the folder that holds its `_delta_log`.
    pub location: Url,
}

/// What configuration says about a table. A description replaces the table's own, tags add to its.
#[derive(Debug, Clone, Default)]
pub struct TableAnnotation {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Description of the table.
    pub description: Option<String>,
    /// Tags of the table.
    pub tags: Vec<String>,
    /// Time zone (an IANA name) of timestamps in partition values that name none; UTC by default.
    /// Writers put such values in the zone of their session, and nothing in the table says which.
    pub partition_time_zone: Option<String>,
    /// How often new commits of this table are looked for, where that differs from
    /// [`CatalogOptions::refresh_interval`].
    pub refresh_interval: Option<Duration>,
    /// Columns by name. A name that the table does not have makes the table unavailable: a tag that
    /// hangs nowhere would leave a column unprotected.
    pub columns: BTreeMap<String, ColumnAnnotation>,
}

/// What configuration says about a column.
#[derive(Debug, Clone, Default)]
pub struct ColumnAnnotation {
    /// Description of the column.
    pub description: Option<String>,
    /// Tags of the column.
    pub tags: Vec<String>,
}
