//! Different people, one lake.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use futures::TryStreamExt;

use super::lake::{Lake, POLICIES, people, users, write_table};
use super::{ask, code, value};
use crate::session::{Outcome, TransactionStatus};

#[tokio::test]
async fn each_person_sees_what_is_theirs() {
    let lake = Lake::new().await;
    let (alice, bob, stella) =
        (lake.login("alice").await, lake.login("bob").await, lake.login("stella").await);
    let sql = "SELECT min(id) FROM silver.people";
    assert_eq!(value(&alice, sql).await.unwrap(), "1");
    assert_eq!(value(&bob, sql).await.unwrap(), "4");
    assert_eq!(value(&stella, "SELECT count(*) FROM silver.people").await.unwrap(), "6");
    assert_eq!(value(&alice, "SELECT DISTINCT name FROM silver.people").await.unwrap(), "somebody");
    assert_eq!(value(&stella, "SELECT name FROM people WHERE id = 4").await.unwrap(), "Person 4");
    assert_eq!(value(&alice, "SELECT count(*) FROM people").await.unwrap(), "3", "the search path finds it");
}

#[tokio::test]
async fn what_may_not_be_seen_does_not_exist() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    let hidden = ask(&alice, "SELECT * FROM bronze.raw").await.unwrap_err();
    let missing = ask(&alice, "SELECT * FROM bronze.nothing").await.unwrap_err();
    assert_eq!(hidden.state.code(), "42P01");
    assert_eq!(hidden.message.replace("raw", "?"), missing.message.replace("nothing", "?"));
    assert_eq!((hidden.hint, hidden.position), (missing.hint, missing.position));
    for listing in [
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'bronze'",
        "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'raw'",
        "SELECT count(*) FROM pg_namespace WHERE nspname = 'bronze'",
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'raw'",
    ] {
        assert_eq!(value(&alice, listing).await.unwrap(), "0", "{listing}");
    }
    let stella = lake.login("stella").await;
    assert_eq!(
        value(&stella, "SELECT count(*) FROM pg_namespace WHERE nspname = 'bronze'").await.unwrap(),
        "1"
    );
}

#[tokio::test]
async fn an_operator_sees_plans_and_policies_but_no_rows() {
    let lake = Lake::new().await;
    let oscar = lake.login("oscar").await;
    let refused = ask(&oscar, "SELECT count(*) FROM silver.people").await.unwrap_err();
    assert_eq!(
        (refused.state.code(), refused.message.as_str()),
        ("42501", "permission denied for table silver.people")
    );
    assert_eq!(code(&oscar, "EXPLAIN ANALYZE SELECT count(*) FROM silver.people").await, "42501");
    let plan = ask(&oscar, "EXPLAIN SELECT count(*) FROM silver.people").await.unwrap();
    assert!(plan.contains("PolicyBarrierExec: table=silver.people"), "{plan}");
    // No predicate of theirs tells which values there are: the same files whatever it asks for.
    let files = async |id: i64| {
        let plan =
            ask(&oscar, &format!("EXPLAIN SELECT cost FROM silver.people WHERE id = {id}")).await.unwrap();
        let scan =
            plan.lines().find(|line| line.contains("DataSourceExec")).expect("a scan").trim().to_owned();
        assert!(!scan.contains("predicate"), "{scan}");
        scan
    };
    assert_eq!(files(4).await, files(-4_000).await);
    let policies = ask(&oscar, "SELECT kind, name, definition FROM system.policies").await.unwrap();
    assert!(policies.contains("tenant_id = principal.tenant"), "{policies}");
    assert!(ask(&oscar, "SELECT * FROM system.tables").await.unwrap().contains("people"));
}

#[tokio::test]
async fn a_users_explain_tells_nothing_of_how_much_there_is() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    let sql = "EXPLAIN SELECT cost FROM silver.people WHERE id > 2";
    let before = ask(&alice, sql).await.unwrap();
    assert!(
        before.contains("TableScan") && !before.contains("Exec") && !before.contains("tenant_id"),
        "{before}"
    );
    write_table(&lake.path("lake/silver/people"), 2, &people(&(10..500).collect::<Vec<_>>(), "b"));
    lake.catalog.refresh().await.unwrap();
    assert_eq!(ask(&alice, sql).await.unwrap(), before);
    assert_eq!(code(&alice, "EXPLAIN VERBOSE SELECT 1").await, "42501");
    assert_eq!(code(&alice, "EXPLAIN ANALYZE SELECT count(*) FROM silver.people").await, "42501");
    assert_eq!(code(&alice, "SELECT * FROM system.policies").await, "42P01");
}

#[tokio::test]
async fn people_see_their_own_statements_and_operators_see_that_there_are_others() {
    let lake = Lake::new().await;
    let (alice, bob, oscar) = (lake.login("alice").await, lake.login("bob").await, lake.login("oscar").await);
    ask(&alice, "SELECT 'alices words'").await.unwrap();
    let mine = "SELECT user_name, state, query FROM system.queries";
    assert!(ask(&alice, mine).await.unwrap().contains("alices words"));
    assert!(!ask(&bob, mine).await.unwrap().contains("alice"));
    let all = ask(&oscar, mine).await.unwrap();
    assert!(all.contains("alice") && !all.contains("alices words"), "{all}");
}

#[tokio::test]
async fn errors_have_the_codes_that_clients_expect() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    for (sql, expected) in [
        ("SELEC 1", "42601"),
        ("SELECT", "42601"),
        ("SELECT * FROM silver.nothing", "42P01"),
        ("SELECT * FROM nothing.people", "42P01"),
        ("SELECT nothing FROM silver.people", "42703"),
        ("SELECT p.nothing FROM silver.people p", "42703"),
        ("SELECT id FROM silver.people a JOIN silver.people b ON a.id = b.id", "42702"),
        ("SELECT nosuch(1)", "42883"),
        ("SELECT id, count(*) FROM silver.people", "42803"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 1 / (id - id) FROM silver.people", "22012"),
        ("SELECT CAST('x' AS INT)", "22P02"),
        ("SELECT CAST(name AS INT) FROM silver.people", "22P02"),
        ("SELECT (SELECT id FROM silver.people)", "21000"),
        ("INSERT INTO silver.people VALUES (1)", "25006"),
        ("COPY silver.people TO '/tmp/out.csv'", "0A000"),
        ("CREATE TABLE x AS SELECT * FROM silver.people", "0A000"),
        ("SELECT * FROM '/etc/passwd'", "42P01"),
        ("SELECT * FROM read_csv('/etc/passwd')", "42883"),
        ("SET nothing = 1", "42704"),
        ("SHOW nothing", "42704"),
    ] {
        assert_eq!(code(&alice, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn nothing_of_a_value_is_in_an_error() {
    let lake = Lake::new().await;
    let stella = lake.login("stella").await;
    for sql in [
        "SELECT CAST(name AS INT) FROM silver.people",
        "SELECT to_timestamp(name) FROM silver.people",
        "SELECT name::date FROM silver.people",
    ] {
        let error = ask(&stella, sql).await.unwrap_err();
        assert!(!format!("{error:?}").contains("Person"), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn policies_that_change_apply_to_the_next_statement_and_to_prepared_ones() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    let statement = alice.parse("SELECT count(*) FROM silver.people WHERE id > $1").unwrap().remove(0);
    let prepared = alice.prepare(&statement, &[]).await.unwrap();
    assert_eq!(prepared.parameter_types(), [DataType::Int64]);
    let run = async || {
        let Outcome::Rows { stream, .. } =
            alice.execute(&prepared, vec![ScalarValue::Int64(Some(0))]).await?
        else {
            panic!("rows");
        };
        let batches: Vec<_> = stream.try_collect().await?;
        Ok::<_, crate::error::QueryError>(
            arrow::util::display::array_value_to_string(batches[0].column(0), 0).unwrap(),
        )
    };
    assert_eq!(run().await.unwrap(), "3");
    std::fs::write(
        lake.path("policies.yaml"),
        POLICIES.replace("tenant_id = principal.tenant", "tenant_id = principal.tenant and id > 2"),
    )
    .unwrap();
    lake.coordinator.reload_policies().unwrap();
    assert_eq!(run().await.unwrap(), "1");
    // A bad file: the last good policies stay.
    std::fs::write(lake.path("policies.yaml"), "version: 1\ngrants: everything\n").unwrap();
    assert!(lake.coordinator.reload_policies().is_err());
    assert_eq!(run().await.unwrap(), "1");
    std::fs::write(
        lake.path("policies.yaml"),
        POLICIES.replace("role: analyst, object: silver.*", "role: analyst, object: bronze.*"),
    )
    .unwrap();
    lake.coordinator.reload_policies().unwrap();
    assert_eq!(run().await.unwrap_err().state.code(), "42P01");
}

#[tokio::test]
async fn limits_are_whole_numbers_also_as_parameters() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    let sql = "SELECT id FROM silver.people WHERE id > $1 ORDER BY id LIMIT $2 OFFSET $3";
    let statement = alice.parse(sql).unwrap().remove(0);
    let prepared = alice.prepare(&statement, &[]).await.unwrap();
    assert_eq!(prepared.parameter_types(), [DataType::Int64, DataType::Int64, DataType::Int64]);
    let values = [0, 1, 1].map(|value| ScalarValue::Int64(Some(value))).to_vec();
    let Outcome::Rows { stream, .. } = alice.execute(&prepared, values).await.unwrap() else {
        panic!("rows");
    };
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    let rows = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    assert_eq!(arrow::util::display::array_value_to_string(rows.column(0), 0).unwrap(), "2");
}

#[tokio::test]
async fn an_account_that_changed_answers_nothing_more() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    assert!(ask(&alice, "SELECT 1").await.is_ok());
    std::fs::write(lake.path("users.yaml"), users().replace("tenant: a", "tenant: b")).unwrap();
    lake.coordinator.identity().reload().unwrap();
    assert_eq!(code(&alice, "SELECT 1").await, "28000");
}

#[tokio::test]
async fn a_failed_transaction_answers_nothing_until_it_ends() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    ask(&alice, "BEGIN").await.unwrap();
    assert_eq!(alice.transaction_status(), TransactionStatus::Active);
    assert_eq!(code(&alice, "SELECT 1 / 0").await, "22012");
    alice.mark_failed();
    assert_eq!(alice.transaction_status(), TransactionStatus::Failed);
    assert_eq!(code(&alice, "SELECT 1").await, "25P02");
    ask(&alice, "ROLLBACK").await.unwrap();
    assert_eq!(value(&alice, "SELECT 1").await.unwrap(), "1");
}

#[tokio::test]
async fn settings_are_the_sessions_own() {
    let lake = Lake::new().await;
    let (alice, bob) = (lake.login("alice").await, lake.login("bob").await);
    ask(&alice, "SET TIME ZONE 'Europe/London'; SET search_path = gold").await.unwrap();
    assert_eq!(value(&alice, "SHOW timezone").await.unwrap(), "Europe/London");
    assert_eq!(value(&bob, "SHOW timezone").await.unwrap(), "UTC");
    assert_eq!(code(&alice, "SELECT count(*) FROM people").await, "42P01");
    assert_eq!(value(&alice, "SELECT current_setting('timezone')").await.unwrap(), "Europe/London");
    ask(&alice, "RESET ALL").await.unwrap();
    assert_eq!(value(&alice, "SELECT count(*) FROM people").await.unwrap(), "3");
}

#[tokio::test]
async fn a_new_commit_is_seen_and_a_broken_table_harms_no_other() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    write_table(&lake.path("lake/silver/people"), 2, &people(&[7, 8], "a"));
    write_table(&lake.path("lake/silver/fresh"), 0, &people(&[1], "a"));
    lake.catalog.refresh().await.unwrap();
    assert_eq!(value(&alice, "SELECT count(*) FROM silver.people").await.unwrap(), "5");
    assert_eq!(value(&alice, "SELECT count(*) FROM silver.fresh").await.unwrap(), "1");
    std::fs::write(lake.path("lake/silver/fresh/_delta_log/00000000000000000001.json"), "{ not json")
        .unwrap();
    lake.catalog.refresh().await.unwrap();
    let error = ask(&alice, "SELECT count(*) FROM silver.fresh").await.unwrap_err();
    assert_eq!(error.state.code(), "55000");
    assert!(!format!("{error:?}").contains("json"), "the reason is for operators");
    let reason =
        ask(&*lake.login("oscar").await, "SELECT reason FROM system.tables WHERE state = 'unavailable'")
            .await
            .unwrap();
    assert!(reason.contains("broken log"), "{reason}");
    assert_eq!(value(&alice, "SELECT count(*) FROM silver.people").await.unwrap(), "5");
}

#[tokio::test]
async fn a_damaged_data_file_is_an_error_that_names_the_table() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    std::fs::write(lake.path("lake/silver/people/part-0.parquet"), b"PAR1 damaged").unwrap();
    let error = ask(&alice, "SELECT * FROM silver.people").await.unwrap_err();
    assert_eq!(
        (error.state.code(), error.message.as_str()),
        ("XX001", "table \"silver.people\" cannot be read")
    );
    std::fs::remove_file(lake.path("lake/silver/people/part-0.parquet")).unwrap();
    let error = ask(&alice, "SELECT cost FROM silver.people").await.unwrap_err();
    assert_eq!(error.state.code(), "XX001");
    assert!(!format!("{error:?}").contains("part-0"), "no path");
}
