//! What policies protect, described without naming where it comes from.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::SchemaRef;

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
