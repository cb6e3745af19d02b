//! Views: what their columns derive from, and what the verifier takes for one.

use std::sync::Arc;

use datafusion::catalog::{MemTable, TableProvider as _};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;

use super::{patients, principal, resolve, securable};
use crate::barrier::{BarrierColumn, PolicyBarrierExec};
use crate::view::{OwnerTable, ViewQuery, lineage};
use crate::{Access, PolicyTable, verify_logical, verify_physical};

/// A context over raw tables as the policies' owner sees them.
fn owner() -> SessionContext {
    let context = SessionContext::new();
    for name in ["patients", "others"] {
        let raw = MemTable::try_new(patients().schema(), vec![vec![patients()]]).unwrap();
        let table = OwnerTable::new(Arc::new(raw), "silver", name, 3);
        context.register_table(name, Arc::new(table)).unwrap();
    }
    context
}

async fn plan(context: &SessionContext, sql: &str) -> LogicalPlan {
    context.sql(sql).await.unwrap().into_unoptimized_plan()
}

async fn derived(sql: &str) -> String {
    let context = owner();
    let columns = lineage(&plan(&context, sql).await);
    let columns = columns.iter().map(|from| {
        let from: Vec<_> = from.iter().map(|source| source.column.clone()).collect();
        if from.len() == patients().num_columns() { "everything".to_owned() } else { from.join("+") }
    });
    columns.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn columns_derive_from_all_that_their_expressions_name() {
    for (sql, expected) in [
        ("SELECT id, name FROM patients", "id, name"),
        ("SELECT upper(name) AS n, cost + id AS c, 1 AS one FROM patients", "name, cost+id, "),
        (
            "SELECT count(*) AS n, max(name) AS m, tenant_id FROM patients GROUP BY tenant_id",
            ", name, tenant_id",
        ),
        ("SELECT CASE WHEN name = 'x' THEN 1 ELSE cost END AS c FROM patients", "cost+name"),
        ("SELECT x.n FROM (SELECT name AS n, id FROM patients WHERE cost > 1) x", "name"),
        ("WITH w AS (SELECT name AS a FROM patients) SELECT a || a AS b FROM w", "name"),
        ("SELECT name FROM patients UNION ALL SELECT nhs_number FROM others", "nhs_number+name"),
        ("SELECT p.id, o.name FROM patients p LEFT JOIN others o ON p.id = o.id", "id, name"),
        ("SELECT id, (SELECT max(name) FROM others) AS m FROM patients", "id, name"),
        ("SELECT id, id IN (SELECT cost FROM others) AS m FROM patients", "id, cost+id"),
        ("SELECT id, row_number() OVER (ORDER BY name) AS n FROM patients", "id, name"),
        ("SELECT DISTINCT name FROM patients ORDER BY name LIMIT 3", "name"),
        ("SELECT sum(cost) FILTER (WHERE name = 'x') AS s FROM patients", "cost+name"),
        ("SELECT id FROM patients WHERE EXISTS (SELECT 1 FROM others o WHERE o.name = patients.name)", "id"),
    ] {
        assert_eq!(derived(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn what_cannot_be_followed_derives_from_everything() {
    for sql in [
        "WITH RECURSIVE r AS (SELECT id FROM patients UNION ALL SELECT id + 1 FROM r WHERE id < 9) SELECT id FROM r",
        "SELECT unnest(make_array(id, cost)) AS u FROM patients",
        "SELECT (SELECT max(patients.name || o.name) FROM others o WHERE o.id = patients.id) AS m FROM patients",
    ] {
        let context = owner();
        let columns = lineage(&plan(&context, sql).await);
        assert!(columns.iter().all(|from| from.len() >= patients().num_columns()), "{sql}: {columns:?}");
    }
}

const POLICY: &str = "version: 1
grants:
  - { role: analyst, object: silver.patients, action: select }
row_filters:
  - { name: own, on: [silver.patients], using: tenant_id = principal.tenant }
";

/// A view `silver.patients` over raw tables, as analysts of tenant a see it, in a context of its own.
async fn governed() -> (SessionContext, Arc<ViewQuery>, PolicyTable) {
    let sql = "SELECT * FROM others";
    let plan = plan(&owner(), sql).await;
    let query = Arc::new(ViewQuery::owner("silver.patients", plan, patients().schema(), &|_| false).unwrap());
    assert_eq!(query.tables().iter().map(|read| read.version).collect::<Vec<_>>(), [3]);
    let policy = policy().await;
    let table = PolicyTable::of_view(Arc::clone(&query), Arc::clone(&policy), true);
    let context = SessionContext::new();
    context.register_table("v", Arc::new(PolicyTable::of_view(Arc::clone(&query), policy, true))).unwrap();
    (context, query, table)
}

async fn policy() -> Arc<crate::TablePolicy> {
    let table = securable(patients().schema());
    let resolved = resolve(POLICY, &table, &principal("alice", Some("a"), &["analyst"])).await;
    let Access::Select(policy) = resolved.access(&table) else { panic!("select") };
    policy
}

#[tokio::test]
async fn a_view_is_read_through_its_barrier() {
    let (context, ..) = governed().await;
    let sql = "SELECT id FROM v WHERE 1 / (cost - 7) < 9 ORDER BY id";
    let rows = context.sql(sql).await.unwrap().collect().await.unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 3, "tenant b divides by zero");
    for sql in [sql, "SELECT id FROM v", "SELECT name FROM v WHERE id = 3", "SELECT count(*) FROM v"] {
        let logical = context.sql(sql).await.unwrap().into_optimized_plan().unwrap();
        let decided = verify_logical(&logical, &|_| false).unwrap();
        assert_eq!(decided.scans[0].below()[0].full_name(), "silver.others");
        assert_eq!(decided.scans[0].version, None);
        let physical = context.state().create_physical_plan(&logical).await.unwrap();
        verify_physical(&physical, &decided).unwrap_or_else(|problem| panic!("{sql}: {problem}"));
    }
}

#[tokio::test]
async fn raw_tables_are_for_owners_views_only() {
    let raw = plan(&owner(), "SELECT * FROM patients").await;
    assert!(verify_logical(&raw, &|_| false).unwrap_err().reason.contains("not a governed table"));
    let (context, ..) = governed().await;
    let over_governed = plan(&context, "SELECT * FROM v").await;
    let refused = ViewQuery::owner("a.b", over_governed, patients().schema(), &|_| false).unwrap_err();
    assert!(refused.reason.contains("not a table that an owner's view reads"), "{refused}");
}

fn sealed(
    policy: &Arc<crate::TablePolicy>,
    input: Arc<dyn ExecutionPlan>,
    like: &PolicyBarrierExec,
) -> Arc<dyn ExecutionPlan> {
    let columns: Vec<BarrierColumn> = like.columns().to_vec();
    let barrier = PolicyBarrierExec::try_new(
        like.table().into(),
        input,
        like.row_filter().cloned(),
        columns.into(),
        like.schema(),
    );
    Arc::new(barrier.unwrap().for_policy(policy))
}

#[tokio::test]
async fn the_verifier_takes_no_other_query_for_a_views() {
    let (context, _, table) = governed().await;
    let logical = context.sql("SELECT * FROM v").await.unwrap().into_optimized_plan().unwrap();
    let decided = verify_logical(&logical, &|_| false).unwrap();
    let refused = |plan: &Arc<dyn ExecutionPlan>| verify_physical(plan, &decided).unwrap_err().reason;

    // The query of another scan of the same name, though the policy is this one's.
    let scanned = table.scan(&context.state(), None, &[], None).await.unwrap();
    let other = scanned.downcast_ref::<PolicyBarrierExec>().unwrap();
    let bare = Arc::clone(other.input());
    assert!(refused(&bare).contains("leaf ViewExec is not behind a barrier"));
    let decision = Arc::clone(&decided.scans[0].policy);
    verify_physical(&sealed(&decision, bare, other), &decided).unwrap();
    let (_, _, foreign) = governed().await;
    let foreign = foreign.scan(&context.state(), None, &[], None).await.unwrap();
    let foreign = foreign.downcast_ref::<PolicyBarrierExec>().unwrap();
    let over_foreign = sealed(&decision, Arc::clone(foreign.input()), other);
    assert!(refused(&over_foreign).contains("a query that is not the view's"));

    // A scan of anything else.
    let raw = MemTable::try_new(patients().schema(), vec![vec![patients()]]).unwrap();
    let raw = raw.scan(&context.state(), None, &[], None).await.unwrap();
    assert!(refused(&sealed(&decision, raw, other)).contains("does not stand over the view's query"));
}
