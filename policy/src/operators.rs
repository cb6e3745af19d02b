//! Operators and functions that PostgreSQL does not have: text where a number, a date or a truth value
//! belongs.
//!
//! The engine would convert the text, value by value while the statement runs, and a value that does not
//! convert ends it. PostgreSQL says so before anything runs: "operator does not exist". Quoted literals and
//! parameters have no type of their own yet and take the one that is asked for, as there.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{BinaryExpr, InList, InSubquery};
use datafusion::logical_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, Operator, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;

/// How an error begins that names an operator for two types which have none.
pub const NO_OPERATOR: &str = "operator does not exist: ";

/// How an error begins that names a function for types which have none.
pub const NO_FUNCTION: &str = "function does not exist: ";

/// Refuses such operators; comes before the engine's coercion.
#[derive(Debug)]
pub struct PostgresOperators;

impl AnalyzerRule for PostgresOperators {
    fn name(&self) -> &'static str {
        "postgres_operators"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            check_node(node)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

fn check_node(node: &LogicalPlan) -> Result<()> {
    let mut schema: Option<DFSchema> = None;
    node.apply_expressions(|expression| {
        expression.apply(|part| {
            if has_operands(part) {
                let schema = match &schema {
                    Some(schema) => schema,
                    None => schema.insert(merge_schema(&node.inputs())),
                };
                check(part, schema)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    if let LogicalPlan::Join(join) = node {
        for (left, right) in &join.on {
            let (left_type, right_type) =
                (left.get_type(join.left.schema()), right.get_type(join.right.schema()));
            if let (Ok(left_type), Ok(right_type)) = (left_type, right_type) {
                check_pair((left, &left_type), "=", (right, &right_type))?;
            }
        }
    }
    Ok(())
}

fn has_operands(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryExpr(_)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::Case(_)
            | Expr::InSubquery(_)
            | Expr::ScalarFunction(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
    )
}

fn check(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let pair =
        |left: &Expr, operator: &str, right: &Expr| match (left.get_type(schema), right.get_type(schema)) {
            (Ok(left_type), Ok(right_type)) => check_pair((left, &left_type), operator, (right, &right_type)),
            // What has no type yet takes that of the other side, or is somebody else's error.
            _ => Ok(()),
        };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if needs_one_type(*op) => {
            pair(left, &op.to_string(), right)
        }
        Expr::Between(between) => {
            pair(&between.expr, ">=", &between.low)?;
            pair(&between.expr, "<=", &between.high)
        }
        Expr::InList(InList { expr, list, .. }) => list.iter().try_for_each(|item| pair(expr, "=", item)),
        Expr::Case(case) => match &case.expr {
            Some(operand) => case.when_then_expr.iter().try_for_each(|(when, _)| pair(operand, "=", when)),
            None => Ok(()),
        },
        Expr::InSubquery(InSubquery { expr, subquery, .. }) => {
            let of = subquery.subquery.schema();
            match (expr.get_type(schema), of.fields().first()) {
                (Ok(left), Some(field)) if of.fields().len() == 1 => {
                    let column = Expr::Column(datafusion::common::Column::from_name(field.name()));
                    check_pair((expr, &left), "=", (&column, field.data_type()))
                }
                _ => Ok(()),
            }
        }
        Expr::ScalarFunction(call) => check_call(&call.args, call.func.as_ref(), schema),
        Expr::AggregateFunction(call) => check_call(&call.params.args, call.func.as_ref(), schema),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                check_call(&call.params.args, function.as_ref(), schema)
            }
            WindowFunctionDefinition::WindowUDF(function) => {
                check_call(&call.params.args, function.as_ref(), schema)
            }
        },
        _ => Ok(()),
    }
}

/// Whether the engine would convert a text argument for this function.
fn check_call<F: UDFCoercionExt>(args: &[Expr], function: &F, schema: &DFSchema) -> Result<()> {
    let fields: Result<Vec<_>> = args.iter().map(|arg| Ok(arg.to_field(schema)?.1)).collect();
    let Ok(fields) = fields else { return Ok(()) };
    let given = || args.iter().zip(&fields).map(|(arg, field)| (arg, field.data_type()));
    if !given().any(is_text) {
        return Ok(());
    }
    // That no form of the function fits is the engine's own error.
    let Ok(wanted) = fields_with_udf(&fields, function) else { return Ok(()) };
    if given().zip(&wanted).any(|(given, wanted)| is_text(given) && is_other(wanted.data_type())) {
        let types: Vec<_> = fields.iter().map(|field| postgres_name(field.data_type())).collect();
        return plan_err!("{NO_FUNCTION}{}({})", function.name(), types.join(", "));
    }
    Ok(())
}

fn needs_one_type(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::Plus
            | Operator::Minus
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo
    )
}

fn check_pair(left: (&Expr, &DataType), operator: &str, right: (&Expr, &DataType)) -> Result<()> {
    let refused = (is_text(left) && is_other(right.1)) || (is_other(left.1) && is_text(right));
    if !refused {
        return Ok(());
    }
    plan_err!("{NO_OPERATOR}{} {operator} {}", postgres_name(left.1), postgres_name(right.1))
}

/// Text by itself, not a literal that is whatever stands beside it.
fn is_text((expr, data_type): (&Expr, &DataType)) -> bool {
    let untyped = matches!(expr, Expr::Literal(_, _) | Expr::Placeholder(_));
    !untyped && matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// What text would have to be converted to, value by value.
fn is_other(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Timestamp(_, _)
                | DataType::Interval(_)
                | DataType::Duration(_)
        )
}

/// What PostgreSQL calls a type.
fn postgres_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "numeric",
        DataType::Null => "unknown",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea",
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "anyarray",
        _ => "record",
    }
}
