//! The query below a view, as a provider of raw rows.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, Result, internal_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_plan::ExecutionPlan;

use super::exec::ViewExec;
use crate::mutation::{Mutation, active};
use crate::verifier::{IsSystemTable, NotVerified, Verified, verify_logical, verify_owner};

/// The time zone below owners' views: nothing that a session sets enters them.
const OWNER_TIME_ZONE: &str = "UTC";

/// A table as the policies' owner reads it. Only queries of owner's views may scan one.
#[derive(Debug)]
pub struct OwnerTable {
    inner: Arc<dyn TableProvider>,
    schema: String,
    name: String,
    /// Version that is read.
    version: u64,
}

impl OwnerTable {
    /// `inner` under its schema, name and version, without filters and masks.
    pub fn new(inner: Arc<dyn TableProvider>, schema: &str, name: &str, version: u64) -> Self {
        Self { inner, schema: schema.to_owned(), name: name.to_owned(), version }
    }

    pub(crate) fn schema_and_name(&self) -> (&str, &str) {
        (&self.schema, &self.name)
    }

    pub(crate) fn read(&self, columns: Vec<String>) -> ReadTable {
        ReadTable { schema: self.schema.clone(), name: self.name.clone(), version: self.version, columns }
    }
}

#[async_trait]
impl TableProvider for OwnerTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.scan(state, projection, filters, limit).await
    }
}

/// A raw table below a view with owner's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadTable {
    /// Schema of the table.
    pub schema: String,
    /// The table.
    pub name: String,
    /// Version that is read.
    pub version: u64,
    /// Columns that the view's query reads.
    pub columns: Vec<String>,
}

impl ReadTable {
    /// `schema.table`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// What a view's query was found to read.
#[derive(Debug)]
pub(crate) enum Reads {
    /// Raw tables.
    Owner(Vec<ReadTable>),
    /// Governed tables, as they are to whoever asks.
    Invoker(Verified),
}

/// The verified query of a view. Scanning it gives a [`ViewExec`]; a [`PolicyTable`](crate::PolicyTable) stands
/// over it.
#[derive(Debug)]
pub struct ViewQuery {
    /// `schema.view`.
    name: Arc<str>,
    plan: LogicalPlan,
    schema: SchemaRef,
    reads: Reads,
}

impl ViewQuery {
    /// A query over [`OwnerTable`]s. `schema` names the columns of the analysed plan.
    ///
    /// # Errors
    /// Where the plan scans anything else, or does anything but read.
    pub fn owner(
        name: &str,
        plan: LogicalPlan,
        schema: SchemaRef,
        is_system: IsSystemTable<'_>,
    ) -> Result<Self, NotVerified> {
        let reads = Reads::Owner(verify_owner(&plan, is_system)?);
        Ok(Self { name: Arc::from(name), plan, schema, reads })
    }

    /// A query over governed tables.
    ///
    /// # Errors
    /// Where the plan scans anything else, or does anything but read.
    pub fn invoker(
        name: &str,
        plan: LogicalPlan,
        schema: SchemaRef,
        is_system: IsSystemTable<'_>,
    ) -> Result<Self, NotVerified> {
        let reads = Reads::Invoker(verify_logical(&plan, is_system)?);
        Ok(Self { name: Arc::from(name), plan, schema, reads })
    }

    /// `schema.view`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Raw tables below; none with the invoker's rights.
    #[must_use]
    pub fn tables(&self) -> &[ReadTable] {
        match &self.reads {
            Reads::Owner(tables) => tables,
            Reads::Invoker(_) => &[],
        }
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}

/// What a [`PolicyTable`](crate::PolicyTable) of a view is made over. A type of its own, so that the query is shared.
#[derive(Debug)]
pub(crate) struct ViewSource(pub(crate) Arc<ViewQuery>);

#[async_trait]
impl TableProvider for ViewSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // A predicate that the optimizer takes into the query meets rows that the query leaves out.
        let open = active(Mutation::ViewOpen);
        let support = if open {
            TableProviderFilterPushDown::Inexact
        } else {
            TableProviderFilterPushDown::Unsupported
        };
        Ok(vec![support; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let query = &self.0;
        let Some(session) = state.as_any().downcast_ref::<SessionState>() else {
            return internal_err!("a view is planned by a session of another kind");
        };
        let mut planner = session.clone();
        if matches!(query.reads, Reads::Owner(_)) {
            planner.config_mut().options_mut().execution.time_zone = Some(OWNER_TIME_ZONE.to_owned());
        }
        let mut plan = LogicalPlanBuilder::from(query.plan.clone());
        for filter in filters.iter().filter(|_| active(Mutation::ViewOpen)) {
            plan = plan.filter(filter.clone())?;
        }
        let (plan, schema) = match projection {
            Some(columns) => {
                let shown = columns
                    .iter()
                    .map(|index| Expr::Column(Column::from(query.plan.schema().qualified_field(*index))));
                (plan.project(shown)?.build()?, Arc::new(query.schema.project(columns)?))
            }
            None => (plan.build()?, Arc::clone(&query.schema)),
        };
        let plan = planner.create_physical_plan(&plan).await?;
        Ok(Arc::new(ViewExec::try_new(Arc::clone(query), plan, schema)?))
    }
}
