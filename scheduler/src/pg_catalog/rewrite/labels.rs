//! Names of output columns, as PostgreSQL gives them.

use std::collections::HashSet;

use sqlparser::ast::{
    DataType, Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TrimWhereField,
};

use super::relations::fold;

/// Stands between a name that appears twice and its number.
const MARK: char = '\u{1}';

/// A column's name without the mark that kept it apart from its namesakes.
#[must_use]
pub fn display_name(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(name, _)| name)
}

/// Gives every output column that has no name PostgreSQL's name for it, and keeps equal names apart.
pub(super) fn name_columns(select: &mut Select) {
    let wildcards: Vec<Option<String>> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::Wildcard(_) => Some(None),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                Some(name.0.last().and_then(|part| part.as_ident()).map(fold))
            }
            _ => None,
        })
        .collect();
    let aliases: HashSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
            _ => None,
        })
        .collect();
    let mut names: HashSet<String> = aliases.clone();
    let mut columns: Vec<(Option<String>, String)> = Vec::new();
    let mut seen = HashSet::new();
    let mut number = 0;
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let alias = match column(expr) {
                    Some((qualifier, name)) => {
                        // The engine takes `a.x, b.x`, but neither `x, a.x` nor `a.x, a.*` nor `a.x, y AS x`.
                        let clash = aliases.contains(&name)
                            || wildcards.iter().any(|wildcard| match (wildcard, &qualifier) {
                                (Some(wildcard), Some(qualifier)) => wildcard == qualifier,
                                _ => true,
                            })
                            || columns.iter().any(|(other, known)| {
                                *known == name
                                    && (other.is_none() || qualifier.is_none() || *other == qualifier)
                            })
                            || names.contains(&name);
                        columns.push((qualifier, name.clone()));
                        clash.then(|| marked(&name, &mut number))
                    }
                    None => {
                        let name = figure(expr).unwrap_or_else(|| "?column?".to_string());
                        let taken = names.contains(&name)
                            || columns.iter().any(|(_, known)| *known == name)
                            || !wildcards.is_empty();
                        let alias = if taken { marked(&name, &mut number) } else { name };
                        names.insert(alias.clone());
                        Some(alias)
                    }
                };
                if let Some(alias) = alias {
                    *item = SelectItem::ExprWithAlias {
                        expr: expr.clone(),
                        alias: Ident::with_quote('"', alias),
                    };
                }
            }
            SelectItem::ExprWithAlias { alias, .. } if !seen.insert(fold(alias)) => {
                *alias = Ident::with_quote('"', marked(&fold(alias), &mut number));
            }
            _ => {}
        }
    }
}

fn marked(name: &str, number: &mut usize) -> String {
    *number += 1;
    format!("{name}{MARK}{number}")
}

/// Qualifier and name of a plain column.
fn column(expr: &Expr) -> Option<(Option<String>, String)> {
    match expr {
        // These look like columns and are functions.
        Expr::Identifier(ident)
            if ident.quote_style.is_none()
                && matches!(
                    ident.value.to_lowercase().as_str(),
                    "current_schema" | "current_role" | "current_catalog"
                ) =>
        {
            None
        }
        Expr::Identifier(ident) => Some((None, fold(ident))),
        Expr::CompoundIdentifier(parts) => {
            let name = fold(parts.last()?);
            let qualifier = parts.len().checked_sub(2).and_then(|index| parts.get(index)).map(fold);
            Some((qualifier, name))
        }
        _ => None,
    }
}

/// PostgreSQL's choice of a name for an expression (`FigureColname` in its parser).
fn figure(expr: &Expr) -> Option<String> {
    strength(expr).map(|(name, _)| name)
}

/// A name, and whether it is better than the name of a cast around it.
fn strength(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_string(), true));
    match expr {
        Expr::Identifier(ident) => Some((fold(ident), true)),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| (fold(ident), true)),
        Expr::CompoundFieldAccess { root, access_chain } => access_chain
            .iter()
            .rev()
            .find_map(|access| match access {
                sqlparser::ast::AccessExpr::Dot(Expr::Identifier(ident)) => Some((fold(ident), true)),
                _ => None,
            })
            .or_else(|| strength(root)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => strength(inner),
        Expr::Function(function) => {
            function.name.0.last().and_then(|part| part.as_ident()).map(|ident| (fold(ident), true))
        }
        Expr::Cast { expr, data_type, .. } => match strength(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_name(data_type), false)),
        },
        Expr::TypedString(typed) => Some((type_name(&typed.data_type), false)),
        Expr::Interval(_) => Some(("interval".to_string(), false)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(strength) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_string(), false)),
        },
        Expr::Exists { .. } => strong("exists"),
        Expr::Subquery(query) => first_column(query).map(|name| (name, true)),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::Extract { .. } => strong("extract"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Position { .. } => strong("position"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        _ => None,
    }
}

fn first_column(query: &Query) -> Option<String> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Query(query) => body = query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Select(select) => {
                return match select.projection.first()? {
                    SelectItem::UnnamedExpr(expr) => figure(expr),
                    SelectItem::ExprWithAlias { alias, .. } => Some(display_name(&fold(alias)).to_string()),
                    _ => None,
                };
            }
            _ => return None,
        }
    }
}

/// `typname` of a type as it is written.
fn type_name(data_type: &DataType) -> String {
    let written = data_type.to_string();
    match super::super::types::type_table().parse(&written) {
        // An array's cast is called after its element.
        Some(row) => row.name.trim_start_matches('_').to_string(),
        None => written.rsplit('.').next().unwrap_or_default().trim_matches('"').to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use sqlparser::ast::Statement;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    fn names(sql: &str) -> Vec<String> {
        let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        let Statement::Query(mut query) = statement else { panic!("not a query") };
        let SetExpr::Select(select) = query.body.as_mut() else { panic!("not a select") };
        name_columns(select);
        select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                other => other.to_string(),
            })
            .collect()
    }

    #[test]
    fn columns_are_called_what_postgresql_calls_them() {
        // Column headings of the same statements in psql 15.
        assert_eq!(
            names("SELECT count(*), pg_catalog.version(), 1, a::text, '1'::int"),
            ["count", "version", "?column?", "a", "int4"]
        );
        assert_eq!(
            names("SELECT CASE WHEN a THEN 1 END, coalesce(a, b), EXISTS (SELECT 1)"),
            ["case", "coalesce", "exists"]
        );
        assert_eq!(
            names("SELECT ARRAY[1], (SELECT x FROM t), a + 1, DATE '2020-01-01'"),
            ["array", "x", "?column?", "date"]
        );
        assert_eq!(names("SELECT a, t.b"), ["a", "t.b"]);
    }

    #[test]
    fn equal_names_are_kept_apart_and_shown_alike() {
        assert_eq!(names("SELECT NULL, NULL"), ["?column?", "?column?\u{1}1"]);
        assert_eq!(names("SELECT a.x, b.x"), ["a.x", "b.x"]);
        assert_eq!(names("SELECT x, a.x"), ["x", "x\u{1}1"]);
        assert_eq!(names("SELECT n.oid, n.*"), ["oid\u{1}1", "n.*"]);
        assert_eq!(names("SELECT a.x, y AS x"), ["x\u{1}1", "x"]);
        assert_eq!(display_name("x\u{1}1"), "x");
    }
}
