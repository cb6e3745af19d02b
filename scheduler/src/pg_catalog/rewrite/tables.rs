//! What stands in FROM: set-returning functions, and `pg_settings` with the session's values.

use std::sync::OnceLock;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, Statement,
    TableAlias, TableAliasColumnDef, TableFactor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::super::error::RewriteError;
use super::super::relations::PG_CATALOG;
use super::expressions::call;
use super::relations::{fold, parts};

/// Rewrites one item of FROM.
pub(super) fn rewrite(factor: &mut TableFactor, system: bool) -> Result<(), RewriteError> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            if parts(name).as_deref() == Some(&[PG_CATALOG.to_string(), "pg_settings".to_string()])
                && let Some(query) = session_settings()
            {
                let alias = alias.clone().unwrap_or_else(|| table_alias("pg_settings"));
                *factor = TableFactor::Derived {
                    lateral: false,
                    subquery: query,
                    alias: Some(alias),
                    sample: None,
                };
            }
            Ok(())
        }
        TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
            let Some(function) = function_name(name) else { return Ok(()) };
            let args = plain_arguments(&args.args);
            let (alias, ordinality) = (alias.clone(), *with_ordinality);
            replace(factor, &function, args, alias, ordinality, system)
        }
        TableFactor::Function { name, args, alias, with_ordinality, .. } => {
            let Some(function) = function_name(name) else { return Ok(()) };
            let args = plain_arguments(args);
            let (alias, ordinality) = (alias.clone(), *with_ordinality);
            replace(factor, &function, args, alias, ordinality, system)
        }
        TableFactor::UNNEST { alias, array_exprs, with_ordinality, with_offset: false, .. } => {
            if !system && !*with_ordinality {
                // The engine does the rest; a function's alias names its column too.
                if let ([_], Some(alias)) = (array_exprs.as_slice(), alias)
                    && alias.columns.is_empty()
                {
                    alias.columns.push(column_definition(alias.name.clone()));
                }
                return Ok(());
            }
            let (alias, ordinality) = (alias.clone(), *with_ordinality);
            let mut items: Vec<(String, Expr)> = array_exprs
                .iter()
                .map(|expr| ("unnest".to_string(), call("unnest", vec![expr.clone()])))
                .collect();
            if ordinality && let Some(first) = array_exprs.first() {
                items.push(("ordinality".to_string(), positions(first.clone())));
            }
            *factor = derived(items, alias);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The name of a function in FROM, without pg_catalog.
fn function_name(name: &ObjectName) -> Option<String> {
    match parts(name)?.as_slice() {
        [name] => Some(name.clone()),
        [schema, name] if schema == PG_CATALOG => Some(name.clone()),
        [schema, name] if schema == "information_schema" && name == "_pg_expandarray" => Some(name.clone()),
        _ => None,
    }
}

fn plain_arguments(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    args.iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

fn positions(array: Expr) -> Expr {
    call("unnest", vec![call("__subscripts", vec![array])])
}

fn replace(
    factor: &mut TableFactor,
    function: &str,
    args: Option<Vec<Expr>>,
    alias: Option<TableAlias>,
    ordinality: bool,
    system: bool,
) -> Result<(), RewriteError> {
    let Some(args) = args else { return Ok(()) };
    let array = match (function, args.as_slice()) {
        // The engine has these as tables; long series of constants are left to it.
        ("generate_series" | "range", args)
            if !ordinality && args.iter().all(is_constant) && (!system || is_long(args)) =>
        {
            if let TableFactor::Table { name, alias, .. } = factor {
                *name = ObjectName::from(vec![Ident::new(function)]);
                let alias = alias.get_or_insert_with(|| table_alias(function));
                if alias.columns.is_empty() {
                    alias.columns.push(column_definition(alias.name.clone()));
                }
            }
            return Ok(());
        }
        ("generate_series", _) => call("generate_series", args.clone()),
        ("unnest", [array]) => array.clone(),
        ("generate_subscripts", [array, dimension]) => {
            call("__subscripts", vec![array.clone(), dimension.clone()])
        }
        ("_pg_expandarray", [array]) => {
            let items = vec![
                ("x".to_string(), call("unnest", vec![array.clone()])),
                ("n".to_string(), positions(array.clone())),
            ];
            *factor = derived(items, alias.or_else(|| Some(table_alias(function))));
            return Ok(());
        }
        // Options of foreign tables and the like: always NULL here, so there is nothing to expand.
        ("pg_options_to_table", _) => {
            *factor = empty(
                "SELECT '' AS option_name, '' AS option_value WHERE false",
                alias.unwrap_or_else(|| table_alias(function)),
            );
            return Ok(());
        }
        (
            "pg_get_publication_tables"
            | "pg_timezone_names"
            | "pg_timezone_abbrevs"
            | "pg_partition_tree"
            | "pg_partition_ancestors",
            _,
        ) => {
            return Err(RewriteError::unsupported(format!("function {function}() in FROM")));
        }
        ("pg_get_keywords", []) => {
            *factor = empty(
                "SELECT '' AS word, '' AS catcode, false AS barelabel, '' AS catdesc, '' AS baredesc WHERE false",
                alias.unwrap_or_else(|| table_alias(function)),
            );
            return Ok(());
        }
        // Any other function gives the one row of its result.
        _ if system && is_scalar(function) => {
            *factor = derived(
                vec![(function.to_string(), call(function, args))],
                alias.or_else(|| Some(table_alias(function))),
            );
            return Ok(());
        }
        _ => return Ok(()),
    };
    let mut items = vec![(function.to_string(), call("unnest", vec![array.clone()]))];
    if ordinality {
        items.push(("ordinality".to_string(), positions(array)));
    }
    *factor = derived(items, alias.or_else(|| Some(table_alias(function))));
    Ok(())
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::UnaryOp { expr, .. } | Expr::Cast { expr, .. } | Expr::Nested(expr) => is_constant(expr),
        _ => false,
    }
}

/// Series of more numbers than an array should hold; catalogue queries ask for a few dozen.
fn is_long(args: &[Expr]) -> bool {
    let number = |expr: &Expr| expr.to_string().parse::<i128>().ok();
    let bounds: Vec<i128> = args.iter().filter_map(number).collect();
    match bounds.as_slice() {
        [stop] => stop.unsigned_abs() > 10_000,
        [start, stop, ..] => stop.abs_diff(*start) > 10_000,
        [] => false,
    }
}

fn is_scalar(function: &str) -> bool {
    [
        "current_",
        "version",
        "to_reg",
        "pg_get_userbyid",
        "pg_backend_pid",
        "session_user",
        "has_",
        "format",
        "coalesce",
    ]
    .iter()
    .any(|prefix| function.starts_with(prefix))
}

/// `LATERAL (SELECT item AS name, …) AS alias`. A function's alias names its one column too.
fn derived(items: Vec<(String, Expr)>, alias: Option<TableAlias>) -> TableFactor {
    let mut alias = alias.unwrap_or_else(|| table_alias("unnest"));
    let mut projection = Vec::new();
    let plain = alias.columns.is_empty() && items.len() == 1;
    for (index, (name, expr)) in items.into_iter().enumerate() {
        let ident = match alias.columns.get(index) {
            Some(column) => column.name.clone(),
            None if plain => alias.name.clone(),
            None => Ident::new(name),
        };
        projection.push(SelectItem::ExprWithAlias { expr, alias: ident });
    }
    alias.columns.clear();
    let mut query = template("SELECT 1");
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = projection;
    }
    TableFactor::Derived { lateral: true, subquery: query, alias: Some(alias), sample: None }
}

fn empty(sql: &str, alias: TableAlias) -> TableFactor {
    TableFactor::Derived { lateral: false, subquery: template(sql), alias: Some(alias), sample: None }
}

/// A query of ours.
pub(super) fn template(sql: &str) -> Box<Query> {
    match parse(sql) {
        Some(query) => query,
        // Only texts of this crate come here, and tests parse each of them.
        None => Box::new(Query {
            with: None,
            body: Box::new(SetExpr::Values(sqlparser::ast::Values {
                explicit_row: false,
                value_keyword: false,
                rows: Vec::new(),
            })),
            order_by: None,
            limit_clause: None,
            fetch: None,
            locks: Vec::new(),
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators: Vec::new(),
        }),
    }
}

fn parse(sql: &str) -> Option<Box<Query>> {
    match Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?.pop()? {
        Statement::Query(query) => Some(query),
        _ => None,
    }
}

pub(super) fn table_alias(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None }
}

pub(super) fn column_definition(name: Ident) -> TableAliasColumnDef {
    TableAliasColumnDef { name, data_type: None }
}

/// The table holds defaults; what the session has set comes from the session.
fn session_settings() -> Option<Box<Query>> {
    static QUERY: OnceLock<Option<Box<Query>>> = OnceLock::new();
    QUERY
        .get_or_init(|| {
            parse(
                "SELECT name, coalesce(current_setting(name, true), setting) AS setting, unit, category, short_desc, \
                 extra_desc, context, vartype, source, min_val, max_val, enumvals, boot_val, \
                 coalesce(current_setting(name, true), reset_val) AS reset_val, sourcefile, sourceline, pending_restart \
                 FROM pg_catalog.pg_settings",
            )
        })
        .clone()
}

/// The first item of FROM has nothing beside it to refer to.
pub(super) fn settle_first(select: &mut Select) {
    if let Some(first) = select.from.first_mut()
        && let TableFactor::Derived { lateral, .. } = &mut first.relation
    {
        *lateral = false;
    }
}

/// A column's folded name, for comparison.
pub(super) fn last_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold),
        Expr::Nested(inner) => last_name(inner),
        _ => None,
    }
}
