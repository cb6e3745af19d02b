//! PostgreSQL's system catalogue over one principal's governed view.
//!
//! - [`VisibleCatalog`]: what the principal may know; everything here is derived from it and nothing else.
//!   It is a [`LazyCatalog`] to all of it.
//! - [`schema_providers`]: `pg_catalog` and `information_schema` as generated tables.
//! - [`functions`]: what clients call (`format_type`, `pg_table_is_visible`, `current_schema` …).
//! - [`rewrite`]: PostgreSQL's spelling of a statement put into the engine's.
//! - [`analyzer_rule`]: correlated subqueries and LATERAL over system tables, unnested.
//! - [`types`]: Arrow types as PostgreSQL types.

mod cells;
mod directory;
mod error;
mod functions;
mod provider;
mod relations;
mod rewrite;
mod rows;
pub mod types;
mod unnest;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use arrow::datatypes::DataType;
use datafusion::catalog::SchemaProvider;
use datafusion::logical_expr::ScalarUDF;
use datafusion::optimizer::AnalyzerRule;
use sqlparser::ast::Statement;

pub use error::RewriteError;
pub use rewrite::{display_name, reads_only_system_schemas};

use directory::Directory;

/// Reads a setting of the session: its name in any case to its value; None where there is no such setting.
pub type SettingsReader = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A column a principal may know of.
#[derive(Debug, Clone)]
pub struct VisibleColumn {
    /// Name as stored.
    pub name: String,
    /// Type of what the principal reads: masks included.
    pub data_type: DataType,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Comment.
    pub description: Option<String>,
}

/// A table or view a principal may know of.
#[derive(Debug, Clone)]
pub struct VisibleTable {
    /// Name as stored.
    pub name: String,
    /// Whether it is listed as a view.
    pub is_view: bool,
    /// Its query, where the principal may know it.
    pub definition: Option<String>,
    /// Comment.
    pub description: Option<String>,
    /// Columns in order.
    pub columns: Vec<VisibleColumn>,
}

/// A schema a principal may know of.
#[derive(Debug, Clone)]
pub struct VisibleSchema {
    /// Name.
    pub name: String,
    /// Comment.
    pub description: Option<String>,
    /// Its tables, in any order.
    pub tables: Vec<VisibleTable>,
}

/// Everything one principal may know exists. Immutable; to be kept per principal and policy epoch, since
/// the rows generated from it are kept with it.
pub struct VisibleCatalog {
    /// Name of the one database.
    pub database: String,
    /// The principal's user name.
    pub user: String,
    /// The user's own roles.
    pub roles: Vec<String>,
    /// Such as `15.7 (Lakeward 0.1.0)`, or a whole `PostgreSQL 15.7 …`.
    pub server_version: String,
    /// Schemas, in any order; `pg_catalog` and `information_schema` are added.
    pub schemas: Vec<VisibleSchema>,
    /// Oids of all of it, made when first needed.
    directory: OnceLock<Arc<Directory>>,
}

impl VisibleCatalog {
    /// A view.
    #[must_use]
    pub fn new(
        database: String,
        user: String,
        roles: Vec<String>,
        server_version: String,
        schemas: Vec<VisibleSchema>,
    ) -> Self {
        Self { database, user, roles, server_version, schemas, directory: OnceLock::new() }
    }

    fn directory(&self) -> &Arc<Directory> {
        self.directory.get_or_init(|| Arc::new(Directory::new(self)))
    }
}

/// What makes a view when somebody first asks for it: most statements never do, and a view of very many
/// tables has very many columns.
pub type MakeVisible = Box<dyn FnOnce() -> VisibleCatalog + Send + Sync>;

/// A view that is made when it is first asked for.
pub type LazyCatalog = LazyLock<VisibleCatalog, MakeVisible>;

impl fmt::Debug for VisibleCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VisibleCatalog")
            .field("database", &self.database)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// `pg_catalog` and `information_schema`, by name. Tables are generated when first read, and kept by the
/// providers: make them once per [`VisibleCatalog`].
#[must_use]
pub fn schema_providers(view: &Arc<LazyCatalog>) -> Vec<(String, Arc<dyn SchemaProvider>)> {
    provider::schema_providers(view)
}

/// The functions clients call, for one session. Names that the engine has too are replaced on purpose
/// (`version`, `current_user` …). Results that follow settings are `Stable`: a plan that is kept must be
/// kept per settings.
#[must_use]
pub fn functions(view: &Arc<LazyCatalog>, settings: SettingsReader) -> Vec<ScalarUDF> {
    functions::functions(view, settings)
}

/// Those of [`functions`] that answer the same whoever asks. `view` is one without tables and people.
#[must_use]
pub(crate) fn plain_functions(view: &Arc<LazyCatalog>) -> Vec<ScalarUDF> {
    functions::plain_functions(view)
}

/// Rewrites a parsed statement so that the engine can plan it with PostgreSQL's meaning. Applies to every
/// statement; what it does not know it leaves alone. To be applied once to a parsed statement.
///
/// Output columns get PostgreSQL's names. A name that appears twice carries a mark, because the engine wants
/// them apart; [`display_name`] takes it off where the columns are shown.
///
/// # Errors
/// What is recognised and cannot be carried out is refused with 0A000.
pub fn rewrite(statement: &mut Statement) -> Result<(), RewriteError> {
    rewrite::rewrite(statement)
}

/// The rule that unnests what the engine cannot: correlated subqueries of every shape and LATERAL, in
/// plans that read generated tables only. To be added after the engine's own analyzer rules.
#[must_use]
pub fn analyzer_rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(unnest::UnnestSystemSubqueries)
}
