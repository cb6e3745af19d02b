//! Statements that run: stopped, timed out, audited.

use std::time::Duration;

use futures::StreamExt;

use super::lake::Lake;
use super::{ask, code};
use crate::audit;
use crate::session::{Outcome, Session};

/// More rows than anyone waits for.
const ENDLESS: &str = "SELECT a, b FROM generate_series(1, 100000) a, generate_series(1, 100000) b";

async fn start(session: &Session, sql: &str) -> crate::result::QueryStream {
    let statement = session.parse(sql).unwrap().remove(0);
    let prepared = session.prepare(&statement, &[]).await.unwrap();
    match session.execute(&prepared, Vec::new()).await.unwrap() {
        Outcome::Rows { stream, .. } => stream,
        other => panic!("rows, not {other:?}"),
    }
}

#[tokio::test]
async fn a_cancel_ends_a_stream_between_two_batches() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    let mut stream = start(&alice, ENDLESS).await;
    assert!(stream.next().await.unwrap().is_ok());
    alice.cancel();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.state.code(), "57014");
    assert!(stream.next().await.is_none());
    assert_eq!(lake.coordinator.running_statements(), 0);
}

#[tokio::test]
async fn a_time_out_ends_a_statement_that_yields_nothing() {
    let lake = Lake::with_timeout(Some(Duration::from_millis(300))).await;
    let alice = lake.login("alice").await;
    let sql = format!("SELECT count(*) FROM ({ENDLESS}) x(a, b) WHERE a * b % 7 = 9");
    assert_eq!(code(&alice, &sql).await, "57014");
    // A session may ask for less, not for more.
    ask(&alice, "SET statement_timeout = 0").await.unwrap();
    assert_eq!(code(&alice, &sql).await, "57014");
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_its_statement() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    let mut stream = start(&alice, ENDLESS).await;
    assert!(stream.next().await.unwrap().is_ok());
    assert_eq!(lake.coordinator.running_statements(), 1);
    drop(stream);
    assert_eq!(lake.coordinator.running_statements(), 0);
    assert!(ask(&alice, "SELECT state FROM system.queries").await.unwrap().contains("client gone"));
}

#[tokio::test]
async fn a_shutdown_ends_statements_with_their_own_code() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    let mut stream = start(&alice, ENDLESS).await;
    assert!(stream.next().await.unwrap().is_ok());
    alice.shutdown();
    assert_eq!(stream.next().await.unwrap().unwrap_err().state.code(), "57P01");
    assert_eq!(code(&alice, "SELECT 1").await, "57P01");
}

#[tokio::test]
async fn more_memory_than_there_is_is_an_error_of_its_own() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    let sql = "SELECT array_agg(repeat('x', 1000)) FROM generate_series(1, 1000000)";
    assert_eq!(code(&alice, sql).await, "53200");
}

#[tokio::test]
async fn a_function_cannot_take_memory_that_nobody_counts() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    for sql in [
        "SELECT range(1, 2000000000)",
        "SELECT range(2000000000)",
        "SELECT repeat('x', 2000000000)",
        "SELECT lpad('x', 2000000000)",
        "SELECT repeat(name, 10000000) FROM silver.people",
        "SELECT array_repeat(1, 2000000000)",
        "SELECT array_length(range(1, 9000000000000000000, id)) FROM silver.people",
    ] {
        assert_eq!(code(&alice, sql).await, "54000", "{sql}");
    }
    assert!(
        ask(&alice, "SELECT repeat('ab', 3), lpad('7', 3, '0'), range(1, 4)")
            .await
            .unwrap()
            .contains("ababab | 007")
    );
}

#[tokio::test]
async fn every_statement_is_in_the_trail_and_no_text_is_readable() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    ask(&alice, "SELECT name FROM silver.people WHERE name <> 'Mrs Secret'").await.unwrap();
    ask(&alice, "SELECT * FROM silver.nothing").await.unwrap_err();
    lake.coordinator.audit().flush().await.unwrap();
    let directory = lake.path("audit");
    let report = audit::verify(&directory, &[]).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    let mut text = String::new();
    for entry in std::fs::read_dir(&directory).unwrap() {
        text.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
    }
    for expected in [
        "\"type\":\"login\"",
        "\"type\":\"intent\"",
        "\"type\":\"outcome\"",
        "\"type\":\"denied\"",
        "row filter own",
        "mask names on name",
        "\"42P01\"",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert!(!text.contains("Mrs Secret"));
}

#[tokio::test]
async fn nothing_runs_that_cannot_be_audited() {
    let lake = Lake::new().await;
    let alice = lake.login("alice").await;
    lake.coordinator.audit().close().await.unwrap();
    assert_eq!(code(&alice, "SELECT name FROM silver.people").await, "58030");
}
