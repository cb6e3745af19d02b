//! The tables and policies that are measured, made by rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lakeward_policy::Principal;
use serde_json::json;

pub(super) const SCHEMA: &str = "lake";

/// Columns of an ordinary table besides its tenant.
const COLUMNS: usize = 12;
/// Masked columns of the wide table.
const WIDE: usize = 250;

/// How much of everything.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Size {
    /// Tables, besides the wide one
    #[arg(long, default_value_t = 1_000)]
    pub tables: usize,
    /// Grants
    #[arg(long, default_value_t = 10_000)]
    pub grants: usize,
    /// Roles
    #[arg(long, default_value_t = 500)]
    pub roles: usize,
    /// Row filters
    #[arg(long, default_value_t = 1_000)]
    pub row_filters: usize,
    /// Masks; 250 of them on columns of the wide table
    #[arg(long, default_value_t = 2_000)]
    pub masks: usize,
}

pub(super) fn table(number: usize) -> String {
    format!("t{number:05}")
}

/// Somebody who has a few roles and sees all tables.
pub(super) fn person(name: &str, size: Size) -> Principal {
    let own = (0..5).map(|n| format!("role{}", n * size.roles / 5));
    Principal {
        user: name.to_owned(),
        tenant: Some("north".to_owned()),
        roles: own.chain(["everyone".to_owned()]).collect::<BTreeSet<_>>(),
        attributes: BTreeMap::from([("practice".to_owned(), "p1".to_owned())]),
        expires_at: None,
    }
}

/// The same as a record of a users file.
pub(super) fn account(person: &Principal, verifier: &str) -> String {
    let roles: Vec<&str> = person.roles.iter().map(String::as_str).collect();
    let tenant = person.tenant.as_deref().unwrap_or_default();
    format!(
        "{{ name: {}, tenant: {tenant}, roles: [{}], attributes: {{ practice: p1 }}, scram: \"{verifier}\" }}",
        person.user,
        roles.join(", "),
    )
}

pub(super) fn one_grant() -> String {
    "version: 1\ngrants:\n  - { role: everyone, object: \"*.*\", action: select }\n".to_owned()
}

pub(super) fn policies(size: Size) -> String {
    let mut text = "version: 1\nkeys:\n  k: { from: \"file:mask.key\" }\nroles:\n".to_owned();
    for role in 0..size.roles {
        // Chains of three, so that inheritance counts.
        let parent = if role % 3 == 0 { String::new() } else { format!("role{}", role - 1) };
        let _ = writeln!(text, "  - {{ role: role{role}, inherits: [{parent}] }}");
    }
    text.push_str("grants:\n  - { role: everyone, object: \"lake.*\", action: select }\n");
    for grant in 1..size.grants {
        let role = grant % size.roles;
        let named = table(grant * 31 % size.tables);
        let (object, rest) = match grant % 10 {
            0 => (format!("{SCHEMA}.{}*", &named[..4]), "action: select"),
            1 => (format!("*.{named}"), "action: describe"),
            2 => (format!("{SCHEMA}.{named}"), "tenant: south, action: select, effect: deny"),
            _ => (format!("{SCHEMA}.{named}"), "action: select"),
        };
        let _ = writeln!(text, "  - {{ role: role{role}, object: \"{object}\", {rest} }}");
    }
    text.push_str(
        "row_filters:\n  - { name: tenants, on: [\"lake.*\"], using: \"tenant_id = principal.tenant\" }\n",
    );
    for filter in 1..size.row_filters {
        let named = table(filter * 17 % size.tables);
        let (on, using) = match filter % 20 {
            0 => (format!("{SCHEMA}.{}*", &named[..5]), "c2 = principal.attr('practice') OR c3 IS NULL"),
            1 => (format!("{SCHEMA}.{named}"), "c4 IN ('a', 'b', 'c') AND c5 <> 'closed'"),
            _ => (format!("{SCHEMA}.{named}"), "c2 = principal.attr('practice')"),
        };
        let role = filter % size.roles;
        let _ = writeln!(
            text,
            "  - {{ name: f{filter}, on: [\"{on}\"], to: [everyone], except: [role{role}], using: \"{using}\" }}"
        );
    }
    text.push_str("masks:\n");
    for mask in 0..size.masks {
        let (object, column) = match mask.checked_sub(WIDE) {
            None => ("wide".to_owned(), mask),
            Some(rest) => (table(rest % size.tables), 6 + rest / size.tables % (COLUMNS - 6)),
        };
        let spec = match mask % 4 {
            0 => "{ type: token, domain: d, key: k }",
            1 => "{ type: show_last, n: 2 }",
            2 => "{ type: redact }",
            _ => "{ type: \"null\" }",
        };
        let _ = writeln!(
            text,
            "  - {{ name: m{mask}, on: {SCHEMA}.{object}, column: c{column}, to: [everyone], mask: {spec} }}"
        );
    }
    text
}

/// Tables without rows: what is measured is planned, not read.
pub(super) fn ensure_tables(directory: &Path, size: Size) -> Result<PathBuf> {
    let root = directory.join(format!("policies-{}", size.tables));
    let lake = root.join(SCHEMA);
    if root.join("done").is_file() {
        return Ok(lake);
    }
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for number in 0..size.tables {
        make(&lake.join(table(number)), COLUMNS)?;
    }
    make(&lake.join("wide"), WIDE)?;
    fs::write(root.join("done"), "")?;
    Ok(lake)
}

fn make(table: &Path, columns: usize) -> Result<()> {
    let log = table.join("_delta_log");
    fs::create_dir_all(&log)?;
    let names = (0..columns).map(|n| format!("c{n}")).chain(["tenant_id".to_owned()]);
    let fields: Vec<_> =
        names.map(|name| json!({"name": name, "type": "string", "nullable": true, "metadata": {}})).collect();
    let start = format!(
        "{}\n{}\n",
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {
            "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": 1_700_000_000_000_u64,
        }}),
    );
    fs::write(log.join(format!("{:020}.json", 0)), start)?;
    Ok(())
}
