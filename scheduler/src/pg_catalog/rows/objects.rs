//! Schemas, tables, views, columns and their descriptions.

use super::super::cells::{Cell, Rows};
use super::super::directory::{Directory, OWNER, OWNER_OID, Relation};
use super::super::types::type_table;

/// Oids of the catalogues a description can be about.
const PG_CLASS: u32 = 1259;
const PG_NAMESPACE: u32 = 2615;

fn readable(directory: &Directory, privileges: &str) -> Cell {
    let acl = directory.acl(privileges);
    if acl.is_empty() { Cell::Null } else { acl.into() }
}

pub(super) fn namespaces(directory: &Directory, rows: &mut Rows) {
    for namespace in &directory.namespaces {
        rows.push([
            ("oid", namespace.oid.into()),
            ("nspname", namespace.name.as_str().into()),
            ("nspowner", OWNER_OID.into()),
            ("nspacl", readable(directory, "U")),
        ]);
    }
}

pub(super) fn classes(directory: &Directory, rows: &mut Rows) {
    for relation in &directory.relations {
        rows.push([
            ("oid", relation.oid.into()),
            ("relname", relation.name.as_str().into()),
            ("relnamespace", relation.namespace.into()),
            ("relowner", OWNER_OID.into()),
            // Not counted: how many rows there are is for the barrier to say.
            ("reltuples", Cell::Float(-1.0)),
            ("relpersistence", "p".into()),
            ("relkind", relation.kind.to_string().into()),
            ("relnatts", Cell::Int(relation.attributes.len() as i64)),
            ("relhasrules", (relation.kind == 'v').into()),
            ("relispopulated", true.into()),
            ("relreplident", if relation.system || relation.kind == 'v' { "n" } else { "d" }.into()),
            ("relacl", readable(directory, "r")),
        ]);
    }
}

fn collation(type_oid: u32) -> u32 {
    type_table().by_oid(type_oid).map_or(0, |row| row.collation)
}

pub(super) fn attributes(directory: &Directory, rows: &mut Rows) {
    for relation in &directory.relations {
        for (index, attribute) in relation.attributes.iter().enumerate() {
            let Some(row) = type_table().by_oid(attribute.pg.oid) else { continue };
            rows.push([
                ("attrelid", relation.oid.into()),
                ("attname", attribute.name.as_str().into()),
                ("atttypid", attribute.pg.oid.into()),
                ("attstattarget", Cell::Int(-1)),
                ("attlen", row.len.into()),
                ("attnum", Cell::Int(index as i64 + 1)),
                ("attndims", i32::from(row.category == "A" && row.name.starts_with('_')).into()),
                ("attcacheoff", Cell::Int(-1)),
                ("atttypmod", attribute.pg.modifier.into()),
                ("attbyval", row.by_value.into()),
                ("attalign", row.align.as_str().into()),
                ("attstorage", row.storage.as_str().into()),
                ("attnotnull", attribute.not_null.into()),
                ("attislocal", true.into()),
                ("attcollation", collation(attribute.pg.oid).into()),
            ]);
        }
    }
}

pub(super) fn descriptions(directory: &Directory, rows: &mut Rows) {
    let mut push = |object: u32, class: u32, sub: i64, text: &Option<String>| {
        if let Some(text) = text {
            rows.push([
                ("objoid", object.into()),
                ("classoid", class.into()),
                ("objsubid", Cell::Int(sub)),
                ("description", text.as_str().into()),
            ]);
        }
    };
    for namespace in &directory.namespaces {
        push(namespace.oid, PG_NAMESPACE, 0, &namespace.description);
    }
    for relation in &directory.relations {
        push(relation.oid, PG_CLASS, 0, &relation.description);
        for (index, attribute) in relation.attributes.iter().enumerate() {
            push(relation.oid, PG_CLASS, index as i64 + 1, &attribute.description);
        }
    }
}

fn of_kind(directory: &Directory, kind: char) -> impl Iterator<Item = &Relation> {
    directory.relations.iter().filter(move |relation| relation.kind == kind)
}

pub(super) fn tables(directory: &Directory, rows: &mut Rows) {
    for relation in of_kind(directory, 'r') {
        rows.push([
            ("schemaname", relation.schema.as_str().into()),
            ("tablename", relation.name.as_str().into()),
            ("tableowner", OWNER.into()),
            ("hasindexes", false.into()),
            ("hasrules", false.into()),
            ("hastriggers", false.into()),
            ("rowsecurity", false.into()),
        ]);
    }
}

pub(super) fn views(directory: &Directory, rows: &mut Rows) {
    for relation in of_kind(directory, 'v') {
        rows.push([
            ("schemaname", relation.schema.as_str().into()),
            ("viewname", relation.name.as_str().into()),
            ("viewowner", OWNER.into()),
            ("definition", relation.definition.clone().into()),
        ]);
    }
}

/// Names only: nothing is counted.
pub(super) fn statistics(directory: &Directory, rows: &mut Rows, system: bool) {
    for relation in of_kind(directory, 'r').filter(|relation| system || !relation.system) {
        rows.push([
            ("relid", relation.oid.into()),
            ("schemaname", relation.schema.as_str().into()),
            ("relname", relation.name.as_str().into()),
        ]);
    }
}
