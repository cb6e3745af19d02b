//! Grants: roles with domains, where a denial overrides. Compiled once per principal and epoch into an index
//! by table; casbin, with the model that this stands for, is asked the same in tests.

use std::collections::{BTreeSet, HashMap};

use crate::Principal;
use crate::object_index::ObjectIndex;
use crate::pattern::ObjectPattern;
use crate::records::{Action, Effect, RoleRecord};

/// A grant or a denial, ready to be asked.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) role: String,
    /// `*` for all users, with a tenant or without.
    pub(crate) tenant: String,
    pub(crate) target: GrantTarget,
    pub(crate) action: Action,
    pub(crate) effect: Effect,
    /// Where it is written.
    pub(crate) place: crate::document::Diagnostic,
}

/// What a grant names.
#[derive(Debug, Clone)]
pub(crate) enum GrantTarget {
    Tables(ObjectPattern),
    /// Tables that carry the tag.
    Tag(String),
}

impl std::fmt::Display for GrantTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tables(pattern) => pattern.fmt(f),
            Self::Tag(tag) => write!(f, "tag {tag}"),
        }
    }
}

impl Grant {
    /// Whether it concerns people of `tenant`.
    pub(crate) fn is_for_tenant(&self, tenant: Option<&str>) -> bool {
        self.tenant == "*" || Some(self.tenant.as_str()) == tenant
    }

    /// Whether it concerns the table.
    pub(crate) fn names(&self, schema: &str, table: &str, tags: &[String]) -> bool {
        match &self.target {
            GrantTarget::Tables(pattern) => pattern.matches(schema, table),
            GrantTarget::Tag(tag) => tags.contains(tag),
        }
    }
}

/// The grants of one epoch by role, and what roles inherit.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub(crate) all: Vec<Grant>,
    by_role: HashMap<String, Vec<usize>>,
    parents: HashMap<String, Vec<String>>,
}

impl Grants {
    pub(crate) fn new(all: Vec<Grant>, roles: &[RoleRecord]) -> Self {
        let mut by_role: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, grant) in all.iter().enumerate() {
            by_role.entry(grant.role.clone()).or_default().push(number);
        }
        let mut parents: HashMap<String, Vec<String>> = HashMap::new();
        for record in roles {
            parents.entry(record.role.value.clone()).or_default().extend_from_slice(&record.inherits);
        }
        Self { all, by_role, parents }
    }

    /// Every role that is declared, inherited or granted something.
    pub(crate) fn roles(&self) -> BTreeSet<&str> {
        let declared = self.parents.keys().chain(self.parents.values().flatten());
        declared.chain(self.by_role.keys()).map(String::as_str).collect()
    }

    /// Roles and everything those inherit.
    pub(crate) fn effective_roles(&self, assigned: &BTreeSet<String>) -> BTreeSet<String> {
        let mut roles = assigned.clone();
        let mut pending: Vec<&String> = assigned.iter().collect();
        while let Some(role) = pending.pop() {
            for parent in self.parents.get(role).into_iter().flatten() {
                if roles.insert(parent.clone()) {
                    pending.push(parent);
                }
            }
        }
        roles
    }

    /// The grants of `role` itself.
    pub(crate) fn of_role(&self, role: &str) -> impl Iterator<Item = &Grant> {
        self.by_role.get(role).into_iter().flatten().filter_map(|number| self.all.get(*number))
    }
}

/// What one principal is granted.
#[derive(Debug)]
pub(crate) struct GrantMap {
    index: ObjectIndex,
    /// What each rule of the index allows or denies.
    rules: Vec<Rule>,
    /// The principal's roles with all inherited ones.
    pub(crate) roles: BTreeSet<String>,
}

/// A grant without whom and what it is for.
#[derive(Debug, Clone, Copy)]
struct Rule {
    action: Action,
    effect: Effect,
    by_tag: bool,
}

impl Rule {
    /// Who may read a table may know that it exists.
    fn allows(self, action: Action) -> bool {
        self.effect == Effect::Allow && (self.action == action || self.action == Action::Select)
    }

    fn denies(self, action: Action) -> bool {
        self.effect == Effect::Deny && self.action == action
    }
}

impl GrantMap {
    /// Compiles the grants that concern `principal`.
    pub(crate) fn compile(principal: &Principal, grants: &Grants) -> Self {
        let roles = grants.effective_roles(&principal.roles);
        let tenant = principal.tenant.as_deref();
        let (mut index, mut rules) = (ObjectIndex::default(), Vec::new());
        let concerned = roles.iter().flat_map(|role| grants.of_role(role));
        for grant in concerned.filter(|grant| grant.is_for_tenant(tenant)) {
            let by_tag = match &grant.target {
                GrantTarget::Tables(pattern) => {
                    index.add_pattern(pattern, rules.len());
                    false
                }
                GrantTarget::Tag(tag) => {
                    index.add_tag(tag, rules.len());
                    true
                }
            };
            rules.push(Rule { action: grant.action, effect: grant.effect, by_tag });
        }
        Self { index, rules, roles }
    }

    /// Whether the principal may do `action` on `schema.table`, which carries `tags`. Where these are not
    /// known, it may carry any that something is denied by, and none that something is allowed by.
    pub(crate) fn allows(&self, schema: &str, table: &str, tags: Option<&[String]>, action: Action) -> bool {
        let (allowed, denied) = self.rights(schema, table, tags, action);
        allowed && !denied
    }

    /// The same in its parts: whether something allows it, and whether something denies it.
    pub(crate) fn rights(
        &self,
        schema: &str,
        table: &str,
        tags: Option<&[String]>,
        action: Action,
    ) -> (bool, bool) {
        let (mut allowed, mut denied) = (false, false);
        for number in self.index.concerning(schema, table, tags.into_iter().flatten()) {
            // A rule that is not there cannot be judged.
            let Some(rule) = self.rules.get(number) else { return (false, true) };
            allowed |= rule.allows(action);
            denied |= rule.denies(action);
        }
        denied |= tags.is_none() && self.rules.iter().any(|rule| rule.by_tag && rule.denies(action));
        (allowed, denied)
    }
}
