//! What one principal may do with one table, and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::logical_expr::Expr;

use crate::mask::Mask;

/// The decision on one table for one principal.
#[derive(Debug, Clone)]
pub enum Access {
    /// For this principal the table does not exist.
    Invisible,
    /// Its columns and plans may be seen, its rows may not.
    Describe(Arc<TablePolicy>),
    /// Its rows may be read, filtered and masked.
    Select(Arc<TablePolicy>),
    /// The policies cannot be applied to the table as it is now: no rows. The reason is for operators.
    Unresolved(Arc<str>),
}

impl Access {
    /// Whether both show exactly the same rows and values. Unresolved ones never do.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Invisible, Self::Invisible) => true,
            (Self::Describe(a), Self::Describe(b)) | (Self::Select(a), Self::Select(b)) => {
                a.row_filter == b.row_filter
                    && a.nothing == b.nothing
                    && a.recipe == b.recipe
                    && a.shown == b.shown
            }
            _ => false,
        }
    }
}

/// The filters and masks that apply, and the rules they come from.
#[derive(Debug)]
pub struct TablePolicy {
    /// `schema.table`.
    pub(crate) table: Arc<str>,
    /// Predicate over the raw columns; None shows every row.
    pub(crate) row_filter: Option<Expr>,
    /// No row at all: an attribute that a filter needs is missing.
    pub(crate) nothing: bool,
    /// Masks by index of the raw column.
    pub(crate) masks: BTreeMap<usize, Arc<dyn Mask>>,
    /// What the masks do, in words, by index of the raw column: masks themselves cannot be compared.
    pub(crate) recipe: BTreeMap<usize, Vec<String>>,
    /// Names of the rules that apply, for the audit trail.
    pub(crate) rules: Vec<String>,
    /// Columns as users see them.
    pub(crate) shown: SchemaRef,
}

impl TablePolicy {
    pub(crate) fn new(
        table: Arc<str>,
        raw: &SchemaRef,
        row_filter: Option<Expr>,
        nothing: bool,
        masks: BTreeMap<usize, Arc<dyn Mask>>,
        recipe: BTreeMap<usize, Vec<String>>,
        rules: Vec<String>,
    ) -> Self {
        let fields: Vec<_> = raw
            .fields()
            .iter()
            .enumerate()
            .map(|(index, field)| match masks.get(&index) {
                // A mask may answer NULL where there was a value.
                Some(mask) => Arc::new(Field::new(field.name(), mask.output_type(field.data_type()), true)),
                None => Arc::new(Field::new(field.name(), field.data_type().clone(), field.is_nullable())),
            })
            .collect();
        let shown = Arc::new(Schema::new(fields));
        Self { table, row_filter, nothing, masks, recipe, rules, shown }
    }

    /// Columns as users see them: masked types, no metadata.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shown)
    }

    /// Whether every row and every value is shown as it is.
    #[must_use]
    pub fn shows_everything(&self) -> bool {
        self.row_filter.is_none() && !self.nothing && self.masks.is_empty()
    }

    /// Names of the rules that apply.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        &self.rules
    }
}
