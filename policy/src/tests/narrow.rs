//! What an account and an end user may both see.

use datafusion::logical_expr::Expr;

use super::{load, patients, principal, resolve, securable};
use crate::{Access, Resolved, TablePolicy};

const POLICIES: &str = r#"
version: 1
grants:
  - { role: desk, object: "silver.*", action: select }
  - { role: clinic, object: "silver.*", action: select }
  - { role: finder, object: "silver.*", action: describe }
  - { role: desk, object: "system.*", action: select }
row_filters:
  - { name: own, on: [silver.patients], to: [clinic], using: "tenant_id = principal.tenant" }
  - { name: cheap, on: [silver.patients], to: [desk], using: "cost < 3" }
masks:
  - { name: ids, tag: pii.id, to: [clinic], mask: { type: token, domain: d, key: k } }
  - { name: last, on: silver.patients, column: nhs_number, to: [desk], except: [clinic], mask: { type: show_last, n: 2 } }
  - { name: names, on: silver.patients, column: name, to: [desk], mask: { type: "null" } }
keys:
  k: { from: "file:mask.key" }
"#;

async fn both(account: &[&str], end_user: &[&str]) -> Resolved {
    let table = securable(patients().schema());
    let account = resolve(POLICIES, &table, &principal("app", None, account)).await;
    account.narrowed_by(resolve(POLICIES, &table, &principal("eve", Some("a"), end_user)).await)
}

fn policy(resolved: &Resolved) -> std::sync::Arc<TablePolicy> {
    match resolved.access(&securable(patients().schema())) {
        Access::Select(policy) => policy,
        other => panic!("{other:?}"),
    }
}

fn filter(policy: &TablePolicy) -> String {
    policy.row_filter.as_ref().map(Expr::to_string).unwrap_or_default()
}

fn mask(policy: &TablePolicy, column: &str) -> &'static str {
    let index = patients().schema().index_of(column).unwrap();
    policy.masks.get(&index).map_or("none", |mask| mask.name())
}

#[tokio::test]
async fn filters_of_both_hold() {
    let policy = policy(&both(&["desk"], &["clinic"]).await);
    let filter = filter(&policy);
    assert!(
        filter.contains("cost < ") && filter.contains("tenant_id = ") && filter.contains(" AND "),
        "{filter}"
    );
    assert_eq!(policy.rules().iter().filter(|rule| rule.starts_with("end user: ")).count(), 2);
    // An end user who lacks what a filter asks for sees no row.
    let table = securable(patients().schema());
    let account = resolve(POLICIES, &table, &principal("app", None, &["desk"])).await;
    let end_user = resolve(POLICIES, &table, &principal("eve", None, &["clinic"])).await;
    assert!(self::policy(&account.narrowed_by(end_user)).nothing);
}

#[tokio::test]
async fn masks_of_both_hold_and_two_different_ones_hide() {
    let both_ways = [(["desk"], ["clinic"]), (["clinic"], ["desk"])];
    for (account, end_user) in both_ways {
        let policy = policy(&both(&account, &end_user).await);
        assert_eq!(mask(&policy, "name"), "null");
        assert_eq!(mask(&policy, "nhs_number"), "null", "a token and its last digits");
        assert_eq!(mask(&policy, "cost"), "none");
        assert!(policy.schema().field_with_name("nhs_number").unwrap().is_nullable());
    }
    assert_eq!(mask(&policy(&both(&["clinic"], &["clinic"]).await), "nhs_number"), "token");
    assert_eq!(mask(&policy(&both(&["desk"], &["desk"]).await), "nhs_number"), "show_last");
}

#[tokio::test]
async fn the_lesser_right_counts() {
    let table = securable(patients().schema());
    for (account, end_user) in [(["desk"], ["finder"]), (["finder"], ["desk"])] {
        let resolved = both(&account, &end_user).await;
        assert!(matches!(resolved.access(&table), Access::Describe(_)));
        assert!(resolved.may_see(&table) && !resolved.may_read("silver", "patients"));
        assert!(!resolved.may_read("system", "plans"), "only one of them may");
    }
    for (account, end_user) in [(["desk"], ["stranger"]), (["stranger"], ["desk"])] {
        let resolved = both(&account, &end_user).await;
        assert!(matches!(resolved.access(&table), Access::Invisible));
        assert!(!resolved.may_see(&table));
    }
}

#[tokio::test]
async fn decisions_differ_from_those_of_the_account_alone() {
    let table = securable(patients().schema());
    let snapshot = load(POLICIES, std::slice::from_ref(&table)).unwrap();
    let account = snapshot.resolve(&principal("app", None, &["desk"]));
    let end_user = snapshot.resolve(&principal("eve", Some("a"), &["clinic"]));
    let narrowed = account.narrowed_by(end_user);
    assert!(!narrowed.access(&table).same_as(&account.access(&table)));
    assert!(narrowed.access(&table).same_as(&narrowed.access(&table)));
}
