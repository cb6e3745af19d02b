//! A table as one principal sees it: the only table provider that a governed session hands out for
//! lake data.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::access::TablePolicy;
use crate::barrier::{BarrierColumn, PolicyBarrierExec};
use crate::mutation::{Mutation, active};
use crate::total::{is_flat, is_leakproof};
use crate::view::{ViewQuery, ViewSource};

/// Wraps a raw table; every scan of it is sealed by a [`PolicyBarrierExec`].
///
/// What a provider may reveal beside its scan (definition, defaults, constraints, statistics, an inner
/// logical plan, writes) keeps the trait's defaults, which reveal and allow nothing.
#[derive(Debug)]
pub struct PolicyTable {
    inner: Arc<dyn TableProvider>,
    policy: Arc<TablePolicy>,
    /// May rows be read, or only columns and plans be seen?
    readable: bool,
    /// Version of the table that is read, for the audit trail; a view has none.
    version: Option<u64>,
    /// Where it is a view: its query, which `inner` scans.
    query: Option<Arc<ViewQuery>>,
}

impl PolicyTable {
    /// Seals `inner`.
    pub fn new(
        inner: Arc<dyn TableProvider>,
        policy: Arc<TablePolicy>,
        readable: bool,
        version: u64,
    ) -> Self {
        Self { inner, policy, readable, version: Some(version), query: None }
    }

    /// Seals a view. The policies are those of the view; what its query reads was decided with the query.
    pub fn of_view(query: Arc<ViewQuery>, policy: Arc<TablePolicy>, readable: bool) -> Self {
        let inner = Arc::new(ViewSource(Arc::clone(&query)));
        Self { inner, policy, readable, version: None, query: Some(query) }
    }

    /// `schema.table`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.policy.table
    }

    /// What applies.
    #[must_use]
    pub fn policy(&self) -> &Arc<TablePolicy> {
        &self.policy
    }

    /// Whether rows may be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Version of the table that is read; None for a view.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// The query, where it is a view.
    pub(crate) fn query(&self) -> Option<&Arc<ViewQuery>> {
        self.query.as_ref()
    }

    /// Whether a predicate over the column may be evaluated on rows that are not shown.
    fn may_push_over(&self, column: &str) -> bool {
        self.policy.shown.index_of(column).is_ok_and(|index| {
            !self.policy.masks.contains_key(&index) && is_flat(self.policy.shown.field(index).data_type())
        })
    }

    fn may_push(&self, filter: &Expr) -> bool {
        // Who may see plans but no rows would read column bounds off the files that a predicate leaves.
        self.readable
            && (is_leakproof(filter, &|column| self.may_push_over(column))
                || active(Mutation::PushEverything)
                || (self.query.is_some() && active(Mutation::ViewOpen)))
    }
}

#[async_trait]
impl TableProvider for PolicyTable {
    fn schema(&self) -> SchemaRef {
        self.policy.schema()
    }

    fn table_type(&self) -> TableType {
        if self.query.is_some() { TableType::View } else { TableType::Base }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Inexact: the filter is evaluated again above the barrier, whatever the scan makes of it.
        Ok(filters
            .iter()
            .map(|filter| {
                if self.may_push(filter) {
                    TableProviderFilterPushDown::Inexact
                } else {
                    TableProviderFilterPushDown::Unsupported
                }
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let raw = self.inner.schema();
        let shown: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..raw.fields().len()).collect(),
        };
        let schema = Arc::new(self.policy.shown.project(&shown)?);

        if self.policy.nothing {
            let input: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(Arc::new(raw.project(&shown)?)));
            let columns =
                self.columns(&shown, |index| shown.iter().position(|i| *i == index).unwrap_or(index));
            return Ok(Arc::new(self.seal(input, None, columns, schema)?));
        }

        let limit = limit.filter(|_| active(Mutation::LimitPassed));
        let filter = self.policy.row_filter.as_ref().filter(|_| !active(Mutation::RowFilterDropped));

        // What the filter reads is read, too; it does not leave.
        let mut needed = shown.clone();
        if let Some(filter) = filter {
            for column in filter.column_refs() {
                needed.push(raw.index_of(&column.name)?);
            }
        }
        let leakproof: Vec<Expr> =
            filters.iter().filter(|filter| self.may_push(filter)).map(unqualified).collect::<Result<_>>()?;
        if filter.is_some() {
            for column in leakproof.iter().flat_map(Expr::column_refs) {
                needed.push(raw.index_of(&column.name)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        let mut pushed = leakproof.clone();
        pushed.extend(filter.cloned());
        let pushed: Vec<Expr> = datafusion::logical_expr::utils::split_conjunction_owned(
            conjunction(pushed).unwrap_or_else(|| lit(true)),
        )
        .into_iter()
        .filter(|filter| *filter != lit(true))
        .collect();
        let supported = self.inner.supports_filters_pushdown(&pushed.iter().collect::<Vec<_>>())?;
        let pushed: Vec<Expr> = pushed
            .into_iter()
            .zip(supported)
            .filter(|(_, support)| *support != TableProviderFilterPushDown::Unsupported)
            .map(|(filter, _)| filter)
            .collect();
        let input = self.inner.scan(state, Some(&needed), &pushed, None).await?;
        let input = if limit.is_some() { input.with_fetch(limit).unwrap_or(input) } else { input };
        // The barrier takes no exchange below it, so the scan itself is cut for the available cores.
        let input = match input.repartitioned(state.config().target_partitions(), state.config_options())? {
            Some(cut) => cut,
            None => input,
        };

        let input_schema = input.schema();
        let row_filter = filter.map(|filter| physical(state, filter, &input_schema)).transpose()?;
        let columns =
            self.columns(&shown, |index| needed.iter().position(|i| *i == index).unwrap_or(usize::MAX));
        #[cfg(feature = "mutations")]
        if let Some(open) = crate::mutation::unsealed(&input, row_filter.as_ref(), &columns, &schema)? {
            return Ok(open);
        }
        let leakproof = leakproof
            .iter()
            .filter(|filter| row_filter.is_some() && !matches_patterns(filter))
            .map(|filter| physical(state, filter, &input_schema))
            .collect::<Result<_>>()?;
        Ok(Arc::new(self.seal(input, row_filter, columns, schema)?.with_leakproof(leakproof)))
    }
}

impl PolicyTable {
    fn columns(&self, shown: &[usize], position: impl Fn(usize) -> usize) -> Arc<[BarrierColumn]> {
        shown
            .iter()
            .map(|index| BarrierColumn {
                input: position(*index),
                // Tokens stay: without them a column would change its type.
                mask: self
                    .policy
                    .masks
                    .get(index)
                    .filter(|mask| mask.name() == "token" || !active(Mutation::MaskDropped))
                    .cloned(),
            })
            .collect()
    }

    fn seal(
        &self,
        input: Arc<dyn ExecutionPlan>,
        row_filter: Option<Arc<dyn PhysicalExpr>>,
        columns: Arc<[BarrierColumn]>,
        schema: Arc<Schema>,
    ) -> Result<PolicyBarrierExec> {
        let table = Arc::clone(&self.policy.table);
        let barrier = PolicyBarrierExec::try_new(table, input, row_filter, columns, schema)?;
        Ok(barrier.for_policy(&self.policy))
    }
}

/// LIKE costs more than the copy it may save, and it is evaluated again above.
fn matches_patterns(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode as _;
    filter.exists(|part| Ok(matches!(part, Expr::Like(_)))).unwrap_or(true)
}

/// The raw table knows its columns by bare name.
fn unqualified(filter: &Expr) -> Result<Expr> {
    datafusion::logical_expr::expr_rewriter::unnormalize_cols([filter.clone()])
        .into_iter()
        .next()
        .map_or_else(|| datafusion::common::internal_err!("a filter vanished"), Ok)
}

fn physical(state: &dyn Session, filter: &Expr, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    let schema = DFSchema::try_from(Arc::clone(schema))?;
    state.create_physical_expr(filter.clone(), &schema)
}
