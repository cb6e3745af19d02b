//! The rows of the system relations. What is not listed here exists with its columns and is empty.

mod cluster;
mod information;
mod objects;
mod settings;

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;

use super::cells::Rows;
use super::directory::Directory;
use super::relations::{INFORMATION_SCHEMA, RelationDefinition};

pub(in crate::pg_catalog) use cluster::{function_rows, proc_oid};

/// The rows of one relation.
pub(super) fn generate(
    definition: &'static RelationDefinition,
    directory: &Arc<Directory>,
) -> Result<Vec<RecordBatch>> {
    let mut rows = Rows::new(definition);
    if definition.schema == INFORMATION_SCHEMA {
        information::fill(&definition.name, directory, &mut rows);
        return rows.finish();
    }
    match definition.name.as_str() {
        "pg_namespace" => objects::namespaces(directory, &mut rows),
        "pg_class" => objects::classes(directory, &mut rows),
        "pg_attribute" => objects::attributes(directory, &mut rows),
        "pg_description" => objects::descriptions(directory, &mut rows),
        "pg_tables" => objects::tables(directory, &mut rows),
        "pg_views" => objects::views(directory, &mut rows),
        "pg_stat_user_tables" => objects::statistics(directory, &mut rows, false),
        "pg_stat_all_tables" => objects::statistics(directory, &mut rows, true),
        "pg_type" => cluster::types(&mut rows),
        "pg_range" => cluster::ranges(&mut rows),
        "pg_proc" => cluster::functions(&mut rows),
        "pg_database" => cluster::database(directory, &mut rows),
        "pg_roles" => cluster::roles(directory, &mut rows),
        "pg_user" => cluster::users(directory, &mut rows),
        "pg_group" => cluster::groups(directory, &mut rows),
        "pg_auth_members" => cluster::memberships(directory, &mut rows),
        "pg_am" => cluster::access_methods(&mut rows),
        "pg_collation" => cluster::collations(&mut rows),
        "pg_language" => cluster::languages(&mut rows),
        "pg_tablespace" => cluster::tablespaces(&mut rows),
        "pg_settings" => settings::settings(&mut rows),
        _ => {}
    }
    rows.finish()
}
