//! delta-rs alone corrupts tables when its handle is stale; the writer does not.
//!
//! Its conflict check passes over removals that change no data, so whoever planned before someone else's
//! OPTIMIZE commits removals of files that are gone already, and leaves the joined file in place.

use std::sync::Arc;

use datafusion::logical_expr::{col, lit};
use deltalake_core::protocol::SaveMode;
use futures::FutureExt as _;

use super::support::{Lake, Row, Step, TestStore, batch, id, rows, spelled};
use crate::writer::{Optimise, Update};

const FILES: &[&[Row]] = &[&[(1, 1, "a")], &[(2, 2, "a")], &[(3, 3, "a")]];
const ALL: &[Row] = &[(1, 1, "a"), (2, 2, "a"), (3, 3, "a")];

/// Someone else compacts the table with delta-rs.
async fn foreign_optimise(lake: &Lake) {
    let (_, metrics) = lake.bare().await.optimize().await.unwrap();
    assert_eq!(metrics.num_files_removed, 3);
}

#[tokio::test]
async fn bare_optimise_over_a_stale_handle_duplicates_rows() {
    let lake = Lake::with_rows(FILES).await;
    let stale = lake.bare().await;
    foreign_optimise(&lake).await;
    stale.optimize().await.unwrap();
    let twice: Vec<Row> = ALL.iter().chain(ALL).copied().collect();
    assert_eq!(lake.read().await, spelled(&twice));
}

#[tokio::test]
async fn bare_overwrite_over_a_stale_handle_keeps_old_rows() {
    let lake = Lake::with_rows(FILES).await;
    let stale = lake.bare().await;
    foreign_optimise(&lake).await;
    stale.write([batch(&[(9, 9, "a")])]).with_save_mode(SaveMode::Overwrite).await.unwrap();
    let old_and_new: Vec<Row> = ALL.iter().copied().chain([(9, 9, "a")]).collect();
    assert_eq!(lake.read().await, spelled(&old_and_new));
}

#[tokio::test]
async fn bare_delete_of_all_over_a_stale_handle_deletes_nothing() {
    let lake = Lake::with_rows(FILES).await;
    let stale = lake.bare().await;
    foreign_optimise(&lake).await;
    stale.delete().await.unwrap();
    assert_eq!(lake.read().await, spelled(ALL));
}

/// A store where someone else compacts the table right before the first commit arrives.
fn compacted_before_commit(lake: &Arc<Lake>) -> Arc<TestStore> {
    let lake = Arc::clone(lake);
    TestStore::new([Step::First(async move { foreign_optimise(&lake).await }.boxed())])
}

#[tokio::test]
async fn operations_planned_before_a_foreign_optimise_are_planned_again() {
    for operation in ["optimise", "overwrite", "delete all", "delete", "update", "append"] {
        let lake = Arc::new(Lake::with_rows(FILES).await);
        let store = compacted_before_commit(&lake);
        let writer = lake.writer_over(&store).await;
        let id = id("app", 1);
        let (outcome, expected): (_, Vec<Row>) = match operation {
            "optimise" => (writer.optimise(&Optimise::default()).await, ALL.to_vec()),
            "overwrite" => (writer.overwrite(&id, &rows(&[(9, 9, "a")])).await, vec![(9, 9, "a")]),
            "delete all" => (writer.delete(&id, None).await, Vec::new()),
            "delete" => {
                let outcome = writer.delete(&id, Some(col("id").gt(lit(1_i64)))).await;
                (outcome, vec![(1, 1, "a")])
            }
            "update" => {
                let update = Update { predicate: None, set: vec![("v".to_owned(), lit(0_i64))] };
                (writer.update(&id, &update).await, vec![(1, 0, "a"), (2, 0, "a"), (3, 0, "a")])
            }
            _ => {
                let expected = ALL.iter().copied().chain([(4, 4, "a")]).collect();
                (writer.append(&id, &rows(&[(4, 4, "a")])).await, expected)
            }
        };
        let outcome = outcome.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
        assert_eq!(store.left(), 0, "{operation}");
        assert_eq!(lake.read().await, spelled(&expected), "{operation}");
        // Version 4 is the foreign one; compacting what was compacted changes nothing.
        let version = if operation == "optimise" { 4 } else { 5 };
        assert_eq!((outcome.version(), lake.version().await), (version, version), "{operation}");
    }
}

/// An append only writes its files once, whoever commits meanwhile.
#[tokio::test]
async fn an_append_keeps_its_files_when_others_commit() {
    let lake = Arc::new(Lake::with_rows(FILES).await);
    let foreign = |row: Row| {
        let lake = Arc::clone(&lake);
        Step::First(async move { lake.bare().await.write([batch(&[row])]).await.map(drop).unwrap() }.boxed())
    };
    let store = TestStore::new([foreign((7, 7, "a")), foreign((8, 8, "a"))]);
    let writer = lake.writer_over(&store).await;
    let outcome = writer.append(&id("app", 1), &rows(&[(4, 4, "a")])).await.unwrap();
    assert_eq!(outcome.version(), 6);
    assert_eq!(lake.files().len(), 6);
    let expected: Vec<Row> = ALL.iter().copied().chain([(4, 4, "a"), (7, 7, "a"), (8, 8, "a")]).collect();
    assert_eq!(lake.read().await, spelled(&expected));
}

/// But not when the schema changed in between: it is planned again, against the new one.
#[tokio::test]
async fn an_append_is_planned_again_when_the_table_changed() {
    let lake = Arc::new(Lake::with_rows(FILES).await);
    let changed = {
        let lake = Arc::clone(&lake);
        async move {
            let table = lake.bare().await;
            let properties = [("delta.appendOnly".to_owned(), "true".to_owned())];
            table.set_tbl_properties().with_properties(properties.into()).await.unwrap();
        }
    };
    let store = TestStore::new([Step::First(changed.boxed())]);
    let writer = lake.writer_over(&store).await;
    writer.append(&id("app", 1), &rows(&[(4, 4, "a")])).await.unwrap();
    assert_eq!(lake.files().len(), 5, "the files of the first plan are left for vacuum");
    assert_eq!(lake.read().await.len(), 4);
}

#[tokio::test]
async fn a_writer_that_never_wins_says_so() {
    let lake = Arc::new(Lake::with_rows(FILES).await);
    let foreign = |value: i64| {
        let lake = Arc::clone(&lake);
        Step::First(
            async move { lake.bare().await.write([batch(&[(value, 0, "b")])]).await.map(drop).unwrap() }
                .boxed(),
        )
    };
    let store = TestStore::new((10..13).map(foreign));
    let mut options = lake.options();
    options.tries = 3;
    let writer = lake.writer_with(store.clone(), options).await;
    let result = writer.delete(&id("app", 1), Some(col("id").eq(lit(1_i64)))).await;
    assert!(matches!(result, Err(crate::writer::WriteError::Conflict { tries: 3, .. })), "{result:?}");
    assert_eq!(lake.read().await.len(), 6);
    writer.delete(&id("app", 1), Some(col("id").eq(lit(1_i64)))).await.unwrap();
    assert_eq!(lake.read().await.len(), 5);
}
