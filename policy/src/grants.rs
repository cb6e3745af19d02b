//! Grants: casbin (RBAC with domains, deny overrides), asked once per principal, table and epoch.

use std::collections::BTreeSet;

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};

use crate::Principal;
use crate::pattern::ObjectPattern;
use crate::records::{Action, Effect, GrantRecord, RoleRecord};

const MODEL: &str = r#"
[request_definition]
r = sub, dom, obj, act

[policy_definition]
p = sub, dom, obj, act, eft

[role_definition]
g = _, _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = g(r.sub, p.sub, r.dom) && (p.dom == "*" || p.dom == r.dom) && objectMatch(r.obj, p.obj) && r.act == p.act
"#;

/// Holds the principal's place in the casbin model. A colon cannot stand in a role's name, so no
/// user can be called like a role and so have it.
const SUBJECT: &str = "user:principal";

/// Domain of principals without a tenant: no grant can name it.
const NO_TENANT: &str = "tenant:none";

/// What one principal is granted, compiled by casbin.
pub(crate) struct GrantMap {
    /// None where no grant concerns the principal: an engine without policies is never asked.
    enforcer: Option<Enforcer>,
    domain: String,
    /// The principal's roles with all inherited ones.
    pub(crate) roles: BTreeSet<String>,
}

impl std::fmt::Debug for GrantMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrantMap").field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// A user's roles and everything those inherit.
pub(crate) fn effective_roles(assigned: &BTreeSet<String>, records: &[RoleRecord]) -> BTreeSet<String> {
    let mut roles = assigned.clone();
    let mut pending: Vec<String> = assigned.iter().cloned().collect();
    while let Some(role) = pending.pop() {
        for record in records.iter().filter(|record| record.role.value == role) {
            for parent in &record.inherits {
                if roles.insert(parent.clone()) {
                    pending.push(parent.clone());
                }
            }
        }
    }
    roles
}

impl GrantMap {
    /// Compiles the grants that concern `principal`.
    pub(crate) async fn compile(
        principal: &Principal,
        roles: &[RoleRecord],
        grants: &[GrantRecord],
    ) -> Result<Self, casbin::Error> {
        let effective = effective_roles(&principal.roles, roles);
        let domain = principal.tenant.clone().unwrap_or_else(|| NO_TENANT.to_owned());
        let mut lines = Vec::new();
        for grant in grants.iter().filter(|grant| effective.contains(&grant.role.value)) {
            let line = |action: Action| {
                vec![
                    grant.role.value.clone(),
                    grant.tenant.clone(),
                    grant.object.value.clone(),
                    action.word().to_owned(),
                    grant.effect.word().to_owned(),
                ]
            };
            lines.push(line(grant.action));
            // Who may read a table may know that it exists.
            if grant.action == Action::Select && grant.effect == Effect::Allow {
                lines.push(line(Action::Describe));
            }
        }
        lines.sort();
        lines.dedup();
        if lines.is_empty() {
            return Ok(Self { enforcer: None, domain, roles: effective });
        }
        let model = DefaultModel::from_str(MODEL).await?;
        let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await?;
        enforcer.add_function("objectMatch", OperatorFunction::Arg2(object_match));
        enforcer.add_policies(lines).await?;
        let mut links: Vec<Vec<String>> = principal
            .roles
            .iter()
            .map(|role| vec![SUBJECT.to_owned(), role.clone(), domain.clone()])
            .collect();
        for record in roles.iter().filter(|record| effective.contains(&record.role.value)) {
            links.extend(
                record
                    .inherits
                    .iter()
                    .map(|parent| vec![record.role.value.clone(), parent.clone(), domain.clone()]),
            );
        }
        links.sort();
        links.dedup();
        enforcer.add_named_grouping_policies("g", links).await?;
        Ok(Self { enforcer: Some(enforcer), domain, roles: effective })
    }

    /// Whether the principal may do `action` on `schema.table`. An engine that fails says no.
    pub(crate) fn allows(&self, schema: &str, table: &str, action: Action) -> bool {
        let Some(enforcer) = &self.enforcer else { return false };
        let object = format!("{schema}.{table}");
        match enforcer.enforce((SUBJECT, self.domain.as_str(), object.as_str(), action.word())) {
            Ok(allowed) => allowed,
            Err(error) => {
                tracing::error!(%error, "the grant engine failed; access is denied");
                false
            }
        }
    }
}

/// casbin's view of [`ObjectPattern::matches`]: the object's first dot ends its schema.
fn object_match(object: Dynamic, pattern: Dynamic) -> Dynamic {
    let (object, pattern) = (dynamic_to_str(&object), dynamic_to_str(&pattern));
    let matched = match (object.split_once('.'), pattern.parse::<ObjectPattern>()) {
        (Some((schema, table)), Ok(pattern)) => pattern.matches(schema, table),
        _ => false,
    };
    matched.into()
}
