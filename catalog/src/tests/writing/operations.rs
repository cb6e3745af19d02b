//! What each operation does to rows, and what its commit says.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::functions::math::expr_fn::random;
use datafusion::logical_expr::{col, lit};
use deltalake_core::logstore::default_logstore;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use serde_json::Value;
use url::Url;

use super::support::{Lake, create, id, rows, schema, spelled};
use crate::writer::{
    CreateTable, Merge, MergeClause, Optimise, Rows, TableWriter, Update, WriteError, WriteId, WriteOutcome,
};

fn committed(outcome: WriteOutcome) -> crate::writer::Commit {
    match outcome {
        WriteOutcome::Committed(commit) => commit,
        other => panic!("{other:?}"),
    }
}

fn new_table() -> CreateTable {
    CreateTable {
        schema: schema(),
        partition_by: Vec::new(),
        name: None,
        description: None,
        properties: Default::default(),
    }
}

/// `(app, number)` of the application transactions of a commit.
fn transactions(commit: &[Value]) -> Vec<(String, i64)> {
    commit
        .iter()
        .filter_map(|action| action.get("txn"))
        .map(|txn| (txn["appId"].as_str().unwrap().to_owned(), txn["version"].as_i64().unwrap()))
        .collect()
}

#[tokio::test]
async fn every_operation_changes_what_it_should_and_signs_its_commit() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    assert_eq!(create(&writer, &[]).await.version(), 0);
    let first = &[(1, 10, "a"), (2, 20, "a"), (3, 30, "b b/%")];
    let commit = committed(writer.append(&id("app", 1), &rows(first)).await.unwrap());
    assert_eq!((commit.version, commit.files_added, commit.files_removed), (1, 2, 0));
    writer.append(&id("app", 2), &rows(&[(4, 40, "a")])).await.unwrap();
    assert_eq!(lake.read().await, spelled(&[(1, 10, "a"), (2, 20, "a"), (3, 30, "b b/%"), (4, 40, "a")]));

    let update = Update {
        predicate: Some(col("id").gt(lit(2_i64))),
        set: vec![("v".to_owned(), col("v") + lit(1_i64))],
    };
    writer.update(&id("app", 3), &update).await.unwrap();
    assert_eq!(lake.read().await, spelled(&[(1, 10, "a"), (2, 20, "a"), (3, 31, "b b/%"), (4, 41, "a")]));

    writer.delete(&id("app", 4), Some(col("v").eq(lit(20_i64)))).await.unwrap();
    assert_eq!(lake.read().await, spelled(&[(1, 10, "a"), (3, 31, "b b/%"), (4, 41, "a")]));

    let merge = Merge {
        source: rows(&[(1, 100, "a"), (4, 0, "a"), (9, 900, "c")]),
        on: col("source.id").eq(col("target.id")),
        clauses: vec![
            MergeClause::MatchedDelete { condition: Some(col("source.v").eq(lit(0_i64))) },
            MergeClause::MatchedUpdate { condition: None, set: vec![("v".to_owned(), col("source.v"))] },
            MergeClause::NotMatchedInsert {
                condition: None,
                values: ["id", "v", "part"].map(|c| (c.to_owned(), col(format!("source.{c}")))).to_vec(),
            },
        ],
    };
    writer.merge(&id("app", 5), &merge).await.unwrap();
    assert_eq!(lake.read().await, spelled(&[(1, 100, "a"), (3, 31, "b b/%"), (9, 900, "c")]));

    writer.append(&id("app", 6), &rows(&[(10, 1, "a")])).await.unwrap();
    let before = lake.read().await;
    let commit = committed(writer.optimise(&Optimise::default()).await.unwrap());
    assert_eq!((commit.files_added, commit.files_removed), (1, 2));
    assert_eq!(lake.read().await, before);

    writer.overwrite(&id("app", 7), &rows(&[(7, 7, "z")])).await.unwrap();
    assert_eq!(lake.read().await, spelled(&[(7, 7, "z")]));
    writer.delete(&id("app", 8), None).await.unwrap();
    assert_eq!(lake.read().await, Vec::<String>::new());

    let mut app = 0;
    let mut fencing = 0;
    for version in 0..=lake.version().await {
        let commit = lake.commit(version);
        let [(name, number)] = transactions(&commit).try_into().unwrap();
        match name.as_str() {
            "app" => {
                app += 1;
                assert_eq!(number, app);
            }
            "create" | "lakeward.maintenance" => {}
            other => panic!("{other}"),
        }
        let info = commit.iter().find_map(|action| action.get("commitInfo")).unwrap();
        let of_lease = info["lakeward"]["fencing"].as_u64().unwrap();
        assert!(of_lease > fencing, "fencing numbers grow");
        fencing = of_lease;
    }
    assert_eq!(app, 8);
}

#[tokio::test]
async fn a_repeated_request_commits_once() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let (one, two) = (lake.writer().await, lake.writer().await);
    one.append(&id("shard-1", 5), &rows(&[(2, 2, "a")])).await.unwrap();
    let version = lake.version().await;
    for number in [5, 4] {
        let again = two.append(&id("shard-1", number), &rows(&[(2, 2, "a")])).await;
        assert!(matches!(again, Err(WriteError::AlreadyApplied { recorded: 5, .. })), "{again:?}");
    }
    let delete = two.delete(&id("shard-1", 5), None).await;
    assert!(matches!(delete, Err(WriteError::AlreadyApplied { .. })), "{delete:?}");
    two.append(&id("shard-2", 5), &rows(&[(3, 3, "a")])).await.unwrap();
    assert_eq!(lake.version().await, version + 1);
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a"), (3, 3, "a")]));

    let created = one.create(&id("create", 1), new_table()).await;
    assert!(matches!(created, Err(WriteError::AlreadyApplied { .. })), "{created:?}");
}

/// The identity survives a checkpoint, and the clean-up of the commit that had it.
#[tokio::test]
async fn a_repeated_request_is_known_behind_a_checkpoint() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let writer = lake.writer().await;
    writer.append(&id("shard-1", 5), &rows(&[(2, 2, "a")])).await.unwrap();
    assert_eq!(writer.checkpoint().await.unwrap(), 2);
    for version in 0..=1 {
        std::fs::remove_file(lake.table().join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    let again = writer.append(&id("shard-1", 5), &rows(&[(2, 2, "a")])).await;
    assert!(matches!(again, Err(WriteError::AlreadyApplied { .. })), "{again:?}");
    assert_eq!(lake.read().await.len(), 2);
}

#[tokio::test]
async fn nothing_to_change_is_no_commit() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let writer = lake.writer().await;
    let none = Some(col("id").eq(lit(99_i64)));
    let deleted = writer.delete(&id("app", 1), none.clone()).await.unwrap();
    assert!(matches!(deleted, WriteOutcome::Unchanged { version: 1 }), "{deleted:?}");
    let update = Update { predicate: none, set: vec![("v".to_owned(), lit(0_i64))] };
    let updated = writer.update(&id("app", 1), &update).await.unwrap();
    assert!(matches!(updated, WriteOutcome::Unchanged { .. }), "{updated:?}");
    let optimised = writer.optimise(&Optimise { target_size: NonZero::new(1) }).await.unwrap();
    assert!(matches!(optimised, WriteOutcome::Unchanged { .. }), "{optimised:?}");
    assert_eq!(lake.version().await, 1);
    writer.append(&id("app", 1), &rows(&[(2, 2, "a")])).await.unwrap();
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let writer = lake.writer().await;
    let schema =
        Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("extra", DataType::Utf8, true)]);
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["x"]))];
    let wide = Rows::Batches(vec![RecordBatch::try_new(Arc::new(schema), columns).unwrap()]);
    for (number, result) in
        [writer.append(&id("app", 1), &wide).await, writer.overwrite(&id("app", 2), &wide).await]
            .into_iter()
            .enumerate()
    {
        assert!(matches!(result, Err(WriteError::InvalidRows { .. })), "{number}: {result:?}");
    }
    let text = Schema::new(vec![Field::new("id", DataType::Utf8, true)]);
    let column = Arc::new(StringArray::from(vec!["not a number"]));
    let wrong = Rows::Batches(vec![RecordBatch::try_new(Arc::new(text), vec![column]).unwrap()]);
    assert!(writer.append(&id("app", 3), &wrong).await.is_err());
    let none = writer.append(&id("app", 4), &Rows::Batches(Vec::new())).await;
    assert!(matches!(none, Err(WriteError::InvalidRequest(_))), "{none:?}");
    assert_eq!(lake.version().await, 1);

    // Fewer columns are nulls.
    let narrow = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let narrow = RecordBatch::try_new(Arc::new(narrow), vec![Arc::new(Int64Array::from(vec![5]))]).unwrap();
    writer.append(&id("app", 5), &Rows::Batches(vec![narrow])).await.unwrap();
    assert_eq!(lake.read().await, ["1|1|\"a\"", "5|null|null"]);
}

/// What someone asked with does not stay in the log for longer than the rows it removed.
#[tokio::test]
async fn the_history_has_no_literals() {
    let lake = Lake::with_rows(&[&[(1, 77_001, "a"), (2, 2, "a")]]).await;
    let writer = lake.writer().await;
    let secret = || col("v").eq(lit(77_001_i64));
    let set = vec![("v".to_owned(), lit(77_001_i64))];
    let update = Update { predicate: Some(secret()), set: set.clone() };
    writer.update(&id("app", 1), &update).await.unwrap();
    let merge = Merge {
        source: rows(&[(1, 1, "a")]),
        on: col("source.id").eq(col("target.id")).and(col("target.v").eq(lit(77_001_i64))),
        clauses: vec![MergeClause::MatchedUpdate {
            condition: Some(col("target.v").eq(lit(77_001_i64))),
            set,
        }],
    };
    writer.merge(&id("app", 2), &merge).await.unwrap();
    writer.delete(&id("app", 3), Some(secret())).await.unwrap();
    assert_eq!(lake.read().await, spelled(&[(2, 2, "a")]));
    for version in 2..=lake.version().await {
        let infos = lake.commit(version).into_iter().filter_map(|action| action.get("commitInfo").cloned());
        for info in infos {
            assert!(!info.to_string().contains("77001"), "{version}: {info}");
            assert_eq!(info["operationParameters"]["predicate"], "not recorded", "{version}: {info}");
        }
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let writer = lake.writer().await;
    let refused = |result: Result<WriteOutcome, WriteError>| {
        assert!(matches!(result, Err(WriteError::InvalidRequest(_))), "{result:?}");
    };
    refused(writer.delete(&id("app", 1), Some(random().gt(lit(0.5)))).await);
    let set = vec![("nowhere".to_owned(), lit(1_i64))];
    refused(writer.update(&id("app", 1), &Update { predicate: None, set: set.clone() }).await);
    refused(writer.update(&id("app", 1), &Update { predicate: None, set: Vec::new() }).await);
    let merge = Merge {
        source: rows(&[(1, 1, "a")]),
        on: col("source.id").eq(col("target.id")),
        clauses: vec![MergeClause::MatchedUpdate { condition: None, set }],
    };
    refused(writer.merge(&id("app", 1), &merge).await);
    for wrong in [WriteId::new("", 1), WriteId::new("lakeward.maintenance", 1), WriteId::new("app", -1)] {
        assert!(matches!(wrong, Err(WriteError::InvalidRequest(_))), "{wrong:?}");
    }
    assert_eq!(lake.version().await, 1);
}

#[tokio::test]
async fn a_merge_that_would_change_a_row_twice_is_refused() {
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let writer = lake.writer().await;
    let merge = Merge {
        source: rows(&[(1, 10, "a"), (1, 20, "a")]),
        on: col("source.id").eq(col("target.id")),
        clauses: vec![MergeClause::MatchedUpdate {
            condition: None,
            set: vec![("v".to_owned(), col("source.v"))],
        }],
    };
    assert!(writer.merge(&id("app", 1), &merge).await.is_err());
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a")]));
}

#[tokio::test]
async fn only_creating_needs_no_table() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    let missing = writer.append(&id("app", 1), &rows(&[(1, 1, "a")])).await;
    assert!(matches!(missing, Err(WriteError::NotATable { .. })), "{missing:?}");
    let vacuumed = writer.vacuum(&Default::default()).await;
    assert!(matches!(vacuumed, Err(WriteError::NotATable { .. })), "{vacuumed:?}");
    create(&writer, &[]).await;
    let again = writer.create(&id("other", 1), new_table()).await;
    assert!(matches!(again, Err(WriteError::TableExists { .. })), "{again:?}");
}

/// Every so many versions a checkpoint, from which alone the table can be read.
#[tokio::test]
async fn checkpoints_are_written_by_themselves() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    create(&writer, &[("delta.checkpointInterval", "3")]).await;
    for number in 1..=5 {
        writer.append(&id("app", number), &rows(&[(number, 0, "a")])).await.unwrap();
    }
    let checkpoint = |version: u64| lake.table().join(format!("_delta_log/{version:020}.checkpoint.parquet"));
    assert!(checkpoint(2).exists() && checkpoint(5).exists() && !checkpoint(4).exists());
    for version in 0..=5 {
        std::fs::remove_file(lake.table().join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    assert_eq!(lake.read().await.len(), 5);
}

/// A store that is no file system: nothing is forced to disk, everything else is the same.
#[tokio::test]
async fn any_store_with_conditional_writes_will_do() {
    let lake = Lake::new().await;
    let store = Arc::new(InMemory::new());
    let url = Url::parse("memory:///lake/some%20table").unwrap();
    let open = || TableWriter::open(store.clone(), &url, Arc::clone(&lake.control), lake.options());
    let writer = open().await.unwrap();
    create(&writer, &[("delta.checkpointInterval", "3")]).await;
    writer.append(&id("app", 1), &rows(&[(1, 1, "a"), (2, 2, "b c%")])).await.unwrap();
    writer.append(&id("app", 2), &rows(&[(3, 3, "a")])).await.unwrap();
    writer.optimise(&Optimise::default()).await.unwrap();
    writer.delete(&id("app", 3), Some(col("id").eq(lit(1_i64)))).await.unwrap();
    let again = open().await.unwrap().append(&id("app", 2), &rows(&[(3, 3, "a")])).await;
    assert!(matches!(again, Err(WriteError::AlreadyApplied { .. })), "{again:?}");
    lake.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(writer.vacuum(&Default::default()).await.unwrap().files.len(), 3);

    let log = default_logstore(
        Arc::new(PrefixStore::new(Arc::clone(&store), "lake/some table")),
        store,
        &url,
        &Default::default(),
    );
    let mut table = deltalake_core::DeltaTable::new(log);
    table.load().await.unwrap();
    assert_eq!(super::support::read_all(table).await, spelled(&[(2, 2, "b c%"), (3, 3, "a")]));
}
