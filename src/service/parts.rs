//! From settings to the parts of the service; the same for the running service and for checks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lakeward_catalog::{
    CatalogOptions, CatalogSnapshot, ColumnAnnotation, ExplicitTable, LakeCatalog, LayerRoot,
    TableAnnotation, TableState,
};
use lakeward_frontend::tls::Certificates;
use lakeward_policy::document::Diagnostics;
use lakeward_policy::{PolicyEngine, Securable};

use crate::config::{Annotation, Catalog, Config, Policy, Tls};

/// What the catalog is made of.
#[must_use]
pub fn catalog_options(catalog: &Catalog) -> CatalogOptions {
    CatalogOptions {
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
        refresh_interval: catalog.refresh_interval.get(),
        ..CatalogOptions::default()
    }
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
        columns,
    }
}

/// Finds the tables there are.
pub async fn open_catalog(config: &Config) -> anyhow::Result<Arc<LakeCatalog>> {
    LakeCatalog::open(catalog_options(&config.catalog))
        .await
        .map_err(|error| anyhow::anyhow!("cannot open the catalog: {error}"))
}

/// The tables as policies see them.
#[must_use]
pub fn securables(snapshot: &CatalogSnapshot) -> Vec<Securable> {
    snapshot
        .tables()
        .map(|entry| {
            let mut securable = Securable {
                schema: entry.schema.clone(),
                table: entry.name.clone(),
                columns: None,
                tags: Vec::new(),
                column_tags: BTreeMap::new(),
            };
            if let TableState::Available(table) = &entry.state {
                let schema = table.schema();
                securable.tags = table.tags().to_vec();
                securable.column_tags = schema
                    .fields()
                    .iter()
                    .map(|field| (field.name().clone(), table.column_tags(field.name()).to_vec()))
                    .filter(|(_, tags)| !tags.is_empty())
                    .collect();
                securable.columns = Some(schema);
            }
            securable
        })
        .collect()
}

/// Loads the policies and checks them against `tables`.
pub async fn load_policies(policy: &Policy, tables: Vec<Securable>) -> Result<PolicyEngine, Diagnostics> {
    let files: Vec<_> = policy.files.iter().map(|file| file.path.clone()).collect();
    let first = files.first().cloned().unwrap_or_default();
    blocking(&first, move || PolicyEngine::load(files, &tables)).await
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
