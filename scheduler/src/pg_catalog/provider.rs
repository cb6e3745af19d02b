//! The two system schemas as the engine sees them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Result;

use super::LazyCatalog;
use super::relations::{INFORMATION_SCHEMA, PG_CATALOG, relations};
use super::rows::generate;
use crate::system_table::SystemTable;

#[derive(Debug)]
struct SystemSchema {
    tables: HashMap<&'static str, Arc<SystemTable>>,
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables.keys().map(ToString::to_string).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.tables.get(name).map(|table| Arc::clone(table) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }
}

pub(super) fn schema_providers(view: &Arc<LazyCatalog>) -> Vec<(String, Arc<dyn SchemaProvider>)> {
    [PG_CATALOG, INFORMATION_SCHEMA]
        .into_iter()
        .map(|schema| {
            let tables = relations()
                .of_schema(schema)
                .map(|definition| {
                    let view = Arc::clone(view);
                    let table = SystemTable::stable(
                        format!("{schema}.{}", definition.name),
                        Arc::clone(&definition.arrow),
                        move || generate(definition, view.directory()),
                    );
                    (definition.name.as_str(), Arc::new(table))
                })
                .collect();
            (schema.to_string(), Arc::new(SystemSchema { tables }) as Arc<dyn SchemaProvider>)
        })
        .collect()
}
