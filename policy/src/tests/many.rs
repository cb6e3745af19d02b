//! Thousands of rules: each table meets those that name it, as if each rule were asked.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};

use super::{load, principal};
use crate::records::{Action, Effect};
use crate::{Access, ObjectPattern, Securable};

const TABLES: usize = 300;
const ROLES: usize = 500;
const GRANTS: usize = 10_000;
const FILTERS: usize = 1_000;
const MASKS: usize = 2_000;
const WIDE: usize = 250;

fn table(number: usize) -> String {
    format!("t{number:04}")
}

fn tables() -> Vec<Securable> {
    let columns = |count: usize| {
        let fields = (0..count).map(|n| Field::new(format!("c{n}"), DataType::Utf8, true));
        Some(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    };
    (0..TABLES)
        .map(|number| (table(number), columns(8)))
        .chain([("wide".to_owned(), columns(WIDE))])
        .map(|(table, columns)| Securable {
            schema: "lake".to_owned(),
            table,
            columns,
            tags: Vec::new(),
            column_tags: std::collections::BTreeMap::new(),
            origins: None,
        })
        .collect()
}

/// A pattern for rule `number`, and a role.
fn rule(number: usize) -> (String, String) {
    let named = table(number * 31 % TABLES);
    let pattern = match number % 25 {
        0 => format!("lake.{}*", &named[..4]),
        1 => format!("*.{named}"),
        2 => format!("l*.*{}", &named[3..]),
        _ => format!("lake.{named}"),
    };
    (pattern, format!("role{}", number * 7 % ROLES))
}

fn policies() -> String {
    let mut text = "version: 1\nroles:\n".to_owned();
    for role in 0..ROLES {
        let parent = if role % 3 == 0 { String::new() } else { format!("role{}", role - 1) };
        let _ = writeln!(text, "  - {{ role: role{role}, inherits: [{parent}] }}");
    }
    text.push_str("grants:\n  - { role: all, object: \"lake.*\", action: select }\n");
    for number in 1..GRANTS {
        let (pattern, role) = rule(number);
        let effect = if number % 11 == 0 { "deny" } else { "allow" };
        let _ =
            writeln!(text, "  - {{ role: {role}, object: \"{pattern}\", action: select, effect: {effect} }}");
    }
    text.push_str("row_filters:\n");
    for number in 0..FILTERS {
        let (pattern, role) = rule(number);
        let _ = writeln!(
            text,
            "  - {{ name: f{number}, on: [\"{pattern}\"], except: [{role}], using: \"c1 <> '{}'\" }}",
            number % 5
        );
    }
    text.push_str("masks:\n");
    for number in 0..MASKS {
        let (object, column) = match number.checked_sub(WIDE) {
            None => ("wide".to_owned(), number),
            Some(rest) => (table(rest % TABLES), 2 + rest / TABLES),
        };
        let _ = writeln!(
            text,
            "  - {{ name: m{number}, on: lake.{object}, column: c{column}, except: [role{}], mask: {{ type: redact }} }}",
            number % ROLES
        );
    }
    text
}

#[test]
fn each_table_meets_the_rules_that_name_it() {
    let (tables, text) = (tables(), policies());
    let snapshot = load(&text, &tables).unwrap();
    assert_eq!(snapshot.describe().len(), GRANTS + FILTERS + MASKS);
    for own in [vec!["all"], vec!["role8"], vec!["role44", "role45", "role300"], vec!["all", "role499"]] {
        let resolved = snapshot.resolve(&principal("x", None, &own));
        let mut roles: std::collections::BTreeSet<String> = own.iter().map(ToString::to_string).collect();
        for role in (0..ROLES).rev().filter(|role| role % 3 != 0) {
            if roles.contains(&format!("role{role}")) {
                roles.insert(format!("role{}", role - 1));
            }
        }
        assert_eq!(&roles, resolved.roles());
        let (mut seen, mut hidden) = (0, 0);
        for table in &tables {
            let names = |pattern: &str| {
                pattern.parse::<ObjectPattern>().unwrap().matches(&table.schema, &table.table)
            };
            let granted: Vec<usize> = (1..GRANTS)
                .filter(|number| {
                    let (pattern, role) = rule(*number);
                    roles.contains(&role) && names(&pattern)
                })
                .collect();
            let denied = granted.iter().any(|number| number % 11 == 0);
            let visible = own.contains(&"all") || granted.iter().any(|number| number % 11 != 0);
            let mut expected: Vec<String> = (0..FILTERS)
                .filter(|number| {
                    let (pattern, role) = rule(*number);
                    names(&pattern) && !roles.contains(&role)
                })
                .map(|number| format!("row filter f{number}"))
                .collect();
            expected.extend((0..MASKS).filter_map(|number| {
                let (object, column) = match number.checked_sub(WIDE) {
                    None => ("wide".to_owned(), number),
                    Some(rest) => (self::table(rest % TABLES), 2 + rest / TABLES),
                };
                (object == table.table && !roles.contains(&format!("role{}", number % ROLES)))
                    .then(|| format!("mask m{number} on c{column}"))
            }));
            match resolved.access(table) {
                Access::Invisible => {
                    hidden += 1;
                    assert!(!visible, "{own:?} {}", table.table);
                }
                Access::Select(policy) => {
                    seen += 1;
                    assert!(visible && !denied, "{own:?} {}", table.table);
                    assert_eq!(policy.rules(), expected, "{own:?} {}", table.table);
                }
                Access::Describe(policy) => {
                    assert!(visible && denied, "{own:?} {}", table.table);
                    assert_eq!(policy.rules(), expected);
                }
                Access::Unresolved(why) => panic!("{why}"),
            }
        }
        assert!(seen > 0 && (hidden > 0) != own.contains(&"all"), "{own:?}: {seen} seen, {hidden} hidden");
    }
    // What the file says is what is compiled.
    let grants = &snapshot.grants.all;
    assert!(grants.iter().all(|grant| grant.action == Action::Select));
    assert_eq!(grants.iter().filter(|grant| grant.effect == Effect::Deny).count(), (GRANTS - 1) / 11);
}
