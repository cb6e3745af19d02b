//! `ARRAY(SELECT …)`.

use sqlparser::ast::{
    Expr, Ident, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, Value,
};

use super::super::error::RewriteError;
use super::expressions::call;
use super::tables::{column_definition, last_name, table_alias, template};

/// Name of the array's elements in the derived table.
const ELEMENT: &str = "__element";

/// `ARRAY(query)` as `__list((SELECT array_agg(element ORDER BY …) FROM (query)))`: the elements in the
/// query's order, an empty array where it has no rows.
pub(super) fn from_subquery(mut query: Query) -> Result<Expr, RewriteError> {
    let mut keys = Vec::new();
    if let Some(order) = query.order_by.clone() {
        let OrderByKind::Expressions(exprs) = order.kind else {
            return Err(RewriteError::unsupported("ORDER BY ALL inside ARRAY()"));
        };
        for (index, order) in exprs.into_iter().enumerate() {
            keys.push(key(&mut query, order, index)?);
        }
        if query.limit_clause.is_none() && query.fetch.is_none() {
            query.order_by = None;
        }
    }
    let mut alias = table_alias("__array");
    alias.columns.push(column_definition(Ident::new(ELEMENT)));
    for order in &keys {
        if let Expr::Identifier(ident) = &order.expr
            && ident.value != ELEMENT
        {
            alias.columns.push(column_definition(ident.clone()));
        }
    }
    let mut outer =
        template(&format!("SELECT array_agg({ELEMENT} ORDER BY {ELEMENT}) AS {ELEMENT} FROM __array"));
    let SetExpr::Select(select) = outer.body.as_mut() else {
        return Err(RewriteError::unsupported("ARRAY()"));
    };
    if let Some(table) = select.from.first_mut() {
        table.relation = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query),
            alias: Some(alias),
            sample: None,
        };
    }
    set_order(select, keys);
    Ok(call("__list", vec![Expr::Subquery(outer)]))
}

fn set_order(select: &mut Select, keys: Vec<OrderByExpr>) {
    if let Some(SelectItem::ExprWithAlias { expr: Expr::Function(function), .. }) =
        select.projection.first_mut()
        && let sqlparser::ast::FunctionArguments::List(list) = &mut function.args
    {
        list.clauses.clear();
        if !keys.is_empty() {
            list.clauses.push(sqlparser::ast::FunctionArgumentClause::OrderBy(keys));
        }
    }
}

/// A key of the query's order as a column of the derived table.
fn key(query: &mut Query, mut order: OrderByExpr, index: usize) -> Result<OrderByExpr, RewriteError> {
    let element = Expr::Identifier(Ident::new(ELEMENT));
    let ordinal = matches!(&order.expr, Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number == "1"));
    let SetExpr::Select(select) = query.body.as_mut() else {
        if ordinal {
            order.expr = element;
            return Ok(order);
        }
        return Err(RewriteError::unsupported("this ORDER BY inside ARRAY()"));
    };
    let same = match select.projection.first() {
        Some(SelectItem::UnnamedExpr(expr)) => *expr == order.expr,
        Some(SelectItem::ExprWithAlias { expr, alias }) => {
            *expr == order.expr
                || (matches!(order.expr, Expr::Identifier(_))
                    && last_name(&order.expr) == Some(super::relations::fold(alias)))
        }
        _ => false,
    };
    if ordinal || same {
        order.expr = element;
        return Ok(order);
    }
    if select.distinct.is_some() {
        return Err(RewriteError::unsupported("this ORDER BY inside ARRAY()"));
    }
    let name = Ident::new(format!("__key{index}"));
    select.projection.push(SelectItem::ExprWithAlias { expr: order.expr.clone(), alias: name.clone() });
    order.expr = Expr::Identifier(name);
    Ok(order)
}
