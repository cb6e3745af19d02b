//! `information_schema`, from the same directory.

use super::super::cells::{Cell, Rows};
use super::super::directory::{Attribute, Directory, OWNER, Relation};
use super::super::types::{oid, type_table};

pub(super) fn fill(name: &str, directory: &Directory, rows: &mut Rows) {
    match name {
        "information_schema_catalog_name" => rows.push([("catalog_name", catalog(directory))]),
        "schemata" => schemata(directory, rows),
        "tables" => tables(directory, rows),
        "columns" => columns(directory, rows),
        "views" => views(directory, rows),
        "element_types" => element_types(directory, rows),
        "table_privileges" | "role_table_grants" => table_privileges(directory, rows),
        "column_privileges" | "role_column_grants" => column_privileges(directory, rows),
        "enabled_roles" => enabled_roles(directory, rows),
        "applicable_roles" => applicable_roles(directory, rows),
        "character_sets" => rows.push([
            ("character_set_name", "UTF8".into()),
            ("character_repertoire", "UCS".into()),
            ("form_of_use", "UTF8".into()),
            ("default_collate_catalog", catalog(directory)),
        ]),
        _ => {}
    }
}

fn catalog(directory: &Directory) -> Cell {
    directory.database.as_str().into()
}

fn schemata(directory: &Directory, rows: &mut Rows) {
    for namespace in &directory.namespaces {
        rows.push([
            ("catalog_name", catalog(directory)),
            ("schema_name", namespace.name.as_str().into()),
            ("schema_owner", OWNER.into()),
        ]);
    }
}

fn tables(directory: &Directory, rows: &mut Rows) {
    for relation in &directory.relations {
        rows.push([
            ("table_catalog", catalog(directory)),
            ("table_schema", relation.schema.as_str().into()),
            ("table_name", relation.name.as_str().into()),
            ("table_type", if relation.kind == 'v' { "VIEW" } else { "BASE TABLE" }.into()),
            ("is_insertable_into", "NO".into()),
            ("is_typed", "NO".into()),
        ]);
    }
}

/// Precision, radix and scale of a number.
fn numeric(attribute: &Attribute) -> (Cell, Cell, Cell) {
    let binary = |bits: i64, scale: Cell| (Cell::Int(bits), Cell::Int(2), scale);
    match attribute.pg.oid {
        oid::INT2 => binary(16, Cell::Int(0)),
        oid::INT4 => binary(32, Cell::Int(0)),
        oid::INT8 => binary(64, Cell::Int(0)),
        oid::FLOAT4 => binary(24, Cell::Null),
        oid::FLOAT8 => binary(53, Cell::Null),
        oid::NUMERIC if attribute.pg.modifier >= 4 => {
            let packed = attribute.pg.modifier - 4;
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            (Cell::from((packed >> 16) & 0xffff), Cell::Int(10), Cell::from(scale))
        }
        oid::NUMERIC => (Cell::Null, Cell::Int(10), Cell::Null),
        _ => (Cell::Null, Cell::Null, Cell::Null),
    }
}

fn columns(directory: &Directory, rows: &mut Rows) {
    for relation in &directory.relations {
        for (index, attribute) in relation.attributes.iter().enumerate() {
            let Some(row) = type_table().by_oid(attribute.pg.oid) else { continue };
            let array = row.category == "A" && row.element != 0;
            let (precision, radix, scale) = numeric(attribute);
            let datetime = match attribute.pg.oid {
                oid::DATE => Cell::Int(0),
                oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL => Cell::Int(6),
                _ => Cell::Null,
            };
            let octets = if matches!(attribute.pg.oid, oid::TEXT | oid::VARCHAR) {
                Cell::Int(1_073_741_824)
            } else {
                Cell::Null
            };
            let position = index as i64 + 1;
            rows.push([
                ("table_catalog", catalog(directory)),
                ("table_schema", relation.schema.as_str().into()),
                ("table_name", relation.name.as_str().into()),
                ("column_name", attribute.name.as_str().into()),
                ("ordinal_position", Cell::Int(position)),
                ("is_nullable", if attribute.not_null { "NO" } else { "YES" }.into()),
                ("data_type", if array { "ARRAY" } else { row.display.as_str() }.into()),
                ("character_octet_length", octets),
                ("numeric_precision", precision),
                ("numeric_precision_radix", radix),
                ("numeric_scale", scale),
                ("datetime_precision", datetime),
                ("udt_catalog", catalog(directory)),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", row.name.as_str().into()),
                ("dtd_identifier", position.to_string().into()),
                ("is_self_referencing", "NO".into()),
                ("is_identity", "NO".into()),
                ("identity_cycle", "NO".into()),
                ("is_generated", "NEVER".into()),
                ("is_updatable", "NO".into()),
            ]);
        }
    }
}

fn views(directory: &Directory, rows: &mut Rows) {
    for relation in directory.relations.iter().filter(|relation| relation.kind == 'v') {
        rows.push([
            ("table_catalog", catalog(directory)),
            ("table_schema", relation.schema.as_str().into()),
            ("table_name", relation.name.as_str().into()),
            ("view_definition", relation.definition.clone().into()),
            ("check_option", "NONE".into()),
            ("is_updatable", "NO".into()),
            ("is_insertable_into", "NO".into()),
            ("is_trigger_updatable", "NO".into()),
            ("is_trigger_deletable", "NO".into()),
            ("is_trigger_insertable_into", "NO".into()),
        ]);
    }
}

fn element_types(directory: &Directory, rows: &mut Rows) {
    for relation in &directory.relations {
        for (index, attribute) in relation.attributes.iter().enumerate() {
            let element = type_table()
                .by_oid(attribute.pg.oid)
                .filter(|row| row.category == "A")
                .and_then(|row| type_table().by_oid(row.element));
            let Some(element) = element else { continue };
            let position = index + 1;
            rows.push([
                ("object_catalog", catalog(directory)),
                ("object_schema", relation.schema.as_str().into()),
                ("object_name", relation.name.as_str().into()),
                ("object_type", if relation.kind == 'v' { "VIEW" } else { "TABLE" }.into()),
                ("collection_type_identifier", position.to_string().into()),
                ("data_type", element.display.as_str().into()),
                ("udt_catalog", catalog(directory)),
                ("udt_schema", "pg_catalog".into()),
                ("udt_name", element.name.as_str().into()),
                ("dtd_identifier", format!("a{position}").into()),
            ]);
        }
    }
}

/// What the user may read; nobody else's rights are shown.
fn readable(directory: &Directory) -> impl Iterator<Item = &Relation> {
    directory.user_relations()
}

fn table_privileges(directory: &Directory, rows: &mut Rows) {
    for relation in readable(directory) {
        rows.push([
            ("grantor", OWNER.into()),
            ("grantee", directory.user.as_str().into()),
            ("table_catalog", catalog(directory)),
            ("table_schema", relation.schema.as_str().into()),
            ("table_name", relation.name.as_str().into()),
            ("privilege_type", "SELECT".into()),
            ("is_grantable", "NO".into()),
            ("with_hierarchy", "YES".into()),
        ]);
    }
}

fn column_privileges(directory: &Directory, rows: &mut Rows) {
    for relation in readable(directory) {
        for attribute in &relation.attributes {
            rows.push([
                ("grantor", OWNER.into()),
                ("grantee", directory.user.as_str().into()),
                ("table_catalog", catalog(directory)),
                ("table_schema", relation.schema.as_str().into()),
                ("table_name", relation.name.as_str().into()),
                ("column_name", attribute.name.as_str().into()),
                ("privilege_type", "SELECT".into()),
                ("is_grantable", "NO".into()),
            ]);
        }
    }
}

fn enabled_roles(directory: &Directory, rows: &mut Rows) {
    for role in directory.roles.iter().filter(|role| role.is_user || !role.is_owner) {
        rows.push([("role_name", role.name.as_str().into())]);
    }
}

fn applicable_roles(directory: &Directory, rows: &mut Rows) {
    for role in directory.roles.iter().filter(|role| !role.is_user && !role.is_owner) {
        rows.push([
            ("grantee", directory.user.as_str().into()),
            ("role_name", role.name.as_str().into()),
            ("is_grantable", "NO".into()),
        ]);
    }
}
