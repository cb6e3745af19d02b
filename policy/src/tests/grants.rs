//! What grants mean: the index answers as casbin does, which is given the same grants and the model in words.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};
use proptest::prelude::*;

use super::{load, patients, securable};
use crate::{ObjectPattern, Principal, Resolved, Securable};

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

/// No role can be called so, and no tenant.
const SUBJECT: &str = "user:principal";
const NO_TENANT: &str = "tenant:none";

const TABLES: [(&str, &str, &[&str]); 6] = [
    ("silver", "patients", &["person"]),
    ("silver", "practices", &[]),
    ("silver", "claims", &["person", "money"]),
    ("gold", "patients", &["money"]),
    ("gold", "x", &[]),
    ("bronze", "patients", &["raw"]),
];

#[derive(Debug, Clone)]
struct Line {
    role: usize,
    tenant: &'static str,
    object: &'static str,
    action: &'static str,
    effect: &'static str,
}

fn line() -> impl Strategy<Value = Line> {
    let objects = [
        "silver.patients",
        "silver.*",
        "*.*",
        "*.patients",
        "silver.p*",
        "gold.x",
        "*er.*s",
        "bronze.patients",
        "s*.claims",
        "tag person",
        "tag money",
        "tag raw",
    ];
    (
        0..5_usize,
        prop::sample::select(vec!["*", "*", "a", "b"]),
        prop::sample::select(objects.to_vec()),
        prop::sample::select(vec!["select", "describe"]),
        prop::sample::select(vec!["allow", "allow", "allow", "deny"]),
    )
        .prop_map(|(role, tenant, object, action, effect)| Line { role, tenant, object, action, effect })
}

fn tables() -> Vec<Securable> {
    TABLES
        .iter()
        .map(|(schema, table, tags)| Securable {
            schema: (*schema).to_owned(),
            table: (*table).to_owned(),
            tags: tags.iter().map(ToString::to_string).collect(),
            ..securable(patients().schema())
        })
        .collect()
}

fn object_match(object: Dynamic, pattern: Dynamic) -> Dynamic {
    let (object, pattern) = (dynamic_to_str(&object), dynamic_to_str(&pattern));
    let Some((schema, table)) = object.split_once('.') else { return false.into() };
    let tags = TABLES.iter().find(|known| known.0 == schema && known.1 == table).unwrap().2;
    match pattern.strip_prefix("tag ") {
        Some(tag) => tags.contains(&tag),
        None => pattern.parse::<ObjectPattern>().unwrap().matches(schema, table),
    }
    .into()
}

async fn casbin(lines: &[Line], parents: &[(usize, usize)], principal: &Principal) -> Enforcer {
    let domain = principal.tenant.clone().unwrap_or_else(|| NO_TENANT.to_owned());
    let mut policies = BTreeSet::new();
    for line in lines {
        let policy = |action: &str| {
            [&format!("r{}", line.role), line.tenant, line.object, action, line.effect]
                .map(str::to_owned)
                .to_vec()
        };
        policies.insert(policy(line.action));
        // Who may read a table may know that it exists.
        if (line.action, line.effect) == ("select", "allow") {
            policies.insert(policy("describe"));
        }
    }
    let own = principal.roles.iter().map(|role| (SUBJECT.to_owned(), role.clone()));
    let inherited = parents.iter().map(|(role, parent)| (format!("r{role}"), format!("r{parent}")));
    let links: BTreeSet<Vec<String>> =
        own.chain(inherited).map(|(role, parent)| vec![role, parent, domain.clone()]).collect();
    let model = DefaultModel::from_str(MODEL).await.unwrap();
    let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await.unwrap();
    enforcer.add_function("objectMatch", OperatorFunction::Arg2(object_match));
    enforcer.add_policies(policies.into_iter().collect()).await.unwrap();
    enforcer.add_named_grouping_policies("g", links.into_iter().collect()).await.unwrap();
    enforcer
}

fn compiled(lines: &[Line], parents: &[(usize, usize)], principal: &Principal) -> Arc<Resolved> {
    let mut text = "version: 1\nroles:\n".to_owned();
    for role in 0..5 {
        let own = parents.iter().filter(|(child, _)| *child == role).map(|(_, parent)| format!("r{parent}"));
        let _ = writeln!(text, "  - {{ role: r{role}, inherits: [{}] }}", own.collect::<Vec<_>>().join(", "));
    }
    text.push_str("grants:\n");
    for Line { role, tenant, object, action, effect } in lines {
        let target = match object.strip_prefix("tag ") {
            Some(tag) => format!("tag: {tag}"),
            None => format!("object: \"{object}\""),
        };
        let _ = writeln!(
            text,
            "  - {{ role: r{role}, tenant: \"{tenant}\", {target}, action: {action}, effect: {effect} }}"
        );
    }
    load(&text, &tables()).unwrap().resolve(&Arc::new(principal.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_casbin(
        lines in prop::collection::vec(line(), 1..12),
        parents in prop::collection::btree_set((0..5_usize, 0..5_usize), 0..5),
        own in prop::collection::btree_set(0..5_usize, 0..4),
        tenant in prop::sample::select(vec![None, Some("a"), Some("b"), Some("*")]),
    ) {
        let parents: Vec<_> = parents.into_iter().filter(|(role, parent)| role != parent).collect();
        let principal = Principal {
            user: "r1".to_owned(),
            tenant: tenant.map(str::to_owned),
            roles: own.iter().map(|role| format!("r{role}")).collect(),
            attributes: std::collections::BTreeMap::new(),
            expires_at: None,
        };
        let resolved = compiled(&lines, &parents, &principal);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let oracle = runtime.block_on(casbin(&lines, &parents, &principal));
        let domain = tenant.unwrap_or(NO_TENANT);
        for table in tables() {
            let asked = |action: &str| {
                oracle.enforce((SUBJECT, domain, table.full_name().as_str(), action)).unwrap()
            };
            let word = match resolved.access(&table) {
                crate::Access::Invisible => (false, false),
                crate::Access::Describe(_) => (true, false),
                crate::Access::Select(_) => (true, true),
                crate::Access::Unresolved(why) => panic!("{why}"),
            };
            let describe = asked("describe");
            prop_assert_eq!(word, (describe, describe && asked("select")), "{}", table.full_name());
            prop_assert_eq!(resolved.may_see(&table), describe);
        }
    }
}

/// A table that cannot be read has tags that nobody knows.
#[test]
fn what_a_tag_may_deny_is_not_listed_while_tags_are_unknown() {
    let (text, mut table) = (
        "version: 1\ngrants:\n  - { role: a, object: silver.*, action: select }\n  - { role: a, tag: raw, action: describe, effect: deny }\n  - { role: b, object: silver.*, action: select }\n  - { role: c, tag: raw, action: select }\n",
        tables().remove(0),
    );
    let policies = load(text, &tables()).unwrap();
    let see = |role: &str, table: &Securable| {
        policies.resolve(&super::principal("x", None, &[role])).may_see(table)
    };
    assert!(see("a", &table) && see("b", &table) && !see("c", &table));
    table.columns = None;
    table.tags.clear();
    assert!(!see("a", &table), "it may be one of those that are denied");
    assert!(see("b", &table));
    assert!(!see("c", &table));
}
