//! PostgreSQL's spelling of a statement put into the engine's.
//!
//! Some rules hold for every statement (operators, casts, names of columns, set-returning functions);
//! those that rest on knowing the tables are kept to statements that read system schemas only.

mod arrays;
mod casts;
mod expressions;
mod labels;
mod relations;
mod tables;

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Select, SelectItem, Statement, TableFactor, VisitMut, VisitorMut};

use super::error::RewriteError;
use relations::Tables;

pub use labels::display_name;
pub use relations::reads_only_system_schemas;

/// Rewrites a parsed statement, once, so that the engine can plan it with PostgreSQL's meaning.
///
/// Output columns get PostgreSQL's names; a name that appears twice carries a mark, because the engine wants
/// them apart: [`display_name`] takes it off where the columns are shown.
///
/// # Errors
/// What is recognised and cannot be carried out is refused with 0A000.
pub(super) fn rewrite(statement: &mut Statement) -> Result<(), RewriteError> {
    relations::qualify(statement);
    let system = reads_only_system_schemas(statement);
    let mut rewriter = Rewriter { system, tables: Tables::default() };
    if let ControlFlow::Break(error) = VisitMut::visit(statement, &mut rewriter) {
        return Err(error);
    }
    casts::show_names(statement);
    Ok(())
}

/// Walks the statement; expressions from the inside out.
struct Rewriter {
    /// Whether the statement reads system schemas only.
    system: bool,
    /// System tables in scope, by the names they go by.
    tables: Tables,
}

impl VisitorMut for Rewriter {
    type Break = RewriteError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<RewriteError> {
        self.tables.enter(select);
        // Before the inside changes: names come from what was written.
        labels::name_columns(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<RewriteError> {
        self.tables.leave();
        tables::settle_first(select);
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                expressions::series(expr);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<RewriteError> {
        flow(tables::rewrite(factor, self.system))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<RewriteError> {
        flow(expressions::rewrite(expr, self.system, &self.tables))
    }
}

fn flow(result: Result<(), RewriteError>) -> ControlFlow<RewriteError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}
