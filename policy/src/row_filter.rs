//! Row filters: SQL predicates with `principal.…` in them, bound to one principal and table.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast::{
    self, ExprWithAlias, FunctionArg, FunctionArgExpr, FunctionArguments, Visit, VisitMut, Visitor,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::Principal;
use crate::total::not_total;

/// A parsed filter, not yet bound to a principal.
#[derive(Debug, Clone)]
pub(crate) struct RowFilterTemplate {
    ast: ast::Expr,
    /// The predicate as it was written, in one form.
    text: Arc<str>,
    /// Every name in it that could be a column's.
    columns: Vec<String>,
    asks_for_tenant: bool,
}

/// The columns that decide what a filter means over a table: what holds for one table holds for each
/// that has the same.
pub(crate) type Signature = Vec<Field>;

/// A filter bound to a principal and a table's columns.
#[derive(Debug, Clone)]
pub(crate) enum BoundFilter {
    /// Rows for which the predicate is TRUE.
    Where(Expr),
    /// No row: the principal lacks an attribute that the filter asks for.
    Nothing,
}

/// Knows the functions and the dialect of filters; no tables, no session.
static PLANNER: LazyLock<SessionState> = LazyLock::new(|| {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    // As in sessions: `0.08` is a numeric.
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    SessionStateBuilder::new().with_config(config).with_default_features().build()
});

impl RowFilterTemplate {
    /// Parses the text of `using`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let dialect = PostgreSqlDialect {};
        let mut parser = Parser::new(&dialect)
            .try_with_sql(text)
            .map_err(|error| format!("the predicate does not parse: {error}"))?;
        let ast = parser.parse_expr().map_err(|error| format!("the predicate does not parse: {error}"))?;
        if parser.peek_token().token != datafusion::sql::sqlparser::tokenizer::Token::EOF {
            return Err(format!("the predicate goes on after its end, at `{}`", parser.peek_token()));
        }
        let text = Arc::from(ast.to_string());
        let mut template = Self { ast, text, columns: Vec::new(), asks_for_tenant: false };
        let mut visitor = Substitute { principal: None, lacks: false, tenant: false };
        let mut written = template.ast.clone();
        let _ = VisitMut::visit(&mut written, &mut visitor);
        template.asks_for_tenant = visitor.tenant;
        // What is wrong with `principal.…` is said when the file is loaded, not when someone connects.
        if let Some(expr) = template.substitute(None)? {
            let mut names = Names::default();
            let _ = Visit::visit(&expr, &mut names);
            template.columns = names.0.into_iter().collect();
        }
        Ok(template)
    }

    /// The predicate as it was written, in one form.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same, to be kept.
    pub(crate) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Whether it asks for the principal's tenant.
    pub(crate) fn asks_for_tenant(&self) -> bool {
        self.asks_for_tenant
    }

    /// The columns it is about.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The columns of `schema` that the filter is about; None where one of them is not there.
    pub(crate) fn signature(&self, schema: &SchemaRef) -> Option<Signature> {
        let field = |name: &String| {
            let field = schema.fields().iter().find(|field| field.name() == name)?;
            // Only what concerns the type: the rest (comments, ids) differs from table to table.
            let extension = field.metadata().iter().filter(|(key, _)| key.starts_with("ARROW:"));
            let extension = extension.map(|(key, value)| (key.clone(), value.clone())).collect();
            Some(Field::new(name, field.data_type().clone(), field.is_nullable()).with_metadata(extension))
        };
        self.columns.iter().map(field).collect()
    }

    /// The predicate with the principal's values in it; None where they lack one that it asks for.
    pub(crate) fn text_for(&self, principal: &Principal) -> Option<String> {
        self.clone().substitute(Some(principal)).ok().flatten().map(|expr| expr.to_string())
    }

    /// Replaces `principal.…`; with no principal by typed NULLs, to type-check.
    /// Answers None where the principal lacks something that the filter asks for.
    fn substitute(&mut self, principal: Option<&Principal>) -> Result<Option<ast::Expr>, String> {
        let mut expr = self.ast.clone();
        let mut visitor = Substitute { principal, lacks: false, tenant: false };
        match VisitMut::visit(&mut expr, &mut visitor) {
            ControlFlow::Break(problem) => Err(problem),
            ControlFlow::Continue(()) => Ok((!visitor.lacks).then_some(expr)),
        }
    }

    /// Type-checks the filter against a table, without a principal.
    pub(crate) fn check(&self, schema: &SchemaRef) -> Result<(), String> {
        let Some(expr) = self.clone().substitute(None)? else { return Ok(()) };
        plan(expr, schema).map(|_| ())
    }

    /// Binds the filter.
    pub(crate) fn bind(&self, principal: &Principal, schema: &SchemaRef) -> Result<BoundFilter, String> {
        let Some(expr) = self.clone().substitute(Some(principal))? else { return Ok(BoundFilter::Nothing) };
        let expr = plan(expr, schema)?;
        let dfschema = Arc::new(df_schema(schema)?);
        let context = SimplifyContext::builder().with_schema(dfschema).build();
        let Ok(expr) = ExprSimplifier::new(context).simplify(expr) else { return Ok(BoundFilter::Nothing) };
        // A literal that does not cast (an attribute that is not a number) would fail on the first row.
        let mut unfolded = false;
        expr.apply(|node| {
            unfolded |= matches!(node, Expr::Cast(cast) if matches!(cast.expr.as_ref(), Expr::Literal(_, _)));
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(|_| "the predicate nests too deeply".to_owned())?;
        match expr {
            _ if unfolded => Ok(BoundFilter::Nothing),
            Expr::Literal(ScalarValue::Boolean(Some(false) | None) | ScalarValue::Null, _) => {
                Ok(BoundFilter::Nothing)
            }
            expr => Ok(BoundFilter::Where(expr)),
        }
    }
}

/// Always true: nothing is hidden.
pub(crate) fn is_always_true(expr: &Expr) -> bool {
    *expr == lit(true)
}

fn df_schema(schema: &SchemaRef) -> Result<DFSchema, String> {
    DFSchema::try_from(Arc::clone(schema)).map_err(|error| error.strip_backtrace())
}

fn plan(expr: ast::Expr, schema: &SchemaRef) -> Result<Expr, String> {
    let dfschema = df_schema(schema)?;
    let planned = PLANNER
        .create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, &dfschema)
        .map_err(|error| crate::document::first_line(&error.strip_backtrace()))?;
    let planned = crate::numbers::rewrite(planned, &dfschema)
        .map_err(|error| crate::document::first_line(&error.strip_backtrace()))?
        .data;
    let context = SimplifyContext::builder().with_schema(Arc::new(dfschema.clone())).build();
    let coerced = ExprSimplifier::new(context)
        .coerce(planned, &dfschema)
        .map_err(|error| crate::document::first_line(&error.strip_backtrace()))?;
    match coerced.get_type(&dfschema) {
        Ok(DataType::Boolean | DataType::Null) => {}
        Ok(other) => return Err(format!("a row filter is true or false; this is of type {other}")),
        Err(error) => return Err(crate::document::first_line(&error.strip_backtrace())),
    }
    match not_total(&coerced, &dfschema) {
        Some(reason) => Err(format!("a row filter must not fail on any row: {reason}")),
        None => Ok(coerced),
    }
}

/// Puts the principal's values in place of `principal.tenant`, `principal.user` and `principal.attr('…')`.
struct Substitute<'a> {
    principal: Option<&'a Principal>,
    lacks: bool,
    /// Set where `principal.tenant` was met.
    tenant: bool,
}

/// Collects the names that could be those of columns, as the planner would look for them.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn add(&mut self, ident: &ast::Ident) {
        self.0.insert(match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_ascii_lowercase(),
        });
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
        match expr {
            ast::Expr::Identifier(ident) => self.add(ident),
            ast::Expr::CompoundIdentifier(parts) => parts.iter().for_each(|part| self.add(part)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Substitute<'_> {
    fn value(&mut self, value: Option<Option<&str>>) -> ast::Expr {
        let text = match value {
            Some(Some(text)) => ast::Value::SingleQuotedString(text.to_owned()),
            Some(None) => {
                self.lacks = true;
                ast::Value::Null
            }
            // Without a principal the text is unknown but its type is known.
            None => ast::Value::SingleQuotedString(String::new()),
        };
        ast::Expr::Value(text.into())
    }
}

impl VisitorMut for Substitute<'_> {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<String> {
        let is_principal =
            |ident: &ast::Ident| ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("principal");
        let principal = self.principal;
        match expr {
            ast::Expr::CompoundIdentifier(parts) if parts.first().is_some_and(is_principal) => {
                let field = parts.get(1).map(|ident| ident.value.to_ascii_lowercase()).unwrap_or_default();
                *expr = match (field.as_str(), parts.len()) {
                    ("tenant", 2) => {
                        self.tenant = true;
                        self.value(principal.map(|p| p.tenant.as_deref()))
                    }
                    ("user", 2) => self.value(principal.map(|p| Some(p.user.as_str()))),
                    _ => {
                        return ControlFlow::Break(format!(
                            "`{expr}` is not known; expected principal.tenant, principal.user or principal.attr('name')"
                        ));
                    }
                };
            }
            ast::Expr::Function(function)
                if function.name.0.first().and_then(|part| part.as_ident()).is_some_and(is_principal) =>
            {
                let Some(name) = attribute_name(function) else {
                    return ControlFlow::Break(format!(
                        "`{function}` is not known; expected principal.attr('name') with one literal name"
                    ));
                };
                *expr = self.value(principal.map(|p| p.attributes.get(&name).map(String::as_str)));
            }
            ast::Expr::Subquery(_) | ast::Expr::InSubquery { .. } | ast::Expr::Exists { .. } => {
                return ControlFlow::Break("a row filter may not hold a subquery".to_owned());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn attribute_name(function: &ast::Function) -> Option<String> {
    let [_, method] = function.name.0.as_slice() else { return None };
    if !method.as_ident()?.value.eq_ignore_ascii_case("attr") {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Value(value)))] = list.args.as_slice() else {
        return None;
    };
    match &value.value {
        ast::Value::SingleQuotedString(name) => Some(name.clone()),
        _ => None,
    }
}
