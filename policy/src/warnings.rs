//! Rules that are well-formed and do nothing, and tables that tenants' filters were meant to cover.
//!
//! A person may have several roles, so what no single role can do may still happen: a rule is said to concern
//! nobody only where no two roles together would do.

use std::collections::{BTreeMap, BTreeSet};

use crate::Principal;
use crate::audience::Audience;
use crate::document::Diagnostic;
use crate::filter_rules::RowFilter;
use crate::grants::{Grant, GrantMap, GrantTarget};
use crate::known::KnownTables;
use crate::mask_rules::Columns;
use crate::records::{Action, Effect, FilterKind};
use crate::securable::Securable;
use crate::snapshot::PolicySnapshot;

/// Tables that one warning names; of more it says how many.
const NAMED: usize = 5;

impl PolicySnapshot {
    /// What is no mistake for sure and looks like one, in the order of the files: rules that never apply, and
    /// tables that filters by tenant leave out for some role. It asks all roles about all tables: not for
    /// async tasks.
    #[must_use]
    pub fn warnings(&self, tables: &[Securable]) -> Vec<Diagnostic> {
        let tables: Vec<Securable> = tables.iter().map(|table| self.tagged(table).into_owned()).collect();
        let review = Review::new(self, &tables);
        let mut warnings = review.grants();
        warnings.extend(review.row_filters());
        warnings.extend(review.masks());
        warnings.extend(review.uncovered());
        // The rules of a preset have one place and may have one reason.
        let mut said = BTreeSet::new();
        warnings.retain(|warning| said.insert(warning.to_string()));
        warnings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        warnings
    }
}

/// What somebody with one role and all that it inherits may do with a table, in one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rights {
    allowed: bool,
    denied: bool,
}

struct Role<'a> {
    name: &'a str,
    /// With all that it inherits.
    closure: BTreeSet<String>,
    /// One for each tenant that grants name, and one for all others.
    grants: Vec<GrantMap>,
}

struct Review<'a> {
    snapshot: &'a PolicySnapshot,
    tables: &'a [Securable],
    known: KnownTables<'a>,
    roles: Vec<Role<'a>>,
}

fn warn(place: &Diagnostic, message: String) -> Diagnostic {
    Diagnostic { message, ..place.clone() }
}

impl<'a> Review<'a> {
    fn new(snapshot: &'a PolicySnapshot, tables: &'a [Securable]) -> Self {
        let mut tenants: BTreeSet<Option<&str>> =
            snapshot.grants.all.iter().map(|grant| Some(grant.tenant.as_str())).collect();
        tenants.remove(&Some("*"));
        tenants.insert(None);
        let grants = |role: &str| {
            let of_tenant = |tenant: &Option<&str>| {
                let somebody = Principal {
                    user: String::new(),
                    tenant: tenant.map(str::to_owned),
                    roles: BTreeSet::from([role.to_owned()]),
                    attributes: BTreeMap::new(),
                    expires_at: None,
                };
                GrantMap::compile(&somebody, &snapshot.grants)
            };
            tenants.iter().map(of_tenant).collect::<Vec<_>>()
        };
        let roles = snapshot.grants.roles().into_iter().map(|name| Role {
            name,
            closure: snapshot.grants.effective_roles(&BTreeSet::from([name.to_owned()])),
            grants: grants(name),
        });
        Self { snapshot, tables, known: KnownTables::new(tables), roles: roles.collect() }
    }

    fn rights(table: &Securable, grants: &GrantMap) -> Rights {
        let tags = table.columns.is_some().then_some(table.tags.as_slice());
        let ask = |action| grants.rights(&table.schema, &table.table, tags, action);
        let (describe, select) = (ask(Action::Describe), ask(Action::Select));
        Rights { allowed: select.0, denied: describe.1 || select.1 }
    }

    /// Whether somebody may have a role that `audience` is for, and read `table`.
    fn concerns_a_reader(&self, table: &Securable, audience: &Audience) -> bool {
        let tenants = self.roles.first().map_or(0, |role| role.grants.len());
        let spared: Vec<&Role<'_>> =
            self.roles.iter().filter(|role| !audience.excepts(&role.closure)).collect();
        (0..tenants).any(|tenant| {
            let rights =
                |role: &&&Role<'_>| role.grants.get(tenant).map(|grants| Self::rights(table, grants));
            let reads =
                spared.iter().filter_map(|role| rights(&role)).any(|rights| rights.allowed && !rights.denied);
            reads
                && spared.iter().any(|role| {
                    audience.names(&role.closure) && rights(&role).is_some_and(|rights| !rights.denied)
                })
        })
    }

    /// Whether anybody may read `table`.
    fn has_a_reader(&self, table: &Securable) -> bool {
        self.concerns_a_reader(table, &Audience::new(None, &[]))
    }

    /// Grants that a denial for the same people takes back altogether.
    fn grants(&self) -> Vec<Diagnostic> {
        let snapshot = self.snapshot;
        let denials: Vec<&Grant> =
            snapshot.grants.all.iter().filter(|grant| grant.effect == Effect::Deny).collect();
        let mut warnings = Vec::new();
        for grant in snapshot.grants.all.iter().filter(|grant| grant.effect == Effect::Allow) {
            // Whoever has the role has what it inherits.
            let roles = snapshot.grants.effective_roles(&BTreeSet::from([grant.role.clone()]));
            let same_people = |denial: &&&Grant| {
                roles.contains(&denial.role) && (denial.tenant == "*" || denial.tenant == grant.tenant)
            };
            let against: Vec<&&Grant> =
                denials.iter().filter(|denial| denial.action == grant.action).filter(same_people).collect();
            let shadow = against.iter().find(|denial| self.covers(denial, grant));
            if let Some(denial) = shadow {
                let place = crate::explain::place_of(&denial.place);
                let why = format!(
                    "this grant never allows {}: {place} denies it to everyone whom it is for",
                    grant.action.word()
                );
                warnings.push(warn(&grant.place, why));
            }
        }
        warnings
    }

    /// Whether all tables of `grant`, those to come included, are tables of `denial`.
    fn covers(&self, denial: &Grant, grant: &Grant) -> bool {
        match (&denial.target, &grant.target) {
            (GrantTarget::Tag(denied), GrantTarget::Tag(granted)) => denied == granted,
            (GrantTarget::Tables(denied), GrantTarget::Tables(granted)) => {
                denied == granted
                    || granted.exact().is_some_and(|(schema, table)| denied.matches(schema, table))
            }
            (GrantTarget::Tables(denied), GrantTarget::Tag(_)) => denied.to_string() == "*.*",
            (GrantTarget::Tag(tag), GrantTarget::Tables(granted)) => {
                let mut named = self.known.matching(granted).peekable();
                granted.exact().is_some()
                    && named.peek().is_some()
                    && named.all(|table| table.tags.contains(tag))
            }
        }
    }

    /// Why a rule for `audience` never applies, whatever it is on.
    fn nobody(&self, audience: &Audience) -> Option<String> {
        let to = audience.to()?;
        if to.is_empty() {
            return Some("`to` names no role, so it concerns nobody".to_owned());
        }
        let excepted = to.iter().all(|role| {
            audience.excepts(&self.snapshot.grants.effective_roles(&BTreeSet::from([role.clone()])))
        });
        excepted.then(|| "`except` takes out every role of `to`, so it concerns nobody".to_owned())
    }

    fn row_filters(&self) -> Vec<Diagnostic> {
        let filters = self.snapshot.row_filters.iter().enumerate();
        filters
            .filter_map(|(number, filter)| {
                let why = self.nobody(&filter.audience).or_else(|| {
                    let on: Vec<&Securable> = self.tables_of(number).collect();
                    self.unread(&on, &filter.audience)
                })?;
                Some(warn(&filter.place, format!("row filter `{}`: {why}", filter.name)))
            })
            .collect()
    }

    fn masks(&self) -> Vec<Diagnostic> {
        let mut on: BTreeMap<*const crate::mask_rules::MaskRule, Vec<&Securable>> = BTreeMap::new();
        for table in self.tables {
            let Some(schema) = &table.columns else { continue };
            let columns = Columns::of(table, schema);
            for rule in self.snapshot.masks_on(table) {
                if rule.parts(table, &columns).is_ok_and(|parts| !parts.is_empty()) {
                    on.entry(std::ptr::from_ref(rule)).or_default().push(table);
                }
            }
        }
        let warning = |rule: &crate::mask_rules::MaskRule| {
            let tables = on.get(&std::ptr::from_ref(rule)).map_or(&[][..], Vec::as_slice);
            let why = self.nobody(&rule.audience).or_else(|| self.unread(tables, &rule.audience))?;
            Some(warn(&rule.place, format!("mask `{}`: {why}", rule.name)))
        };
        self.snapshot.masks.iter().filter_map(warning).collect()
    }

    /// The tables that row filter `number` is on.
    fn tables_of(&self, number: usize) -> impl Iterator<Item = &'a Securable> {
        let filter = self.snapshot.row_filters.get(number);
        self.tables.iter().filter(move |table| filter.is_some_and(|filter| filter.is_on(table)))
    }

    /// Why a rule on `tables` is never met; nothing is said of a rule on no table, such as a preset's.
    fn unread(&self, tables: &[&Securable], audience: &Audience) -> Option<String> {
        if tables.is_empty() || tables.iter().any(|table| self.concerns_a_reader(table, audience)) {
            return None;
        }
        Some(match tables.iter().any(|table| self.has_a_reader(table)) {
            true => format!("nobody whom it concerns may read {}", listed(tables)),
            false => format!("nobody may read {}", listed(tables)),
        })
    }

    /// Roles that read tables with the column of tenants, and no filter by tenant between.
    fn uncovered(&self) -> Vec<Diagnostic> {
        let by_tenant: Vec<&RowFilter> =
            self.snapshot.row_filters.iter().filter(|filter| filter.template.asks_for_tenant()).collect();
        let has_columns = |table: &Securable, filter: &RowFilter| {
            let columns = filter.template.columns();
            table.columns.as_ref().is_some_and(|schema| {
                !columns.is_empty() && columns.iter().all(|name| schema.column_with_name(name).is_some())
            })
        };
        let mut found: BTreeMap<(&str, String), (Vec<&Securable>, Diagnostic)> = BTreeMap::new();
        for table in self.tables {
            if !by_tenant.iter().any(|filter| has_columns(table, filter)) {
                continue;
            }
            // A role that a filter excepts was thought of.
            let covers = |filter: &&&RowFilter, role: &Role<'_>| {
                filter.audience.excepts(&role.closure)
                    || (filter.kind == FilterKind::Restrictive && filter.audience.includes(&role.closure))
            };
            let on: Vec<&&RowFilter> = by_tenant.iter().filter(|filter| filter.is_on(table)).collect();
            for role in &self.roles {
                let reads = |grants: &GrantMap| {
                    let rights = Self::rights(table, grants);
                    rights.allowed && !rights.denied
                };
                if on.iter().any(|filter| covers(filter, role)) || !role.grants.iter().any(reads) {
                    continue;
                }
                let Some(place) = self.granted_at(role, table) else { continue };
                let key = (role.name, crate::explain::place_of(place));
                found.entry(key).or_insert_with(|| (Vec::new(), place.clone())).0.push(table);
            }
        }
        let warning = |((role, _), (tables, place)): ((&str, String), (Vec<&Securable>, Diagnostic))| {
            let why = format!(
                "role `{role}` reads {} under no restrictive filter by principal.tenant",
                listed(&tables)
            );
            warn(&place, why)
        };
        found.into_iter().map(warning).collect()
    }

    /// The first grant by which `role` reads `table`.
    fn granted_at(&self, role: &Role<'_>, table: &Securable) -> Option<&Diagnostic> {
        let all = self.snapshot.grants.all.iter();
        all.filter(|grant| grant.effect == Effect::Allow && grant.action == Action::Select)
            .find(|grant| {
                role.closure.contains(&grant.role) && grant.names(&table.schema, &table.table, &table.tags)
            })
            .map(|grant| &grant.place)
    }
}

/// The first few names, and how many more there are.
fn listed(tables: &[&Securable]) -> String {
    let names: Vec<String> = tables.iter().take(NAMED).map(|table| table.full_name()).collect();
    match tables.len().checked_sub(NAMED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names.join(", ")),
    }
}
