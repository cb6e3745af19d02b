//! Types, functions, roles, the database and the small fixed tables.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::super::cells::{Cell, Rows};
use super::super::directory::{Directory, OWNER_OID, PG_CATALOG_OID};
use super::super::types::type_table;

/// One row of `pg_proc`, as PostgreSQL 15 ships it.
pub(in crate::pg_catalog) struct FunctionRow {
    pub(in crate::pg_catalog) oid: u32,
    pub(in crate::pg_catalog) name: String,
    pub(in crate::pg_catalog) kind: String,
    pub(in crate::pg_catalog) returns_set: bool,
    pub(in crate::pg_catalog) volatility: String,
    pub(in crate::pg_catalog) strict: bool,
    pub(in crate::pg_catalog) result: u32,
    pub(in crate::pg_catalog) arguments: Vec<u32>,
}

/// The functions listed in `pg_proc`: those that types refer to, and those that clients ask for by name.
pub(in crate::pg_catalog) fn function_rows() -> &'static [FunctionRow] {
    static ROWS: OnceLock<Vec<FunctionRow>> = OnceLock::new();
    ROWS.get_or_init(|| {
        include_str!("../data/functions.tsv")
            .lines()
            .filter_map(|line| {
                let mut cells = line.split('\t');
                Some(FunctionRow {
                    oid: cells.next()?.parse().ok()?,
                    name: cells.next()?.to_string(),
                    kind: cells.next()?.to_string(),
                    returns_set: cells.next()? == "t",
                    volatility: cells.next()?.to_string(),
                    strict: cells.next()? == "t",
                    result: cells.next()?.parse().ok()?,
                    arguments: cells.next()?.split_whitespace().filter_map(|oid| oid.parse().ok()).collect(),
                })
            })
            .collect()
    })
}

/// Oid of the one listed function of that name; None where there are several or none.
pub(in crate::pg_catalog) fn proc_oid(name: &str) -> Option<u32> {
    static BY_NAME: OnceLock<HashMap<&'static str, Vec<u32>>> = OnceLock::new();
    let by_name = BY_NAME.get_or_init(|| {
        let mut map: HashMap<&'static str, Vec<u32>> = HashMap::new();
        for row in function_rows() {
            map.entry(row.name.as_str()).or_default().push(row.oid);
        }
        map
    });
    match by_name.get(name).map(Vec::as_slice) {
        Some([oid]) => Some(*oid),
        _ => None,
    }
}

pub(super) fn types(rows: &mut Rows) {
    for row in &type_table().rows {
        let [input, output, receive, send, modifier_in, modifier_out, subscript] = row.functions;
        rows.push([
            ("oid", row.oid.into()),
            ("typname", row.name.as_str().into()),
            ("typnamespace", PG_CATALOG_OID.into()),
            ("typowner", OWNER_OID.into()),
            ("typlen", row.len.into()),
            ("typbyval", row.by_value.into()),
            ("typtype", row.kind.as_str().into()),
            ("typcategory", row.category.as_str().into()),
            ("typispreferred", row.preferred.into()),
            ("typisdefined", true.into()),
            ("typdelim", row.delimiter.as_str().into()),
            ("typsubscript", subscript.into()),
            ("typelem", row.element.into()),
            ("typarray", row.array.into()),
            ("typinput", input.into()),
            ("typoutput", output.into()),
            ("typreceive", receive.into()),
            ("typsend", send.into()),
            ("typmodin", modifier_in.into()),
            ("typmodout", modifier_out.into()),
            ("typalign", row.align.as_str().into()),
            ("typstorage", row.storage.as_str().into()),
            ("typtypmod", Cell::Int(-1)),
            ("typcollation", row.collation.into()),
        ]);
    }
}

/// Range, element and multirange types.
const RANGES: [(u32, u32, u32); 6] = [
    (3904, 23, 4451),
    (3906, 1700, 4532),
    (3908, 1114, 4533),
    (3910, 1184, 4534),
    (3912, 1082, 4535),
    (3926, 20, 4536),
];

pub(super) fn ranges(rows: &mut Rows) {
    for (range, element, multirange) in RANGES {
        rows.push([
            ("rngtypid", range.into()),
            ("rngsubtype", element.into()),
            ("rngmultitypid", multirange.into()),
        ]);
    }
}

pub(super) fn functions(rows: &mut Rows) {
    for row in function_rows() {
        rows.push([
            ("oid", row.oid.into()),
            ("proname", row.name.as_str().into()),
            ("pronamespace", PG_CATALOG_OID.into()),
            ("proowner", OWNER_OID.into()),
            ("prolang", Cell::Int(12)),
            ("procost", Cell::Float(1.0)),
            ("prokind", row.kind.as_str().into()),
            ("proisstrict", row.strict.into()),
            ("proretset", row.returns_set.into()),
            ("provolatile", row.volatility.as_str().into()),
            ("proparallel", "s".into()),
            ("pronargs", Cell::Int(row.arguments.len() as i64)),
            ("prorettype", row.result.into()),
            ("proargtypes", row.arguments.clone().into()),
            ("prosrc", row.name.as_str().into()),
        ]);
    }
}

pub(super) fn database(directory: &Directory, rows: &mut Rows) {
    rows.push([
        ("oid", directory.database_oid.into()),
        ("datname", directory.database.as_str().into()),
        ("datdba", OWNER_OID.into()),
        ("encoding", Cell::Int(6)),
        ("datlocprovider", "c".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", Cell::Int(-1)),
        ("dattablespace", Cell::Int(1663)),
        ("datcollate", "C.UTF-8".into()),
        ("datctype", "C.UTF-8".into()),
        ("datacl", directory.acl("c").into()),
    ]);
}

pub(super) fn roles(directory: &Directory, rows: &mut Rows) {
    for role in &directory.roles {
        rows.push([
            ("rolname", role.name.as_str().into()),
            ("rolsuper", role.is_owner.into()),
            ("rolinherit", true.into()),
            ("rolcreaterole", false.into()),
            ("rolcreatedb", false.into()),
            ("rolcanlogin", role.is_user.into()),
            ("rolreplication", false.into()),
            ("rolconnlimit", Cell::Int(-1)),
            ("rolpassword", "********".into()),
            ("rolbypassrls", role.is_owner.into()),
            ("oid", role.oid.into()),
        ]);
    }
}

pub(super) fn users(directory: &Directory, rows: &mut Rows) {
    for role in directory.roles.iter().filter(|role| role.is_user) {
        rows.push([
            ("usename", role.name.as_str().into()),
            ("usesysid", role.oid.into()),
            ("usecreatedb", false.into()),
            ("usesuper", role.is_owner.into()),
            ("userepl", false.into()),
            ("usebypassrls", role.is_owner.into()),
            ("passwd", "********".into()),
        ]);
    }
}

pub(super) fn groups(directory: &Directory, rows: &mut Rows) {
    for role in directory.roles.iter().filter(|role| !role.is_user && !role.is_owner) {
        rows.push([
            ("groname", role.name.as_str().into()),
            ("grosysid", role.oid.into()),
            ("grolist", vec![directory.user_oid()].into()),
        ]);
    }
}

pub(super) fn memberships(directory: &Directory, rows: &mut Rows) {
    for role in directory.roles.iter().filter(|role| !role.is_user && !role.is_owner) {
        rows.push([
            ("roleid", role.oid.into()),
            ("member", directory.user_oid().into()),
            ("grantor", OWNER_OID.into()),
        ]);
    }
}

pub(super) fn access_methods(rows: &mut Rows) {
    // Clients look these two up by name; nothing here is stored by them.
    rows.push([("oid", Cell::Int(2)), ("amname", "heap".into()), ("amtype", "t".into())]);
    rows.push([("oid", Cell::Int(403)), ("amname", "btree".into()), ("amtype", "i".into())]);
}

pub(super) fn collations(rows: &mut Rows) {
    for (oid, name, provider, locale) in
        [(100, "default", "d", None), (950, "C", "c", Some("C")), (951, "POSIX", "c", Some("POSIX"))]
    {
        rows.push([
            ("oid", Cell::Int(oid)),
            ("collname", name.into()),
            ("collnamespace", PG_CATALOG_OID.into()),
            ("collowner", OWNER_OID.into()),
            ("collprovider", provider.into()),
            ("collisdeterministic", true.into()),
            ("collencoding", Cell::Int(-1)),
            ("collcollate", locale.into()),
            ("collctype", locale.into()),
        ]);
    }
}

pub(super) fn languages(rows: &mut Rows) {
    for (oid, name, trusted) in [(12, "internal", false), (14, "sql", true)] {
        rows.push([
            ("oid", Cell::Int(oid)),
            ("lanname", name.into()),
            ("lanowner", OWNER_OID.into()),
            ("lanpltrusted", trusted.into()),
        ]);
    }
}

pub(super) fn tablespaces(rows: &mut Rows) {
    for (oid, name) in [(1663, "pg_default"), (1664, "pg_global")] {
        rows.push([("oid", Cell::Int(oid)), ("spcname", name.into()), ("spcowner", OWNER_OID.into())]);
    }
}
