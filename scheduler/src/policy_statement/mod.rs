//! Statements of those who answer for policies: they change the records of the managed file, and ask
//! what is in force.
//!
//! They are no part of any grammar of the parser's, so [`words`] splits a message that holds one, and
//! [`parse`] reads it; [`run`] decides who may.

mod parse;
mod run;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lakeward_policy::change::PolicyChange;

pub(crate) use self::parse::parse;
pub(crate) use self::run::run;
pub(crate) use self::words::pieces;

/// A statement about policies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PolicyStatement {
    /// Changes records, all or none.
    Change {
        /// Command tag.
        tag: &'static str,
        changes: Vec<PolicyChange>,
    },
    /// `SHOW POLICIES [ON schema.table]`
    Show { table: Option<(String, String)> },
    /// `EXPLAIN POLICY FOR USER u ON schema.table`
    Explain { user: String, table: (String, String) },
}

impl PolicyStatement {
    /// Columns of the result; None where there are no rows.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        let names: &[&str] = match self {
            Self::Change { .. } => return None,
            Self::Show { .. } => &["kind", "name", "object", "audience", "definition", "place"],
            Self::Explain { .. } => &["POLICY"],
        };
        let fields: Vec<_> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        Some(Arc::new(Schema::new(fields)))
    }

    /// Command tag, or its first word where there are rows.
    pub(crate) const fn tag(&self) -> &'static str {
        match self {
            Self::Change { tag, .. } => tag,
            Self::Show { .. } => "SHOW",
            Self::Explain { .. } => "EXPLAIN",
        }
    }
}
