//! The rows of one statement on their way out.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;

use crate::error::QueryError;
use crate::run::Recheck;

type Rows = Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryError>> + Send>>;

/// A stream of batches with back-pressure; dropping it cancels the query and audits the outcome.
pub struct QueryStream {
    schema: SchemaRef,
    rows: Rows,
    /// None for what depends on no policy: settings, a plan that was shown already.
    recheck: Option<Recheck>,
}

/// Asks whether rows of a statement may still be handed out, also those that a wire holds already: a
/// client may come back for more of them at any time.
#[derive(Clone)]
pub struct Permission(Option<Recheck>);

impl Permission {
    /// For rows that depend on no policy.
    #[must_use]
    pub const fn unconditional() -> Self {
        Self(None)
    }

    /// # Errors
    /// When the account is not what it was, or policies changed what the statement may read.
    pub async fn confirm(&self) -> Result<(), QueryError> {
        match &self.0 {
            Some(recheck) => recheck().await,
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permission").field(&self.0.is_some()).finish()
    }
}

impl QueryStream {
    pub(crate) fn new(
        schema: SchemaRef,
        rows: impl Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static,
    ) -> Self {
        Self { schema, rows: Box::pin(rows), recheck: None }
    }

    pub(crate) fn checked(
        schema: SchemaRef,
        rows: impl Stream<Item = Result<RecordBatch, QueryError>> + Send + 'static,
        recheck: Recheck,
    ) -> Self {
        Self { schema, rows: Box::pin(rows), recheck: Some(recheck) }
    }

    /// To be asked before rows go out that were read some time ago.
    #[must_use]
    pub fn permission(&self) -> Permission {
        Permission(self.recheck.clone())
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
