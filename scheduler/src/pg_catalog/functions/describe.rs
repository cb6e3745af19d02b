//! Definitions and descriptions of objects.

use datafusion::common::Result;

use super::super::cells::Cell;
use super::super::rows::function_rows;
use super::super::types::{format_type, oid as types};
use super::{Definition, Environment, Kind, lenient, number, oid, strict, text};

const NUMBER: &[Kind] = &[Kind::Number];
const NUMBER_BOOL: &[Kind] = &[Kind::Number, Kind::Bool];
const OBJECT_BOOL: &[Kind] = &[Kind::Object, Kind::Any];

/// Oids of the catalogues that hold described objects.
const PG_CLASS: u32 = 1259;

pub(super) const DEFINITIONS: &[Definition] = &[
    strict("obj_description", &[Kind::Number, Kind::Text], 1, types::TEXT, |env, args| {
        let Some(object) = oid(args.first()) else { return Ok(Cell::Null) };
        let catalogue = text(args.get(1));
        let class = catalogue.is_none_or(|name| name == "pg_class");
        let schema = catalogue.is_none_or(|name| name == "pg_namespace");
        let relation = env
            .directory()
            .relation(object)
            .filter(|_| class)
            .and_then(|relation| relation.description.clone());
        let namespace = env
            .directory()
            .namespace(object)
            .filter(|_| schema)
            .and_then(|namespace| namespace.description.clone());
        Ok(relation.or(namespace).into())
    }),
    strict("col_description", &[Kind::Number, Kind::Number], 2, types::TEXT, |env, args| {
        let relation = oid(args.first()).and_then(|oid| env.directory().relation(oid));
        let index = number(args.get(1)).and_then(|number| usize::try_from(number - 1).ok());
        let attribute = relation.zip(index).and_then(|(relation, index)| relation.attributes.get(index));
        Ok(attribute.and_then(|attribute| attribute.description.clone()).into())
    }),
    strict("shobj_description", &[Kind::Number, Kind::Text], 2, types::TEXT, absent),
    strict("pg_get_userbyid", NUMBER, 1, types::NAME, |env, args| {
        let Some(oid) = oid(args.first()) else { return Ok(Cell::Null) };
        Ok(env
            .directory()
            .role(oid)
            .map_or_else(|| format!("unknown (OID={oid})"), |role| role.name.clone())
            .into())
    }),
    // Expressions, indexes, constraints, rules, triggers and statistics objects: there are none to describe.
    strict("pg_get_expr", &[Kind::Text, Kind::Number, Kind::Bool], 2, types::TEXT, absent),
    strict("pg_get_indexdef", &[Kind::Number, Kind::Number, Kind::Bool], 1, types::TEXT, absent),
    strict("pg_get_constraintdef", NUMBER_BOOL, 1, types::TEXT, absent),
    strict("pg_get_ruledef", NUMBER_BOOL, 1, types::TEXT, absent),
    strict("pg_get_triggerdef", NUMBER_BOOL, 1, types::TEXT, absent),
    strict("pg_get_statisticsobjdef", NUMBER, 1, types::TEXT, absent),
    strict("pg_get_statisticsobjdef_columns", NUMBER, 1, types::TEXT, absent),
    strict("pg_get_statisticsobjdef_expressions", NUMBER, 1, 1009, absent),
    strict("pg_get_partkeydef", NUMBER, 1, types::TEXT, absent),
    strict("pg_get_partition_constraintdef", NUMBER, 1, types::TEXT, absent),
    strict("pg_get_serial_sequence", &[Kind::Text, Kind::Text], 2, types::TEXT, absent),
    // What a view is made of is the business of who may change views; its columns are all a reader learns.
    strict("pg_get_viewdef", OBJECT_BOOL, 1, types::TEXT, |env, args| {
        let relation = oid(args.first()).and_then(|oid| env.directory().relation(oid));
        Ok(relation.and_then(|relation| relation.definition.clone()).into())
    }),
    strict("pg_get_functiondef", NUMBER, 1, types::TEXT, absent),
    strict("pg_get_function_sqlbody", NUMBER, 1, types::TEXT, absent),
    strict("pg_get_function_arg_default", &[Kind::Number, Kind::Number], 2, types::TEXT, absent),
    strict("pg_get_function_arguments", NUMBER, 1, types::TEXT, arguments),
    strict("pg_get_function_identity_arguments", NUMBER, 1, types::TEXT, arguments),
    strict("pg_get_function_result", NUMBER, 1, types::TEXT, |_, args| {
        let row = oid(args.first()).and_then(|oid| function_rows().iter().find(|row| row.oid == oid));
        Ok(row
            .map(|row| {
                format!("{}{}", if row.returns_set { "SETOF " } else { "" }, format_type(row.result, None))
            })
            .into())
    }),
    strict("pg_tablespace_location", NUMBER, 1, types::TEXT, |_, args| {
        Ok(matches!(number(args.first()), Some(1663 | 1664)).then_some("").into())
    }),
    // Sizes would tell of files and rows below the barrier.
    strict("pg_relation_size", &[Kind::Object, Kind::Text], 1, types::INT8, absent),
    strict("pg_total_relation_size", &[Kind::Object], 1, types::INT8, absent),
    strict("pg_table_size", &[Kind::Object], 1, types::INT8, absent),
    strict("pg_indexes_size", &[Kind::Object], 1, types::INT8, absent),
    strict("pg_database_size", &[Kind::Object], 1, types::INT8, absent),
    strict("pg_tablespace_size", &[Kind::Object], 1, types::INT8, absent),
    strict("pg_relation_filenode", &[Kind::Object], 1, types::OID, absent),
    strict("pg_relation_filepath", &[Kind::Object], 1, types::TEXT, absent),
    strict("pg_stat_get_numscans", NUMBER, 1, types::INT8, absent),
    strict("pg_relation_is_publishable", &[Kind::Object], 1, types::BOOL, |env, args| {
        Ok(oid(args.first()).and_then(|oid| env.directory().relation(oid)).map(|_| false).into())
    }),
    strict("pg_relation_is_updatable", &[Kind::Object, Kind::Bool], 2, types::INT4, |_, _| Ok(Cell::Int(0))),
    strict("pg_column_is_updatable", &[Kind::Object, Kind::Number, Kind::Bool], 3, types::BOOL, |_, _| {
        Ok(false.into())
    }),
    strict("pg_describe_object", &[Kind::Number, Kind::Number, Kind::Number], 3, types::TEXT, |env, args| {
        let relation = oid(args.get(1)).and_then(|oid| env.directory().relation(oid));
        let class = oid(args.first()) == Some(PG_CLASS);
        Ok(relation
            .filter(|_| class)
            .map(|relation| format!("table {}.{}", relation.schema, relation.name))
            .into())
    }),
    lenient("pg_get_replica_identity_index", &[Kind::Object], 1, types::REGCLASS, absent),
];

fn absent(_: &Environment, _: &[Cell]) -> Result<Cell> {
    Ok(Cell::Null)
}

fn arguments(_: &Environment, args: &[Cell]) -> Result<Cell> {
    let row = oid(args.first()).and_then(|oid| function_rows().iter().find(|row| row.oid == oid));
    Ok(row
        .map(|row| row.arguments.iter().map(|oid| format_type(*oid, None)).collect::<Vec<_>>().join(", "))
        .into())
}
