//! What a single setting cannot know: rules across settings, and what they point at.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use lakeward_policy::document::{Diagnostic, Diagnostics};

use super::node::Origin;
use super::values::{ConfigPath, ListenAddress, Name};
use super::{Config, Secret};

/// Schemas that the service itself fills.
const RESERVED: [&str; 3] = ["information_schema", "pg_catalog", "system"];

/// Rules that hold across settings.
pub(super) fn across(config: &Config, file: &Arc<Path>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let whole_file = Origin::new(file, 0, 0);

    if config.tls.is_none() && !config.listen.allow_insecure {
        let named = [
            ("listen.postgres", Some(&config.listen.postgres)),
            ("listen.http", config.listen.http.as_ref()),
        ];
        for (name, listener) in named {
            if let Some(ListenAddress { address, origin }) =
                listener.filter(|listener| !listener.is_loopback())
            {
                problems.push(origin.complain(format!(
                    "`{name}`: {address} can be reached from other machines, which needs `tls` \
                     (or, knowingly, `listen.allow_insecure: true`)"
                )));
            }
        }
    }

    if config.catalog.layers.is_empty() && config.catalog.tables.is_empty() {
        problems.push(whole_file.complain("`catalog`: expected at least one of `layers` and `tables`"));
    }
    for (schema, location) in &config.catalog.layers {
        problems.extend(schema_problem(schema).map(|message| location.origin.complain(message)));
    }
    let mut names = BTreeSet::new();
    for table in &config.catalog.tables {
        problems.extend(
            schema_problem(table.schema.as_str()).map(|message| table.location.origin.complain(message)),
        );
        if !names.insert((table.schema.as_str(), table.name.as_str())) {
            problems.push(table.location.origin.complain(format!(
                "`catalog.tables`: {}.{} is given twice",
                table.schema.as_str(),
                table.name.as_str()
            )));
        }
    }
    let mut annotated = BTreeSet::new();
    for annotation in &config.catalog.annotations {
        if !annotated.insert((annotation.schema.as_str(), annotation.table.as_str())) {
            problems.push(whole_file.complain(format!(
                "`catalog.annotations`: {}.{} is given twice",
                annotation.schema.as_str(),
                annotation.table.as_str()
            )));
        }
    }
    let mut prefixes = BTreeSet::new();
    for (name, store) in &config.stores {
        if let Err(Diagnostics(found)) = store.options(name) {
            problems.extend(found);
        }
        if !prefixes.insert(store.location.prefix.as_str()) {
            problems.push(
                store.location.origin.complain(format!(
                    "`stores.{name}`: other settings are for {} too",
                    store.location.prefix
                )),
            );
        }
    }
    if config.catalog.refresh_interval.get().is_zero() {
        problems.push(whole_file.complain("`catalog.refresh_interval`: expected more than nothing"));
    }
    for annotation in &config.catalog.annotations {
        if annotation.refresh_interval.is_some_and(|interval| interval.get().is_zero()) {
            let (schema, table) = (annotation.schema.as_str(), annotation.table.as_str());
            problems.push(whole_file.complain(format!(
                "`catalog.annotations`: `refresh_interval` of {schema}.{table}: expected more than nothing"
            )));
        }
    }
    if let Some(managed) = &config.policy.managed
        && !config.policy.files.iter().any(|file| file.path == managed.path)
    {
        problems.push(managed.origin.complain("`policy.managed`: expected one of `policy.files`"));
    }
    problems
}

fn schema_problem(schema: &str) -> Option<String> {
    if !Name::is_valid(schema) {
        return Some(format!("`{schema}`: expected {} as the name of a schema", Name::EXPECTED));
    }
    RESERVED
        .contains(&schema)
        .then(|| format!("`{schema}`: expected another name; the service fills this schema itself"))
}

impl Config {
    /// Complains about files and directories that the configuration names and that are not there.
    #[must_use]
    pub fn missing_files(&self) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        if let Some(tls) = &self.tls {
            problems.extend(file_problem(&tls.certificate, "a certificate"));
            problems.extend(file_problem(&tls.key, "a private key"));
        }
        problems.extend(file_problem(&self.identity.users, "the users file"));
        for issuer in self.identity.issuers.values() {
            problems.extend(file_problem(&issuer.public_key, "a public key"));
        }
        for file in &self.policy.files {
            problems.extend(file_problem(file, "a policy file"));
        }
        let layers = self.catalog.layers.values();
        for location in layers.chain(self.catalog.tables.iter().map(|table| &table.location)) {
            let Some(directory) = location.directory() else { continue };
            if !directory.is_dir() {
                problems.push(
                    location
                        .origin
                        .complain(format!("expected a directory, found none at {}", directory.display())),
                );
            }
        }
        for store in self.stores.values() {
            problems.extend(store.files().into_iter().filter_map(|(file, what)| file_problem(file, what)));
            for secret in store.secrets() {
                if let Err(error) = secret.resolve() {
                    problems.push(secret.origin.complain(error.to_string()));
                }
            }
        }
        if let Err(problem) = self.audit_key() {
            problems.push(problem);
        }
        problems
    }

    /// The key that encrypts statement texts in the audit files; at least 32 bytes.
    pub fn audit_key(&self) -> Result<Secret, Diagnostic> {
        let reference = &self.audit.key;
        match reference.resolve() {
            Ok(secret) if secret.bytes().len() >= 32 => Ok(secret),
            Ok(secret) => Err(reference.origin.complain(format!(
                "`audit.key`: expected at least 32 bytes, found {}",
                secret.bytes().len()
            ))),
            Err(error) => Err(reference.origin.complain(format!("`audit.key`: {error}"))),
        }
    }
}

fn file_problem(path: &ConfigPath, what: &str) -> Option<Diagnostic> {
    match std::fs::metadata(&path.path) {
        Ok(metadata) if metadata.is_file() => None,
        Ok(_) => Some(path.origin.complain(format!(
            "expected {what}, found something that is not a file: {}",
            path.path.display()
        ))),
        Err(error) => Some(
            path.origin.complain(format!("expected {what}, cannot read {}: {error}", path.path.display())),
        ),
    }
}
