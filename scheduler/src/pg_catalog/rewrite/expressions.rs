//! Operators, function names and the system columns.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Subscript, Value,
};

use super::super::error::RewriteError;
use super::super::functions::{like_pattern, parse_literal};
use super::super::relations::PG_CATALOG;
use super::super::types::oid as types;
use super::relations::{Tables, fold, parts};
use super::{arrays, casts};

/// A call of a function of ours or the engine's.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub(super) fn string(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_string()).into())
}

pub(super) fn number(value: i64) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).into())
}

/// The text of a string literal.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        Expr::Nested(inner) => literal(inner),
        _ => None,
    }
}

/// The call of a function by its bare name.
pub(super) fn called(expr: &Expr) -> Option<(String, &[FunctionArg])> {
    let Expr::Function(function) = expr else { return None };
    let name = match parts(&function.name)?.as_slice() {
        [name] => name.clone(),
        _ => return None,
    };
    match &function.args {
        FunctionArguments::List(list) => Some((name, &list.args)),
        FunctionArguments::None => Some((name, &[])),
        FunctionArguments::Subquery(_) => None,
    }
}

/// The one argument of a call.
fn only_argument(args: &[FunctionArg]) -> Option<&Expr> {
    match args {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => Some(expr),
        _ => None,
    }
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}

/// Rewrites one expression whose parts are rewritten already.
pub(super) fn rewrite(expr: &mut Expr, system: bool, tables: &Tables) -> Result<(), RewriteError> {
    match expr {
        Expr::Collate { expr: inner, .. } => *expr = take(inner),
        Expr::Cast { array: false, format: None, .. } => casts::rewrite(expr, system)?,
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
            if let Some(replacement) = column(expr, system, tables) {
                *expr = replacement;
            }
        }
        Expr::Function(_) => function(expr, system)?,
        Expr::BinaryOp { .. } => binary(expr, system),
        Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. }
            if literal(right).is_some_and(|text| parse_literal(text).is_some()) =>
        {
            // Read as an array of what it is compared with.
            let example = call("make_array", vec![(**left).clone()]);
            **right = call("__array_literal", vec![example, take(right)]);
        }
        // The engine plans `ARRAY[…]` without the columns of outer queries; the call is the same thing.
        Expr::Array(array) if system => *expr = call("make_array", std::mem::take(&mut array.elem)),
        Expr::InList { expr: left, list, .. } if system => {
            if let Some((name, _)) = called(left)
                && casts::is_reg_in(&name)
            {
                for item in list.iter_mut().filter(|item| literal(item).is_some()) {
                    *item = call(&name, vec![take(item)]);
                }
            }
        }
        Expr::Like { escape_char: Some(_), .. } | Expr::ILike { escape_char: Some(_), .. } => escape(expr),
        Expr::CompoundFieldAccess { .. } => access(expr, system, tables),
        _ => {}
    }
    Ok(())
}

/// Columns that every table has and none shows, and names that are calls without parentheses.
fn column(expr: &Expr, system: bool, tables: &Tables) -> Option<Expr> {
    let (qualifier, name) = match expr {
        Expr::Identifier(ident) => {
            if ident.quote_style.is_none()
                && matches!(fold(ident).as_str(), "current_schema" | "current_role")
            {
                return Some(call(&fold(ident), Vec::new()));
            }
            (None, fold(ident))
        }
        Expr::CompoundIdentifier(idents) => {
            let qualifier = idents.len().checked_sub(2).and_then(|index| idents.get(index)).map(fold);
            (qualifier, fold(idents.last()?))
        }
        _ => return None,
    };
    if !system || !matches!(name.as_str(), "tableoid" | "xmin" | "xmax" | "cmin" | "cmax" | "ctid") {
        return None;
    }
    let table = match &qualifier {
        Some(qualifier) => tables.qualified(qualifier)?,
        None => tables.only()?,
    };
    if table.columns.iter().any(|column| column.name == name) {
        return None;
    }
    Some(match name.as_str() {
        "tableoid" => call("__oid", vec![number(i64::from(table.oid))]),
        "ctid" => string("(0,1)"),
        "xmin" => call("__oid", vec![number(1)]),
        _ => call("__oid", vec![number(0)]),
    })
}

/// Functions that take text, so that an oid with a name arrives as the name.
const TEXT_FUNCTIONS: &[&str] = &[
    "concat",
    "concat_ws",
    "format",
    "length",
    "lower",
    "quote_ident",
    "quote_literal",
    "replace",
    "split_part",
    "string_agg",
    "upper",
];

fn function(expr: &mut Expr, system: bool) -> Result<(), RewriteError> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let Some(name) = parts(&function.name) else { return Ok(()) };
    if let [name] = name.as_slice()
        && name == "array"
        && let FunctionArguments::Subquery(query) = &mut function.args
    {
        *expr = arrays::from_subquery((**query).clone())?;
        return Ok(());
    }
    let name = match name.as_slice() {
        [name] => name.clone(),
        [schema, name]
            if schema == PG_CATALOG || (schema == "information_schema" && name == "_pg_expandarray") =>
        {
            function.name = ObjectName::from(vec![Ident::new(name)]);
            name.clone()
        }
        _ => return Ok(()),
    };
    if matches!(function.args, FunctionArguments::None) {
        function.args = FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: Vec::new(),
            clauses: Vec::new(),
        });
    }
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    // Calls without parentheses are keywords to the parser; to the engine they are names in lower case.
    if matches!(name.as_str(), "current_user" | "session_user" | "current_catalog" | "user")
        && list.args.is_empty()
    {
        function.name = ObjectName::from(vec![Ident::with_quote('"', name)]);
        return Ok(());
    }
    let args: Option<Vec<Expr>> = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect();
    let Some(args) = args else { return Ok(()) };
    match (name.as_str(), args.as_slice()) {
        ("generate_subscripts", [array, dimension]) => {
            *expr = call("unnest", vec![call("__subscripts", vec![array.clone(), dimension.clone()])]);
        }
        ("_pg_expandarray", [array]) => {
            *expr = call("unnest", vec![call("__expand", vec![array.clone()])]);
        }
        ("coalesce", [first, rest @ ..])
            if rest.iter().any(|arg| literal(arg).is_some_and(|text| parse_literal(text).is_some())) =>
        {
            let first = first.clone();
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg
                    && literal(arg).is_some_and(|text| parse_literal(text).is_some())
                {
                    *arg = call("__array_literal", vec![first.clone(), take(arg)]);
                }
            }
        }
        (name, _) if system && TEXT_FUNCTIONS.contains(&name) => {
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                    casts::name_of(arg);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// `generate_series(…)` where a set of rows is meant: in the list of output columns.
pub(super) fn series(expr: &mut Expr) {
    if let Some((name, _)) = called(expr)
        && name == "generate_series"
    {
        *expr = call("unnest", vec![take(expr)]);
    }
}

fn operator(spelling: &str) -> Option<BinaryOperator> {
    Some(match spelling {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

fn binary(expr: &mut Expr, system: bool) {
    let Expr::BinaryOp { left, op, right } = expr else { return };
    if let BinaryOperator::PGCustomBinaryOperator(spelling) = op
        && let Some(plain) = spelling.last().and_then(|spelling| operator(spelling))
        && spelling
            .len()
            .checked_sub(2)
            .and_then(|index| spelling.get(index))
            .is_none_or(|schema| schema == PG_CATALOG)
    {
        *op = plain;
    }
    match op {
        BinaryOperator::PGLikeMatch
        | BinaryOperator::PGNotLikeMatch
        | BinaryOperator::PGILikeMatch
        | BinaryOperator::PGNotILikeMatch => {
            let negated = matches!(op, BinaryOperator::PGNotLikeMatch | BinaryOperator::PGNotILikeMatch);
            let insensitive = matches!(op, BinaryOperator::PGILikeMatch | BinaryOperator::PGNotILikeMatch);
            let (value, pattern) = (Box::new(take(left)), Box::new(take(right)));
            *expr = if insensitive {
                Expr::ILike { negated, any: false, expr: value, pattern, escape_char: None }
            } else {
                Expr::Like { negated, any: false, expr: value, pattern, escape_char: None }
            };
        }
        BinaryOperator::PGOverlap if system => {
            *expr = call("array_has_any", vec![take(left), take(right)]);
        }
        BinaryOperator::StringConcat if system => {
            casts::name_of(left);
            casts::name_of(right);
        }
        BinaryOperator::Eq
        | BinaryOperator::NotEq
        | BinaryOperator::Lt
        | BinaryOperator::LtEq
        | BinaryOperator::Gt
        | BinaryOperator::GtEq
            if system =>
        {
            compared(left, right);
            compared(right, left);
        }
        _ => {}
    }
}

/// A literal is of the type of what it is compared with.
fn compared(side: &mut Expr, other: &Expr) {
    let Some(text) = literal(side) else { return };
    if let Some((name, _)) = called(other)
        && casts::is_reg_in(&name)
    {
        *side = call(&name, vec![take(side)]);
    } else if parse_literal(text).is_some() && literal(other).is_none() {
        *side = call("__array_literal", vec![other.clone(), take(side)]);
    }
}

/// LIKE with an escape of its own: the engine knows the backslash only, so the pattern is respelled.
fn escape(expr: &mut Expr) {
    let (Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. }) = expr else {
        return;
    };
    let Some(Value::SingleQuotedString(escape)) = escape_char.as_ref().map(|value| &value.value) else {
        return;
    };
    let mut letters = escape.chars();
    let letter = match (letters.next(), letters.next()) {
        (letter, None) => letter,
        _ => return,
    };
    if letter == Some('\\') {
        *escape_char = None;
        return;
    }
    let escape = letter.map(String::from).unwrap_or_default();
    **pattern = match literal(pattern) {
        Some(text) => string(&like_pattern(text, letter)),
        None => call("__like_pattern", vec![take(pattern), string(&escape)]),
    };
    *escape_char = None;
}

/// `(f(x)).field` and `vector[0]`.
fn access(expr: &mut Expr, system: bool, tables: &Tables) {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return };
    if system
        && let Some((AccessExpr::Subscript(Subscript::Index { index }), before)) =
            access_chain.split_last_mut()
    {
        let name = match before.last() {
            Some(AccessExpr::Dot(Expr::Identifier(ident))) => Some(fold(ident)),
            None => super::tables::last_name(root),
            _ => None,
        };
        let vector = name.is_some_and(|name| {
            tables
                .column_types(&name)
                .any(|type_oid| matches!(type_oid, types::INT2VECTOR | types::OIDVECTOR))
        });
        if vector {
            // Vectors count from 0, arrays and the engine from 1.
            *index = Expr::BinaryOp {
                left: Box::new(take(index)),
                op: BinaryOperator::Plus,
                right: Box::new(number(1)),
            };
        }
        return;
    }
    let [AccessExpr::Dot(Expr::Identifier(field))] = access_chain.as_slice() else { return };
    let mut inner: &Expr = root;
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    if matches!(inner, Expr::Identifier(_)) {
        return;
    }
    let field = fold(field);
    // A part of an expanded array is a list of its own.
    if let Some(("unnest", args)) = called(inner).as_ref().map(|(name, args)| (name.as_str(), *args))
        && let Some(expanded) = only_argument(args)
        && let Some(("__expand", args)) = called(expanded).as_ref().map(|(name, args)| (name.as_str(), *args))
        && let Some(array) = only_argument(args)
    {
        *expr = match field.as_str() {
            "n" => call("unnest", vec![call("__subscripts", vec![array.clone()])]),
            _ => call("unnest", vec![array.clone()]),
        };
        return;
    }
    *expr = call("get_field", vec![inner.clone(), string(&field)]);
}
