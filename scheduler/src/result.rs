//! The rows of one statement on their way out.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;

use crate::error::QueryError;

type Rows = Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryError>> + Send>>;

/// A stream of batches with back-pressure; dropping it cancels the query and audits the outcome.
pub struct QueryStream {
    schema: SchemaRef,
    rows: Rows,
}

impl QueryStream {
    pub(crate) fn new(
        schema: SchemaRef,
        rows: impl Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static,
    ) -> Self {
        Self { schema, rows: Box::pin(rows) }
    }

    /// Columns of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.rows.as_mut().poll_next(cx)
    }
}
