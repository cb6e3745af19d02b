//! Views: whose rights count, what is sealed, what flows.

use std::collections::BTreeMap;
use std::sync::Arc;

use lakeward_policy::Principal;
use lakeward_policy::identity::EndUser;

use super::lake::{Lake, POLICIES, people, write_table};
use super::{ask, code, value};
use crate::session::Session;

/// Over the analysts' policies: `gold.*` is theirs, and of `gold.costs` their tenant's rows.
fn policies() -> String {
    POLICIES
        .replace(
            "row_filters:\n",
            "  - { role: analyst, object: gold.*, action: select }\nrow_filters:\n  \
             - { name: costs, on: [gold.costs], to: [analyst], using: tenant_id = principal.tenant }\n",
        )
        .replace("version: 1\n", "version: 1\n# with views\n")
}

const VIEWS: &str = "version: 1
views:
  - view: gold.totals
    description: Sums over everybody
    rights: owner
    query: SELECT tenant_id, count(*) AS people, sum(cost) AS cost FROM silver.people GROUP BY tenant_id
  - view: gold.costs
    rights: owner
    query: SELECT id, tenant_id, cost, upper(name) AS shouted FROM silver.people
  - view: gold.raw_costs
    rights: owner
    query: SELECT r.id, r.cost FROM bronze.raw r
  - view: gold.mine
    query: SELECT id, name, cost FROM silver.people WHERE cost > 1
  - view: gold.above_raw
    query: SELECT id FROM bronze.raw
  - view: gold.over_costs
    query: SELECT tenant_id, max(cost) AS cost FROM gold.costs GROUP BY tenant_id
  - view: gold.inverse
    rights: owner
    query: SELECT id, tenant_id, 100 / (cost - 5) AS inverse FROM silver.people
";

async fn lake() -> Lake {
    Lake::with(None, &policies(), Some(VIEWS)).await
}

#[tokio::test]
async fn an_owners_view_shows_what_its_own_policies_leave() {
    let lake = lake().await;
    let alice = lake.login("alice").await;
    assert_eq!(value(&alice, "SELECT sum(people) FROM gold.totals").await.unwrap(), "6", "all tenants");
    assert_eq!(value(&alice, "SELECT count(*) FROM gold.costs").await.unwrap(), "3", "the view's own filter");
    assert_eq!(value(&alice, "SELECT max(id) FROM costs").await.unwrap(), "3", "the search path finds it");
    assert_eq!(
        value(&alice, "SELECT count(*) FROM gold.raw_costs").await.unwrap(),
        "1",
        "over a hidden table"
    );
    assert_eq!(code(&alice, "SELECT * FROM bronze.raw").await, "42P01");
    let stella = lake.login("stella").await;
    assert_eq!(value(&stella, "SELECT count(*) FROM gold.costs").await.unwrap(), "6");
    let oscar = lake.login("oscar").await;
    let refused = ask(&oscar, "SELECT * FROM gold.costs").await.unwrap_err();
    assert_eq!(
        (refused.state.code(), refused.message.as_str()),
        ("42501", "permission denied for table gold.costs")
    );
    let plan = ask(&oscar, "EXPLAIN SELECT * FROM gold.raw_costs").await.unwrap();
    assert!(plan.contains("ViewExec: view=gold.raw_costs, tables=[bronze.raw@0]"), "{plan}");
}

#[tokio::test]
async fn tags_flow_and_masks_follow_them() {
    let lake = lake().await;
    let (alice, stella) = (lake.login("alice").await, lake.login("stella").await);
    let sql = "SELECT DISTINCT shouted FROM gold.costs";
    assert_eq!(value(&alice, sql).await.unwrap(), "somebody", "upper(name) is a name");
    assert_eq!(value(&stella, "SELECT shouted FROM gold.costs WHERE id = 4").await.unwrap(), "PERSON 4");
}

#[tokio::test]
async fn a_declassified_column_is_shown_as_it_is() {
    let views = VIEWS.replace(
        "  - view: gold.raw_costs\n",
        "    columns: { shouted: { tags: [], description: Made public } }\n  - view: gold.raw_costs\n",
    );
    let lake = Lake::with(None, &policies(), Some(&views)).await;
    let alice = lake.login("alice").await;
    assert_eq!(value(&alice, "SELECT shouted FROM gold.costs WHERE id = 3").await.unwrap(), "PERSON 3");
    assert_eq!(value(&alice, "SELECT name FROM silver.people WHERE id = 3").await.unwrap(), "somebody");
}

#[tokio::test]
async fn an_invokers_view_shows_what_its_tables_do() {
    let lake = lake().await;
    let (alice, stella) = (lake.login("alice").await, lake.login("stella").await);
    assert_eq!(value(&alice, "SELECT count(*) FROM gold.mine").await.unwrap(), "2");
    assert_eq!(value(&stella, "SELECT count(*) FROM gold.mine").await.unwrap(), "5");
    assert_eq!(value(&alice, "SELECT DISTINCT name FROM gold.mine").await.unwrap(), "somebody");
    assert_eq!(
        value(&alice, "SELECT count(*) FROM gold.over_costs").await.unwrap(),
        "1",
        "a view over a view"
    );
    assert_eq!(value(&stella, "SELECT count(*) FROM gold.over_costs").await.unwrap(), "2");
}

#[tokio::test]
async fn an_invoker_without_the_tables_is_not_told_which() {
    let lake = lake().await;
    let alice = lake.login("alice").await;
    let refused = ask(&alice, "SELECT * FROM gold.above_raw").await.unwrap_err();
    assert_eq!(
        (refused.state.code(), refused.message.as_str()),
        ("42501", "permission denied for view gold.above_raw")
    );
    // Nor whether there still is such a table.
    std::fs::remove_dir_all(lake.path("lake/bronze/raw")).unwrap();
    lake.catalog.refresh().await.unwrap();
    assert_eq!(ask(&alice, "SELECT * FROM gold.above_raw").await.unwrap_err(), refused);
    let stella = lake.login("stella").await;
    assert_eq!(code(&stella, "SELECT * FROM gold.raw_costs").await, "55000");
    assert_eq!(value(&alice, "SELECT count(*) FROM gold.costs").await.unwrap(), "3", "others are unharmed");
}

#[tokio::test]
async fn nothing_of_a_statement_is_evaluated_below_a_view() {
    let lake = lake().await;
    let alice = lake.login("alice").await;
    // Of tenant b alone costs 4 and 5 would divide by zero.
    assert_eq!(value(&alice, "SELECT count(*) FROM gold.costs WHERE 1 / (cost - 5) < 9").await.unwrap(), "3");
    assert_eq!(value(&alice, "SELECT count(*) FROM gold.costs WHERE 1 / (id - 4) < 9").await.unwrap(), "3");
    assert_eq!(code(&alice, "SELECT count(*) FROM gold.costs WHERE 1 / (cost - 2) < 9").await, "22012");
}

#[tokio::test]
async fn a_query_that_fails_says_only_that() {
    let lake = lake().await;
    let alice = lake.login("alice").await;
    let failed = ask(&alice, "SELECT max(inverse) FROM gold.inverse").await.unwrap_err();
    assert_eq!(
        (failed.state.code(), failed.message.as_str()),
        ("55000", "view \"gold.inverse\" cannot be computed")
    );
    assert_eq!(value(&alice, "SELECT count(id) FROM gold.inverse").await.unwrap(), "6");
}

#[tokio::test]
async fn a_view_that_is_not_granted_does_not_exist() {
    let lake = Lake::with(None, POLICIES, Some(VIEWS)).await;
    let alice = lake.login("alice").await;
    let hidden = ask(&alice, "SELECT * FROM gold.costs").await.unwrap_err();
    let missing = ask(&alice, "SELECT * FROM gold.nothing").await.unwrap_err();
    assert_eq!(hidden.state.code(), "42P01");
    assert_eq!(hidden.message.replace("costs", "?"), missing.message.replace("nothing", "?"));
    assert_eq!((hidden.hint, hidden.position), (missing.hint, missing.position));
    for sql in [
        "SELECT * FROM gold.costs VERSION AS OF 1",
        "SELECT * FROM table_history('gold.costs')",
        "SELECT * FROM gold.above_raw",
    ] {
        assert_eq!(code(&alice, sql).await, "42P01", "{sql}");
    }
    let listed = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'gold'";
    assert_eq!(value(&alice, listed).await.unwrap(), "0");
}

#[tokio::test]
async fn a_view_has_no_versions() {
    let lake = lake().await;
    let alice = lake.login("alice").await;
    for sql in [
        "SELECT * FROM gold.costs VERSION AS OF 1",
        "SELECT * FROM table_history('gold.costs')",
        "SELECT * FROM table_changes('gold.costs', 0, 1)",
    ] {
        let refused = ask(&alice, sql).await.unwrap_err();
        assert_eq!(refused.state.code(), "0A000", "{sql}");
        assert!(refused.message.contains("is a view"), "{refused}");
    }
}

#[tokio::test]
async fn catalogs_list_views() {
    let lake = lake().await;
    let alice = lake.login("alice").await;
    let listed = ask(
        &alice,
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'gold' ORDER BY 1",
    );
    assert!(listed.await.unwrap().contains("| costs      | VIEW       |"));
    let columns = "SELECT string_agg(column_name, ',') FROM (SELECT column_name FROM information_schema.columns \
                   WHERE table_name = 'mine' ORDER BY ordinal_position)";
    assert_eq!(value(&alice, columns).await.unwrap(), "id,name,cost");
    let hidden = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'above_raw'";
    assert_eq!(value(&alice, hidden).await.unwrap(), "0");
}

#[tokio::test]
async fn views_change_with_their_file_and_prepared_statements_notice() {
    let lake = lake().await;
    let alice = lake.login("alice").await;
    let sql = "SELECT sum(cost) FROM gold.totals";
    assert_eq!(value(&alice, sql).await.unwrap(), "21");
    let statement = alice.parse(sql).unwrap().remove(0);
    let prepared = alice.prepare(&statement, &[]).await.unwrap();

    let narrower = VIEWS.replace("FROM silver.people GROUP BY", "FROM silver.people WHERE id < 3 GROUP BY");
    std::fs::write(lake.path("views.yaml"), &narrower).unwrap();
    lake.coordinator.reload_policies().unwrap();
    assert_eq!(value(&alice, sql).await.unwrap(), "3");
    let crate::session::Outcome::Rows { stream, .. } = alice.execute(&prepared, Vec::new()).await.unwrap()
    else {
        panic!("rows")
    };
    let rows: Vec<_> = futures::TryStreamExt::try_collect(stream).await.unwrap();
    assert_eq!(arrow::util::display::array_value_to_string(rows[0].column(0), 0).unwrap(), "3");

    // A file that is wrong changes nothing.
    for wrong in [
        narrower.replace("id < 3", "nothing < 3"),
        narrower.replace("view: gold.costs", "view: gold.mine"),
        narrower.replace("view: gold.costs", "view: silver.people"),
        format!("{narrower}  - {{ view: gold.more, query: SELECT * FROM silver.nothing }}\n"),
        format!("{narrower}  - {{ view: gold.more, query: SELECT * FROM people }}\n"),
        format!("{narrower}  - {{ view: gold.more, query: SELECT * FROM system.queries }}\n"),
        format!("{narrower}  - {{ view: gold.more, query: SELECT current_user AS me, rights: owner }}\n"),
        format!("{narrower}  - {{ view: gold.more, query: SELECT $1 AS x }}\n"),
        format!("{narrower}  - {{ view: gold.more, query: SELECT 1 AS x; SELECT 2 AS y }}\n"),
        format!("{narrower}  - {{ view: gold.more, query: DELETE FROM silver.people }}\n"),
        format!("{narrower}  - {{ view: gold.more, query: SELECT id AS a, cost AS a FROM silver.people }}\n"),
        format!(
            "{narrower}  - {{ view: gold.more, query: SELECT 1 AS x, columns: {{ y: {{ tags: [] }} }} }}\n"
        ),
        format!(
            "{narrower}  - {{ view: gold.a, query: SELECT * FROM gold.b }}\n  - {{ view: gold.b, query: SELECT * FROM gold.a }}\n"
        ),
        "version: 1\nviews: [".to_owned(),
    ] {
        std::fs::write(lake.path("views.yaml"), &wrong).unwrap();
        let problems = lake.coordinator.reload_policies().expect_err(&wrong);
        assert!(problems.to_string().contains("views.yaml:"), "{problems}");
        assert_eq!(value(&alice, sql).await.unwrap(), "3");
    }
    // A filter of the policies that the view has no column for is refused with the policies' place.
    let without = narrower.replace("SELECT id, tenant_id, cost, upper", "SELECT id, cost, upper");
    std::fs::write(lake.path("views.yaml"), &without).unwrap();
    let problems = lake.coordinator.reload_policies().unwrap_err();
    assert!(problems.to_string().contains("policies.yaml:"), "{problems}");
}

#[tokio::test]
async fn a_view_follows_its_tables() {
    let lake = lake().await;
    let alice = lake.login("alice").await;
    let sql = "SELECT sum(people) FROM gold.totals";
    assert_eq!(value(&alice, sql).await.unwrap(), "6");
    write_table(&lake.path("lake/silver/people"), 2, &people(&[7], "a"));
    lake.catalog.refresh().await.unwrap();
    assert_eq!(value(&alice, sql).await.unwrap(), "7");
}

/// The steward, who sees everything, acting for one who may see less.
async fn on_behalf(lake: &Lake, tenant: &str, role: &str) -> Arc<Session> {
    let session = lake.login("stella").await;
    let principal = Principal {
        user: "eve".to_owned(),
        tenant: Some(tenant.to_owned()),
        roles: [role.to_owned()].into(),
        attributes: BTreeMap::new(),
        expires_at: None,
    };
    let end_user = EndUser { issuer: "tests".to_owned(), principal };
    session.act_as(Some(Arc::new(end_user))).await.unwrap();
    session
}

#[tokio::test]
async fn an_end_user_narrows_views_as_tables() {
    let lake = lake().await;
    let listed = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'above_raw'";
    let stella = lake.login("stella").await;
    assert_eq!(value(&stella, listed).await.unwrap(), "1", "the account by itself knows the columns");
    let eve = on_behalf(&lake, "a", "analyst").await;
    for (sql, expected, why) in [
        ("SELECT count(*) FROM gold.costs", "3", "the end user's filter on an owner's view"),
        ("SELECT DISTINCT shouted FROM gold.costs", "somebody", "and mask"),
        ("SELECT sum(people) FROM gold.totals", "6", "below which the tables are raw"),
        ("SELECT count(*) FROM gold.mine", "2", "the end user's filter below an invoker's view"),
        ("SELECT DISTINCT name FROM gold.mine", "somebody", "and mask"),
        ("SELECT count(*) FROM gold.over_costs", "1", "a view over a view"),
        (listed, "0", "nor do the catalogs tell more than the end user may know"),
    ] {
        assert_eq!(value(&eve, sql).await.unwrap(), expected, "{why}");
    }
    assert_eq!(code(&eve, "SELECT * FROM gold.above_raw").await, "42501", "not granted to the end user");
    let nobody = on_behalf(&lake, "a", "nobody").await;
    for sql in ["SELECT * FROM gold.costs", "SELECT * FROM gold.mine", "SELECT * FROM gold.above_raw"] {
        assert_eq!(code(&nobody, sql).await, "42P01", "{sql}");
    }
    let oscar = on_behalf(&lake, "a", "operator").await;
    assert_eq!(code(&oscar, "SELECT * FROM gold.costs").await, "42501", "described to one of them only");
    eve.act_as(None).await.unwrap();
    assert_eq!(value(&eve, listed).await.unwrap(), "1");
    assert_eq!(value(&eve, "SELECT count(*) FROM gold.costs").await.unwrap(), "6");
}

#[tokio::test]
async fn tags_of_policy_files_flow_to_owners_views() {
    let tags = "tags:\n  - { tag: pii.name, on: silver.people, column: tenant_id }\ngrants:\n";
    let policies = policies().replace("grants:\n", tags);
    let lake = Lake::with(None, &policies, Some(VIEWS)).await;
    let alice = lake.login("alice").await;
    let sql = "SELECT DISTINCT tenant_id FROM gold.totals";
    assert_eq!(value(&alice, sql).await.unwrap(), "somebody");
    assert_eq!(value(&alice, "SELECT sum(people) FROM gold.totals").await.unwrap(), "6");
    let oscar = lake.login("oscar").await;
    let listed = "FROM system.view_columns WHERE view_name = 'totals' AND column_name = 'tenant_id'";
    assert_eq!(value(&oscar, &format!("SELECT tags {listed}")).await.unwrap(), "pii.name");
    let declassified = VIEWS.replace(
        "    query: SELECT tenant_id, count(*)",
        "    columns: { tenant_id: { tags: [] } }\n    query: SELECT tenant_id, count(*)",
    );
    std::fs::write(lake.path("views.yaml"), declassified).unwrap();
    lake.coordinator.reload_policies().unwrap();
    assert_eq!(value(&alice, "SELECT count(DISTINCT tenant_id) FROM gold.totals").await.unwrap(), "2");
    assert_eq!(value(&oscar, &format!("SELECT declassified {listed}")).await.unwrap(), "pii.name");
}

#[tokio::test]
async fn statements_about_policies_know_views() {
    let lake = lake().await;
    let (alice, oscar) = (lake.login("alice").await, lake.login("oscar").await);
    let sql = "SELECT sum(people) FROM gold.totals";
    assert_eq!(value(&alice, sql).await.unwrap(), "6");
    ask(&oscar, "CREATE ROW POLICY totals ON gold.totals TO analyst USING (tenant_id = principal.tenant)")
        .await
        .unwrap();
    assert_eq!(value(&alice, sql).await.unwrap(), "3");
    let unfit = "CREATE ROW POLICY unfit ON gold.totals USING (practice_id = 1)";
    assert_eq!(code(&oscar, unfit).await, "42P17");
    let explained = ask(&oscar, "EXPLAIN POLICY FOR USER alice ON gold.totals").await.unwrap();
    assert!(explained.contains("totals") && explained.contains("tenant_id"), "{explained}");
    let shown = ask(&oscar, "SHOW POLICIES ON gold.totals").await.unwrap();
    assert!(shown.contains("totals"), "{shown}");
    // A view that no longer has the column is refused: both are checked against each other.
    let without = VIEWS.replace("SELECT tenant_id, count(*) AS people", "SELECT count(*) AS people");
    std::fs::write(lake.path("views.yaml"), without).unwrap();
    lake.coordinator.reload_policies().unwrap_err();
    assert_eq!(value(&alice, sql).await.unwrap(), "3");
}

#[tokio::test]
async fn a_broken_view_is_no_reason_to_refuse_policies() {
    let lake = lake().await;
    let oscar = lake.login("oscar").await;
    std::fs::remove_dir_all(lake.path("lake/bronze/raw")).unwrap();
    lake.catalog.refresh().await.unwrap();
    let stella = lake.login("stella").await;
    assert_eq!(code(&stella, "SELECT * FROM gold.raw_costs").await, "55000");
    ask(&oscar, "CREATE ROW POLICY raws ON gold.raw_costs TO analyst USING (id = 9)").await.unwrap();
    ask(&oscar, "CREATE ROW POLICY totals ON gold.totals TO analyst USING (people > 0)").await.unwrap();
}
