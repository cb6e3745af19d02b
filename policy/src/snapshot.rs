//! One consistent set of policies: loaded whole, checked whole, never changed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Datelike;

use crate::Principal;
use crate::explain::place_of;
use crate::filter_rules::RowFilter;
use crate::grants::{Grant, GrantMap, Grants};
use crate::loading::digest;
use crate::mask::{MaskKey, Surroundings};
use crate::mask_rules::{Columns, MaskRule};
use crate::object_index::ObjectIndex;
use crate::records::Effect;
use crate::resolved::Resolved;
use crate::securable::Securable;
use crate::tags::{TagRule, Tags};

/// All policies in force at one epoch.
#[derive(Debug)]
pub struct PolicySnapshot {
    pub(crate) epoch: u64,
    pub(crate) digest: String,
    /// Digest of the files alone, without keys and presets.
    pub(crate) texts: String,
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
            texts: digest(std::iter::empty(), std::iter::empty()),
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

    /// Whether anybody may see anything.
    #[must_use]
    pub fn grants_anything(&self) -> bool {
        self.grants.all.iter().any(|grant| grant.effect == Effect::Allow)
    }

    /// One line per rule, for operators: kind, name or role, object, what it does.
    #[must_use]
    pub fn describe(&self) -> Vec<RuleDescription> {
        self.describe_some(None)
    }

    /// Those of the rules that concern `table`, whoever asks.
    #[must_use]
    pub fn describe_on(&self, table: &Securable) -> Vec<RuleDescription> {
        self.describe_some(Some(&self.tagged(table)))
    }

    /// `table` carries all its tags.
    fn describe_some(&self, table: Option<&Securable>) -> Vec<RuleDescription> {
        let concerned =
            |grant: &&Grant| table.is_none_or(|table| grant.names(&table.schema, &table.table, &table.tags));
        let grants = self.grants.all.iter().filter(concerned).map(|grant| RuleDescription {
            kind: "grant",
            name: grant.role.clone(),
            object: grant.target.to_string(),
            audience: format!("to {}", grant.role),
            definition: format!("{} {} in tenant {}", grant.effect.word(), grant.action.word(), grant.tenant),
            place: place_of(&grant.place),
        });
        let concerned =
            |rule: &&TagRule| table.is_none_or(|table| rule.on.matches(&table.schema, &table.table));
        let tags = self.tags.rules.iter().filter(concerned).map(|rule| RuleDescription {
            kind: "tag",
            name: rule.tag.clone(),
            object: match &rule.column {
                Some(column) => format!("{}.{column}", rule.on),
                None => rule.on.to_string(),
            },
            audience: "everyone".to_owned(),
            definition: if rule.column.is_some() { "tags columns" } else { "tags tables" }.to_owned(),
            place: place_of(&rule.place),
        });
        let filters: Vec<&RowFilter> = match table {
            None => self.row_filters.iter().collect(),
            Some(table) => self.filters_on(table).collect(),
        };
        let filters = filters.into_iter().map(|filter| RuleDescription {
            kind: "row filter",
            name: filter.name.clone(),
            object: filter.object(),
            audience: filter.audience.describe(),
            definition: format!("{}: {}", filter.kind.word(), filter.template.text()),
            place: place_of(&filter.place),
        });
        let concerned = |mask: &&MaskRule| {
            table.is_none_or(|table| match &table.columns {
                // What cannot be located concerns the table all the more: it shows no rows.
                Some(columns) => {
                    !mask.parts(table, &Columns::of(table, columns)).is_ok_and(|parts| parts.is_empty())
                }
                None => true,
            })
        };
        let masks: Vec<&MaskRule> = match table {
            None => self.masks.iter().collect(),
            Some(table) => self.masks_on(table).filter(concerned).collect(),
        };
        let masks = masks.into_iter().map(|mask| RuleDescription {
            kind: "mask",
            name: mask.name.clone(),
            object: mask.target.to_string(),
            audience: mask.audience.describe(),
            definition: mask.spec.describe(),
            place: place_of(&mask.place),
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
    /// Whom it concerns, in words.
    pub audience: String,
    /// What it does.
    pub definition: String,
    /// Where it is written: `file:line:column`.
    pub place: String,
}

/// The calendar year, UTC.
pub(crate) fn this_year() -> i32 {
    chrono::Utc::now().year()
}
