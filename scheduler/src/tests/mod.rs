//! What sessions answer, over a small real lake.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod lake;
mod numbers;
mod policies;
mod sessions;
mod streams;
mod versions;
mod views;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;

use crate::error::QueryError;
use crate::session::{Outcome, Session};

/// Rows of one statement as text, or the error.
async fn ask(session: &Session, sql: &str) -> Result<String, QueryError> {
    let batches = rows(session, sql).await?;
    Ok(pretty_format_batches(&batches).expect("printable").to_string())
}

/// The one value of a statement's one row, as text.
async fn value(session: &Session, sql: &str) -> Result<String, QueryError> {
    let batches = rows(session, sql).await?;
    let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("one schema");
    assert_eq!((batch.num_rows(), batch.num_columns()), (1, 1), "{sql}");
    Ok(arrow::util::display::array_value_to_string(batch.column(0), 0).expect("printable"))
}

async fn rows(session: &Session, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let mut batches = Vec::new();
    for statement in session.parse(sql)? {
        let prepared = session.prepare(&statement, &[]).await?;
        if let Outcome::Rows { stream, .. } = session.execute(&prepared, Vec::new()).await? {
            let schema = stream.schema();
            batches = stream.try_collect().await?;
            if batches.is_empty() {
                batches.push(RecordBatch::new_empty(schema));
            }
        }
    }
    Ok(batches)
}

async fn code(session: &Session, sql: &str) -> &'static str {
    ask(session, sql).await.map(|rows| format!("{sql} answered\n{rows}")).expect_err("an error").state.code()
}
