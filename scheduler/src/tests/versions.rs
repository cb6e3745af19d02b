//! Older versions, history and changes, under today's policies.

use super::lake::{Lake, people, write_table};
use super::{ask, code, value};

#[tokio::test]
async fn policies_of_today_hold_in_every_version() {
    let lake = Lake::new().await;
    write_table(&lake.path("lake/silver/people"), 2, &people(&[7], "a"));
    lake.catalog.refresh().await.unwrap();
    let (alice, bob, stella) =
        (lake.login("alice").await, lake.login("bob").await, lake.login("stella").await);
    for (version, a, b, all) in [(0, "3", "0", "3"), (1, "3", "3", "6"), (2, "4", "3", "7")] {
        let sql = format!("SELECT count(*) FROM silver.people VERSION AS OF {version}");
        assert_eq!(value(&alice, &sql).await.unwrap(), a, "{version}");
        assert_eq!(value(&bob, &sql).await.unwrap(), b, "{version}");
        assert_eq!(value(&stella, &sql).await.unwrap(), all, "{version}");
    }
    let sql = "SELECT DISTINCT name FROM silver.people VERSION AS OF 0 WHERE people.id < 9";
    assert_eq!(value(&alice, sql).await.unwrap(), "somebody");
    assert_eq!(value(&alice, r#"SELECT count(*) FROM silver."people@v0""#).await.unwrap(), "3");
    let future = "SELECT count(*) FROM silver.people TIMESTAMP AS OF '2999-01-01'";
    assert_eq!(value(&alice, future).await.unwrap(), "4");
    // Two versions in one statement.
    let sql = "SELECT count(*) FROM people VERSION AS OF 2 a LEFT JOIN people FOR VERSION AS OF 0 b \
               ON a.id = b.id WHERE b.id IS NULL";
    assert_eq!(value(&stella, sql).await.unwrap(), "4");
}

#[tokio::test]
async fn versions_of_what_may_not_be_seen_do_not_exist() {
    let lake = Lake::new().await;
    let (alice, oscar) = (lake.login("alice").await, lake.login("oscar").await);
    for sql in [
        "SELECT * FROM bronze.raw VERSION AS OF 0",
        "SELECT * FROM bronze.raw VERSION AS OF 99",
        "SELECT * FROM table_history('bronze.raw')",
        "SELECT * FROM table_changes('bronze.raw', 0, 0)",
        "SELECT * FROM table_changes('bronze.raw', 5, 1)",
        r#"SELECT * FROM bronze."nothing@v0""#,
    ] {
        assert_eq!(code(&alice, sql).await, "42P01", "{sql}");
    }
    assert_eq!(code(&oscar, "SELECT count(*) FROM silver.people VERSION AS OF 0").await, "42501");
    assert_eq!(code(&oscar, "SELECT count(*) FROM table_changes('silver.people', 0, 1)").await, "42501");
    let refused = ask(&alice, "SELECT * FROM silver.people VERSION AS OF 7").await.unwrap_err();
    assert_eq!(refused.state.code(), "22023");
    assert_eq!(refused.message, "table silver.people has no version 7: versions 0 to 1 can be read");
}

#[tokio::test]
async fn changes_are_filtered_and_masked() {
    let lake = Lake::new().await;
    let (alice, stella) = (lake.login("alice").await, lake.login("stella").await);
    let all = "SELECT count(*) FROM table_changes('silver.people', 0, 1)";
    assert_eq!(value(&stella, all).await.unwrap(), "6");
    assert_eq!(value(&alice, all).await.unwrap(), "3");
    let names = "SELECT DISTINCT name FROM table_changes('silver.people', 0, 1)";
    assert_eq!(value(&alice, names).await.unwrap(), "somebody");
    let versions = "SELECT max(_commit_version) FROM table_changes('people', 0, 1) c \
                    WHERE c._change_type = 'insert' AND _commit_timestamp > '2000-01-01'";
    assert_eq!(value(&alice, versions).await.unwrap(), "0");
    assert_eq!(value(&stella, versions).await.unwrap(), "1");
    assert_eq!(code(&alice, "SELECT * FROM table_changes('silver.people', 0, 9)").await, "22023");
}

#[tokio::test]
async fn history_hides_what_tells_of_rows() {
    let lake = Lake::new().await;
    let log = lake.path("lake/silver/people/_delta_log");
    std::fs::write(
        log.join("00000000000000000002.json"),
        r#"{"commitInfo":{"operation":"DELETE","operationParameters":{"predicate":"name = 'Person 1'"},"operationMetrics":{"numDeletedRows":"0"}}}"#,
    )
    .unwrap();
    lake.catalog.refresh().await.unwrap();
    let newest =
        |column: &str| format!("SELECT {column} FROM table_history('silver.people') WHERE version = 2");
    // An operator administers and does not read: counts, but no literal of a statement.
    for (user, parameters_too, counts_too) in
        [("alice", false, false), ("stella", true, true), ("oscar", false, true)]
    {
        let session = lake.login(user).await;
        assert_eq!(value(&session, &newest("operation")).await.unwrap(), "DELETE", "{user}");
        let parameters = value(&session, &newest("operation_parameters")).await.unwrap();
        assert_eq!(parameters.contains("Person 1"), parameters_too, "{user}");
        let metrics = value(&session, &newest("operation_metrics")).await.unwrap();
        assert_eq!(metrics.is_empty(), !counts_too, "{user}");
    }
}

#[tokio::test]
async fn a_client_that_asks_for_it_reads_what_was_just_committed() {
    let lake = Lake::new().await;
    let stella = lake.login("stella").await;
    let sql = "SELECT count(*) FROM people";
    assert_eq!(value(&stella, sql).await.unwrap(), "6");
    write_table(&lake.path("lake/silver/people"), 2, &people(&[7], "a"));
    // Nothing refreshes the catalog here.
    assert_eq!(value(&stella, sql).await.unwrap(), "6");
    ask(&stella, "SET lakeward.read_latest = on").await.unwrap();
    assert_eq!(value(&stella, sql).await.unwrap(), "7");
    assert_eq!(value(&stella, "SELECT count(*) FROM bronze.raw").await.unwrap(), "1");
}
