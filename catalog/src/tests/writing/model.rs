//! Whatever two writers and a foreign appender do at the same time: every version of the table is what
//! its commits, in their order, make of an in-memory model.
//!
//! A few cases as a test; more with `PROPTEST_CASES`, which `make soak` sets.

use std::collections::BTreeMap;

use datafusion::logical_expr::{col, lit};
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::CommitProperties;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::support::{Lake, Row, batch, create, id, rows, spelled};
use crate::writer::{Merge, MergeClause, Optimise, TableWriter, Update, WriteError, WriteOutcome};

const CASES: u32 = 5;
/// Key of the number of a foreign operation in its commit.
const FOREIGN: &str = "testOperation";
const PARTS: [&str; 2] = ["a", "b c%"];

#[derive(Debug, Clone)]
enum Operation {
    Append(Vec<Row>),
    Overwrite(Vec<Row>),
    DeleteAll,
    /// Rows with a smaller `v`.
    Delete(i64),
    /// All of a partition.
    DeletePart(&'static str),
    /// Adds to `v` of rows with this `id` or a greater one.
    Update(i64, i64),
    /// Upsert by `id`.
    Merge(Vec<Row>),
    Optimise,
    Checkpoint,
    /// By delta-rs, without a lease.
    ForeignAppend(Vec<Row>),
}

/// What runs at one time, and who does it.
type Group = Vec<(usize, Operation)>;

fn row() -> impl Strategy<Value = Row> {
    (0..8_i64, 0..20_i64, 0..PARTS.len()).prop_map(|(id, v, part)| (id, v, PARTS[part]))
}

/// Rows with distinct `id`s, as the source of a merge must have.
fn distinct() -> impl Strategy<Value = Vec<Row>> {
    vec(row(), 1..4).prop_map(|rows| {
        let by_id: BTreeMap<i64, Row> = rows.into_iter().map(|row| (row.0, row)).collect();
        by_id.into_values().collect()
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => vec(row(), 1..5).prop_map(Operation::Append),
        1 => vec(row(), 1..5).prop_map(Operation::Overwrite),
        1 => Just(Operation::DeleteAll),
        2 => (0..20_i64).prop_map(Operation::Delete),
        1 => (0..PARTS.len()).prop_map(|part| Operation::DeletePart(PARTS[part])),
        2 => (0..8_i64, 1..4_i64).prop_map(|(id, by)| Operation::Update(id, by)),
        2 => distinct().prop_map(Operation::Merge),
        3 => Just(Operation::Optimise),
        1 => Just(Operation::Checkpoint),
        3 => vec(row(), 1..3).prop_map(Operation::ForeignAppend),
    ]
}

/// Rows after an operation.
fn apply(before: &[Row], operation: &Operation) -> Vec<Row> {
    let mut rows = before.to_vec();
    match operation {
        Operation::Append(new) | Operation::ForeignAppend(new) => rows.extend(new),
        Operation::Overwrite(new) => rows.clone_from(new),
        Operation::DeleteAll => rows.clear(),
        Operation::Delete(limit) => rows.retain(|row| row.1 >= *limit),
        Operation::DeletePart(part) => rows.retain(|row| row.2 != *part),
        Operation::Update(from, by) => {
            rows.iter_mut().filter(|row| row.0 >= *from).for_each(|row| row.1 += by);
        }
        Operation::Merge(source) => {
            for new in source {
                let mut matched = false;
                for row in rows.iter_mut().filter(|row| row.0 == new.0) {
                    row.1 = new.1;
                    matched = true;
                }
                if !matched {
                    rows.push(*new);
                }
            }
        }
        Operation::Optimise | Operation::Checkpoint => {}
    }
    rows
}

async fn run(
    lake: &Lake,
    writers: &[TableWriter],
    who: usize,
    number: i64,
    operation: &Operation,
) -> Result<(), WriteError> {
    let writer = &writers[who % writers.len()];
    // One application for each operation: two writers at once have no common order.
    let id = id(&format!("operation-{number}"), 1);
    let column = |name: &str| (name.to_owned(), col(format!("source.{name}")));
    let done = match operation {
        Operation::Append(new) => writer.append(&id, &rows(new)).await,
        Operation::Overwrite(new) => writer.overwrite(&id, &rows(new)).await,
        Operation::DeleteAll => writer.delete(&id, None).await,
        Operation::Delete(limit) => writer.delete(&id, Some(col("v").lt(lit(*limit)))).await,
        Operation::DeletePart(part) => writer.delete(&id, Some(col("part").eq(lit(*part)))).await,
        Operation::Update(from, by) => {
            let set = vec![("v".to_owned(), col("v") + lit(*by))];
            writer.update(&id, &Update { predicate: Some(col("id").gt_eq(lit(*from))), set }).await
        }
        Operation::Merge(source) => {
            let merge = Merge {
                source: rows(source),
                on: col("source.id").eq(col("target.id")),
                clauses: vec![
                    MergeClause::MatchedUpdate { condition: None, set: vec![column("v")] },
                    MergeClause::NotMatchedInsert {
                        condition: None,
                        values: ["id", "v", "part"].map(column).to_vec(),
                    },
                ],
            };
            writer.merge(&id, &merge).await
        }
        Operation::Optimise => writer.optimise(&Optimise::default()).await,
        Operation::Checkpoint => writer.checkpoint().await.map(|version| WriteOutcome::Unchanged { version }),
        Operation::ForeignAppend(new) => {
            let note = [(FOREIGN.to_owned(), Value::from(number))];
            let properties = CommitProperties::default().with_metadata(note);
            let append = || async {
                lake.bare().await.write([batch(new)]).with_commit_properties(properties.clone()).await
            };
            // It takes removals by others for a conflict with what it read, though it read nothing.
            while let Err(error) = append().await {
                assert!(matches!(error, DeltaTableError::Transaction { .. }), "{error:?}");
            }
            return Ok(());
        }
    };
    done.map(drop)
}

/// The operation that a commit is, by its number.
fn number_of(commit: &[Value]) -> Option<i64> {
    let foreign = commit.iter().find_map(|action| action.get("commitInfo")?.get(FOREIGN)?.as_i64());
    let transaction = |action: &Value| -> Option<i64> {
        action.get("txn")?.get("appId")?.as_str()?.strip_prefix("operation-")?.parse().ok()
    };
    foreign.or_else(|| commit.iter().find_map(transaction))
}

async fn check(groups: Vec<Group>) {
    let lake = Lake::new().await;
    let writers = [lake.writer().await, lake.writer().await];
    create(&writers[0], &[("delta.checkpointInterval", "4")]).await;
    let numbered: Vec<Vec<(i64, usize, Operation)>> = {
        let mut next = 0..;
        let number = |group: Group| {
            group.into_iter().map(|(who, operation)| (next.next().unwrap(), who, operation)).collect()
        };
        groups.into_iter().map(number).collect()
    };
    for group in &numbered {
        let running =
            group.iter().map(|(number, who, operation)| run(&lake, &writers, *who, *number, operation));
        for done in futures::future::join_all(running).await {
            done.unwrap();
        }
    }
    let operations: BTreeMap<i64, &Operation> =
        numbered.iter().flatten().map(|(number, _, operation)| (*number, operation)).collect();
    let mut model = Vec::new();
    let mut seen = Vec::new();
    let last = lake.version().await;
    for version in 0..=last {
        if let Some(number) = number_of(&lake.commit(version)) {
            model = apply(&model, operations[&number]);
            seen.push(number);
        }
        assert_eq!(lake.read_at(version).await, spelled(&model), "version {version} of {numbered:?}");
    }
    assert_eq!(lake.read().await, spelled(&model));
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "an operation is in the log twice: {seen:?}");
    // What has no commit changed nothing: appends and overwrites always have one.
    for (number, operation) in operations {
        let always =
            matches!(operation, Operation::Append(_) | Operation::Overwrite(_) | Operation::ForeignAppend(_));
        assert!(!always || seen.contains(&number), "{operation:?} is not in the log");
    }
}

#[test]
fn every_version_is_what_its_commits_make_of_the_rows() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    // What fails depends on who is faster, so a kept seed would not fail again.
    let config =
        ProptestConfig { cases, max_shrink_iters: 40, failure_persistence: None, ..Default::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let groups = vec(vec((0..2_usize, operation()), 1..4), 3..7);
    proptest!(config, |(groups in groups)| runtime.block_on(check(groups)));
}
