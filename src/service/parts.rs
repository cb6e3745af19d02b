//! From settings to the parts of the service; the same for the running service and for checks.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use datafusion::execution::runtime_env::RuntimeEnv;
use lakeward_catalog::{
    CatalogOptions, ColumnAnnotation, ExplicitTable, LakeCatalog, LayerRoot, TableAnnotation,
};
use lakeward_executor::{RuntimeOptions, build_runtime};
use lakeward_frontend::pg::PgOptions;
use lakeward_frontend::tls::Certificates;
use lakeward_policy::PolicyEngine;
use lakeward_policy::document::Diagnostics;
use lakeward_policy::identity::{EndUserIssuer, EndUsers, IdentityStore, TokenAlgorithm};
use lakeward_scheduler::audit::{AuditLog, AuditOptions};
use lakeward_scheduler::coordinator::{self, CoordinatorOptions, Views};
use prometheus::Registry;

use crate::config::{Annotation, Config, Execution, Identity, Issuer, Signing, Tls};

/// What the catalog is made of.
pub fn catalog_options(config: &Config) -> Result<CatalogOptions, Diagnostics> {
    let catalog = &config.catalog;
    let stores = config.stores.iter().map(|(name, store)| store.options(name));
    Ok(CatalogOptions {
        roots: catalog
            .layers
            .iter()
            .map(|(schema, location)| LayerRoot { schema: schema.clone(), location: location.url.clone() })
            .collect(),
        tables: catalog
            .tables
            .iter()
            .map(|table| ExplicitTable {
                schema: table.schema.as_str().to_owned(),
                name: table.name.as_str().to_owned(),
                location: table.location.url.clone(),
            })
            .collect(),
        annotations: catalog.annotations.iter().map(annotation).collect(),
        stores: stores.collect::<Result<_, _>>()?,
        refresh_interval: catalog.refresh_interval.get(),
        index_memory: catalog.index_memory.bytes(),
        ..CatalogOptions::default()
    })
}

fn annotation(annotation: &Annotation) -> TableAnnotation {
    let columns: BTreeMap<_, _> = annotation
        .columns
        .iter()
        .map(|(name, column)| {
            (
                name.clone(),
                ColumnAnnotation { description: column.description.clone(), tags: column.tags.clone() },
            )
        })
        .collect();
    TableAnnotation {
        schema: annotation.schema.as_str().to_owned(),
        table: annotation.table.as_str().to_owned(),
        description: annotation.description.clone(),
        tags: annotation.tags.clone(),
        partition_time_zone: annotation.partition_time_zone.clone(),
        refresh_interval: annotation.refresh_interval.map(|interval| interval.get()),
        columns,
    }
}

/// Finds the tables there are.
pub async fn open_catalog(config: &Config) -> anyhow::Result<Arc<LakeCatalog>> {
    LakeCatalog::open(catalog_options(config)?)
        .await
        .map_err(|error| anyhow::anyhow!("cannot open the catalog: {error}"))
}

/// Loads policies and views, and checks them against the tables there are.
pub async fn load_policies(
    config: &Config,
    catalog: &Arc<LakeCatalog>,
) -> Result<(PolicyEngine, Views), Diagnostics> {
    let files: Vec<_> = config.policy.files.iter().map(|file| file.path.clone()).collect();
    let views = config.catalog.views.as_ref().map(|file| file.path.clone());
    let first = files.first().cloned().unwrap_or_default();
    let known = Arc::clone(catalog);
    let loaded = blocking(&first, move || coordinator::load_policies_and_views(files, views, &known)).await;
    loaded.map_err(|Diagnostics(mut problems)| {
        // What names tables of a layer that could not be listed names nothing there is.
        for (schema, reason) in catalog.unreadable_layers().iter() {
            let why = format!(
                "layer {schema} cannot be listed, so rules on its tables cannot be checked: {reason}"
            );
            problems.extend(Diagnostics::file(&first, why).0);
        }
        Diagnostics(problems)
    })
}

/// Loads the users.
pub async fn load_users(identity: &Identity) -> Result<Arc<IdentityStore>, Diagnostics> {
    let (file, issuers) = (identity.users.path.clone(), identity.issuers.clone());
    blocking(&identity.users.path, move || {
        let end_users = end_users(&issuers)?;
        Ok(Arc::new(IdentityStore::load(file)?.with_end_users(end_users)))
    })
    .await
}

/// Reads the keys of those who vouch for end users. Blocking.
fn end_users(issuers: &BTreeMap<String, Issuer>) -> Result<EndUsers, Diagnostics> {
    let (mut known, mut problems) = (Vec::new(), Vec::new());
    for (name, issuer) in issuers {
        let algorithm = match issuer.algorithm {
            Signing::EdDsa => TokenAlgorithm::EdDsa,
            Signing::Es256 => TokenAlgorithm::Es256,
            Signing::Rs256 => TokenAlgorithm::Rs256,
        };
        match EndUserIssuer::load(name, &issuer.audience, algorithm, &issuer.public_key.path) {
            Ok(issuer) => known.push(issuer),
            Err(why) => {
                let file = issuer.public_key.path.display();
                let why = format!("`identity.issuers.{name}.public_key`: {file} {why}");
                problems.push(issuer.public_key.origin.complain(why));
            }
        }
    }
    if problems.is_empty() { Ok(EndUsers::new(known)) } else { Err(Diagnostics(problems)) }
}

/// Opens the audit trail.
pub async fn open_audit(config: &Config) -> anyhow::Result<Arc<AuditLog>> {
    let key = config.audit_key().map_err(Diagnostics::from)?;
    let options = AuditOptions::new(config.audit.directory.path.clone(), key.into_bytes());
    let directory = config.audit.directory.path.display();
    tokio::task::spawn_blocking(move || AuditLog::open(options))
        .await?
        .with_context(|| format!("cannot open the audit trail in {directory}"))
}

/// Prepares memory, spill directory and stores for queries.
pub async fn runtime(execution: &Execution, catalog: &LakeCatalog) -> anyhow::Result<Arc<RuntimeEnv>> {
    let options = RuntimeOptions {
        memory_limit: execution.memory_limit.bytes(),
        spill_directory: execution.spill_directory.path.clone(),
        spill_limit: execution.spill_limit.bytes() as u64,
        footer_cache: execution.footer_cache.bytes(),
    };
    let stores = catalog.object_stores();
    Ok(tokio::task::spawn_blocking(move || build_runtime(&options, stores)).await??)
}

/// Limits and names of the coordinator.
#[must_use]
pub fn coordinator_options(config: &Config) -> CoordinatorOptions {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    CoordinatorOptions {
        database: config.database.as_str().to_owned(),
        statement_timeout: config.execution.statement_timeout.limit(),
        target_partitions: match config.execution.target_partitions.get() {
            0 => cores(),
            given => given,
        },
        batch_size: config.execution.batch_size.get(),
        pushdown_filters: config.execution.pushdown_filters,
    }
}

/// How the PostgreSQL listener behaves.
#[must_use]
pub fn pg_options(config: &Config, certificates: Option<Arc<Certificates>>, metrics: Registry) -> PgOptions {
    let mut options = PgOptions::new(config.database.as_str(), metrics);
    options.max_connections = config.execution.max_connections.get();
    // A certificate that clients may decline protects nobody beyond this machine.
    options.require_tls =
        certificates.is_some() && !config.listen.postgres.is_loopback() && !config.listen.allow_insecure;
    options.tls = certificates;
    options
}

/// Loads the certificate; complains where the configuration names it.
pub async fn load_certificates(tls: &Tls) -> Result<Arc<Certificates>, Diagnostics> {
    let (certificate, key) = (tls.certificate.path.clone(), tls.key.path.clone());
    let origin = tls.certificate.origin.clone();
    blocking(&tls.certificate.path, move || {
        Certificates::load(&certificate, &key).map_err(|error| origin.complain(error.to_string()).into())
    })
    .await
}

/// Runs what reads files away from the async threads.
pub async fn blocking<T: Send + 'static>(
    file: &Path,
    work: impl FnOnce() -> Result<T, Diagnostics> + Send + 'static,
) -> Result<T, Diagnostics> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Diagnostics::file(file, "reading it failed unexpectedly")),
    }
}
