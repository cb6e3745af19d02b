//! Tags in policy files, grants by tag, and masks on columns by glob.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{load, name, patients, principal, securable};
use crate::view::SourceColumn;
use crate::{Access, Origins, Securable};

const GRANT: &str = "version: 1\ngrants:\n  - { role: analyst, object: silver.*, action: select }\n";

/// The table, and another with the same columns and no tags.
fn tables() -> Vec<Securable> {
    let mut other = securable(patients().schema());
    other.table = "visits".to_owned();
    other.tags.clear();
    other.column_tags.clear();
    vec![securable(patients().schema()), other]
}

fn masked(text: &str, table: usize) -> Vec<usize> {
    let tables = tables();
    let policies = load(text, &tables).unwrap();
    let resolved = policies.resolve(&principal("x", Some("a"), &["analyst"]));
    let Access::Select(policy) = resolved.access(&tables[table]) else { panic!("granted") };
    policy.masks.keys().copied().collect()
}

#[test]
fn a_glob_masks_every_column_that_matches() {
    let mask = |column: &str| {
        format!(
            "{GRANT}masks:\n  - {{ name: m, on: silver.*, column: \"{column}\", mask: {{ type: \"null\" }} }}\n"
        )
    };
    assert_eq!(masked(&mask("n*"), 0), [2, 3]);
    assert_eq!(masked(&mask("*_*"), 1), [1, 3, 5]);
    assert_eq!(masked(&mask("*"), 1), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn tags_of_files_count_like_those_of_the_catalog() {
    let mask = "masks:\n  - { name: m, tag: pii.id, mask: { type: \"null\" } }\n";
    assert_eq!(masked(&format!("{GRANT}{mask}"), 0), [3]);
    let tags = "tags:\n  - { tag: pii.id, on: silver.visits, column: name }\n  - { tag: pii.id, on: silver.*, column: \"c*\" }\n";
    assert_eq!(masked(&format!("{GRANT}{tags}{mask}"), 0), [3, 4]);
    assert_eq!(masked(&format!("{GRANT}{tags}{mask}"), 1), [2, 4]);
}

#[test]
fn filters_and_grants_meet_the_tags_of_files() {
    let text = "version: 1
tags:
  - { tag: open, on: silver.visits }
grants:
  - { role: analyst, tag: open, action: select }
  - { role: blocked, tag: open, action: describe, effect: deny }
  - { role: blocked, object: silver.*, action: select }
row_filters:
  - { name: f, tag: open, using: id = 1 }
";
    let tables = tables();
    let policies = load(text, &tables).unwrap();
    let analyst = policies.resolve(&principal("x", Some("a"), &["analyst"]));
    assert!(matches!(analyst.access(&tables[0]), Access::Invisible));
    let Access::Select(policy) = analyst.access(&tables[1]) else { panic!("granted by its tag") };
    assert_eq!(policy.rules(), ["row filter f"]);
    let blocked = policies.resolve(&principal("x", Some("a"), &["blocked"]));
    assert!(matches!(blocked.access(&tables[0]), Access::Select(_)));
    assert!(matches!(blocked.access(&tables[1]), Access::Invisible), "denied by its tag");
    let explained = analyst.explain(&tables[1]);
    assert_eq!((explained.grants.len(), explained.row_filters.len()), (1, 1), "{explained}");
    let kinds: Vec<_> = policies.describe().iter().map(|rule| (rule.kind, rule.object.clone())).collect();
    assert!(kinds.contains(&("tag", "silver.visits".to_owned())), "{kinds:?}");
    assert!(kinds.contains(&("grant", "tag open".to_owned())), "{kinds:?}");
    // A tag on everything is no key to the service's own tables.
    let all = text.replace("silver.visits }", "\"*.*\" }");
    let analyst = load(&all, &tables).unwrap().resolve(&principal("x", Some("a"), &["analyst"]));
    assert!(!analyst.may_read("system", "plans"));
}

/// A view of both tables with its owner's rights: `name` comes from `visits.name` and `patients.birth_date`.
fn view() -> Securable {
    let source = |table: &str, column: &str| SourceColumn {
        schema: "silver".to_owned(),
        table: table.to_owned(),
        column: column.to_owned(),
    };
    let from = BTreeSet::from([source("visits", "name"), source("patients", "birth_date")]);
    let tables = ["patients", "visits"].map(|table| ("silver".to_owned(), table.to_owned()));
    let columns = BTreeMap::from([("name".to_owned(), from)]);
    let origins = Origins { tables: tables.into(), columns };
    Securable {
        schema: "gold".to_owned(),
        table: "view".to_owned(),
        tags: Vec::new(),
        column_tags: BTreeMap::new(),
        origins: Some(Arc::new(origins)),
        ..securable(patients().schema())
    }
}

#[test]
fn tags_of_files_flow_to_views() {
    let grant = GRANT.replace("silver.*", "gold.*");
    let tables = [tables(), vec![view()]].concat();
    let masked = |tags: &str, view: &Securable| {
        let mask = "masks:\n  - { name: m, tag: pii.id, mask: { type: \"null\" } }\n";
        let policies = load(&format!("{grant}tags:\n{tags}{mask}"), &tables).unwrap();
        let resolved = policies.resolve(&principal("x", Some("a"), &["analyst"]));
        let Access::Select(policy) = resolved.access(view) else { panic!("granted") };
        policy.masks.keys().copied().collect::<Vec<_>>()
    };
    for (tag, expected) in [
        ("{ tag: pii.id, on: silver.visits, column: name }", vec![2]),
        ("{ tag: pii.id, on: silver.*, column: \"birth*\" }", vec![2]),
        ("{ tag: pii.id, on: silver.patients, column: name }", vec![]),
        ("{ tag: pii.id, on: silver.visits, column: cost }", vec![]),
        ("{ tag: pii.id, on: gold.*, column: cost }", vec![4]),
        ("{ tag: pii.id, on: silver.visits }", vec![]),
    ] {
        assert_eq!(masked(&format!("  - {tag}\n"), &view()), expected, "{tag}");
    }
    // Its writer said that the column carries nothing.
    let declassified = Securable { origins: None, ..view() };
    let tags = "  - { tag: pii.id, on: silver.visits, column: name }\n";
    assert_eq!(masked(tags, &declassified), [0_usize; 0]);
    // One principal may meet both within an epoch.
    let policies = load(
        &format!("{grant}tags:\n{tags}masks:\n  - {{ name: m, tag: pii.id, mask: {{ type: \"null\" }} }}\n"),
        &tables,
    );
    let resolved = policies.unwrap().resolve(&principal("x", Some("a"), &["analyst"]));
    for (view, masks) in [(declassified, 0), (view(), 1)] {
        let Access::Select(policy) = resolved.access(&view) else { panic!("granted") };
        assert_eq!(policy.masks.len(), masks);
    }
}

#[test]
fn tags_of_tables_in_files_flow_to_views() {
    let text = "version: 1
tags:
  - { tag: closed, on: silver.visits }
grants:
  - { role: analyst, object: gold.*, action: select }
  - { role: analyst, tag: closed, action: describe, effect: deny }
";
    let policies = load(text, &[tables(), vec![view()]].concat()).unwrap();
    let analyst = policies.resolve(&principal("x", Some("a"), &["analyst"]));
    assert!(matches!(analyst.access(&view()), Access::Invisible) && !analyst.may_see(&view()));
    let other = Securable { origins: None, ..view() };
    assert!(matches!(analyst.access(&other), Access::Select(_)) && analyst.may_see(&other));
}

#[test]
fn what_matches_nothing_is_refused_where_it_stands() {
    for (body, at, words) in [
        ("tags:\n  - { tag: t, on: silver.nothing }\n", "silver.nothing", "no table `silver.nothing`"),
        ("tags:\n  - { tag: t, on: silver.x* }\n", "silver.x*", "no table `silver.x*`"),
        ("tags:\n  - { tag: t, on: silver.*, column: nope }\n", "nope", "has a column `nope`"),
        ("tags:\n  - { tag: t, on: silver.*, column: \"x_*\" }\n", "\"x_*", "has a column `x_*`"),
        ("tags:\n  - { tag: \"\", on: silver.* }\n", "\"\"", "a tag is not empty"),
        ("tags:\n  - { tag: t, on: silver }\n", "silver", "schema.table"),
        ("tags:\n  - { tag: t, on: silver.*, to: [a] }\n", "to:", "unknown key `to`"),
        (
            "masks:\n  - { name: m, on: silver.*, column: \"*_nope\", mask: { type: redact } }\n",
            "\"*_nope",
            "has a column `*_nope`",
        ),
        // Of the columns that match one is no text.
        ("masks:\n  - { name: m, on: silver.*, column: \"*\", mask: { type: redact } }\n", "{ type", "text"),
        ("row_filters:\n  - { name: f, tag: nope, using: id = 1 }\n", "nope", "no table carries"),
    ] {
        let text = format!("{GRANT}{body}");
        let problems = load(&text, &tables()).expect_err(body);
        let first = &problems.0[0];
        assert_eq!(name(&first.file), "policies.yaml");
        let column = body.lines().nth(1).and_then(|record| record.find(at)).unwrap() + 1;
        assert_eq!((first.line, first.column), (5, column), "{body}{problems}");
        assert!(problems.to_string().contains(words), "{body}{problems}");
    }
    for (grant, words) in [
        ("{ role: a, tag: nope, action: select }", "no table carries the tag `nope`"),
        ("{ role: a, action: select }", "expected either `object` or `tag`"),
        ("{ role: a, object: silver.*, tag: patient-level, action: select }", "expected either"),
    ] {
        let problems = load(&format!("version: 1\ngrants:\n  - {grant}\n"), &tables()).expect_err(grant);
        assert_eq!(problems.0[0].line, 3, "{problems}");
        assert!(problems.0[0].column > 0 && problems.to_string().contains(words), "{problems}");
    }
}
