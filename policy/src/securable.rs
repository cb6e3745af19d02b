//! What policies protect, described without naming where it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;

use crate::view::SourceColumn;

/// A table as policies see it.
#[derive(Debug, Clone)]
pub struct Securable {
    /// Schema (layer) name.
    pub schema: String,
    /// Table name.
    pub table: String,
    /// Columns; None while the table is listed but cannot be read.
    pub columns: Option<SchemaRef>,
    /// Tags of the table.
    pub tags: Vec<String>,
    /// Tags by column name.
    pub column_tags: BTreeMap<String, Vec<String>>,
    /// Of a view with its owner's rights: what it carries the tags of. None where nothing flows.
    pub origins: Option<Arc<Origins>>,
}

/// What the tags of a view flow from. Tags that policy files add to it are the view's, too; those of the
/// catalog are in [`Securable::tags`] and [`Securable::column_tags`] already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// Schema and name of the tables whose own tags the view carries.
    pub tables: BTreeSet<(String, String)>,
    /// By column of the view, the columns whose tags it carries.
    pub columns: BTreeMap<String, BTreeSet<SourceColumn>>,
}

impl Securable {
    /// Whether `column` carries `tag`.
    #[must_use]
    pub fn column_has_tag(&self, column: &str, tag: &str) -> bool {
        self.column_tags.get(column).is_some_and(|tags| tags.iter().any(|t| t == tag))
    }

    /// `schema.table`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}
