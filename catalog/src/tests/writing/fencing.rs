//! One writer at a time, and an old one whose lease is over commits nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::try_join_all;

use super::support::{Lake, Step, TestStore, id, rows, spelled};
use crate::control::{LeaseError, Leases};
use crate::writer::WriteError;

#[tokio::test]
async fn the_commit_of_an_old_holder_is_refused() {
    let lake = Arc::new(Lake::with_rows(&[&[(1, 1, "a")]]).await);
    let quick = lake.writer().await;
    // While the slow writer writes data files, its lease ends and the quick one takes over.
    let taken = {
        let lake = Arc::clone(&lake);
        async move {
            lake.clock.advance(Duration::from_secs(60));
            quick.append(&id("quick", 1), &rows(&[(2, 2, "a")])).await.unwrap();
        }
    };
    let slow = lake.writer_over(&TestStore::before_data(taken.boxed())).await;
    let result = slow.append(&id("slow", 1), &rows(&[(3, 3, "a")])).await;
    assert!(matches!(result, Err(WriteError::Lease(LeaseError::Lost { .. }))), "{result:?}");
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a")]));
    let fencing = |version| {
        let commit = lake.commit(version);
        commit[0]["commitInfo"]["lakeward"]["fencing"].as_u64().unwrap()
    };
    assert_eq!(fencing(2), fencing(1) + 2, "the slow writer had the number in between");
    slow.append(&id("slow", 1), &rows(&[(3, 3, "a")])).await.unwrap();
    assert_eq!(lake.read().await.len(), 3);
}

/// Even one that is taken over between its last look at the lease and its commit: the log refuses it.
#[tokio::test]
async fn a_takeover_at_the_last_moment_loses_nothing() {
    let lake = Arc::new(Lake::with_rows(&[&[(1, 1, "a")], &[(2, 2, "a")]]).await);
    let taken = {
        let lake = Arc::clone(&lake);
        async move {
            lake.clock.advance(Duration::from_secs(60));
            let quick = lake.writer().await;
            quick.optimise(&Default::default()).await.unwrap();
        }
    };
    let store = TestStore::new([Step::First(taken.boxed())]);
    let slow = lake.writer_over(&store).await;
    let result = slow.overwrite(&id("slow", 1), &rows(&[(9, 9, "a")])).await;
    assert!(matches!(result, Err(WriteError::Lease(LeaseError::Lost { .. }))), "{result:?}");
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a")]));
}

#[tokio::test]
async fn a_writer_waits_for_the_lease_and_then_gives_up() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let mut options = lake.options();
    options.lease_wait = Duration::ZERO;
    let writer = lake.writer_with(Arc::new(object_store::local::LocalFileSystem::new()), options).await;
    let leases = Leases::with_clock(
        Arc::clone(&lake.control),
        "someone else",
        Default::default(),
        Arc::clone(&lake.clock) as _,
    );
    let lease = leases.acquire(writer.table()).await.unwrap();
    let held = writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await;
    assert!(matches!(held, Err(WriteError::Lease(LeaseError::Held { .. }))), "{held:?}");
    assert!(held.unwrap_err().to_string().contains("someone else"));
    lease.release().await.unwrap();
    writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_take_turns() {
    let lake = Lake::with_rows(&[]).await;
    let mut writes = Vec::new();
    for number in 0..6 {
        let writer = lake.writer().await;
        writes.push(async move {
            let app = format!("writer-{number}");
            for write in 1..=2 {
                writer.append(&id(&app, write), &rows(&[(number, write, "a")])).await?;
            }
            Ok::<_, WriteError>(())
        });
    }
    try_join_all(writes).await.unwrap();
    assert_eq!(lake.read().await.len(), 12);
    assert_eq!(lake.version().await, 12);
}
