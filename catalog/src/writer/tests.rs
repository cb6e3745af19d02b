//! The gate against an engine that does something else than it was asked to.

use std::sync::Arc;

use datafusion::logical_expr::{col, lit};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::CommitBuilder;
use deltalake_core::kernel::{Action, Add, Remove};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use url::Url;

use super::location::relative_path;
use super::operations::commit;
use super::rules::Kind;
use super::run::PlanError;
use super::{Optimise, TableWriter, WriteError};
use crate::tests::writing::support::{Lake, TestStore, batch, id, rows, spelled};

/// One file of two rows, one of one.
async fn lake() -> Lake {
    Lake::with_rows(&[&[(1, 1, "a"), (2, 2, "a")], &[(3, 3, "a")]]).await
}

/// Runs `plan` with a permit for `kind`, and gives the reason for which its commit was refused.
async fn refusal<F, Fut>(lake: &Lake, kind: Kind, plan: F) -> String
where
    F: Fn(DeltaTable) -> Fut,
    Fut: Future<Output = Result<(), PlanError>>,
{
    let writer = lake.writer().await;
    let before = lake.version().await;
    let result = writer.write(&id("app", 1), kind, |table, _session| plan(table)).await;
    assert_eq!(lake.version().await, before);
    match result {
        Err(WriteError::RefusedCommit { reason, .. }) => reason,
        other => panic!("{kind:?}: {other:?}"),
    }
}

/// Commits these actions.
async fn raw(table: DeltaTable, actions: Vec<Action>) -> Result<(), PlanError> {
    let state = table.snapshot()?;
    let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
    CommitBuilder::from(commit(0))
        .with_actions(actions)
        .build(Some(state), table.log_store(), operation)
        .await?;
    Ok(())
}

/// `remove` actions of all files, and the paths.
fn removes(table: &DeltaTable, data_change: bool) -> Vec<Remove> {
    table.snapshot().unwrap().log_data().iter().map(|file| file.remove_action(data_change)).collect()
}

fn add(path: &str, rows: u64, data_change: bool) -> Add {
    Add {
        path: path.to_owned(),
        size: 1,
        data_change,
        stats: Some(format!("{{\"numRecords\":{rows}}}")),
        partition_values: [("part".to_owned(), Some("a".to_owned()))].into(),
        ..Add::default()
    }
}

#[tokio::test]
async fn an_engine_that_does_something_else_is_stopped() {
    let lake = lake().await;
    let appended = refusal(&lake, Kind::Append, |table| async move {
        let write = table.write([batch(&[(9, 9, "a")])]).with_save_mode(SaveMode::Overwrite);
        write.with_commit_properties(commit(0)).await?;
        Ok(())
    });
    assert!(appended.await.contains("an append removes files"));
    let some = refusal(&lake, Kind::Delete { all: true }, |table| async move {
        table.delete().with_predicate(col("id").eq(lit(3_i64))).with_commit_properties(commit(0)).await?;
        Ok(())
    });
    assert!(some.await.contains("does not remove all files"));
    let optimised = refusal(&lake, Kind::Optimise, |table| async move {
        table.delete().with_commit_properties(commit(0)).await?;
        Ok(())
    });
    assert!(optimised.await.contains("dataChange"));
    let metadata = refusal(&lake, Kind::Append, |table| async move {
        let properties = [("delta.appendOnly".to_owned(), "true".to_owned())];
        table.set_tbl_properties().with_properties(properties.into()).await?;
        Ok(())
    });
    assert!(metadata.await.contains("action"));
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a"), (3, 3, "a")]));
}

#[tokio::test]
async fn commits_that_do_not_fit_the_base_are_refused() {
    let lake = lake().await;
    let gone = refusal(&lake, Kind::Merge, |table| async move {
        let mut remove = removes(&table, true).remove(0);
        remove.path = "part=a/gone.parquet".to_owned();
        raw(table, vec![remove.into()]).await
    });
    assert!(gone.await.contains("does not have"));
    let twice = refusal(&lake, Kind::Merge, |table| async move {
        let remove = removes(&table, true).remove(0);
        raw(table, vec![remove.clone().into(), remove.into()]).await
    });
    assert!(twice.await.contains("twice"));
    let again = refusal(&lake, Kind::Append, |table| async move {
        let path = removes(&table, true).remove(0).path;
        raw(table, vec![add(&path, 1, true).into()]).await
    });
    assert!(again.await.contains("already has"));
    let outside = refusal(&lake, Kind::Append, |table| async move {
        raw(table, vec![add("file:///elsewhere/x.parquet", 1, true).into()]).await
    });
    assert!(outside.await.contains("outside"));
    // Three rows become two.
    let lost = refusal(&lake, Kind::Optimise, |table| async move {
        let mut actions: Vec<Action> = removes(&table, false).into_iter().map(Action::from).collect();
        actions.push(add("part=a/new.parquet", 2, false).into());
        raw(table, actions).await
    });
    assert!(lost.await.contains("files of 3 rows"));
    let silent = refusal(&lake, Kind::Delete { all: false }, |table| async move {
        let mut actions: Vec<Action> = removes(&table, true).into_iter().map(Action::from).collect();
        actions.push(add("part=a/new.parquet", 2, true).into());
        raw(table, actions).await
    });
    assert!(silent.await.contains("how many rows"));
}

#[tokio::test]
async fn an_attempt_commits_once() {
    let lake = lake().await;
    let writer = lake.writer().await;
    let version = lake.version().await;
    let outcome = writer
        .write(&id("app", 1), Kind::Append, |table, _session| async move {
            let first =
                table.clone().write([batch(&[(8, 8, "a")])]).with_commit_properties(commit(0)).await?;
            let second = first.write([batch(&[(9, 9, "a")])]).with_commit_properties(commit(0)).await;
            assert!(second.is_err());
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!((outcome.version(), lake.version().await), (version + 1, version + 1));
}

/// Dropping a write leaves nothing behind that could commit later.
#[tokio::test]
async fn what_is_left_of_an_attempt_commits_nothing() {
    let lake = Arc::new(lake().await);
    let writer = lake.writer().await;
    let version = lake.version().await;
    let kept = Arc::new(parking_lot::Mutex::new(None));
    let keep = Arc::clone(&kept);
    let outcome = writer
        .write(&id("app", 1), Kind::Append, |table, _session| {
            *keep.lock() = Some(table);
            async { Ok(()) }
        })
        .await
        .unwrap();
    assert_eq!(outcome.version(), version);
    let table = kept.lock().take().unwrap();
    assert!(table.write([batch(&[(9, 9, "a")])]).await.is_err());
    assert_eq!(lake.version().await, version);
}

/// The engine gets a store that cannot touch the log nor remove anything.
#[tokio::test]
async fn the_engine_cannot_remove_files_or_write_the_log() {
    use object_store::ObjectStoreExt as _;
    use object_store::path::Path;
    let lake = lake().await;
    let writer = lake.writer().await;
    let log = writer.table.guarded_log_store();
    for store in [log.object_store(None), log.root_object_store(None)] {
        let root = writer.table.url.path().to_owned();
        let prefix = if Arc::ptr_eq(&store, &log.object_store(None)) { String::new() } else { root };
        let file = Path::from(format!("{prefix}/_delta_log/00000000000000000000.json"));
        assert!(store.delete(&file).await.is_err());
        assert!(store.put(&file, "x".into()).await.is_err());
        assert!(store.copy(&file, &Path::from("copy")).await.is_err());
        assert!(store.rename(&file, &Path::from("moved")).await.is_err());
        assert!(store.get(&file).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_takes_too_long_is_given_up() {
    let lake = lake().await;
    let forever = TestStore::before_data(Box::pin(std::future::pending()));
    let mut options = lake.options();
    options.attempt_timeout = std::time::Duration::from_millis(200);
    let writer: TableWriter = lake.writer_with(forever, options).await;
    let result = writer.append(&id("app", 1), &rows(&[(9, 9, "a")])).await;
    assert!(matches!(result, Err(WriteError::TimedOut { .. })), "{result:?}");
    // The lease was given back.
    lake.writer().await.optimise(&Optimise::default()).await.unwrap();
}

#[test]
fn paths_of_the_log_are_relative_to_the_table() {
    let table = Url::parse("file:///lake/my%20table/").unwrap();
    let relative = |raw: &str| relative_path(&table, raw).unwrap().map(|path| path.to_string());
    for (raw, expected) in [
        ("a.parquet", Some("a.parquet")),
        ("part=x%2520y/a.parquet", Some("part=x%20y/a.parquet")),
        ("part=12:30/a.parquet", Some("part=12:30/a.parquet")),
        ("file:///lake/my%20table/b/a.parquet", Some("b/a.parquet")),
        ("/lake/my%20table/a.parquet", Some("a.parquet")),
        ("file:///lake/other/a.parquet", None),
        ("s3://lake/my%20table/a.parquet", None),
        ("file:///lake/my%20table", None),
    ] {
        assert_eq!(relative(raw).as_deref(), expected, "{raw}");
    }
}
