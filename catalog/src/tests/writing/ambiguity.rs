//! Stores whose answers get lost: a commit is in once, or not at all, and the writer knows which.

use std::sync::Arc;

use datafusion::logical_expr::{col, lit};

use super::support::{Lake, Step, TestStore, create, id, rows, spelled};
use crate::writer::{Optimise, WriteError};

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_in_once() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let store = TestStore::new([Step::FailAfter, Step::FailAfter, Step::FailAfter]);
    let writer = lake.writer_over(&store).await;
    let appended = writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await.unwrap();
    assert_eq!(appended.version(), 2);
    let deleted = writer.delete(&id("app", 2), Some(col("id").eq(lit(1_i64)))).await.unwrap();
    assert_eq!(deleted.version(), 3);
    writer.append(&id("app", 3), &rows(&[(3, 3, "a")])).await.unwrap();
    writer.optimise(&Optimise::default()).await.unwrap();
    assert_eq!((store.left(), lake.version().await), (0, 5));
    assert_eq!(lake.read().await, spelled(&[(2, 2, "a"), (3, 3, "a")]));
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_tried_again() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let store = TestStore::new([Step::FailBefore, Step::FailBefore, Step::FailAfter]);
    let writer = lake.writer_over(&store).await;
    assert_eq!(writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await.unwrap().version(), 2);
    assert_eq!((store.left(), lake.version().await), (0, 2));
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a")]));
}

/// The first request is still under way when it is tried again.
#[tokio::test]
async fn a_commit_that_arrives_late_is_in_once() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let store = TestStore::new([Step::Late]);
    let writer = lake.writer_over(&store).await;
    let appended = writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await.unwrap();
    assert_eq!((appended.version(), lake.version().await), (2, 2));
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a")]));
}

#[tokio::test]
async fn an_outcome_that_nobody_knows_is_settled_by_repeating() {
    for arrives in [false, true] {
        let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
        // The last of the tries arrives after the writer gave up, or never.
        let last = if arrives { Step::Late } else { Step::FailBefore };
        let script = [Step::FailBefore, Step::FailBefore, Step::FailBefore, last];
        let store = Arc::new(TestStore::with(script, true));
        let writer = lake.writer_over(&store).await;
        let result = writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await;
        assert!(matches!(result, Err(WriteError::OutcomeUnknown { version: 2, .. })), "{result:?}");
        assert_eq!(lake.version().await, 1);
        // The late request, if there is one, arrives with the first of these.
        writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await.unwrap_or_else(|error| {
            assert!(arrives && matches!(error, WriteError::AlreadyApplied { .. }), "{error:?}");
            crate::writer::WriteOutcome::Unchanged { version: 2 }
        });
        assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a")]), "arrives late: {arrives}");
        let again = writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await;
        assert!(matches!(again, Err(WriteError::AlreadyApplied { .. })), "{again:?}");
    }
}

#[tokio::test]
async fn a_store_that_refuses_is_not_asked_again() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let store = TestStore::new([Step::Deny]);
    let writer = lake.writer_over(&store).await;
    let result = writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await;
    assert!(matches!(result, Err(WriteError::Store { .. })), "{result:?}");
    assert_eq!(lake.version().await, 1);
    writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await.unwrap();
}

#[tokio::test]
async fn creating_a_table_survives_lost_answers() {
    let lake = Lake::new().await;
    let store = TestStore::new([Step::FailBefore, Step::FailAfter]);
    let writer = lake.writer_over(&store).await;
    assert_eq!(create(&writer, &[]).await.version(), 0);
    assert_eq!((store.left(), lake.version().await), (0, 0));
}
