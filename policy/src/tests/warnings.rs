//! Rules that do nothing, and tables that filters by tenant leave out.

use super::{load, patients, securable};
use crate::Securable;

fn tables() -> Vec<Securable> {
    let table = |schema: &str, name: &str| Securable {
        schema: schema.to_owned(),
        table: name.to_owned(),
        ..securable(patients().schema())
    };
    vec![table("silver", "patients"), table("silver", "visits"), table("bronze", "raw")]
}

/// Lines and what is said of them.
fn warnings(text: &str) -> Vec<(usize, String)> {
    let tables = tables();
    let policies = load(text, &tables).unwrap();
    policies.warnings(&tables).into_iter().map(|warning| (warning.line, warning.message)).collect()
}

fn check(text: &str, expected: &[(usize, &str)]) {
    let found = warnings(text);
    assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
    for ((line, message), (expected_line, words)) in found.iter().zip(expected) {
        assert_eq!(line, expected_line, "{text}\n{found:#?}");
        assert!(message.contains(words), "{message}: {words}");
    }
}

const ANALYST: &str = "version: 1\nroles:\n  - { role: lead, inherits: [analyst] }\ngrants:\n  - { role: analyst, object: silver.*, action: select }\n";

#[test]
fn grants_that_are_denied_altogether() {
    let deny = |deny: &str| format!("{ANALYST}  - {{ {deny}, effect: deny }}\n");
    check(&deny("role: analyst, object: silver.*, action: select"), &[(5, "policies.yaml:6:")]);
    // Some tables, another action, another tenant, those who have another role as well: no mistake.
    check(&deny("role: analyst, object: silver.p*, action: select"), &[]);
    check(&deny("role: analyst, object: silver.*, action: describe"), &[]);
    check(&deny("role: analyst, tenant: a, object: silver.*, action: select"), &[]);
    check(&deny("role: lead, object: silver.*, action: select"), &[]);
    let lead = "  - { role: lead, object: silver.visits, action: select }\n";
    let all = deny("role: analyst, object: silver.v*, action: select");
    check(&format!("{all}{lead}"), &[(7, "never allows select")]);
    let tag = "  - { role: analyst, tag: patient-level, action: select }\n  - { role: analyst, tag: patient-level, action: select, effect: deny }\n";
    check(&format!("{ANALYST}{tag}"), &[(6, "never allows select")]);
}

#[test]
fn rules_that_concern_nobody() {
    let filter = |audience: &str| {
        format!("{ANALYST}row_filters:\n  - {{ name: f, on: [silver.*], {audience}, using: id = 1 }}\n")
    };
    check(&filter("to: [analyst]"), &[]);
    check(&filter("to: []"), &[(7, "names no role")]);
    check(&filter("to: [lead], except: [analyst]"), &[(7, "takes out every role")]);
    check(&filter("to: [analyst], except: [lead]"), &[]);
    let mask =
        |mask: &str| format!("{ANALYST}masks:\n  - {{ name: m, {mask}, mask: {{ type: \"null\" }} }}\n");
    check(&mask("tag: pii.id, to: [analyst], except: [analyst]"), &[(7, "takes out every role")]);
    check(&mask("tag: pii.id, to: [analyst]"), &[]);
}

#[test]
fn rules_on_what_nobody_reads() {
    let filter = |rest: &str| format!("{ANALYST}row_filters:\n  - {{ name: f, {rest}, using: id = 1 }}\n");
    check(&filter("on: [bronze.raw]"), &[(7, "nobody may read bronze.raw")]);
    check(&filter("on: [bronze.raw, silver.visits]"), &[]);
    let others = |rest: &str| {
        let text = filter(rest).replace("roles:\n", "roles:\n  - { role: other }\n");
        text.replace(
            "row_filters:",
            "  - { role: barred, object: \"*.*\", action: select, effect: deny }\nrow_filters:",
        )
    };
    // Somebody may be analyst and other; nobody who is barred reads anything.
    check(&others("on: [silver.visits], to: [other]"), &[]);
    check(
        &others("on: [silver.visits], to: [barred]"),
        &[(9, "nobody whom it concerns may read silver.visits")],
    );
    check(&others("on: [silver.visits], to: [other], except: [analyst]"), &[(9, "nobody whom it concerns")]);
    let mask = format!(
        "{ANALYST}masks:\n  - {{ name: m, on: bronze.raw, column: \"n*\", mask: {{ type: \"null\" }} }}\n"
    );
    check(&mask, &[(7, "nobody may read bronze.raw")]);
}

#[test]
fn tables_that_tenants_filters_leave_out() {
    let filter = |rest: &str| {
        format!("{ANALYST}row_filters:\n  - {{ name: f, {rest}, using: tenant_id = principal.tenant }}\n")
    };
    check(&filter("on: [silver.*]"), &[]);
    check(
        &filter("on: [silver.patients]"),
        &[(5, "role `analyst` reads silver.visits"), (5, "role `lead` reads silver.visits")],
    );
    check(&filter("on: [silver.*], to: [lead]"), &[(5, "`analyst` reads silver.patients, silver.visits")]);
    // Who is excepted was thought of; an alternative is no obligation.
    check(&filter("on: [silver.*], except: [lead]"), &[]);
    assert_eq!(warnings(&filter("on: [silver.*], kind: permissive")).len(), 2);
}
