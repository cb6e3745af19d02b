//! Which expressions are total: cannot fail on any value.
//!
//! Two uses. A row filter and a mask must be total, or its failure tells of a hidden row. And of what
//! a user wrote, only total predicates on unmasked columns ("leakproof" in PostgreSQL's word) may go
//! below the barrier.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, TryCast};

/// Functions of strings that succeed on every string.
const TOTAL_FUNCTIONS: [&str; 9] =
    ["lower", "upper", "coalesce", "btrim", "ltrim", "rtrim", "character_length", "starts_with", "nullif"];

/// Functions that succeed on all values of their types.
pub(crate) fn is_total_function(name: &str) -> bool {
    TOTAL_FUNCTIONS.contains(&name)
}

/// Why `expr` is not total over `schema`; None if it is.
pub(crate) fn not_total(expr: &Expr, schema: &DFSchema) -> Option<String> {
    let mut reason = None;
    let walked = expr.apply(|node| {
        reason = node_not_total(node, schema);
        Ok(if reason.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match walked {
        Ok(_) => reason,
        Err(_) => Some("it nests too deeply to be judged".to_owned()),
    }
}

fn node_not_total(node: &Expr, schema: &DFSchema) -> Option<String> {
    match node {
        Expr::Column(_) | Expr::Literal(_, _) | Expr::Alias(_) => None,
        Expr::Not(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => None,
        Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsUnknown(_) => None,
        Expr::IsNotTrue(_) | Expr::IsNotFalse(_) | Expr::IsNotUnknown(_) => None,
        Expr::Between(_) | Expr::InList(_) | Expr::Case(_) => None,
        Expr::BinaryExpr(BinaryExpr { op, .. }) if is_total_operator(*op) => None,
        Expr::BinaryExpr(BinaryExpr { op, .. }) => Some(format!("operator `{op}` can fail on some values")),
        Expr::Like(Like { pattern, .. }) => (!is_plain_pattern(pattern))
            .then(|| "LIKE needs a literal pattern without backslashes".to_owned()),
        // Literal casts are folded before the filter runs; one that fails denies the table.
        Expr::Cast(Cast { expr, .. }) if matches!(expr.as_ref(), Expr::Literal(_, _)) => None,
        Expr::Cast(Cast { expr, field }) => match expr.get_type(schema) {
            Ok(from) if is_total_cast(&from, field.data_type()) => None,
            Ok(from) => {
                Some(format!("the cast from {from} to {} can fail on some values", field.data_type()))
            }
            Err(_) => Some("it does not type-check".to_owned()),
        },
        Expr::TryCast(TryCast { .. }) => None,
        Expr::ScalarFunction(ScalarFunction { func, .. }) if is_total_function(func.name()) => None,
        Expr::ScalarFunction(ScalarFunction { func, .. }) => {
            Some(format!("function `{}` is not on the list of functions that cannot fail", func.name()))
        }
        _ => Some("it uses a construct that row filters may not".to_owned()),
    }
}

/// Operators that succeed on all values of their types.
pub(crate) fn is_total_operator(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::And
            | Operator::Or
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::StringConcat
    )
}

fn is_plain_pattern(pattern: &Expr) -> bool {
    match pattern {
        Expr::Literal(value, _) => value.try_as_str().flatten().is_none_or(|text| !text.contains('\\')),
        // Coercion to a column's own layout of texts, which is not folded yet.
        Expr::Cast(Cast { expr, field }) if is_text(field.data_type()) => {
            matches!(expr.as_ref(), Expr::Literal(value, _) if is_text(&value.data_type()))
                && is_plain_pattern(expr)
        }
        _ => false,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Casts that succeed on every value of the source type. Dates are not among those to text: a file may
/// hold days beyond the calendar.
pub(crate) fn is_total_cast(from: &DataType, to: &DataType) -> bool {
    use DataType::{Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    if from == to {
        return true;
    }
    let text = is_text;
    match (from, to) {
        (Int8, Int16 | Int32 | Int64 | Float32 | Float64)
        | (Int16, Int32 | Int64 | Float32 | Float64)
        | (Int32, Int64 | Float64)
        | (Int64, Float64)
        | (UInt8, Int16 | Int32 | Int64 | UInt16 | UInt32 | UInt64 | Float64)
        | (UInt16, Int32 | Int64 | UInt32 | UInt64 | Float64)
        | (UInt32, Int64 | UInt64 | Float64)
        | (Float32, Float64) => true,
        (Int8 | Int16 | Int32 | Int64 | DataType::Boolean, other) if text(other) => true,
        (from, to) => text(from) && text(to),
    }
}

/// Types that can be compared with one another, value by value, without fail.
pub(crate) fn is_flat(data_type: &DataType) -> bool {
    data_type.is_primitive()
        || matches!(data_type, DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether a user's predicate may be handed to the scan below the barrier: only bare columns that
/// `visible` accepts ([flat](is_flat) ones), compared with literals, under AND, OR and NOT.
pub(crate) fn is_leakproof(expr: &Expr, visible: &dyn Fn(&str) -> bool) -> bool {
    let column = |e: &Expr| matches!(e, Expr::Column(c) if visible(&c.name));
    let literal = |e: &Expr| matches!(e, Expr::Literal(_, _));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            is_leakproof(left, visible) && is_leakproof(right, visible)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            matches!(
                op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            ) && ((column(left) && literal(right)) || (literal(left) && column(right)))
        }
        Expr::Not(inner) => is_leakproof(inner, visible),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => column(inner),
        Expr::Between(between) => column(&between.expr) && literal(&between.low) && literal(&between.high),
        Expr::InList(InList { expr, list, .. }) => column(expr) && list.iter().all(literal),
        Expr::Like(Like { expr, pattern, escape_char, case_insensitive, .. }) => {
            // Without regard to case, a pattern becomes a regular expression, which may be too large.
            column(expr) && escape_char.is_none() && !case_insensitive && is_plain_pattern(pattern)
        }
        Expr::Column(_) => column(expr),
        _ => false,
    }
}
