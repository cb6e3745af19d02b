//! Deliberate damage, so that tests can show that each protection is missed when it is gone; and other files below a
//! barrier than those of the lake's tables.
//!
//! Without the feature `mutations`, which only tests ask for, [`active`] is always false and nothing can change that.

/// A protection that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Mutation {
    /// Scans without masked columns are filtered by the engine's own nodes.
    BarrierOff,
    /// Plans are taken as they are.
    VerifierOff,
    /// Every predicate of a statement goes below the barrier.
    PushEverything,
    /// Limits go below the barrier.
    LimitPassed,
    /// Dynamic filters on masked columns go below the barrier.
    DynamicFiltersOfAny,
    /// Column bounds pass the barrier.
    BoundsPass,
    /// Row counts of the files pass the barrier as exact ones.
    ExactCounts,
    /// Columns are shown as they are.
    MaskDropped,
    /// Rows are shown as they are.
    RowFilterDropped,
    /// Errors say what the engine says.
    RawErrors,
    /// What may not be seen is told from what does not exist.
    ForbiddenTold,
    /// Everybody sees physical plans.
    PhysicalExplain,
    /// Clauses that the engine ignores are let in.
    StatementListOff,
    /// Sessions go on with the policies that they began with.
    EpochUnchecked,
    /// Predicates of a statement go into the queries of views.
    ViewOpen,
}

/// Whether a protection is gone.
#[cfg(not(feature = "mutations"))]
#[must_use]
pub const fn active(_: Mutation) -> bool {
    false
}

#[cfg(feature = "mutations")]
pub use switches::{Substitute, activate, active, substitute, substituted};

#[cfg(feature = "mutations")]
pub(crate) use switches::unsealed;

#[cfg(feature = "mutations")]
mod switches {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, OnceLock};

    use datafusion::arrow::datatypes::SchemaRef;
    use datafusion::catalog::TableProvider;
    use datafusion::common::Result;
    use datafusion::physical_expr::PhysicalExpr;
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_plan::ExecutionPlan;
    use datafusion::physical_plan::filter::FilterExec;
    use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

    use super::Mutation;
    use crate::barrier::BarrierColumn;

    static ACTIVE: AtomicU32 = AtomicU32::new(0);

    const fn bit(mutation: Mutation) -> u32 {
        1 << mutation as u32
    }

    /// Whether a protection is gone.
    #[must_use]
    pub fn active(mutation: Mutation) -> bool {
        ACTIVE.load(Ordering::Relaxed) & bit(mutation) != 0
    }

    /// Takes these protections away in the whole process, and gives the others back.
    pub fn activate(mutations: &[Mutation]) {
        ACTIVE.store(mutations.iter().fold(0, |bits, mutation| bits | bit(*mutation)), Ordering::Relaxed);
    }

    /// What reads a table's folder instead of the lake's own scan, if anything does. Gets the folder's URL and
    /// the table's columns.
    pub type Substitute = fn(&str, &SchemaRef) -> Option<Arc<dyn TableProvider>>;

    static SUBSTITUTE: OnceLock<Substitute> = OnceLock::new();

    /// Asks `substitute` for every table from now on, in the whole process.
    pub fn substitute(substitute: Substitute) {
        SUBSTITUTE.get_or_init(|| substitute);
    }

    /// What stands in for the table of this folder.
    #[must_use]
    pub fn substituted(folder: &str, columns: &SchemaRef) -> Option<Arc<dyn TableProvider>> {
        SUBSTITUTE.get()?(folder, columns)
    }

    /// What a scan would be if the engine's own nodes filtered it.
    pub(crate) fn unsealed(
        input: &Arc<dyn ExecutionPlan>,
        filter: Option<&Arc<dyn PhysicalExpr>>,
        columns: &[BarrierColumn],
        schema: &SchemaRef,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if !active(Mutation::BarrierOff) || columns.iter().any(|column| column.mask.is_some()) {
            return Ok(None);
        }
        let input: Arc<dyn ExecutionPlan> = match filter {
            Some(filter) => Arc::new(FilterExec::try_new(Arc::clone(filter), Arc::clone(input))?),
            None => Arc::clone(input),
        };
        let shown: Vec<ProjectionExpr> = columns
            .iter()
            .zip(schema.fields())
            .map(|(column, field)| {
                let name = input.schema().field(column.input).name().clone();
                let expr: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&name, column.input));
                ProjectionExpr { expr, alias: field.name().clone() }
            })
            .collect();
        Ok(Some(Arc::new(ProjectionExec::try_new(shown, input)?)))
    }
}
