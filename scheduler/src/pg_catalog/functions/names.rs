//! Names of objects and the oids behind them: `regclass`, `regtype` and their relatives, visibility.

use datafusion::common::Result;

use super::super::cells::Cell;
use super::super::directory::Relation;
use super::super::error::RewriteError;
use super::super::relations::PG_CATALOG;
use super::super::rows::{function_rows, proc_oid};
use super::super::types::{format_type, oid as types, type_table};
use super::{Definition, Environment, Kind, lenient, number, oid, strict, text};
use crate::error::SqlState;

const OBJECT: &[Kind] = &[Kind::Object];
const NUMBER: &[Kind] = &[Kind::Number];
const TEXT: &[Kind] = &[Kind::Text];

/// Functions by which a rewrite spells `x::regclass` and the like: `…_in` gives the oid, `…_out` the name.
pub(super) const DEFINITIONS: &[Definition] = &[
    strict("__regclass_in", OBJECT, 1, types::REGCLASS, |env, args| reg_in(env, args, "relation", class)),
    strict("__regtype_in", OBJECT, 1, types::REGTYPE, |env, args| {
        reg_in(env, args, "type", |_, name| Ok(type_oid(name)))
    }),
    strict("__regproc_in", OBJECT, 1, types::REGPROC, |env, args| {
        reg_in(env, args, "function", |_, name| Ok(function(name)))
    }),
    strict("__regnamespace_in", OBJECT, 1, types::REGNAMESPACE, |env, args| {
        reg_in(env, args, "schema", namespace)
    }),
    strict("__regrole_in", OBJECT, 1, types::REGROLE, |env, args| reg_in(env, args, "role", role)),
    strict("__regclass_out", OBJECT, 1, types::TEXT, |env, args| reg_out(args, |oid| class_name(env, oid))),
    strict("__regtype_out", OBJECT, 1, types::TEXT, |_, args| reg_out(args, type_name)),
    strict("__regproc_out", OBJECT, 1, types::TEXT, |_, args| reg_out(args, function_name)),
    strict("__regnamespace_out", OBJECT, 1, types::TEXT, |env, args| {
        reg_out(args, |oid| env.directory().namespace(oid).map(|namespace| quote_ident(&namespace.name)))
    }),
    strict("__regrole_out", OBJECT, 1, types::TEXT, |env, args| {
        reg_out(args, |oid| env.directory().role(oid).map(|role| quote_ident(&role.name)))
    }),
    strict("__oid", OBJECT, 1, types::OID, |_, args| to_oid(args)),
    strict("to_regclass", TEXT, 1, types::REGCLASS, |env, args| {
        Ok(class(env, text(args.first()).unwrap_or_default())?.into())
    }),
    strict("to_regtype", TEXT, 1, types::REGTYPE, |_, args| {
        Ok(type_oid(text(args.first()).unwrap_or_default()).into())
    }),
    strict("to_regproc", TEXT, 1, types::REGPROC, |_, args| {
        Ok(function(text(args.first()).unwrap_or_default()).into())
    }),
    strict("to_regnamespace", TEXT, 1, types::REGNAMESPACE, |env, args| {
        Ok(namespace(env, text(args.first()).unwrap_or_default())?.into())
    }),
    strict("to_regrole", TEXT, 1, types::REGROLE, |env, args| {
        Ok(role(env, text(args.first()).unwrap_or_default())?.into())
    }),
    strict("pg_table_is_visible", NUMBER, 1, types::BOOL, |env, args| {
        let relation = oid(args.first()).and_then(|oid| env.directory().relation(oid));
        Ok(relation.map(|relation| is_visible(env, relation)).into())
    }),
    strict("pg_type_is_visible", NUMBER, 1, types::BOOL, |_, args| {
        Ok(oid(args.first()).and_then(|oid| type_table().by_oid(oid)).map(|_| true).into())
    }),
    strict("pg_function_is_visible", NUMBER, 1, types::BOOL, |_, args| {
        let found = oid(args.first()).is_some_and(|oid| function_rows().iter().any(|row| row.oid == oid));
        Ok(found.then_some(true).into())
    }),
    strict("pg_collation_is_visible", NUMBER, 1, types::BOOL, |_, args| {
        Ok(matches!(number(args.first()), Some(100 | 950 | 951)).then_some(true).into())
    }),
    strict("pg_operator_is_visible", NUMBER, 1, types::BOOL, nothing),
    strict("pg_opclass_is_visible", NUMBER, 1, types::BOOL, nothing),
    strict("pg_opfamily_is_visible", NUMBER, 1, types::BOOL, nothing),
    strict("pg_conversion_is_visible", NUMBER, 1, types::BOOL, nothing),
    strict("pg_statistics_obj_is_visible", NUMBER, 1, types::BOOL, nothing),
    strict("pg_ts_parser_is_visible", NUMBER, 1, types::BOOL, nothing),
    strict("pg_ts_dict_is_visible", NUMBER, 1, types::BOOL, nothing),
    strict("pg_ts_template_is_visible", NUMBER, 1, types::BOOL, nothing),
    strict("pg_ts_config_is_visible", NUMBER, 1, types::BOOL, nothing),
    lenient("format_type", &[Kind::Number, Kind::Number], 2, types::TEXT, |_, args| {
        let modifier = number(args.get(1)).and_then(|value| i32::try_from(value).ok());
        Ok(oid(args.first()).map(|oid| format_type(oid, modifier)).into())
    }),
    strict("quote_ident", TEXT, 1, types::TEXT, |_, args| Ok(text(args.first()).map(quote_ident).into())),
];

/// There are no objects of this sort, so none is visible.
fn nothing(_: &Environment, _: &[Cell]) -> Result<Cell> {
    Ok(Cell::Null)
}

/// Quotes a name where it would not be read back as it is.
pub(super) fn quote_ident(name: &str) -> String {
    const RESERVED: &[&str] = &[
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "between",
        "bigint",
        "bit",
        "boolean",
        "both",
        "case",
        "cast",
        "char",
        "character",
        "check",
        "coalesce",
        "collate",
        "column",
        "constraint",
        "create",
        "cross",
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "dec",
        "decimal",
        "default",
        "deferrable",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "exists",
        "extract",
        "false",
        "fetch",
        "float",
        "for",
        "foreign",
        "freeze",
        "from",
        "full",
        "grant",
        "greatest",
        "group",
        "grouping",
        "having",
        "ilike",
        "in",
        "initially",
        "inner",
        "inout",
        "int",
        "integer",
        "intersect",
        "interval",
        "into",
        "is",
        "isnull",
        "join",
        "lateral",
        "leading",
        "least",
        "left",
        "like",
        "limit",
        "localtime",
        "localtimestamp",
        "natural",
        "none",
        "normalize",
        "not",
        "notnull",
        "null",
        "nullif",
        "numeric",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "out",
        "outer",
        "overlaps",
        "overlay",
        "placing",
        "position",
        "precision",
        "primary",
        "real",
        "references",
        "returning",
        "right",
        "row",
        "select",
        "session_user",
        "setof",
        "similar",
        "smallint",
        "some",
        "substring",
        "symmetric",
        "table",
        "tablesample",
        "then",
        "time",
        "timestamp",
        "to",
        "trailing",
        "treat",
        "trim",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "values",
        "varchar",
        "variadic",
        "verbose",
        "when",
        "where",
        "window",
        "with",
    ];
    let plain = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && name.chars().all(|letter| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '$'
        })
        && RESERVED.binary_search(&name).is_err();
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The parts of a possibly quoted and qualified name, folded as SQL folds them.
fn parts(name: &str) -> Result<Vec<String>> {
    let invalid = || RewriteError::new(SqlState::SyntaxError, format!("invalid name syntax: \"{name}\""));
    let mut parts = Vec::new();
    let mut letters = name.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next() {
                    Some('"') if letters.next_if_eq(&'"').is_some() => part.push('"'),
                    Some('"') => break,
                    Some(letter) => part.push(letter),
                    None => return Err(invalid().into()),
                }
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != '.' && *letter != '"') {
                part.extend(letter.to_lowercase());
            }
            part = part.trim().to_string();
        }
        if part.is_empty() {
            return Err(invalid().into());
        }
        parts.push(part);
        match letters.next() {
            None => return Ok(parts),
            Some('.') => {}
            Some(_) => return Err(invalid().into()),
        }
    }
}

/// Schemas searched for an unqualified name, pg_catalog first unless the path says otherwise.
pub(super) fn search_path(env: &Environment, implicit: bool) -> Vec<String> {
    let path = env.setting("search_path").unwrap_or_else(|| "\"$user\", public".to_string());
    let mut schemas: Vec<String> = Vec::new();
    for item in path.split(',') {
        let item = item.trim();
        let name = match item.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => item.trim_matches('\'').to_lowercase(),
        };
        let name = if name == "$user" { env.directory().user.clone() } else { name };
        if env.directory().namespace_named(&name).is_some() && !schemas.contains(&name) {
            schemas.push(name);
        }
    }
    if implicit && !schemas.iter().any(|schema| schema == PG_CATALOG) {
        schemas.insert(0, PG_CATALOG.to_string());
    }
    schemas
}

fn is_visible(env: &Environment, relation: &Relation) -> bool {
    search_path(env, true)
        .iter()
        .find_map(|schema| env.directory().relation_named(schema, &relation.name))
        .is_some_and(|found| found.oid == relation.oid)
}

fn class(env: &Environment, name: &str) -> Result<Option<u32>> {
    let directory = env.directory();
    let parts = parts(name)?;
    let found = match parts.as_slice() {
        [name] => search_path(env, true).iter().find_map(|schema| directory.relation_named(schema, name)),
        [schema, name] => directory.relation_named(schema, name),
        [database, schema, name] if *database == directory.database => directory.relation_named(schema, name),
        _ => None,
    };
    Ok(found.map(|relation| relation.oid))
}

fn type_oid(name: &str) -> Option<u32> {
    type_table().parse(name).map(|row| row.oid)
}

fn function(name: &str) -> Option<u32> {
    let name = name.trim().to_lowercase();
    proc_oid(name.strip_prefix("pg_catalog.").unwrap_or(&name))
}

fn namespace(env: &Environment, name: &str) -> Result<Option<u32>> {
    Ok(match parts(name)?.as_slice() {
        [name] => env.directory().namespace_named(name).map(|namespace| namespace.oid),
        _ => None,
    })
}

fn role(env: &Environment, name: &str) -> Result<Option<u32>> {
    Ok(match parts(name)?.as_slice() {
        [name] => env.directory().role_named(name).map(|role| role.oid),
        _ => None,
    })
}

/// An oid as it is, or the oid of what is named; what does not exist is an error.
fn reg_in(
    env: &Environment,
    args: &[Cell],
    what: &str,
    find: fn(&Environment, &str) -> Result<Option<u32>>,
) -> Result<Cell> {
    let name = match args.first() {
        Some(Cell::Text(name)) => name,
        other => return Ok(oid(other).into()),
    };
    if name == "-" {
        return Ok(Cell::Int(0));
    }
    if let Ok(number) = name.trim().parse::<u32>() {
        return Ok(number.into());
    }
    match find(env, name)? {
        Some(oid) => Ok(oid.into()),
        None => {
            let state = match what {
                "relation" => SqlState::UndefinedTable,
                "function" => SqlState::UndefinedFunction,
                "schema" => SqlState::InvalidSchemaName,
                _ => SqlState::UndefinedObject,
            };
            Err(RewriteError::new(state, format!("{what} \"{}\" does not exist", name.trim())).into())
        }
    }
}

/// The name of an oid; the number where nothing has it, `-` for 0. Text is a name already.
fn reg_out(args: &[Cell], find: impl Fn(u32) -> Option<String>) -> Result<Cell> {
    if let Some(Cell::Text(name)) = args.first() {
        return Ok(name.as_str().into());
    }
    Ok(match oid(args.first()) {
        None => Cell::Null,
        Some(0) => "-".into(),
        Some(oid) => find(oid).unwrap_or_else(|| oid.to_string()).into(),
    })
}

fn to_oid(args: &[Cell]) -> Result<Cell> {
    match number(args.first()) {
        // As PostgreSQL does, a negative int4 is the oid of the same bits.
        Some(value) if (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&value) => {
            Ok(Cell::Int(if value < 0 { value + (1 << 32) } else { value }))
        }
        _ => Err(RewriteError::new(SqlState::InvalidTextRepresentation, "invalid input syntax for type oid")
            .into()),
    }
}

/// A relation's name, qualified where the search path does not lead to it.
pub(super) fn class_name(env: &Environment, oid: u32) -> Option<String> {
    let relation = env.directory().relation(oid)?;
    let name = quote_ident(&relation.name);
    Some(if is_visible(env, relation) { name } else { format!("{}.{name}", quote_ident(&relation.schema)) })
}

fn type_name(oid: u32) -> Option<String> {
    type_table().by_oid(oid).map(|_| format_type(oid, None))
}

pub(super) fn function_name(oid: u32) -> Option<String> {
    function_rows().iter().find(|row| row.oid == oid).map(|row| row.name.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_quoted_when_they_must_be() {
        assert_eq!(quote_ident("patients"), "patients");
        assert_eq!(quote_ident("Patients"), "\"Patients\"");
        assert_eq!(quote_ident("user"), "\"user\"");
        assert_eq!(quote_ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_ident("1a"), "\"1a\"");
    }

    #[test]
    fn qualified_names_are_taken_apart() {
        assert_eq!(parts("Silver.Patients").unwrap(), ["silver", "patients"]);
        assert_eq!(parts("\"Silver\".\"a.b\"").unwrap(), ["Silver", "a.b"]);
        assert!(parts("silver.").is_err());
        assert!(parts("\"open").is_err());
    }
}
