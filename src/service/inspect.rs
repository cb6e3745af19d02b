//! Checks without serving: what `lakeward config check` and `lakeward policy check` do.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use lakeward_catalog::{CatalogSnapshot, TableState};
use lakeward_policy::document::{Diagnostic, Diagnostics};
use lakeward_policy::identity::UserDirectory;
use lakeward_scheduler::coordinator;

use super::parts;
use crate::config::Config;

/// Checks the configuration and everything it names; complains about all of it at once.
/// Gives a summary for people.
pub async fn everything(file: &Path) -> Result<String, Diagnostics> {
    let config = Config::load(file)?;
    let mut problems = config.missing_files();
    let mut summary = String::new();

    if let Some(tls) =
        config.tls.as_ref().filter(|tls| tls.certificate.path.exists() && tls.key.path.exists())
    {
        match parts::load_certificates(tls).await {
            Ok(certificates) => {
                let _ = writeln!(summary, "certificate: valid until {}", certificates.not_after());
            }
            Err(Diagnostics(found)) => problems.extend(found),
        }
    }
    let users = config.identity.users.path.clone();
    if users.exists() {
        match parts::blocking(&users.clone(), move || UserDirectory::load(&users)).await {
            Ok(directory) => {
                let _ = writeln!(summary, "users: {}", directory.len());
            }
            Err(Diagnostics(found)) => problems.extend(found),
        }
    }
    // Policies are checked against tables; without directories every rule would seem to name none.
    let present = config.policy.files.iter().all(|file| file.path.exists())
        && config
            .catalog
            .layers
            .values()
            .all(|layer| layer.directory().is_none_or(|directory| directory.is_dir()));
    if present {
        match policies(&config).await {
            Ok(report) => summary.push_str(&report.summary),
            Err(Diagnostics(found)) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(summary.trim_end().to_owned()) } else { Err(Diagnostics(problems)) }
}

/// Policies that may be put in force.
#[derive(Debug)]
pub struct PolicyReport {
    /// For people: how many tables and rules there are.
    pub summary: String,
    /// What looks like a mistake and is none for sure.
    pub warnings: Vec<Diagnostic>,
}

/// Checks the policies against the tables there are.
pub async fn policies(config: &Config) -> Result<PolicyReport, Diagnostics> {
    let catalog = parts::open_catalog(config).await.map_err(|error| {
        let problem = match config.catalog.layers.values().next() {
            Some(layer) => layer.origin.complain(error.to_string()),
            None => Diagnostic { file: "catalog".into(), line: 0, column: 0, message: error.to_string() },
        };
        Diagnostics::from(problem)
    })?;
    let unreadable: Vec<_> = catalog
        .unreadable_layers()
        .iter()
        .map(|(schema, reason)| match config.catalog.layers.get(schema) {
            Some(layer) => layer.origin.complain(format!("layer {schema}: {reason}")),
            None => Diagnostic { file: "catalog".into(), line: 0, column: 0, message: reason.clone() },
        })
        .collect();
    if !unreadable.is_empty() {
        return Err(Diagnostics(unreadable));
    }
    let snapshot = catalog.snapshot();
    let (engine, views) = parts::load_policies(config, &catalog).await?;
    let policies = engine.current();
    let mut summary = tables(&snapshot);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in policies.describe() {
        *kinds.entry(rule.kind).or_default() += 1;
    }
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, count)| format!("{count} {kind}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    for line in views.describe(&snapshot, &policies).await {
        let _ = writeln!(summary, "{line}");
    }
    if !engine.current().grants_anything() {
        let _ = writeln!(summary, "NO POLICIES: nothing is granted to anybody, so nobody sees any table");
    }
    let kinds = if kinds.is_empty() { vec!["none".to_owned()] } else { kinds };
    let _ = write!(summary, "policies: {} in {} file(s)", kinds.join(", "), config.policy.files.len());
    let first = config.policy.files.first().map(|file| file.path.clone()).unwrap_or_default();
    let mut known = coordinator::securables(&snapshot);
    known.extend(views.securables(&snapshot).await);
    let warnings = parts::blocking(&first, move || Ok(policies.warnings(&known))).await?;
    Ok(PolicyReport { summary, warnings })
}

fn tables(snapshot: &CatalogSnapshot) -> String {
    let mut schemas: BTreeMap<&str, usize> = BTreeMap::new();
    let mut summary = String::new();
    for entry in snapshot.tables() {
        *schemas.entry(&entry.schema).or_default() += 1;
        if let TableState::Unavailable { reason } = &entry.state {
            let _ = writeln!(summary, "unavailable: {}.{}: {reason}", entry.schema, entry.name);
        }
    }
    let schemas: Vec<_> = schemas.iter().map(|(schema, count)| format!("{schema} ({count})")).collect();
    format!("tables: {}\n{summary}", schemas.join(", "))
}
