//! The verifier refuses whatever is not exactly what was decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;

use super::leaks::{POLICY, SETTINGS, context, governed};
use super::patients;
use crate::access::TablePolicy;
use crate::barrier::{BarrierColumn, PolicyBarrierExec};
use crate::{NotVerified, Verified, verify_logical, verify_physical};

#[tokio::test]
async fn the_verifier_refuses_what_is_not_behind_a_barrier() {
    let directory = tempfile::tempdir().unwrap();
    let (context, raw) = context(patients(), SETTINGS[0], directory.path()).await;
    context.register_table("t", raw).unwrap();
    for sql in
        ["SELECT * FROM t", "SELECT 1 WHERE EXISTS (SELECT 1 FROM t)", "SELECT (SELECT max(id) FROM t)"]
    {
        let plan = context.sql(sql).await.unwrap().into_unoptimized_plan();
        assert!(verify_logical(&plan, &|_| false).is_err(), "{sql}");
    }
    let physical = context.sql("SELECT * FROM t").await.unwrap().create_physical_plan().await.unwrap();
    assert!(verify_physical(&physical, &Verified::default()).is_err());
    for sql in [
        "COPY t TO '/tmp/never.parquet'",
        "CREATE TABLE x AS SELECT 1",
        "EXPLAIN SELECT 1",
        "INSERT INTO t SELECT * FROM t",
    ] {
        let plan = context.state().create_logical_plan(sql).await;
        assert!(plan.is_ok_and(|plan| verify_logical(&plan, &|_| true).is_err()), "{sql}");
    }
}

/// A statement over the governed table, with its barrier replaced by what `tamper` makes of it.
async fn tampered(
    sql: &str,
    tamper: impl Fn(&PolicyBarrierExec, &Arc<TablePolicy>) -> PolicyBarrierExec,
) -> Result<(), NotVerified> {
    let directory = tempfile::tempdir().unwrap();
    let context = governed(POLICY, SETTINGS[0], directory.path()).await;
    let logical = context.sql(sql).await.unwrap().into_optimized_plan().unwrap();
    let decided = verify_logical(&logical, &|_| false).unwrap();
    let physical = context.state().create_physical_plan(&logical).await.unwrap();
    verify_physical(&physical, &decided).unwrap();
    let mut found = false;
    let physical = physical
        .transform_up(|node| {
            let Some(barrier) = node.downcast_ref::<PolicyBarrierExec>() else {
                return Ok(Transformed::no(node));
            };
            found = true;
            Ok(Transformed::yes(Arc::new(tamper(barrier, &decided.scans[0].policy)) as _))
        })
        .unwrap()
        .data;
    assert!(found);
    verify_physical(&physical, &decided)
}

fn filter_of(barrier: &PolicyBarrierExec) -> Option<Arc<dyn datafusion::physical_expr::PhysicalExpr>> {
    barrier.row_filter().cloned()
}

fn remade(
    barrier: &PolicyBarrierExec,
    input: Arc<dyn ExecutionPlan>,
    row_filter: Option<Arc<dyn datafusion::physical_expr::PhysicalExpr>>,
    columns: Vec<BarrierColumn>,
) -> PolicyBarrierExec {
    PolicyBarrierExec::try_new(barrier.table().into(), input, row_filter, columns.into(), barrier.schema())
        .unwrap()
}

const ALL: &str = "SELECT * FROM t";

#[tokio::test]
async fn a_barrier_carries_out_a_decision_on_this_plan() {
    let same = |barrier: &PolicyBarrierExec| {
        remade(barrier, Arc::clone(barrier.input()), filter_of(barrier), barrier.columns().to_vec())
    };
    tampered(ALL, |barrier, policy| same(barrier).for_policy(policy)).await.unwrap();
    let problem = tampered(ALL, |barrier, _| same(barrier)).await.unwrap_err();
    assert!(problem.reason.contains("no decision"), "{problem}");
    let problem = tampered(ALL, |barrier, policy| {
        let shown = patients().schema();
        let other = TablePolicy::new(
            Arc::clone(&policy.table),
            &shown,
            policy.row_filter.clone(),
            false,
            policy.masks.clone(),
            BTreeMap::new(),
            Vec::new(),
        );
        same(barrier).for_policy(&Arc::new(other))
    });
    assert!(problem.await.unwrap_err().reason.contains("not one on this plan"));
}

#[tokio::test]
async fn a_barrier_filters_and_masks_as_decided() {
    let without_filter = tampered(ALL, |barrier, policy| {
        let columns = barrier.columns().to_vec();
        remade(barrier, Arc::clone(barrier.input()), None, columns).for_policy(policy)
    });
    assert!(without_filter.await.unwrap_err().reason.contains("does not filter"));

    let without_masks = tampered(ALL, |barrier, policy| {
        let columns: Vec<_> = barrier
            .columns()
            .iter()
            .map(|column| BarrierColumn { input: column.input, mask: None })
            .collect();
        remade(barrier, Arc::clone(barrier.input()), filter_of(barrier), columns).for_policy(policy)
    });
    assert!(without_masks.await.unwrap_err().reason.contains("does not mask"));

    // `nhs_number` is shown under its mask, but made of another column.
    let crossed = tampered(ALL, |barrier, policy| {
        let mut columns = barrier.columns().to_vec();
        let (name, number) = (columns[2].input, columns[3].input);
        (columns[2].input, columns[3].input) = (number, name);
        remade(barrier, Arc::clone(barrier.input()), filter_of(barrier), columns).for_policy(policy)
    });
    assert!(crossed.await.unwrap_err().reason.contains("name of another"));
}

#[tokio::test]
async fn below_a_barrier_there_is_one_scan() {
    let exchanged = tampered(ALL, |barrier, policy| {
        let input = Arc::new(CoalescePartitionsExec::new(Arc::clone(barrier.input())));
        remade(barrier, input, filter_of(barrier), barrier.columns().to_vec()).for_policy(policy)
    });
    assert!(exchanged.await.unwrap_err().reason.contains("CoalescePartitionsExec stands below"));

    let filtered = tampered(ALL, |barrier, policy| {
        let predicate = lit(true);
        let filter =
            datafusion::physical_plan::filter::FilterExec::try_new(predicate, Arc::clone(barrier.input()));
        remade(barrier, Arc::new(filter.unwrap()), filter_of(barrier), barrier.columns().to_vec())
            .for_policy(policy)
    });
    assert!(filtered.await.unwrap_err().reason.contains("FilterExec stands below"));
}

/// What a user wrote and may fail must not reach the files, whatever put it there.
#[tokio::test]
async fn a_predicate_in_the_scan_cannot_fail() {
    use datafusion::datasource::physical_plan::{
        FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
    };
    use datafusion::datasource::source::DataSourceExec;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{binary, col};

    let pushed = tampered("SELECT id, cost FROM t", |barrier, policy| {
        let scan = barrier.input().downcast_ref::<DataSourceExec>().unwrap();
        let config = scan.data_source().downcast_ref::<FileScanConfig>().unwrap();
        let source = config.file_source().downcast_ref::<ParquetSource>().unwrap();
        let schema = FileSource::table_schema(source).table_schema();
        let cost = || col("cost", schema).unwrap();
        let divided = binary(lit(1_i64), Operator::Divide, cost(), schema).unwrap();
        let fallible = binary(divided, Operator::Gt, lit(0_i64), schema).unwrap();
        let source = Arc::new(source.with_predicate(fallible));
        let config = FileScanConfigBuilder::from(config.clone()).with_source(source).build();
        let input = DataSourceExec::from_data_source(config);
        remade(barrier, input, filter_of(barrier), barrier.columns().to_vec()).for_policy(policy)
    });
    assert!(pushed.await.unwrap_err().reason.contains("predicate that may fail"));
}
