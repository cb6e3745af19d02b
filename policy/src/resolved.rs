//! The policies of one epoch as they concern one principal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dashmap::DashMap;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::utils::{conjunction, disjunction};

use crate::Principal;
use crate::access::{Access, TablePolicy};
use crate::grants::GrantMap;
use crate::mask::{self, Mask};
use crate::mask_rules::MaskedPart;
use crate::records::{Action, Effect, FilterKind};
use crate::row_filter::{BoundFilter, is_always_true};
use crate::securable::Securable;
use crate::snapshot::{PolicySnapshot, RowFilter, this_year};

/// What holds the right to change policies; no table.
const POLICY_CHANGES: &str = "system.policy_changes";

/// The policies of one epoch as they concern one principal; decisions are made once per table.
#[derive(Debug)]
pub struct Resolved {
    snapshot: Arc<PolicySnapshot>,
    principal: Arc<Principal>,
    grants: Arc<GrantMap>,
    /// Who is asked, too: only what both may see is seen.
    end_user: Option<Arc<Resolved>>,
    /// By table name.
    decisions: DashMap<String, Decision>,
}

/// A decision with all that it rests on beside the snapshot: where one differs, it is taken anew.
#[derive(Debug)]
struct Decision {
    columns: SchemaRef,
    tags: Vec<String>,
    /// Ages are reckoned at it.
    year: i32,
    access: Access,
}

impl Resolved {
    pub(crate) fn new(snapshot: Arc<PolicySnapshot>, principal: Arc<Principal>, grants: GrantMap) -> Self {
        let grants = Arc::new(grants);
        Self { snapshot, principal, grants, end_user: None, decisions: DashMap::new() }
    }

    /// The same as far as `end_user` may see it, too. Both are of one snapshot.
    #[must_use]
    pub(crate) fn narrowed_by(&self, end_user: Arc<Self>) -> Self {
        Self {
            snapshot: Arc::clone(&self.snapshot),
            principal: Arc::clone(&self.principal),
            grants: Arc::clone(&self.grants),
            end_user: Some(end_user),
            decisions: DashMap::new(),
        }
    }

    /// The snapshot behind it.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<PolicySnapshot> {
        &self.snapshot
    }

    /// Whose it is.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The principal's roles with the inherited ones.
    #[must_use]
    pub fn roles(&self) -> &BTreeSet<String> {
        &self.grants.roles
    }

    /// Whether the principal may describe (or read) `schema.table`, whatever its columns are.
    #[must_use]
    pub fn may_see(&self, schema: &str, table: &str) -> bool {
        self.grants.allows(schema, table, Action::Describe)
            && self.end_user.as_ref().is_none_or(|user| user.may_see(schema, table))
    }

    /// Whether the principal may read `schema.table`, whatever its columns are.
    #[must_use]
    pub fn may_read(&self, schema: &str, table: &str) -> bool {
        self.may_see(schema, table)
            && self.grants.allows(schema, table, Action::Select)
            && self.end_user.as_ref().is_none_or(|user| user.may_read(schema, table))
    }

    /// Whether the principal may change policies: `select` on the object of that very name. A pattern
    /// that happens to match it gives nothing, so that nobody who may read much may decide who else does.
    #[must_use]
    pub fn may_change_policies(&self) -> bool {
        let tenant = self.principal.tenant.as_deref();
        let named = self.snapshot.grants.iter().any(|grant| {
            grant.object.value == POLICY_CHANGES
                && (grant.action, grant.effect) == (Action::Select, Effect::Allow)
                && self.grants.roles.contains(&grant.role.value)
                && (grant.tenant == "*" || Some(grant.tenant.as_str()) == tenant)
        });
        // Denials may be patterns.
        named
            && POLICY_CHANGES.split_once('.').is_some_and(|(schema, name)| self.may_read(schema, name))
            && self.end_user.as_ref().is_none_or(|user| user.may_change_policies())
    }

    /// The decision on one table.
    #[must_use]
    pub fn access(&self, table: &Securable) -> Access {
        self.access_in(table, this_year())
    }

    /// The decision as it is in the calendar year `year`.
    pub(crate) fn access_in(&self, table: &Securable, year: i32) -> Access {
        let Some(columns) = &table.columns else {
            return if self.may_see(&table.schema, &table.table) {
                Access::Unresolved(Arc::from("the table is unavailable"))
            } else {
                Access::Invisible
            };
        };
        let name = table.full_name();
        let tags: Vec<String> = table
            .tags
            .iter()
            .cloned()
            .chain(table.column_tags.iter().map(|(column, tags)| format!("{column}:{}", tags.join(","))))
            .collect();
        if let Some(known) = self.decisions.get(&name)
            && known.columns == *columns
            && known.tags == tags
            && known.year == year
        {
            return known.access.clone();
        }
        let mut access = self.decide(table, columns, year);
        if let Some(end_user) = &self.end_user {
            access = access.narrowed_by(&end_user.access_in(table, year), columns);
        }
        let columns = Arc::clone(columns);
        self.decisions.insert(name, Decision { columns, tags, year, access: access.clone() });
        access
    }

    fn decide(&self, table: &Securable, columns: &SchemaRef, year: i32) -> Access {
        let describe = self.grants.allows(&table.schema, &table.table, Action::Describe);
        let select = self.grants.allows(&table.schema, &table.table, Action::Select);
        if !describe {
            return Access::Invisible;
        }
        match self.table_policy(table, columns, year) {
            Ok(policy) if select => Access::Select(Arc::new(policy)),
            Ok(policy) => Access::Describe(Arc::new(policy)),
            Err(why) => {
                tracing::error!(
                    table = table.full_name(),
                    reason = why,
                    "policies cannot be applied to a table; it shows no rows"
                );
                Access::Unresolved(Arc::from(why))
            }
        }
    }

    fn table_policy(&self, table: &Securable, columns: &SchemaRef, year: i32) -> Result<TablePolicy, String> {
        let mut rules = Vec::new();
        let (mut all, mut any, mut nothing) = (Vec::new(), Vec::new(), false);
        let mut alternatives = false;
        let concerned = |f: &&RowFilter| f.concerns(table) && f.audience.includes(self.roles());
        for filter in self.snapshot.row_filters.iter().filter(concerned) {
            rules.push(format!("row filter {}", filter.name));
            let bound = filter.template.bind(&self.principal, columns)?;
            match (filter.kind, bound) {
                (FilterKind::Restrictive, BoundFilter::Nothing) => nothing = true,
                (FilterKind::Restrictive, BoundFilter::Where(expr)) => all.push(expr),
                (FilterKind::Permissive, BoundFilter::Nothing) => alternatives = true,
                (FilterKind::Permissive, BoundFilter::Where(expr)) => {
                    alternatives = true;
                    any.push(expr);
                }
            }
        }
        if alternatives {
            match disjunction(any) {
                Some(expr) => all.push(expr),
                None => nothing = true,
            }
        }
        all.retain(|expr| !is_always_true(expr));
        let mut recipe = BTreeMap::new();
        let masks = self.masks(table, columns, year, &mut recipe, &mut rules)?;
        let name = Arc::from(table.full_name());
        Ok(TablePolicy::new(name, columns, conjunction(all), nothing, masks, recipe, rules))
    }

    /// Masks by index of the raw column.
    fn masks(
        &self,
        table: &Securable,
        columns: &SchemaRef,
        year: i32,
        recipe: &mut BTreeMap<usize, Vec<String>>,
        rules: &mut Vec<String>,
    ) -> Result<BTreeMap<usize, Arc<dyn Mask>>, String> {
        let surroundings = self.snapshot.surroundings(year);
        let mut masked: Vec<MaskedPart> = Vec::new();
        let mut by_column: BTreeMap<usize, Vec<Arc<dyn Mask>>> = BTreeMap::new();
        for rule in self.snapshot.masks.iter().filter(|rule| rule.audience.includes(self.roles())) {
            for part in rule.parts(table, columns)? {
                let name = part.name(columns);
                let raw = columns.field(part.column).data_type();
                let mask = mask::build_part(&rule.spec, raw, &part.fields, &surroundings)?;
                if masked.iter().any(|other| other.overlaps(&part)) {
                    return Err(format!("two masks apply to column {name}"));
                }
                let key = rule.spec.key().and_then(|name| surroundings.keys.get(name));
                let words = rule.recipe(&name, key.map(Arc::as_ref), year);
                recipe.entry(part.column).or_default().push(words);
                rules.push(format!("mask {} on {name}", rule.name));
                by_column.entry(part.column).or_default().push(mask);
                masked.push(part);
            }
        }
        // The order of records in the files changes nothing of what is shown.
        recipe.values_mut().for_each(|words| words.sort_unstable());
        Ok(by_column
            .into_iter()
            .filter_map(|(column, masks)| Some((column, mask::combine(masks)?)))
            .collect())
    }
}
