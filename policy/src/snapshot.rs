//! One consistent set of policies: loaded whole, checked whole, never changed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Datelike;

use crate::Principal;
use crate::filter_rules::RowFilter;
use crate::grants::{GrantMap, Grants};
use crate::loading::digest;
use crate::mask::{MaskKey, Surroundings};
use crate::mask_rules::MaskRule;
use crate::object_index::ObjectIndex;
use crate::resolved::Resolved;
use crate::securable::Securable;
use crate::tags::Tags;

/// All policies in force at one epoch.
#[derive(Debug)]
pub struct PolicySnapshot {
    pub(crate) epoch: u64,
    pub(crate) digest: String,
    pub(crate) grants: Grants,
    pub(crate) tags: Tags,
    pub(crate) row_filters: Vec<RowFilter>,
    /// Of `row_filters`.
    pub(crate) filter_index: ObjectIndex,
    pub(crate) masks: Vec<MaskRule>,
    /// Of `masks`.
    pub(crate) mask_index: ObjectIndex,
    pub(crate) keys: BTreeMap<String, Arc<MaskKey>>,
}

impl PolicySnapshot {
    /// No policies: nothing is visible to anyone.
    #[must_use]
    pub fn deny_all(epoch: u64) -> Self {
        Self {
            epoch,
            digest: digest(std::iter::empty(), std::iter::empty()),
            grants: Grants::default(),
            tags: Tags::default(),
            row_filters: Vec::new(),
            filter_index: ObjectIndex::default(),
            masks: Vec::new(),
            mask_index: ObjectIndex::default(),
            keys: BTreeMap::new(),
        }
    }

    /// The table with the tags that policy files add to the catalog's.
    #[must_use]
    pub fn tagged<'a>(&self, table: &'a Securable) -> Cow<'a, Securable> {
        self.tags.apply(table)
    }

    /// The row filters on `table`, which carries all its tags, in the order of the files.
    pub(crate) fn filters_on(&self, table: &Securable) -> impl Iterator<Item = &RowFilter> {
        let numbers = self.filter_index.concerning(&table.schema, &table.table, table.tags.iter());
        numbers.into_iter().filter_map(|number| self.row_filters.get(number))
    }

    /// The masks that may concern columns of `table`, which carries all its tags, in the order of the files.
    pub(crate) fn masks_on(&self, table: &Securable) -> impl Iterator<Item = &MaskRule> {
        let tags = table.column_tags.values().flatten();
        let numbers = self.mask_index.concerning(&table.schema, &table.table, tags);
        numbers.into_iter().filter_map(|number| self.masks.get(number))
    }

    pub(crate) fn surroundings(&self, year: i32) -> Surroundings<'_> {
        Surroundings { keys: &self.keys, year }
    }

    /// Counts up with every change; part of every cache key.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// SHA-256 of the files, hexadecimal; part of every audit record.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// One line per rule, for operators: kind, name or role, object, what it does.
    #[must_use]
    pub fn describe(&self) -> Vec<RuleDescription> {
        let grants = self.grants.all.iter().map(|grant| RuleDescription {
            kind: "grant",
            name: grant.role.clone(),
            object: grant.target.to_string(),
            definition: format!("{} {} in tenant {}", grant.effect.word(), grant.action.word(), grant.tenant),
        });
        let tags = self.tags.rules.iter().map(|rule| RuleDescription {
            kind: "tag",
            name: rule.tag.clone(),
            object: match &rule.column {
                Some(column) => format!("{}.{column}", rule.on),
                None => rule.on.to_string(),
            },
            definition: if rule.column.is_some() { "tags columns" } else { "tags tables" }.to_owned(),
        });
        let filters = self.row_filters.iter().map(|filter| RuleDescription {
            kind: "row filter",
            name: filter.name.clone(),
            object: filter.object(),
            definition: format!("{}: {}", filter.kind.word(), filter.template.text()),
        });
        let masks = self.masks.iter().map(|mask| RuleDescription {
            kind: "mask",
            name: mask.name.clone(),
            object: mask.target.to_string(),
            definition: mask.spec.describe(),
        });
        grants.chain(tags).chain(filters).chain(masks).collect()
    }

    /// Compiles what concerns one principal.
    #[must_use]
    pub fn resolve(self: &Arc<Self>, principal: &Arc<Principal>) -> Arc<Resolved> {
        let grants = GrantMap::compile(principal, &self.grants);
        Arc::new(Resolved::new(Arc::clone(self), Arc::clone(principal), grants))
    }
}

/// A rule as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDescription {
    /// `grant`, `tag`, `row filter` or `mask`.
    pub kind: &'static str,
    /// Name of the rule, the role of a grant, or the tag.
    pub name: String,
    /// What it applies to.
    pub object: String,
    /// What it does.
    pub definition: String,
}

/// The calendar year, UTC.
pub(crate) fn this_year() -> i32 {
    chrono::Utc::now().year()
}
