//! The physical side: what runs is what was decided.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr, IsNullExpr,
    LikeExpr, Literal, NotExpr, TryCastExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;

use super::{NotVerified, Verified};
use crate::barrier::PolicyBarrierExec;
use crate::mutation::{Mutation, active};
use crate::total::{is_total_cast, is_total_function, is_total_operator};
use crate::view::{Reads, ViewExec};

/// Checks a physical plan that was made of a plan which gave `decided`: every leaf is behind a barrier, or
/// holds values that the statement or a system table brought; behind a barrier there is one scan and nothing
/// else; a barrier carries out what was decided for its table; every other node is one that is known.
///
/// # Errors
/// The first thing that is not so, with names of nodes and tables.
pub fn verify_physical(plan: &Arc<dyn ExecutionPlan>, decided: &Verified) -> Result<(), NotVerified> {
    if active(Mutation::VerifierOff) {
        return Ok(());
    }
    if let Some(barrier) = plan.downcast_ref::<PolicyBarrierExec>() {
        return verify_barrier(barrier, decided);
    }
    let children = plan.children();
    if children.is_empty() {
        return verify_open_leaf(plan);
    }
    if !is_known(plan.as_ref()) {
        return Err(NotVerified::new(format!("{} is not a node that is known", plan.name())));
    }
    children.into_iter().try_for_each(|child| verify_physical(child, decided))
}

/// Nodes that compute on what their inputs give, and have no rows of their own.
fn is_known(plan: &dyn ExecutionPlan) -> bool {
    use datafusion::physical_optimizer::output_requirements::OutputRequirementExec;
    use datafusion::physical_plan::{
        aggregates, buffer, coalesce_batches, coalesce_partitions, coop, filter, joins, limit, projection,
        recursive_query, repartition, scalar_subquery, sorts, union, unnest, windows,
    };
    macro_rules! is_one_of {
        ($($node:ty),* $(,)?) => { false $(|| plan.is::<$node>())* };
    }
    #[expect(deprecated, reason = "plans of the engine still have it")]
    let coalesces_batches = plan.is::<coalesce_batches::CoalesceBatchesExec>();
    coalesces_batches
        || is_one_of![
            aggregates::AggregateExec,
            buffer::BufferExec,
            coalesce_partitions::CoalescePartitionsExec,
            coop::CooperativeExec,
            filter::FilterExec,
            joins::CrossJoinExec,
            joins::HashJoinExec,
            joins::NestedLoopJoinExec,
            joins::PiecewiseMergeJoinExec,
            joins::SortMergeJoinExec,
            joins::SymmetricHashJoinExec,
            limit::GlobalLimitExec,
            limit::LocalLimitExec,
            projection::ProjectionExec,
            recursive_query::RecursiveQueryExec,
            repartition::RepartitionExec,
            scalar_subquery::ScalarSubqueryExec,
            sorts::partial_sort::PartialSortExec,
            sorts::partitioned_topk::PartitionedTopKExec,
            sorts::sort::SortExec,
            sorts::sort_preserving_merge::SortPreservingMergeExec,
            union::InterleaveExec,
            union::UnionExec,
            unnest::UnnestExec,
            windows::BoundedWindowAggExec,
            windows::WindowAggExec,
            OutputRequirementExec,
        ]
}

/// A barrier that is made of a decision on this plan, and the scan below it.
fn verify_barrier(barrier: &PolicyBarrierExec, decided: &Verified) -> Result<(), NotVerified> {
    let wrong = |what: &str| Err(NotVerified::new(format!("the barrier of {} {what}", barrier.table())));
    let Some(policy) = barrier.policy() else { return wrong("carries out no decision") };
    if !decided.scans.iter().any(|scan| Arc::ptr_eq(&scan.policy, policy)) {
        return wrong("carries out a decision that is not one on this plan");
    }
    if barrier.has_row_filter() != (policy.row_filter.is_some() && !policy.nothing)
        || !barrier.evaluates_row_filter()
    {
        return wrong("does not filter rows as decided");
    }
    let (shown, raw) = (barrier.schema(), barrier.input().schema());
    for (field, column) in shown.fields().iter().zip(barrier.columns()) {
        let source = raw.fields().get(column.input).map(|source| source.name());
        let Ok(index) = policy.shown.index_of(field.name()) else { return wrong("shows an unknown column") };
        if source != Some(field.name()) {
            return wrong("shows a column under the name of another one");
        }
        let as_decided = match (policy.masks.get(&index), &column.mask) {
            (Some(decided), Some(mask)) => std::ptr::addr_eq(Arc::as_ptr(decided), Arc::as_ptr(mask)),
            (None, None) => true,
            _ => false,
        };
        if !as_decided {
            return wrong("does not mask columns as decided");
        }
    }
    let queries = || {
        let of_policy = decided.scans.iter().filter(|scan| Arc::ptr_eq(&scan.policy, policy));
        of_policy.filter_map(|scan| scan.query.as_ref())
    };
    match barrier.input().downcast_ref::<ViewExec>() {
        Some(_) if policy.nothing => wrong("reads a view though none of its rows may be read"),
        Some(view) if queries().any(|query| Arc::ptr_eq(query, view.query())) => verify_view(view),
        Some(_) => wrong("stands over a query that is not the view's"),
        None if queries().next().is_some() && !barrier.input().is::<EmptyExec>() => {
            wrong("does not stand over the view's query")
        }
        None => verify_sealed(barrier, policy.nothing),
    }
}

/// The query of a view: with owner's rights scans and nodes that are known, with the invoker's as any
/// statement of theirs.
fn verify_view(view: &ViewExec) -> Result<(), NotVerified> {
    match view.query().reads() {
        Reads::Invoker(decided) => verify_physical(view.plan(), decided),
        Reads::Owner(_) => verify_owner_plan(view.plan()),
    }
}

fn verify_owner_plan(plan: &Arc<dyn ExecutionPlan>) -> Result<(), NotVerified> {
    let children = plan.children();
    if children.is_empty() {
        let files = plan
            .downcast_ref::<DataSourceExec>()
            .is_some_and(|scan| scan.data_source().downcast_ref::<FileScanConfig>().is_some());
        return if files { Ok(()) } else { verify_open_leaf(plan) };
    }
    if !is_known(plan.as_ref()) {
        return Err(NotVerified::new(format!("{} is not a node that is known in a view", plan.name())));
    }
    children.into_iter().try_for_each(verify_owner_plan)
}

/// Below a barrier: the scan itself. A filter, a projection or an exchange there would mean that
/// somebody moved part of a statement below it, or raw rows out of their task.
fn verify_sealed(barrier: &PolicyBarrierExec, nothing: bool) -> Result<(), NotVerified> {
    let input = barrier.input();
    if input.is::<EmptyExec>() {
        return Ok(());
    }
    let refused = |why: String| Err(NotVerified::new(why));
    if nothing {
        return refused(format!("{} is read though none of its rows may be", barrier.table()));
    }
    let Some(scan) = input.downcast_ref::<DataSourceExec>() else {
        return refused(format!("{} stands below the barrier of {}", input.name(), barrier.table()));
    };
    if scan.data_source().is::<MemorySourceConfig>() {
        return Ok(());
    }
    let Some(files) = scan.data_source().downcast_ref::<FileScanConfig>() else {
        return refused(format!(
            "a source of an unknown kind stands below the barrier of {}",
            barrier.table()
        ));
    };
    let source = files.file_source();
    match source.filter() {
        Some(predicate) if !is_total(&predicate, source.table_schema().table_schema()) => {
            refused(format!("a predicate that may fail stands below the barrier of {}", barrier.table()))
        }
        _ => Ok(()),
    }
}

/// Whether a predicate gives an answer for every row, whoever's it is.
fn is_total(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let by_itself = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        is_total_operator(*binary.op())
    } else if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        cast.expr().data_type(schema).is_ok_and(|from| is_total_cast(&from, cast.cast_type()))
    } else if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
        is_total_function(call.name())
    } else {
        expr.is::<Column>()
            || expr.is::<Literal>()
            || expr.is::<NotExpr>()
            || expr.is::<IsNullExpr>()
            || expr.is::<IsNotNullExpr>()
            || expr.is::<InListExpr>()
            || expr.is::<LikeExpr>()
            || expr.is::<CaseExpr>()
            || expr.is::<TryCastExpr>()
            || expr.is::<DynamicFilterPhysicalExpr>()
    };
    by_itself && expr.children().into_iter().all(|child| is_total(child, schema))
}

fn verify_open_leaf(leaf: &Arc<dyn ExecutionPlan>) -> Result<(), NotVerified> {
    use datafusion::physical_plan::memory::LazyMemoryExec;
    use datafusion::physical_plan::work_table::WorkTableExec;
    let in_memory = leaf
        .downcast_ref::<DataSourceExec>()
        .is_some_and(|scan| scan.data_source().downcast_ref::<MemorySourceConfig>().is_some());
    let harmless = in_memory
        || leaf.is::<EmptyExec>()
        || leaf.is::<PlaceholderRowExec>()
        || leaf.is::<WorkTableExec>()
        || leaf.is::<LazyMemoryExec>();
    if harmless {
        Ok(())
    } else {
        Err(NotVerified::new(format!("leaf {} is not behind a barrier", leaf.name())))
    }
}
