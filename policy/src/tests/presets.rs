//! The sets of masks that come with the service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::{load, principal, resolve};
use crate::presets::PRESETS;
use crate::records::{MaskSpec, parse};
use crate::{Access, Securable};

const KEYS: &str = "keys: { k: { from: \"file:mask.key\" } }\n";

/// What a column with the tag usually is.
fn usual_type(tag: &str) -> DataType {
    match tag {
        "pii.date" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "pii.birth_date" | "pii.death_date" => DataType::Date32,
        "pii.age" => DataType::Int32,
        "pii.photo" | "pii.biometric" => DataType::Binary,
        "pii.geo" => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// A table with one column per tag, called like it.
fn table(tags: &[&str]) -> Securable {
    let fields: Vec<_> = tags.iter().map(|tag| Field::new(*tag, usual_type(tag), true)).collect();
    Securable {
        schema: "silver".to_owned(),
        table: "people".to_owned(),
        columns: Some(Arc::new(Schema::new(fields))),
        tags: Vec::new(),
        column_tags: tags.iter().map(|tag| ((*tag).to_owned(), vec![(*tag).to_owned()])).collect(),
        origins: None,
    }
}

fn file(presets: &str) -> String {
    format!(
        "version: 1\ngrants: [{{ role: a, object: silver.*, action: select }}, {{ role: b, object: silver.*, action: select }}]\npresets:\n{presets}{KEYS}"
    )
}

fn tags_of(text: &str) -> Vec<String> {
    let file = parse(Path::new("preset"), text).expect("a policy file");
    file.masks.iter().map(|mask| mask.tag.as_ref().expect("by tag").value.clone()).collect()
}

#[test]
fn presets_say_masks_by_tag_and_nothing_else() {
    for (name, text) in PRESETS {
        let file = parse(Path::new(name), text).expect("a policy file");
        assert!(file.roles.is_empty() && file.grants.is_empty() && file.row_filters.is_empty(), "{name}");
        assert!(file.keys.is_empty() && file.presets.is_empty(), "{name}");
        let (mut names, mut tags) = (BTreeSet::new(), BTreeSet::new());
        for mask in &file.masks {
            let record = &mask.name.value;
            assert!(mask.on.is_none() && mask.column.is_none(), "{name}/{record}");
            assert!(
                mask.to.is_none() && mask.except.is_empty(),
                "{name}/{record}: the audience is the user's"
            );
            assert!(names.insert(record.clone()), "{name}/{record} twice");
            let tag = mask.tag.as_ref().expect("a tag").value.clone();
            assert!(tags.insert(tag.clone()), "{name}: {tag} twice");
        }
    }
}

#[tokio::test]
async fn every_tag_of_a_preset_is_masked() {
    for (name, text) in PRESETS {
        let tags = tags_of(text);
        let table = table(&tags.iter().map(String::as_str).collect::<Vec<_>>());
        let file = file(&format!("  - {{ name: {name}, to: [a], key: k }}\n"));
        let resolved = resolve(&file, &table, &principal("x", None, &["a"])).await;
        let Access::Select(policy) = resolved.access(&table) else { panic!("{name}") };
        assert_eq!(policy.masks.len(), tags.len(), "{name}");
        assert!(policy.rules().iter().all(|rule| rule.contains(&format!("{name}/"))), "{:?}", policy.rules());
        let unmasked = resolve(&file, &table, &principal("x", None, &["b"])).await;
        let Access::Select(policy) = unmasked.access(&table) else { panic!("{name}") };
        assert!(policy.masks.is_empty(), "{name} is for its audience only");
    }
}

/// The letters of 45 CFR 164.514(b)(2)(i).
#[test]
fn safe_harbor_names_each_of_the_eighteen_identifiers() {
    let (_, text) = PRESETS[0];
    for letter in 'A'..='R' {
        assert!(text.contains(&format!("({letter})")), "({letter})");
    }
    let file = parse(Path::new("preset"), text).expect("a policy file");
    let by_tag: BTreeMap<_, _> =
        file.masks.iter().map(|m| (m.tag.as_ref().expect("a tag").value.as_str(), &m.mask.value)).collect();
    for (tag, mask) in &by_tag {
        let expected = match *tag {
            "pii.zip" => MaskSpec::Zip3 {},
            "pii.date" | "pii.birth_date" | "pii.death_date" | "pii.age" => MaskSpec::AgeCap {},
            _ => MaskSpec::Null {},
        };
        assert_eq!(**mask, expected, "{tag}");
    }
    for tag in ["name", "address", "zip", "date", "birth_date", "age", "phone", "fax", "email", "ssn", "mrn"]
    {
        assert!(by_tag.contains_key(format!("pii.{tag}").as_str()), "{tag}");
    }
}

#[test]
fn tags_that_no_column_carries_are_no_mistake() {
    load(&file("  - { name: hipaa-safe-harbor }\n"), &[table(&["other"])]).expect("loads");
}

#[test]
fn mistakes_with_presets_are_named() {
    let people = table(&["pii.name", "pii.id", "pii.age"]);
    for (presets, line, words) in [
        ("  - { name: hipaa }\n", 4, "there is no preset `hipaa`; there are `hipaa-safe-harbor` and"),
        ("  - { name: nhs-pseudonymised }\n", 4, "expected `key`"),
        ("  - { name: nhs-pseudonymised, key: q }\n", 4, "key `q` is not declared"),
        ("  - { name: hipaa-safe-harbor, for: [a] }\n", 4, "unknown key `for`"),
        ("  - { name: hipaa-safe-harbor, to: [c] }\n", 4, "role `c`"),
        (
            "  - { name: hipaa-safe-harbor, to: [a] }\n  - { name: nhs-pseudonymised, to: [b], key: k }\n",
            5,
            "masks `hipaa-safe-harbor/names` and `nhs-pseudonymised/names` can both apply",
        ),
        (
            "  - { name: hipaa-safe-harbor, to: [a] }\nmasks:\n  - { name: own, tag: pii.name, mask: { type: redact } }\n",
            4,
            "masks `own` and `hipaa-safe-harbor/names` can both apply",
        ),
    ] {
        let problems = load(&file(presets), std::slice::from_ref(&people)).expect_err(presets);
        assert!(problems.0.iter().any(|problem| problem.message.contains(words)), "{problems}");
        assert_eq!(problems.0[0].line, line, "{problems}");
    }
    // One mistake, said once, though the preset has a record for every tag.
    let role = load(&file("  - { name: hipaa-safe-harbor, to: [c] }\n"), &[people]).expect_err("refused");
    assert_eq!(role.0.len(), 1, "{role}");
}

#[test]
fn an_audience_of_its_own_keeps_masks_apart() {
    let people = table(&["pii.name"]);
    let presets = "  - { name: hipaa-safe-harbor, to: [a], except: [b] }\n  - { name: nhs-pseudonymised, to: [b], key: k }\n";
    load(&file(presets), &[people]).expect("nobody is concerned by both");
}

#[test]
fn a_column_that_a_preset_cannot_mask_is_named() {
    let mut people = table(&["pii.zip"]);
    people.columns = Some(Arc::new(Schema::new(vec![Field::new("pii.zip", DataType::Float64, true)])));
    let why = load(&file("  - { name: hipaa-safe-harbor }\n"), &[people]).expect_err("refused").to_string();
    assert!(
        why.contains("silver.people.pii.zip: mask `zip3` is defined for text and integer columns"),
        "{why}"
    );
}
