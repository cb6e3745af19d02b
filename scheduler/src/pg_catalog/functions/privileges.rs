//! Who may do what: a principal reads what is in the view, and changes nothing.

use datafusion::common::Result;

use super::super::cells::Cell;
use super::super::directory::Relation;
use super::super::error::RewriteError;
use super::super::types::oid as types;
use super::names::search_path;
use super::{Definition, Environment, Kind, oid, strict, text};
use crate::error::SqlState;

/// `(user,) object, privilege`: the user may be left out.
const TWO_OR_THREE: &[Kind] = &[Kind::Object, Kind::Object, Kind::Text];
/// `(user,) table, column, privilege`.
const THREE_OR_FOUR: &[Kind] = &[Kind::Object, Kind::Object, Kind::Object, Kind::Text];

pub(super) const DEFINITIONS: &[Definition] = &[
    strict("has_table_privilege", TWO_OR_THREE, 2, types::BOOL, |env, args| {
        relation_privilege(env, args).map(Cell::from)
    }),
    strict("has_any_column_privilege", TWO_OR_THREE, 2, types::BOOL, |env, args| {
        relation_privilege(env, args).map(Cell::from)
    }),
    strict("has_column_privilege", THREE_OR_FOUR, 3, types::BOOL, column_privilege),
    strict("has_schema_privilege", TWO_OR_THREE, 2, types::BOOL, |env, args| {
        let (object, privilege) = split(env, args)?;
        let found = match object {
            Cell::Text(name) => env.directory().namespace_named(name).is_some(),
            other => oid(Some(other)).is_some_and(|oid| env.directory().namespace(oid).is_some()),
        };
        match (found, object) {
            (true, _) => Ok(any_of(privilege, &["USAGE"]).into()),
            (false, Cell::Text(name)) => missing(SqlState::InvalidSchemaName, "schema", name),
            (false, _) => Ok(Cell::Null),
        }
    }),
    strict("has_database_privilege", TWO_OR_THREE, 2, types::BOOL, |env, args| {
        let (object, privilege) = split(env, args)?;
        match object {
            Cell::Text(name) if *name != env.directory().database => {
                missing(SqlState::UndefinedObject, "database", name)
            }
            Cell::Text(_) => Ok(any_of(privilege, &["CONNECT"]).into()),
            other if oid(Some(other)) == Some(env.directory().database_oid) => {
                Ok(any_of(privilege, &["CONNECT"]).into())
            }
            _ => Ok(Cell::Null),
        }
    }),
    strict("has_sequence_privilege", TWO_OR_THREE, 2, types::BOOL, |_, _| Ok(Cell::Null)),
    strict("has_function_privilege", TWO_OR_THREE, 2, types::BOOL, |env, args| {
        Ok(any_of(split(env, args)?.1, &["EXECUTE"]).into())
    }),
    strict("has_type_privilege", TWO_OR_THREE, 2, types::BOOL, |env, args| {
        Ok(any_of(split(env, args)?.1, &["USAGE"]).into())
    }),
    strict("has_language_privilege", TWO_OR_THREE, 2, types::BOOL, |_, _| Ok(false.into())),
    strict("has_tablespace_privilege", TWO_OR_THREE, 2, types::BOOL, |_, _| Ok(false.into())),
    strict("has_server_privilege", TWO_OR_THREE, 2, types::BOOL, |_, _| Ok(false.into())),
    strict("has_foreign_data_wrapper_privilege", TWO_OR_THREE, 2, types::BOOL, |_, _| Ok(false.into())),
    strict("has_parameter_privilege", TWO_OR_THREE, 2, types::BOOL, |_, _| Ok(false.into())),
    strict("pg_has_role", TWO_OR_THREE, 2, types::BOOL, |env, args| {
        // Only one's own roles are known here, and one is a member of each but the owner's.
        let (object, _) = split(env, args)?;
        let role = match object {
            Cell::Text(name) => env.directory().role_named(name),
            other => oid(Some(other)).and_then(|oid| env.directory().role(oid)),
        };
        match (role, object) {
            (Some(role), _) => Ok((role.is_user || !role.is_owner).into()),
            (None, Cell::Text(name)) => missing(SqlState::UndefinedObject, "role", name),
            (None, _) => Ok(false.into()),
        }
    }),
    strict("row_security_active", &[Kind::Object], 1, types::BOOL, |_, _| Ok(false.into())),
];

fn missing(state: SqlState, what: &str, name: &str) -> Result<Cell> {
    Err(RewriteError::new(state, format!("{what} \"{name}\" does not exist")).into())
}

/// Object and privilege of a call with or without a user; a user other than one's own roles does not exist.
fn split<'a>(env: &Environment, args: &'a [Cell]) -> Result<(&'a Cell, &'a str)> {
    let (user, object, privilege) = match args {
        [user, object, privilege] => (Some(user), object, privilege),
        [object, privilege] => (None, object, privilege),
        _ => (None, &Cell::Null, &Cell::Null),
    };
    if let Some(user) = user {
        check_role(env, user)?;
    }
    Ok((object, privilege.text().unwrap_or_default()))
}

fn check_role(env: &Environment, role: &Cell) -> Result<()> {
    if let Cell::Text(name) = role
        && name != "public"
        && name.parse::<u32>().is_err()
        && env.directory().role_named(name).is_none()
    {
        return Err(
            RewriteError::new(SqlState::UndefinedObject, format!("role \"{name}\" does not exist")).into()
        );
    }
    Ok(())
}

/// Whether one of the comma-separated privileges is among those held. `WITH GRANT OPTION` never is.
fn any_of(privileges: &str, held: &[&str]) -> bool {
    privileges.split(',').any(|privilege| held.iter().any(|held| privilege.trim().eq_ignore_ascii_case(held)))
}

fn find<'a>(env: &'a Environment, object: &Cell) -> Result<Option<&'a Relation>> {
    let Cell::Text(name) = object else {
        return Ok(oid(Some(object)).and_then(|oid| env.directory().relation(oid)));
    };
    let parts: Vec<String> = name.split('.').map(|part| part.trim().trim_matches('"').to_string()).collect();
    let found = match parts.as_slice() {
        [table] => {
            search_path(env, true).iter().find_map(|schema| env.directory().relation_named(schema, table))
        }
        [schema, table] | [_, schema, table] => env.directory().relation_named(schema, table),
        _ => None,
    };
    match found {
        Some(relation) => Ok(Some(relation)),
        None => {
            Err(RewriteError::new(SqlState::UndefinedTable, format!("relation \"{name}\" does not exist"))
                .into())
        }
    }
}

fn relation_privilege(env: &Environment, args: &[Cell]) -> Result<Option<bool>> {
    let (object, privilege) = split(env, args)?;
    Ok(find(env, object)?.map(|_| any_of(privilege, &["SELECT"])))
}

fn column_privilege(env: &Environment, args: &[Cell]) -> Result<Cell> {
    let (table, privilege) = match args {
        [user, table, _, privilege] => {
            check_role(env, user)?;
            (table, privilege)
        }
        [table, _, privilege] => (table, privilege),
        _ => (&Cell::Null, &Cell::Null),
    };
    Ok(find(env, table)?.map(|_| any_of(text(Some(privilege)).unwrap_or_default(), &["SELECT"])).into())
}
