//! What an account and an end user may both see.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::utils::conjunction;

use crate::access::{Access, TablePolicy};
use crate::mask;

impl Access {
    /// What remains of this decision under another one on the same table, which has the columns `raw`.
    pub(crate) fn narrowed_by(&self, other: &Self, raw: &SchemaRef) -> Self {
        match (self, other) {
            (Self::Invisible, _) | (_, Self::Invisible) => Self::Invisible,
            (Self::Unresolved(why), _) | (_, Self::Unresolved(why)) => Self::Unresolved(Arc::clone(why)),
            (Self::Select(a), Self::Select(b)) => Self::Select(Arc::new(a.narrowed_by(b, raw))),
            (Self::Select(a) | Self::Describe(a), Self::Select(b) | Self::Describe(b)) => {
                Self::Describe(Arc::new(a.narrowed_by(b, raw)))
            }
        }
    }
}

impl TablePolicy {
    /// Rows that both show, under the masks of both. Where both mask a column and not alike, nothing
    /// says which of the two tells less: it is NULL.
    fn narrowed_by(&self, other: &Self, raw: &SchemaRef) -> Self {
        let (mut masks, mut recipe) = (self.masks.clone(), self.recipe.clone());
        for (column, mask) in &other.masks {
            match masks.entry(*column) {
                Entry::Vacant(free) => {
                    free.insert(Arc::clone(mask));
                    recipe.insert(*column, other.recipe.get(column).cloned().unwrap_or_default());
                }
                Entry::Occupied(_) if self.recipe.get(column) == other.recipe.get(column) => {}
                Entry::Occupied(mut taken) => {
                    taken.insert(mask::hidden());
                    recipe.entry(*column).or_default().push("hidden: two masks".to_owned());
                }
            }
        }
        let mut filters: Vec<_> = self.row_filter.iter().chain(&other.row_filter).cloned().collect();
        filters.dedup();
        let end_user = other.rules.iter().map(|rule| format!("end user: {rule}"));
        let rules = self.rules.iter().cloned().chain(end_user).collect();
        let nothing = self.nothing || other.nothing;
        Self::new(Arc::clone(&self.table), raw, conjunction(filters), nothing, masks, recipe, rules)
    }
}
