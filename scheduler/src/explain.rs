//! EXPLAIN: users see what they asked for as the engine understood it; operators see how it would run.
//!
//! A physical plan tells of sizes, files and partitions, all of which depend on rows that a user may
//! not know of. So users get the optimised logical plan alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_plan::{displayable, execute_stream};
use futures::StreamExt;

use crate::error::QueryError;
use crate::failure;
use crate::plan::Runnable;

/// One text column, as PostgreSQL names it.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, false)]))
}

/// The plan for users.
pub(crate) fn logical(runnable: &Runnable) -> Vec<String> {
    lines(&runnable.logical.display_indent().to_string())
}

/// Both plans, for operators.
pub(crate) fn full(runnable: &Runnable, verbose: bool) -> Vec<String> {
    let mut shown = vec!["Logical plan".to_owned()];
    shown.extend(logical(runnable).into_iter().map(|line| format!("  {line}")));
    shown.push("Physical plan".to_owned());
    let physical = displayable(runnable.physical.as_ref()).indent(verbose).to_string();
    shown.extend(lines(&physical).into_iter().map(|line| format!("  {line}")));
    shown
}

/// Runs the plan, drops its rows, shows what each operator did. For operators.
#[expect(
    clippy::disallowed_methods,
    reason = "the plan is verified and audited by the caller; no row leaves"
)]
pub(crate) async fn analyze(runnable: &Runnable, verbose: bool) -> Result<Vec<String>, QueryError> {
    let started = std::time::Instant::now();
    let mut rows = execute_stream(Arc::clone(&runnable.physical), runnable.state.task_ctx())
        .map_err(|error| failure::execution(&error))?;
    let mut count = 0_usize;
    while let Some(batch) = rows.next().await {
        count += batch.map_err(|error| failure::execution(&error))?.num_rows();
    }
    let elapsed = started.elapsed();
    let plan = datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(
        runnable.physical.as_ref(),
    )
    .indent(verbose)
    .to_string();
    let mut shown = lines(&plan);
    shown.push(format!("Rows: {count}"));
    shown.push(format!("Execution Time: {:.3} ms", elapsed.as_secs_f64() * 1_000.0));
    Ok(shown)
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Lines as a batch of [`schema`].
pub(crate) fn batch(lines: Vec<String>) -> Result<RecordBatch, QueryError> {
    let column: ArrayRef = Arc::new(StringArray::from(lines));
    RecordBatch::try_new(schema(), vec![column]).map_err(|error| failure::execution(&error.into()))
}
