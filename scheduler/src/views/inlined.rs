//! A view whose query becomes part of the statement that names it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// Below an owner's view every view is such a one; for users those with the invoker's rights that no rule
/// concerns. The verifier knows no scan of it: what is not inlined does not run.
#[derive(Debug)]
pub(super) struct InlinedView {
    pub(super) plan: LogicalPlan,
    pub(super) schema: SchemaRef,
}

#[async_trait]
impl TableProvider for InlinedView {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        internal_err!("a view was not inlined")
    }
}
