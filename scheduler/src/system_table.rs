//! Tables whose rows the service makes itself: `pg_catalog`, `information_schema`, `system`.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::Mutex;

/// Makes the rows of a table. Every batch has the table's schema.
pub type Generator = dyn Fn() -> Result<Vec<RecordBatch>> + Send + Sync;

/// A table of generated batches. Its rows come from the service's own state, never from a lake, so it
/// needs no barrier; whoever makes the generator shows one principal only what is theirs to know.
pub struct SystemTable {
    /// Name for plans and debugging.
    name: String,
    /// Columns of every batch.
    schema: SchemaRef,
    /// Makes the rows.
    generator: Box<Generator>,
    /// A stable table is generated once, when it is first scanned; a live one at every scan.
    stable: bool,
    /// What a stable table generated.
    rows: Mutex<Option<Vec<RecordBatch>>>,
}

impl SystemTable {
    /// A table whose rows never change: generated at the first scan and kept.
    pub fn stable(
        name: impl Into<String>,
        schema: SchemaRef,
        generator: impl Fn() -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            schema,
            generator: Box::new(generator),
            stable: true,
            rows: Mutex::new(None),
        }
    }

    /// A table that shows the present: generated anew at every scan.
    pub fn live(
        name: impl Into<String>,
        schema: SchemaRef,
        generator: impl Fn() -> Result<Vec<RecordBatch>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            schema,
            generator: Box::new(generator),
            stable: false,
            rows: Mutex::new(None),
        }
    }

    /// Whether two scans of one plan are certain to see the same rows.
    #[must_use]
    pub const fn is_stable(&self) -> bool {
        self.stable
    }

    /// The table's rows.
    ///
    /// # Errors
    /// Whatever the generator reports.
    pub fn batches(&self) -> Result<Vec<RecordBatch>> {
        if !self.stable {
            return (self.generator)();
        }
        let mut rows = self.rows.lock();
        if let Some(batches) = rows.as_ref() {
            return Ok(batches.clone());
        }
        let batches = (self.generator)()?;
        *rows = Some(batches.clone());
        Ok(batches)
    }
}

impl fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemTable")
            .field("name", &self.name)
            .field("stable", &self.stable)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = MemorySourceConfig::try_new_exec(&[self.batches()?], self.schema(), projection.cloned())?;
        Ok(plan)
    }
}
