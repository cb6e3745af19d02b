//! Tables that need more than the writer does are refused by name; what it does, it does right.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StructArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::{col, lit};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use super::support::{Lake, Row, batch, create, id, rows, spelled};
use crate::tests::support::{Metadata, TestTable};
use crate::writer::{
    CreateTable, Merge, MergeClause, Optimise, Rows, TableWriter, Update, Vacuum, WriteError, WriteOutcome,
};

type Outcome = Result<WriteOutcome, WriteError>;

fn update() -> Update {
    Update { predicate: Some(col("id").eq(lit(1_i64))), set: vec![("v".to_owned(), lit(0_i64))] }
}

fn merge() -> Merge {
    Merge {
        source: rows(&[(1, 5, "a")]),
        on: col("source.id").eq(col("target.id")),
        clauses: vec![MergeClause::MatchedUpdate {
            condition: None,
            set: vec![("v".to_owned(), col("source.v"))],
        }],
    }
}

/// Every operation that writes rows or files, with a name.
async fn all(writer: &TableWriter) -> Vec<(&'static str, Outcome)> {
    vec![
        ("append", writer.append(&id("all", 1), &rows(&[(2, 2, "a")])).await),
        ("overwrite", writer.overwrite(&id("all", 2), &rows(&[(2, 2, "a")])).await),
        ("delete", writer.delete(&id("all", 3), Some(col("id").eq(lit(1_i64)))).await),
        ("delete all", writer.delete(&id("all", 4), None).await),
        ("update", writer.update(&id("all", 5), &update()).await),
        ("merge", writer.merge(&id("all", 6), &merge()).await),
        ("optimise", writer.optimise(&Optimise::default()).await),
    ]
}

/// A table of two files with this protocol and metadata.
fn hand_made(lake: &Lake, protocol: Value, metadata: &Metadata) -> TestTable {
    let schema = super::support::schema().as_ref().clone();
    let mut table = TestTable::create_with(lake.table(), schema, &[], metadata);
    let files = [
        table.add("a.parquet", json!({}), &batch(&[(1, 1, "a")])),
        table.add("b.parquet", json!({}), &batch(&[(2, 2, "b")])),
    ];
    table.commit(&[json!({ "protocol": protocol })]);
    table.commit(&files);
    table
}

fn features(reader: &[&str], writer: &[&str]) -> Value {
    match reader {
        [] => json!({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": writer}),
        _ => json!({
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": reader, "writerFeatures": writer,
        }),
    }
}

/// All operations are refused with a text that says `name`.
async fn assert_refused(protocol: Value, metadata: &Metadata, name: &str) {
    let lake = Lake::new().await;
    hand_made(&lake, protocol, metadata);
    let writer = lake.writer().await;
    for (operation, outcome) in all(&writer).await {
        let error = outcome.expect_err(operation);
        assert!(matches!(error, WriteError::Unsupported { .. }), "{operation}: {error:?}");
        assert!(error.to_string().contains(name), "{operation}: {error}");
    }
    assert!(matches!(writer.vacuum(&Vacuum::default()).await, Err(WriteError::Unsupported { .. })));
    assert!(matches!(writer.checkpoint().await, Err(WriteError::Unsupported { .. })));
    assert!(matches!(writer.clean_log().await, Err(WriteError::Unsupported { .. })));
}

#[tokio::test]
async fn features_that_are_not_written_are_refused_by_name() {
    let plain = Metadata::default();
    for (reader, writer) in [
        (&[][..], "rowTracking"),
        (&[], "identityColumns"),
        (&[], "domainMetadata"),
        (&[], "inCommitTimestamp"),
        (&[], "clustering"),
        (&[], "allowColumnDefaults"),
        (&[], "icebergCompatV2"),
        (&[], "checkpointProtection"),
        (&[], "materializePartitionColumns"),
        (&[], "someDayMaybe"),
        (&["typeWidening"], "typeWidening"),
        (&["vacuumProtocolCheck"], "vacuumProtocolCheck"),
    ] {
        assert_refused(features(reader, &[writer]), &plain, writer).await;
    }
    assert_refused(json!({"minReaderVersion": 1, "minWriterVersion": 6}), &plain, "identity columns").await;
}

#[tokio::test]
async fn what_columns_and_properties_ask_for_is_refused() {
    let property = |key: &'static str, value: &'static str| Metadata {
        properties: [(key, value)].into(),
        ..Metadata::default()
    };
    let column = |notes: Value| Metadata { columns: [("v", notes)].into(), ..Metadata::default() };
    let version = |writer: i32| json!({"minReaderVersion": 1, "minWriterVersion": writer});
    let forgets = property("delta.setTransactionRetentionDuration", "interval 7 days");
    assert_refused(version(2), &forgets, "delta.setTransactionRetentionDuration").await;
    let generated = column(json!({"delta.generationExpression": "id + 1"}));
    assert_refused(version(4), &generated, "generated columns (column v)").await;
    let widened = column(json!({"delta.typeChanges": [{"fromType": "integer", "toType": "long"}]}));
    assert_refused(version(2), &widened, "type widening").await;
}

/// The engine writes their values so that they are read back as others.
#[tokio::test]
async fn binary_partition_columns_are_refused() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    let binary = |nullable| Field::new("v", DataType::Binary, nullable);
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true), binary(true)]);
    let table = CreateTable {
        schema: Arc::new(schema.clone()),
        partition_by: vec!["v".to_owned()],
        name: None,
        description: None,
        properties: Default::default(),
    };
    let refused = writer.create(&id("app", 1), table).await.unwrap_err();
    assert!(refused.to_string().contains("partition column v of type binary"), "{refused}");

    let mut table = TestTable::create(lake.table(), schema, &["v"]);
    table.commit(&[]);
    for (operation, outcome) in all(&writer).await {
        let error = outcome.expect_err(operation);
        assert!(matches!(error, WriteError::Unsupported { .. }), "{operation}: {error:?}");
    }
}

#[tokio::test]
async fn features_that_are_not_in_use_do_not_matter() {
    let lake = Lake::new().await;
    let names = ["deletionVectors", "columnMapping"];
    let writers = [&names[..], &["appendOnly", "invariants", "generatedColumns", "changeDataFeed"]].concat();
    hand_made(&lake, features(&names, &writers), &Metadata::default());
    let writer = lake.writer().await;
    for (operation, outcome) in all(&writer).await {
        outcome.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
    }
}

#[tokio::test]
async fn append_only_tables_are_only_appended_to() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    create(&writer, &[("delta.appendOnly", "true")]).await;
    writer.append(&id("app", 1), &rows(&[(1, 1, "a")])).await.unwrap();
    writer.append(&id("app", 2), &rows(&[(3, 3, "a")])).await.unwrap();
    for (operation, outcome) in all(&writer).await {
        match operation {
            "append" | "optimise" => drop(outcome.unwrap()),
            _ => assert!(matches!(outcome, Err(WriteError::AppendOnly { .. })), "{operation}: {outcome:?}"),
        }
    }
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a"), (2, 2, "a"), (3, 3, "a")]));
}

/// An inline deletion vector that hides these rows of a file.
fn inline_vector(hidden: &[u16]) -> Value {
    let count = u16::try_from(hidden.len()).unwrap();
    let mut bytes = Vec::new();
    // Portable format: magic, one 32-bit bitmap with key 0, in it one array container.
    bytes.extend(1_681_511_377_u32.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(12_346_u32.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend((count - 1).to_le_bytes());
    bytes.extend(16_u32.to_le_bytes());
    hidden.iter().for_each(|row| bytes.extend(row.to_le_bytes()));
    json!({
        "storageType": "i", "pathOrInlineDv": z85(&bytes), "sizeInBytes": bytes.len(), "cardinality": count,
    })
}

/// Base 85 as the protocol has it; bytes by fours.
fn z85(bytes: &[u8]) -> String {
    const DIGITS: &[u8] =
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let word = |four: &[u8]| {
        let mut value = u32::from_be_bytes(four.try_into().unwrap());
        let mut digits = [0_u8; 5];
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[usize::try_from(value % 85).unwrap()];
            value /= 85;
        }
        digits
    };
    String::from_utf8(bytes.chunks(4).flat_map(word).collect()).unwrap()
}

/// A table of a file of 40 rows in row groups of 10, of which a deletion vector hides 6, and of a plain file.
fn with_vector(lake: &Lake) -> Vec<Row> {
    let features = features(&["deletionVectors"], &["deletionVectors"]);
    let mut table = hand_made(lake, features, &Metadata::default());
    let all: Vec<Row> = (0..40).map(|number| (100 + number, number, "c")).collect();
    let mut add = table.add("c.parquet", json!({}), &batch(&all));
    let path = lake.table().join("c.parquet");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, super::support::schema(), Some(properties)).unwrap();
    writer.write(&batch(&all)).unwrap();
    writer.close().unwrap();
    add["add"]["size"] = json!(std::fs::metadata(&path).unwrap().len());
    add["add"]["stats"] = json!("{\"numRecords\":40,\"tightBounds\":false}");
    let hidden = [3, 4, 7, 11, 18, 29];
    add["add"]["deletionVector"] = inline_vector(&hidden);
    table.commit(&[add]);
    let visible = all.into_iter().filter(|row| hidden.iter().all(|hidden| i64::from(*hidden) != row.1));
    visible.chain([(1, 1, "a"), (2, 2, "b")]).collect()
}

#[tokio::test]
async fn files_with_deletion_vectors_are_rewritten_without_the_hidden_rows() {
    for operation in ["append", "overwrite", "delete", "delete all", "update", "merge", "optimise"] {
        let lake = Lake::new().await;
        let before = with_vector(&lake);
        assert_eq!(lake.read_at(3).await, spelled(&before));
        let writer = lake.writer().await;
        let id = id("app", 1);
        let mut expected = before.clone();
        let outcome = match operation {
            "append" => {
                expected.push((9, 9, "z"));
                writer.append(&id, &rows(&[(9, 9, "z")])).await
            }
            "overwrite" => {
                expected = vec![(9, 9, "z")];
                writer.overwrite(&id, &rows(&[(9, 9, "z")])).await
            }
            "delete" => {
                // Row 7 is hidden, row 30 is not.
                expected.retain(|row| row.1 != 30);
                writer.delete(&id, Some(col("v").in_list(vec![lit(7_i64), lit(30_i64)], false))).await
            }
            "delete all" => {
                expected.clear();
                writer.delete(&id, None).await
            }
            "update" => {
                expected.iter_mut().filter(|row| row.1 >= 25).for_each(|row| row.1 += 1000);
                let set = vec![("v".to_owned(), col("v") + lit(1000_i64))];
                writer.update(&id, &Update { predicate: Some(col("v").gt_eq(lit(25_i64))), set }).await
            }
            "merge" => {
                // 107 is hidden, so it is inserted; 108 is not, so it is changed.
                expected.iter_mut().filter(|row| row.0 == 108).for_each(|row| row.1 = -8);
                expected.push((107, -7, "c"));
                let column = |name: &str| (name.to_owned(), col(format!("source.{name}")));
                let merge = Merge {
                    source: rows(&[(107, -7, "c"), (108, -8, "c")]),
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
            _ => writer.optimise(&Optimise::default()).await,
        };
        let outcome = outcome.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
        assert_eq!(outcome.version(), 4, "{operation}");
        assert_eq!(lake.read_at(4).await, spelled(&expected), "{operation}");
        assert_eq!(lake.read_at(3).await, spelled(&before), "{operation}");
    }
}

/// The same with a vector in a file of its own, by another writer.
#[tokio::test]
async fn files_with_foreign_deletion_vectors_are_rewritten() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/delta-tables/table-with-dv-small");
    for operation in ["delete", "update", "optimise"] {
        let lake = Lake::new().await;
        copy(&shared, &lake.table());
        // Of the numbers from 0 to 9 the first and the last are hidden.
        let before = lake.read_at(1).await;
        assert_eq!(before, ["1", "2", "3", "4", "5", "6", "7", "8"]);
        let writer = lake.writer().await;
        let number = Arc::new(Schema::new(vec![Field::new("value", DataType::Int32, true)]));
        let more = RecordBatch::try_new(number, vec![Arc::new(Int32Array::from(vec![20, 30]))]).unwrap();
        writer.append(&id("app", 1), &Rows::Batches(vec![more])).await.unwrap();
        let (outcome, expected) = match operation {
            "delete" => {
                let some = col("value").in_list(vec![lit(0), lit(3), lit(30)], false);
                let expected = ["1", "2", "20", "4", "5", "6", "7", "8"];
                (writer.delete(&id("app", 2), Some(some)).await, expected.to_vec())
            }
            "update" => {
                let set = vec![("value".to_owned(), col("value") * lit(100))];
                let update = Update { predicate: Some(col("value").gt(lit(7))), set };
                let expected = ["1", "2", "2000", "3", "3000", "4", "5", "6", "7", "800"];
                (writer.update(&id("app", 2), &update).await, expected.to_vec())
            }
            _ => {
                let expected = ["1", "2", "20", "3", "30", "4", "5", "6", "7", "8"];
                (writer.optimise(&Optimise::default()).await, expected.to_vec())
            }
        };
        let outcome = outcome.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
        assert_eq!(lake.read_at(outcome.version()).await, expected, "{operation}");
        assert_eq!(lake.read_at(1).await, before, "{operation}");
        // What hides rows of old versions goes with them.
        lake.clock.advance(std::time::Duration::from_secs(30 * 24 * 3600));
        let gone = writer.vacuum(&Vacuum::default()).await.unwrap().files;
        assert!(gone.iter().any(|path| path.starts_with("deletion_vector")), "{operation}: {gone:?}");
        assert_eq!(lake.read_at(outcome.version()).await, expected, "{operation}");
    }
}

/// Copies a public table.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::write(&target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Constraints and invariants hold, whoever wrote them.
#[tokio::test]
async fn constraints_hold() {
    let lake = Lake::new().await;
    let invariant = json!({"delta.invariants": json!({"expression": {"expression": "v > 0"}}).to_string()});
    let metadata = Metadata {
        properties: [("delta.constraints.small", "id < 100")].into(),
        columns: [("v", invariant)].into(),
        ..Metadata::default()
    };
    hand_made(&lake, features(&[], &["invariants", "checkConstraints"]), &metadata);
    let writer = lake.writer().await;
    for (number, wrong) in [(500, 1, "a"), (5, 0, "a")].into_iter().enumerate() {
        let number = i64::try_from(number).unwrap();
        let refused = writer.append(&id("wrong", number), &rows(&[wrong])).await;
        assert!(matches!(refused, Err(WriteError::InvalidRows { .. })), "{refused:?}");
        let text = refused.unwrap_err().to_string();
        assert!(!text.contains("500"), "no value in the text: {text}");
        let refused = writer.overwrite(&id("wrong", number), &rows(&[wrong])).await;
        assert!(matches!(refused, Err(WriteError::InvalidRows { .. })), "{refused:?}");
    }
    let set =
        |column: &str, value: i64| Update { predicate: None, set: vec![(column.to_owned(), lit(value))] };
    for update in [set("id", 500), set("v", 0)] {
        assert!(writer.update(&id("wrong", 9), &update).await.is_err());
    }
    let mut wrong = merge();
    wrong.source = rows(&[(1, 0, "a")]);
    assert!(writer.merge(&id("wrong", 10), &wrong).await.is_err());
    assert_eq!(lake.version().await, 2);
    writer.append(&id("right", 1), &rows(&[(50, 50, "a")])).await.unwrap();
}

#[tokio::test]
async fn columns_that_must_not_be_null_are_not() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let table = CreateTable {
        schema,
        partition_by: Vec::new(),
        name: Some("numbers".to_owned()),
        description: Some("not null".to_owned()),
        properties: Default::default(),
    };
    writer.create(&id("create", 1), table).await.unwrap();
    let nullable = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let null = RecordBatch::try_new(nullable, vec![Arc::new(Int64Array::from(vec![Some(1), None]))]).unwrap();
    let refused = writer.append(&id("app", 1), &Rows::Batches(vec![null])).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(lake.version().await, 0);
    let state = lake.bare().await;
    let metadata = state.snapshot().unwrap().metadata();
    assert_eq!((metadata.name(), metadata.description()), (Some("numbers"), Some("not null")));
}

#[tokio::test]
async fn tables_are_not_created_with_what_is_not_written() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    for (key, value) in [
        ("delta.setTransactionRetentionDuration", "interval 1 days"),
        ("delta.columnMapping.mode", "name"),
        ("delta.enableDeletionVectors", "true"),
        ("delta.enableRowTracking", "true"),
        ("delta.feature.rowTracking", "supported"),
        ("delta.minWriterVersion", "7"),
    ] {
        let table = CreateTable {
            schema: super::support::schema(),
            partition_by: Vec::new(),
            name: None,
            description: None,
            properties: [(key.to_owned(), value.to_owned())].into(),
        };
        let refused = writer.create(&id("create", 1), table).await;
        assert!(matches!(refused, Err(WriteError::Unsupported { .. })), "{key}: {refused:?}");
    }
    assert!(!lake.table().join("_delta_log").exists());
}

/// The change feed of tables that have one: complete for what is allowed, and the rest is refused.
#[tokio::test]
async fn change_data_is_complete_or_refused() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    create(&writer, &[("delta.enableChangeDataFeed", "true")]).await;
    writer.append(&id("app", 1), &rows(&[(1, 1, "a"), (2, 2, "a"), (3, 3, "b")])).await.unwrap();
    writer.delete(&id("app", 2), Some(col("id").eq(lit(2_i64)))).await.unwrap();
    writer.overwrite(&id("app", 3), &rows(&[(4, 4, "a")])).await.unwrap();
    writer.delete(&id("app", 4), None).await.unwrap();
    for refused in
        [writer.update(&id("app", 5), &update()).await, writer.merge(&id("app", 5), &merge()).await]
    {
        assert!(matches!(refused, Err(WriteError::Unsupported { .. })), "{refused:?}");
    }
    let table = lake.bare().await;
    let context = datafusion::prelude::SessionContext::new();
    let changes = table.scan_cdf().with_starting_version(1).build(&context.state(), None).await.unwrap();
    let batches = datafusion::physical_plan::collect(changes, context.task_ctx()).await.unwrap();
    let mut seen = Vec::new();
    for batch in &batches {
        let column = |name: &str| {
            let column = batch.column_by_name(name).unwrap();
            arrow::compute::cast(column, &DataType::Utf8).unwrap()
        };
        let columns = ["_commit_version", "_change_type", "id"].map(column);
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .map(|column| arrow::array::AsArray::as_string::<i32>(column).value(row).to_owned());
            seen.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            "1 insert 1",
            "1 insert 2",
            "1 insert 3",
            "2 delete 2",
            "3 delete 1",
            "3 delete 3",
            "3 insert 4",
            "4 delete 4",
        ]
    );
}

/// The engine would write it as NULL.
#[tokio::test]
async fn the_text_that_stands_for_null_is_refused_as_a_partition_value() {
    const TEXT: &str = "__HIVE_DEFAULT_PARTITION__";
    let lake = Lake::with_rows(&[&[(1, 1, "a")]]).await;
    let writer = lake.writer().await;
    let mut merge = merge();
    merge.clauses =
        vec![MergeClause::MatchedUpdate { condition: None, set: vec![("part".to_owned(), lit(TEXT))] }];
    let update = Update { predicate: None, set: vec![("part".to_owned(), lit(TEXT))] };
    for (operation, outcome) in [
        ("append", writer.append(&id("app", 1), &rows(&[(2, 2, "a"), (3, 3, TEXT)])).await),
        ("overwrite", writer.overwrite(&id("app", 2), &rows(&[(3, 3, TEXT)])).await),
        ("update", writer.update(&id("app", 3), &update).await),
        ("merge", writer.merge(&id("app", 4), &merge).await),
    ] {
        let error = outcome.expect_err(operation);
        assert!(matches!(error, WriteError::InvalidRows { .. }), "{operation}: {error:?}");
    }
    assert_eq!(lake.read().await, spelled(&[(1, 1, "a")]));

    // Another writer may have it: its rows are not rewritten.
    let lake = Lake::new().await;
    let schema = super::support::schema().as_ref().clone();
    let mut table = TestTable::create(lake.table(), schema, &["part"]);
    let writer = lake.writer().await;
    let file = table.add("x.parquet", json!({"part": TEXT}), &batch(&[(7, 7, TEXT), (8, 8, TEXT)]));
    table.commit(&[file]);
    let error = writer.delete(&id("app", 5), Some(col("id").eq(lit(7_i64)))).await.unwrap_err();
    assert!(matches!(error, WriteError::Unsupported { .. }), "{error:?}");
    assert_eq!(lake.read().await, spelled(&[(7, 7, TEXT), (8, 8, TEXT)]));
}

/// Bounds that the engine rounds, cuts or takes without NaN are not in the log.
#[tokio::test]
async fn statistics_have_only_exact_bounds() {
    let lake = Lake::new().await;
    let writer = lake.writer().await;
    let large: ArrayRef = Arc::new(
        Decimal128Array::from_iter_values([10_i128.pow(37)]).with_precision_and_scale(38, 0).unwrap(),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![7]))),
        ("d", Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("n", Arc::clone(&large)),
        ("s", Arc::new(StructArray::from(RecordBatch::try_from_iter([("n", large)]).unwrap()))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let table = CreateTable {
        schema: rows.schema(),
        partition_by: Vec::new(),
        name: None,
        description: None,
        properties: Default::default(),
    };
    writer.create(&id("app", 1), table).await.unwrap();
    writer.append(&id("app", 2), &Rows::Batches(vec![rows])).await.unwrap();
    let commit = lake.commit(1);
    let add = commit.iter().find_map(|action| action.get("add")).unwrap();
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["numRecords"], 1);
    for bounds in ["minValues", "maxValues"] {
        assert_eq!(stats[bounds], json!({"id": 7, "s": {}}), "{bounds}");
    }
}
