//! What a policy file may say, and what is said about one that may not.

use super::{load, name, patients, principal, resolve, securable};
use crate::Access;

/// A file with `body` after one harmless grant.
fn with_grant(body: &str) -> String {
    format!("version: 1\ngrants:\n  - {{ role: analyst, object: silver.*, action: select }}\n{body}")
}

#[test]
fn mistakes_are_named_with_file_and_line() {
    let table = securable(patients().schema());
    for (text, line, words) in [
        ("version: 2\ngrants: []\n".to_owned(), 1, "version 2 is not known"),
        ("version: 1\ngrant: []\n".to_owned(), 2, "grant"),
        (
            "version: 1\ngrants:\n  - { role: a, object: silver.*, action: select, effect: Deny }\n"
                .to_owned(),
            3,
            "allow",
        ),
        (
            "version: 1\ngrants:\n  - { role: a, object: patients, action: select }\n".to_owned(),
            3,
            "schema.table",
        ),
        (
            "version: 1\ngrants:\n  - { role: a, object: silver.patient, action: select }\n".to_owned(),
            3,
            "no table",
        ),
        (
            "version: 1\ngrants:\n  - { role: a, object: sliver.*, action: select }\n".to_owned(),
            3,
            "no schema",
        ),
        (with_grant("row_filters:\n  - name: f\n    on: [silver.*]\n    using: tenant = 'a'\n"), 7, "tenant"),
        (
            with_grant("row_filters:\n  - name: f\n    on: [silver.*]\n    using: 1 / cost > 0\n"),
            7,
            "must not fail",
        ),
        (
            with_grant("row_filters:\n  - name: f\n    on: [silver.*]\n    using: name::int = 5\n"),
            7,
            "can fail",
        ),
        (with_grant("row_filters:\n  - name: f\n    on: [silver.*]\n    using: cost\n"), 7, "true or false"),
        (
            with_grant("row_filters:\n  - name: f\n    on: [silver.*]\n    using: principal.age = '1'\n"),
            7,
            "principal.age",
        ),
        (
            with_grant("row_filters:\n  - name: f\n    on: [silver.*]\n    using: id in (select 1)\n"),
            7,
            "subquery",
        ),
        (
            with_grant(
                "row_filters:\n  - name: f\n    on: [silver.*]\n    to: [anaylst]\n    using: id = 1\n",
            ),
            8,
            "anaylst",
        ),
        (with_grant("masks:\n  - name: m\n    tag: pii.di\n    mask: { type: \"null\" }\n"), 6, "pii.di"),
        (
            with_grant(
                "masks:\n  - name: m\n    on: silver.patients\n    column: nhs\n    mask: { type: \"null\" }\n",
            ),
            7,
            "nhs",
        ),
        (
            with_grant(
                "masks:\n  - name: m\n    on: silver.patients\n    column: cost\n    mask: { type: show_last, n: 2 }\n",
            ),
            8,
            "text",
        ),
        (
            with_grant(
                "masks:\n  - name: m\n    tag: pii.id\n    mask: { type: token, domain: d, key: missing }\n",
            ),
            7,
            "missing",
        ),
        (
            with_grant(
                "masks:\n  - name: m\n    tag: pii.id\n    mask: { type: \"null\" }\n  - name: n\n    on: silver.patients\n    column: nhs_number\n    mask: { type: zip3 }\n",
            ),
            11,
            "both apply",
        ),
        (with_grant("keys:\n  k: { from: \"file:nowhere.key\" }\n"), 5, "nowhere.key"),
        (with_grant("keys:\n  k: { from: \"secret-in-clear\" }\n"), 5, "expected `file:PATH`"),
    ] {
        let problems = load(&text, std::slice::from_ref(&table)).expect_err(&text);
        let first = &problems.0[0];
        assert_eq!(name(&first.file), "policies.yaml", "{text}");
        assert_eq!(first.line, line, "{text}\n{problems}");
        assert!(problems.to_string().contains(words), "{text}\n{problems}");
    }
}

const TENANTS: &str = "version: 1
roles:
  - { role: lead, inherits: [analyst] }
grants:
  - { role: analyst, object: silver.*, action: select }
  - { role: operator, object: \"*.*\", action: describe }
  - { role: blocked, object: silver.patients, action: select, effect: deny }
  - { role: local, tenant: a, object: silver.*, action: select }
";

#[tokio::test]
async fn nothing_granted_means_invisible_and_deny_wins() {
    let table = securable(patients().schema());
    for (who, expected) in [
        (principal("nobody", Some("a"), &[]), "invisible"),
        (principal("x", Some("a"), &["stranger"]), "invisible"),
        (principal("x", Some("a"), &["analyst"]), "select"),
        (principal("x", None, &["analyst"]), "select"),
        (principal("x", Some("a"), &["lead"]), "select"),
        (principal("x", Some("a"), &["operator"]), "describe"),
        (principal("x", Some("a"), &["analyst", "blocked"]), "describe"),
        (principal("x", Some("a"), &["local"]), "select"),
        (principal("x", Some("b"), &["local"]), "invisible"),
        (principal("x", None, &["local"]), "invisible"),
        // A user called like a role does not have it.
        (principal("analyst", Some("a"), &[]), "invisible"),
        (principal("x", Some("*"), &["local"]), "invisible"),
    ] {
        let access = resolve(TENANTS, &table, &who).await.access(&table);
        let word = match access {
            Access::Invisible => "invisible",
            Access::Describe(_) => "describe",
            Access::Select(_) => "select",
            Access::Unresolved(_) => "unresolved",
        };
        assert_eq!(word, expected, "{who:?}");
    }
}

#[test]
fn filters_are_judged_on_the_columns_of_files() {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    let columns = [("name", DataType::Utf8View), ("birth_date", DataType::Date32)];
    let fields: Vec<_> = columns.map(|(name, data_type)| Field::new(name, data_type, true)).into();
    let mut table = securable(std::sync::Arc::new(Schema::new(fields)));
    table.column_tags.clear();
    let outcome = |filter: &str| {
        let filter = format!("row_filters:\n  - name: f\n    on: [silver.*]\n    using: {filter}\n");
        load(&with_grant(&filter), std::slice::from_ref(&table)).map_err(|problems| problems.to_string())
    };
    for good in ["name like 'A%'", "name not like '%b'", "starts_with(name, 'A')"] {
        assert!(outcome(good).is_ok(), "{good}: {:?}", outcome(good).err());
    }
    // A day beyond the calendar has no text.
    for bad in ["name like birth_date", "cast(birth_date as varchar) like '20%'", "name like 'a\\\\%'"] {
        assert!(outcome(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_filter_whose_attribute_is_missing_shows_nothing() {
    let table = securable(patients().schema());
    let text = with_grant(
        "row_filters:\n  - name: f\n    on: [silver.*]\n    using: name is distinct from principal.attr('ward')\n",
    );
    let Access::Select(policy) =
        resolve(&text, &table, &principal("x", None, &["analyst"])).await.access(&table)
    else {
        panic!("the table is granted");
    };
    assert!(policy.nothing);
}

#[tokio::test]
async fn a_principals_values_are_values_never_sql() {
    let table = securable(patients().schema());
    let text = with_grant(
        "row_filters:\n  - name: f\n    on: [silver.*]\n    using: tenant_id = principal.tenant\n",
    );
    let who = principal("x", Some("a' or '1'='1"), &["analyst"]);
    let Access::Select(policy) = resolve(&text, &table, &who).await.access(&table) else { panic!("granted") };
    let filter = policy.row_filter.as_ref().expect("a filter").to_string();
    assert_eq!(filter, "tenant_id = Utf8(\"a' or '1'='1\")");
}

#[tokio::test]
async fn a_table_that_appears_later_and_does_not_fit_shows_nothing() {
    let fits = securable(patients().schema());
    let text = with_grant(
        "row_filters:\n  - name: f\n    on: [silver.*]\n    using: tenant_id = principal.tenant\n",
    );
    let resolved = resolve(&text, &fits, &principal("x", Some("a"), &["analyst"])).await;
    let mut later = fits.clone();
    later.table = "later".to_owned();
    later.columns = Some(std::sync::Arc::new(patients().schema().project(&[0, 2]).expect("columns")));
    assert!(matches!(resolved.access(&later), Access::Unresolved(_)));
}

/// What an open statement was planned with is used again only while it shows the same values.
#[tokio::test]
async fn another_key_or_another_year_is_another_decision() {
    let table = securable(patients().schema());
    let file = |key: &str| {
        with_grant(&format!(
            "masks:\n  - {{ name: m, tag: pii.id, mask: {{ type: token, domain: d, key: k }} }}\n  - {{ name: n, on: silver.patients, column: birth_date, mask: {{ type: age_cap }} }}\nkeys: {{ k: {{ from: \"file:{key}\" }} }}\n"
        ))
    };
    let who = principal("x", None, &["analyst"]);
    let one = resolve(&file("mask.key"), &table, &who).await;
    let same = resolve(&file("mask.key"), &table, &who).await;
    let rotated = resolve(&file("other.key"), &table, &who).await;
    let access = one.access_in(&table, 2026);
    assert!(access.same_as(&same.access_in(&table, 2026)));
    assert!(!access.same_as(&rotated.access_in(&table, 2026)), "another key gives other tokens");
    assert!(!access.same_as(&one.access_in(&table, 2027)), "a year later more people are 90");
    let oldest = |access: &Access| {
        let Access::Select(policy) = access else { panic!("granted") };
        let births = patients().column(5).slice(3, 1);
        let births: std::sync::Arc<dyn datafusion::arrow::array::Array> = births;
        policy.masks[&5].apply(&births).expect("total")
    };
    // Born in 1968: 90 or older in 2058, and from then on shown as the oldest are.
    assert_eq!(&oldest(&one.access_in(&table, 2058)), &oldest(&access));
    assert_ne!(&oldest(&one.access_in(&table, 2059)), &oldest(&access), "decided anew");
}
