//! Object identifiers of one principal's view: who has which oid, and what an oid names.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::relations::{INFORMATION_SCHEMA, PG_CATALOG, relations};
use super::types::{PgTypeInfo, pg_type};
use super::{VisibleCatalog, VisibleSchema, VisibleTable};

/// First oid PostgreSQL gives to what users make.
const FIRST_NORMAL_OID: u32 = 16_384;
/// Oid of the role that owns everything; PostgreSQL's bootstrap superuser has it too.
pub(super) const OWNER_OID: u32 = 10;
/// The role that owns everything: the service itself.
pub(super) const OWNER: &str = "lakeward";
/// Oid of schema pg_catalog.
pub(super) const PG_CATALOG_OID: u32 = 11;
/// Oid of schema information_schema, as in a freshly made PostgreSQL 15.
pub(super) const INFORMATION_SCHEMA_OID: u32 = 13_207;

/// A schema.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) description: Option<String>,
}

/// A column.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) pg: PgTypeInfo,
    pub(super) not_null: bool,
    pub(super) description: Option<String>,
}

/// A table or view.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) oid: u32,
    pub(super) namespace: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// `r` or `v`.
    pub(super) kind: char,
    /// Whether it belongs to pg_catalog or information_schema.
    pub(super) system: bool,
    pub(super) description: Option<String>,
    /// Query of a view, where the user may know it.
    pub(super) definition: Option<String>,
    pub(super) attributes: Vec<Attribute>,
}

/// A role.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) oid: u32,
    pub(super) name: String,
    /// The connected user, the one role here that can log in.
    pub(super) is_user: bool,
    /// The service's own role.
    pub(super) is_owner: bool,
}

/// Everything that has an oid, system relations included.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) database: String,
    pub(super) database_oid: u32,
    pub(super) user: String,
    pub(super) server_version: String,
    pub(super) namespaces: Vec<Namespace>,
    /// System relations first, then by schema and name.
    pub(super) relations: Vec<Relation>,
    pub(super) roles: Vec<Role>,
    relation_by_oid: HashMap<u32, usize>,
    relation_by_name: HashMap<String, HashMap<String, usize>>,
}

/// Gives out oids from 16384 up: the hash of what is named, the next free one where two meet. A name
/// keeps its oid whatever else the view holds or hides, unless it collides within the view.
struct Allocator(HashSet<u32>);

impl Allocator {
    fn allocate(&mut self, kind: &str, parts: &[&str]) -> u32 {
        let mut hasher = Sha256::new();
        for part in std::iter::once(&kind).chain(parts) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let digest = hasher.finalize();
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&digest[..4]);
        // Some clients keep an oid in a signed 32-bit integer.
        let span = i32::MAX.unsigned_abs() - FIRST_NORMAL_OID;
        let mut oid = FIRST_NORMAL_OID + u32::from_le_bytes(bytes) % span;
        while !self.0.insert(oid) {
            oid = FIRST_NORMAL_OID + (oid + 1 - FIRST_NORMAL_OID) % span;
        }
        oid
    }
}

impl Directory {
    pub(super) fn new(view: &VisibleCatalog) -> Self {
        let mut oids = Allocator(HashSet::new());
        let mut relations = system_relations();
        let mut namespaces = vec![
            Namespace {
                oid: PG_CATALOG_OID,
                name: PG_CATALOG.to_string(),
                description: Some("system catalog schema".to_string()),
            },
            Namespace {
                oid: INFORMATION_SCHEMA_OID,
                name: INFORMATION_SCHEMA.to_string(),
                description: None,
            },
        ];
        // Sorted, so that a collision is settled the same way however the caller ordered the view.
        let schemas: BTreeMap<&str, &VisibleSchema> =
            view.schemas.iter().map(|schema| (schema.name.as_str(), schema)).collect();
        for (name, schema) in schemas {
            if name == PG_CATALOG || name == INFORMATION_SCHEMA {
                continue;
            }
            let namespace = oids.allocate("schema", &[name]);
            namespaces.push(Namespace {
                oid: namespace,
                name: name.to_string(),
                description: schema.description.clone(),
            });
            let tables: BTreeMap<&str, &VisibleTable> =
                schema.tables.iter().map(|table| (table.name.as_str(), table)).collect();
            for (table_name, table) in tables {
                relations.push(relation(oids.allocate("table", &[name, table_name]), namespace, name, table));
            }
        }
        let mut roles =
            vec![Role { oid: OWNER_OID, name: OWNER.to_string(), is_user: false, is_owner: true }];
        let mut names: Vec<&str> = view
            .roles
            .iter()
            .map(String::as_str)
            .filter(|name| *name != view.user && *name != OWNER)
            .collect();
        names.sort_unstable();
        names.dedup();
        // A user may be named like the owning role: then they are one row, so that oids and names stay unique.
        if view.user == OWNER {
            if let Some(owner) = roles.first_mut() {
                owner.is_user = true;
            }
        } else {
            names.insert(0, view.user.as_str());
        }
        for name in names {
            roles.push(Role {
                oid: oids.allocate("role", &[name]),
                name: name.to_string(),
                is_user: name == view.user,
                is_owner: false,
            });
        }
        let mut relation_by_oid = HashMap::new();
        let mut relation_by_name: HashMap<String, HashMap<String, usize>> = HashMap::new();
        for (index, relation) in relations.iter().enumerate() {
            relation_by_oid.insert(relation.oid, index);
            relation_by_name.entry(relation.schema.clone()).or_default().insert(relation.name.clone(), index);
        }
        Self {
            database: view.database.clone(),
            database_oid: oids.allocate("database", &[&view.database]),
            user: view.user.clone(),
            server_version: view.server_version.clone(),
            namespaces,
            relations,
            roles,
            relation_by_oid,
            relation_by_name,
        }
    }

    pub(super) fn relation(&self, oid: u32) -> Option<&Relation> {
        self.relation_by_oid.get(&oid).and_then(|index| self.relations.get(*index))
    }

    pub(super) fn relation_named(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.relations.get(*self.relation_by_name.get(schema)?.get(name)?)
    }

    pub(super) fn namespace(&self, oid: u32) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.oid == oid)
    }

    pub(super) fn namespace_named(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.name == name)
    }

    pub(super) fn role(&self, oid: u32) -> Option<&Role> {
        self.roles.iter().find(|role| role.oid == oid)
    }

    pub(super) fn role_named(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// The connected user's role.
    pub(super) fn user_oid(&self) -> u32 {
        self.roles.iter().find(|role| role.is_user).map_or(OWNER_OID, |role| role.oid)
    }

    /// Relations that the view added: not the system's.
    pub(super) fn user_relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter().filter(|relation| !relation.system)
    }

    /// Access privileges of what the user may read, in PostgreSQL's notation.
    pub(super) fn acl(&self, privileges: &str) -> Vec<String> {
        let mut acl = vec![format!("{}={privileges}/{OWNER}", quote_acl(&self.user))];
        if self.user == OWNER {
            acl.clear();
        }
        acl
    }
}

fn quote_acl(name: &str) -> String {
    if name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        name.to_string()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn system_relations() -> Vec<Relation> {
    relations()
        .all
        .iter()
        .map(|definition| Relation {
            oid: definition.oid,
            namespace: if definition.schema == PG_CATALOG { PG_CATALOG_OID } else { INFORMATION_SCHEMA_OID },
            schema: definition.schema.clone(),
            name: definition.name.clone(),
            kind: definition.kind,
            system: true,
            description: None,
            definition: None,
            attributes: definition
                .columns
                .iter()
                .map(|column| Attribute {
                    name: column.name.clone(),
                    pg: super::types::type_info(column.type_oid),
                    not_null: column.not_null,
                    description: None,
                })
                .collect(),
        })
        .collect()
}

fn relation(oid: u32, namespace: u32, schema: &str, table: &VisibleTable) -> Relation {
    Relation {
        oid,
        namespace,
        schema: schema.to_string(),
        name: table.name.clone(),
        kind: if table.is_view { 'v' } else { 'r' },
        system: false,
        description: table.description.clone(),
        definition: table.definition.clone(),
        attributes: table
            .columns
            .iter()
            .map(|column| Attribute {
                name: column.name.clone(),
                pg: pg_type(&column.data_type),
                not_null: !column.nullable,
                description: column.description.clone(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn an_oid_does_not_depend_on_what_else_is_visible() {
        let whole = sample();
        let mut part = sample();
        part.schemas.retain(|schema| schema.name == "silver");
        for schema in &mut part.schemas {
            schema.tables.retain(|table| table.name == "patients");
        }
        let (whole, part) = (Directory::new(&whole), Directory::new(&part));
        let oid = |directory: &Directory| directory.relation_named("silver", "patients").unwrap().oid;
        assert_eq!(oid(&whole), oid(&part));
        assert!(oid(&whole) >= FIRST_NORMAL_OID);
        assert_eq!(whole.namespace_named("silver").unwrap().oid, part.namespace_named("silver").unwrap().oid);
        assert!(part.relation_named("gold", "monthly").is_none());
    }

    #[test]
    fn no_two_objects_share_an_oid() {
        let mut view = sample();
        let template = view.schemas[0].tables[0].columns.len();
        assert!(template > 0);
        for number in 0..20_000 {
            view.schemas[0].tables.push(VisibleTable {
                name: format!("t{number}"),
                is_view: false,
                definition: None,
                description: None,
                columns: Vec::new(),
            });
        }
        let directory = Directory::new(&view);
        let oids: HashSet<u32> = directory.relations.iter().map(|relation| relation.oid).collect();
        assert_eq!(oids.len(), directory.relations.len());
    }
}
