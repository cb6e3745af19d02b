//! Numbers as PostgreSQL compares them, where the engine does otherwise.
//!
//! - A `double precision` beside a `numeric` makes a `double precision` (PostgreSQL, "Operator Type
//!   Resolution": it is the preferred type of the numbers). The engine makes a decimal of 15 digits after
//!   the point: `1e-16 > 0.0` is false then, and `1e20 > 0.0` an error.
//! - `round` of a decimal has as many digits after the point as its second argument says, where that is a
//!   literal of the type that the engine wants. Coercion of another makes it a cast, and the type of the result
//!   another one until that is folded.
//! - `-0.0` is equal to `0.0`. The engine looks values up in `IN` lists by their bits.
//!
//! Sessions and row filters go by the same rules.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion, TreeNodeRewriter};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, BinaryExpr, Case, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, cast, lit};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};

const CONTINUE: TreeNodeRecursion = TreeNodeRecursion::Continue;

/// Functions that give back one of their arguments, all of which must be of one type.
const CHOICES: [&str; 4] = ["coalesce", "nullif", "greatest", "least"];

const ROUND: &str = "round";

/// The rules for plans: as an analyzer rule, to come before the engine's coercion; as an optimizer rule,
/// to come last, because the engine makes `IN` lists of its own.
#[derive(Debug)]
pub struct PostgresNumbers;

impl AnalyzerRule for PostgresNumbers {
    fn name(&self) -> &'static str {
        "postgres_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(|node| rewrite_node(node, may_mix))?.data)
    }
}

impl OptimizerRule for PostgresNumbers {
    fn name(&self) -> &'static str {
        "postgres_numbers"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        // Types are settled by now.
        rewrite_node(plan, |expr| matches!(expr, Expr::InList(_)))
    }
}

/// Whether an expression has operands that a float and a decimal may be among.
fn may_mix(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(_) | Expr::Between(_) | Expr::InList(_) | Expr::Case(_) => true,
        Expr::ScalarFunction(call) => CHOICES.contains(&call.func.name()) || call.func.name() == ROUND,
        _ => false,
    }
}

/// Rewrites a node of which some expression is `concerned`; all others cost a look.
fn rewrite_node(plan: LogicalPlan, concerned: fn(&Expr) -> bool) -> Result<Transformed<LogicalPlan>> {
    let mut is_concerned = false;
    plan.apply_expressions(|expr| {
        is_concerned |= expr.exists(|part| Ok(concerned(part)))?;
        Ok(if is_concerned { TreeNodeRecursion::Stop } else { CONTINUE })
    })?;
    if !is_concerned {
        return Ok(Transformed::no(plan));
    }
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        // Its filters may be on columns that it does not give.
        let source = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        schema.merge(&source);
    }
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(rewrite(expr, &schema)?.update_data(|expr| name.restore(expr)))
    })?;
    if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
}

/// The same for an expression over `schema`, before the engine's coercion.
///
/// # Errors
/// When it nests too deeply.
pub(crate) fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.rewrite(&mut Rewriter { schema })
}

struct Rewriter<'a> {
    schema: &'a DFSchema,
}

impl TreeNodeRewriter for Rewriter<'_> {
    type Node = Expr;

    fn f_up(&mut self, expr: Expr) -> Result<Transformed<Expr>> {
        Ok(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (both, changed) = self.floats([*left, *right]);
                let [left, right] = both.map(Box::new);
                Transformed::new(Expr::BinaryExpr(BinaryExpr { left, op, right }), changed, CONTINUE)
            }
            Expr::Between(Between { expr, negated, low, high }) => {
                let (all, changed) = self.floats([*expr, *low, *high]);
                let [expr, low, high] = all.map(Box::new);
                Transformed::new(Expr::Between(Between { expr, negated, low, high }), changed, CONTINUE)
            }
            Expr::InList(list) => self.in_list(list),
            Expr::Case(case) => self.case(case),
            Expr::ScalarFunction(ScalarFunction { func, args }) if CHOICES.contains(&func.name()) => {
                let (args, changed) = self.floats_of(args);
                Transformed::new(Expr::ScalarFunction(ScalarFunction { func, args }), changed, CONTINUE)
            }
            Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.name() == ROUND => {
                let places = args.get(1).and_then(places);
                let changed = places.is_some();
                if let (Some(given), Some(places)) = (args.get_mut(1), places) {
                    *given = lit(places);
                }
                Transformed::new(Expr::ScalarFunction(ScalarFunction { func, args }), changed, CONTINUE)
            }
            other => Transformed::no(other),
        })
    }
}

/// A number of digits that is written as a literal of another type.
fn places(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(digits)), _) => i32::try_from(*digits).ok(),
        Expr::Negative(inner) => places(inner)?.checked_neg(),
        _ => None,
    }
}

impl Rewriter<'_> {
    fn floats<const N: usize>(&self, exprs: [Expr; N]) -> ([Expr; N], bool) {
        let changes = self.changes(&exprs);
        (exprs.map(|expr| if changes { self.float(expr) } else { expr }), changes)
    }

    fn floats_of(&self, exprs: Vec<Expr>) -> (Vec<Expr>, bool) {
        let changes = self.changes(&exprs);
        (exprs.into_iter().map(|expr| if changes { self.float(expr) } else { expr }).collect(), changes)
    }

    /// Whether there are both.
    fn changes<'a>(&self, exprs: impl IntoIterator<Item = &'a Expr>) -> bool {
        let (mut float, mut decimal) = (false, false);
        for kind in exprs.into_iter().filter_map(|expr| expr.get_type(self.schema).ok()) {
            float |= kind.is_floating();
            decimal |= kind.is_decimal();
        }
        float && decimal
    }

    /// Decimals as doubles.
    fn float(&self, expr: Expr) -> Expr {
        match expr.get_type(self.schema) {
            Ok(kind) if kind.is_decimal() => cast(expr, DataType::Float64),
            _ => expr,
        }
    }

    fn in_list(&self, list: InList) -> Transformed<Expr> {
        let InList { expr, list, negated } = list;
        let changed = self.changes(std::iter::once(expr.as_ref()).chain(&list));
        let (expr, mut list) = match changed {
            true => (Box::new(self.float(*expr)), list.into_iter().map(|item| self.float(item)).collect()),
            false => (expr, list),
        };
        let zero = list.iter().position(is_zero);
        let is_float = expr.get_type(self.schema).is_ok_and(|kind| kind.is_floating());
        let Some(zero) = zero.filter(|_| is_float) else {
            return Transformed::new(Expr::InList(InList { expr, list, negated }), changed, CONTINUE);
        };
        let zero = list.swap_remove(zero);
        list.retain(|item| !is_zero(item));
        let operand = expr.as_ref().clone();
        let found = if negated { operand.not_eq(zero) } else { operand.eq(zero) };
        let rest = Expr::InList(InList { expr, list, negated });
        Transformed::yes(match &rest {
            Expr::InList(InList { list, .. }) if list.is_empty() => found,
            _ if negated => found.and(rest),
            _ => found.or(rest),
        })
    }

    fn case(&self, case: Case) -> Transformed<Expr> {
        let Case { expr, when_then_expr, else_expr } = case;
        let (whens, thens): (Vec<_>, Vec<_>) = when_then_expr.into_iter().unzip();
        let of_operand = match &expr {
            Some(operand) => {
                self.changes(std::iter::once(operand.as_ref()).chain(whens.iter().map(AsRef::as_ref)))
            }
            None => false,
        };
        let of_result = self.changes(thens.iter().map(AsRef::as_ref).chain(else_expr.as_deref()));
        let part = |part: Box<Expr>, changes: bool| if changes { Box::new(self.float(*part)) } else { part };
        let case = Case {
            expr: expr.map(|operand| part(operand, of_operand)),
            when_then_expr: whens
                .into_iter()
                .zip(thens)
                .map(|(when, then)| (part(when, of_operand), part(then, of_result)))
                .collect(),
            else_expr: else_expr.map(|otherwise| part(otherwise, of_result)),
        };
        Transformed::new(Expr::Case(case), of_operand || of_result, CONTINUE)
    }
}

/// A literal zero of either sign, possibly still to be cast.
fn is_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => is_zero(&cast.expr),
        Expr::Negative(inner) => is_zero(inner),
        Expr::Literal(value, _) => match value {
            ScalarValue::Float16(Some(value)) => f32::from(*value) == 0.0,
            ScalarValue::Float32(Some(value)) => *value == 0.0,
            ScalarValue::Float64(Some(value)) => *value == 0.0,
            ScalarValue::Decimal128(Some(value), ..) => *value == 0,
            ScalarValue::Int64(Some(value)) => *value == 0,
            ScalarValue::Utf8(Some(text)) => text.trim().parse::<f64>().is_ok_and(|value| value == 0.0),
            _ => false,
        },
        _ => false,
    }
}
