//! The published schema says what the loader says.

use std::path::Path;

use serde_json::{Map, Value};

use crate::records::parse;

fn schema() -> Value {
    serde_json::from_str(crate::POLICY_SCHEMA).unwrap()
}

fn document(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

/// Why `value` does not fit `schema`. Knows the keywords that the schema uses, and no others.
fn misfit(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let rules = schema.as_object().unwrap();
    for (keyword, rule) in rules {
        let fits = |rule: &Value| misfit(root, rule, value, at).is_none();
        let complaint = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => None,
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
                misfit(root, target, value, at)
            }
            "type" => {
                let one = std::slice::from_ref(rule);
                let types = rule.as_array().map_or(one, Vec::as_slice);
                (!types.iter().any(|kind| is(value, kind.as_str().unwrap()))).then(|| format!("is no {rule}"))
            }
            "const" => (value != rule).then(|| format!("is not {rule}")),
            "enum" => (!rule.as_array().unwrap().contains(value)).then(|| format!("is none of {rule}")),
            "minLength" => value.as_str().filter(|text| text.is_empty()).map(|_| "is empty".to_owned()),
            "minimum" => {
                value.as_f64().filter(|n| *n < rule.as_f64().unwrap()).map(|_| "is too low".to_owned())
            }
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().unwrap()).unwrap();
                value.as_str().filter(|text| !pattern.is_match(text)).map(|_| format!("is not like {rule}"))
            }
            "required" => value.as_object().and_then(|object| {
                let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                names.filter(|name| !object.contains_key(*name)).map(|name| format!("lacks {name}")).next()
            }),
            "properties" => value.as_object().and_then(|object| {
                let known = rule.as_object().unwrap();
                known
                    .iter()
                    .find_map(|(name, rule)| misfit(root, rule, object.get(name)?, &format!("{at}/{name}")))
            }),
            "additionalProperties" => value.as_object().and_then(|object| {
                let known = rules.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
                let more = object.iter().filter(|(name, _)| !known.contains_key(*name));
                more.filter_map(|(name, value)| match rule {
                    Value::Bool(false) => Some(format!("unknown key {name}")),
                    rule => misfit(root, rule, value, &format!("{at}/{name}")),
                })
                .next()
            }),
            "items" => value.as_array().and_then(|items| {
                items.iter().enumerate().find_map(|(n, item)| misfit(root, rule, item, &format!("{at}/{n}")))
            }),
            "oneOf" => {
                let fitting = rule.as_array().unwrap().iter().filter(|rule| fits(rule)).count();
                (fitting != 1).then(|| format!("fits {fitting} alternatives"))
            }
            "anyOf" => (!rule.as_array().unwrap().iter().any(fits)).then(|| "fits none".to_owned()),
            "not" => fits(rule).then(|| "fits what it must not".to_owned()),
            other => panic!("this test does not know `{other}`"),
        };
        if let Some(complaint) = complaint {
            return Some(format!("{at}: {complaint}"));
        }
    }
    None
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("type {other}"),
    }
}

/// What the schema says against a file.
fn refused(yaml: &str) -> Option<String> {
    let schema = schema();
    misfit(&schema, &schema, &document(yaml), "")
}

/// A file that has every record with every key; some of its records have either key or the other.
const RECORDS: [(&str, &str, &str); 8] = [
    ("", "", "version: 1"),
    ("role", "roles", "{ role: a, inherits: [b] }"),
    ("tag", "tags", "{ tag: pii.name, on: silver.patients, column: name }"),
    ("grant", "grants", "{ role: a, tenant: \"*\", object: silver.*, action: select, effect: allow }"),
    (
        "row_filter",
        "row_filters",
        "{ name: f, on: [silver.*], kind: permissive, to: [a], except: [b], using: \"true\" }",
    ),
    (
        "mask",
        "masks",
        "{ name: m, on: silver.*, column: name, to: [a], except: [b], mask: { type: redact } }",
    ),
    ("preset", "presets", "{ name: nhs-pseudonymised, to: [a], except: [b], key: k }"),
    ("key", "keys", "{ from: \"env:X\" }"),
];

/// One of each mask, with every argument.
const MASKS: [&str; 12] = [
    "{ type: \"null\" }",
    "{ type: constant, value: x }",
    "{ type: token, domain: d, key: k }",
    "{ type: show_first, n: 1 }",
    "{ type: show_last, n: 1 }",
    "{ type: redact }",
    "{ type: truncate_date, to: year }",
    "{ type: age_cap }",
    "{ type: outward_postcode }",
    "{ type: zip3 }",
    "{ type: bucket, width: 10, origin: 5.5 }",
    "{ type: noise, amount: 1, domain: d, key: k }",
];

fn file(list: &str, record: &str) -> String {
    match list {
        "" => format!("{record}\n"),
        "keys" => format!("version: 1\nkeys:\n  k: {record}\n"),
        list => format!("version: 1\n{list}:\n  - {record}\n"),
    }
}

/// The keys that the loader expects where it meets one that it does not know.
fn expected_keys(list: &str, record: &str) -> Vec<String> {
    let unknown = match list {
        "" => format!("{record}\nno_such_key: 1"),
        _ => record.replacen('{', "{ no_such_key: 1,", 1),
    };
    let text = file(list, &unknown);
    let problems = parse(Path::new("p.yaml"), &text).expect_err(&text).to_string();
    assert!(refused(&text).is_some(), "the schema lets in what the loader refuses: {text}");
    let (_, keys) = problems.split_once("expected one of ").unwrap_or_else(|| panic!("{problems}"));
    let mut keys: Vec<String> = keys.split(", ").map(str::to_owned).collect();
    keys.sort();
    keys
}

fn keys_of(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    let mut keys: Vec<String> = properties.keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn schema_and_records_have_the_same_keys() {
    let schema = schema();
    for (definition, list, record) in RECORDS {
        let text = file(list, record);
        parse(Path::new("p.yaml"), &text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        assert_eq!(refused(&text), None, "{text}");
        let described = match definition {
            "" => schema.clone(),
            name => schema.pointer(&format!("/$defs/{name}")).unwrap().clone(),
        };
        // A record of one key has no list of them.
        let expected = match list {
            "keys" => vec!["from".to_owned()],
            _ => expected_keys(list, record),
        };
        assert_eq!(keys_of(&described), expected, "{definition}");
    }
    let defined = schema.pointer("/$defs").and_then(Value::as_object).unwrap();
    let shared = ["role_name", "object", "to", "except", "mask_spec"];
    assert_eq!(defined.len(), RECORDS.len() - 1 + shared.len());
}

#[test]
fn schema_and_masks_have_the_same_arguments() {
    let schema = schema();
    let described = schema.pointer("/$defs/mask_spec/oneOf").and_then(Value::as_array).unwrap();
    let kind_of = |one: &Value| one.pointer("/properties/type/const").unwrap().as_str().unwrap().to_owned();
    let mut names: Vec<String> = described.iter().map(kind_of).collect();
    names.sort();
    let unknown = file("masks", "{ name: m, tag: t, mask: { type: no_such_mask } }");
    let problems = parse(Path::new("p.yaml"), &unknown).unwrap_err().to_string();
    assert!(refused(&unknown).is_some());
    for name in &names {
        assert!(problems.contains(name.as_str()), "{name}: {problems}");
    }
    assert_eq!(problems.matches("show_").count(), 2, "{problems}");
    for mask in MASKS {
        let with = |mask: &str| file("masks", &format!("{{ name: m, tag: t, mask: {mask} }}"));
        assert_eq!(refused(&with(mask)), None, "{mask}");
        parse(Path::new("p.yaml"), &with(mask)).unwrap_or_else(|problems| panic!("{mask}\n{problems}"));
        let more = with(&mask.replacen('{', "{ no_such_key: 1,", 1));
        assert!(refused(&more).is_some(), "{more}");
        assert!(parse(Path::new("p.yaml"), &more).is_err(), "{more}");
        // Every argument of the schema is one of the loader's, and stands in the example.
        let value = document(mask);
        let one = described
            .iter()
            .find(|one| one.pointer("/properties/type/const") == value.get("type"))
            .unwrap_or_else(|| panic!("{mask} is not described"));
        let mut own: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        own.sort();
        assert_eq!(keys_of(one), own, "{mask}");
        // What either needs, the other needs.
        for key in own.iter().filter(|key| *key != "type") {
            let mut less = value.clone();
            less.as_object_mut().unwrap().remove(key);
            let less = with(&less.to_string());
            let (by_schema, by_loader) = (refused(&less), parse(Path::new("p.yaml"), &less));
            assert_eq!(by_schema.is_some(), by_loader.is_err(), "{less}: {by_schema:?}");
        }
    }
    assert_eq!(names.len(), MASKS.len());
}

#[test]
fn examples_and_presets_fit() {
    let text = include_str!("../../../docs/policies.md");
    let mut checked = 0;
    for block in text.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        // Cases of `policy test` are another file.
        if block.contains("\ncases:") {
            continue;
        }
        let whole = match block.contains("version: 1") {
            true => block.to_owned(),
            false => format!("version: 1\n{block}"),
        };
        parse(Path::new("docs/policies.md"), &whole).unwrap_or_else(|problems| panic!("{whole}\n{problems}"));
        assert_eq!(refused(&whole), None, "{whole}");
        checked += 1;
    }
    assert!(checked >= 6, "{checked} examples");
    for (name, text) in crate::presets::PRESETS {
        assert_eq!(refused(text), None, "{name}");
    }
    // The demo writes its policies from a text of its own.
    let demo = include_str!("../../../src/demo/accounts.rs").split("r#\"").skip(1);
    let demo: Vec<_> = demo.map(|rest| rest.split("\"#").next().unwrap()).collect();
    let policies = demo.into_iter().find(|text| text.contains("\nrow_filters:")).unwrap();
    assert_eq!(refused(policies), None);
}

#[test]
fn what_the_loader_refuses_the_schema_refuses() {
    for bad in [
        "version: 2\n",
        "{}\n",
        "version: 1\ngrants:\n  - { role: a, object: silver, action: select }\n",
        "version: 1\ngrants:\n  - { role: a, object: silver.*, action: Select }\n",
        "version: 1\ngrants:\n  - { role: a, object: silver.*, action: select, effect: Deny }\n",
        "version: 1\ngrants:\n  - { role: a, object: silver.*, tag: t, action: select }\n",
        "version: 1\ngrants:\n  - { role: a, action: select }\n",
        "version: 1\ngrants:\n  - { role: \"a:b\", object: silver.*, action: select }\n",
        "version: 1\nrow_filters:\n  - { name: f, using: \"true\" }\n",
        "version: 1\nmasks:\n  - { name: m, on: silver.*, mask: { type: redact } }\n",
        "version: 1\nmasks:\n  - { name: m, tag: t, on: silver.*, column: c, mask: { type: redact } }\n",
        "version: 1\nkeys:\n  k: { from: secret }\n",
        "version: 1\ntags:\n  - { tag: t }\n",
    ] {
        assert!(refused(bad).is_some(), "{bad}");
    }
}
