//! The commits of a table as a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use lakeward_catalog::Commit;

use crate::system_table::SystemTable;

/// Newest first. Without `all`, only what tells nothing of rows: versions, times and operations.
pub(crate) fn table(commits: Vec<Commit>, all: bool) -> Arc<dyn TableProvider> {
    let schema = schema();
    let rows = Arc::clone(&schema);
    let table = SystemTable::stable("table_history", schema, move || Ok(vec![batch(&rows, &commits, all)?]));
    Arc::new(table)
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("version", DataType::Int64, true),
        Field::new("timestamp", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        text("operation"),
        text("operation_parameters"),
        text("operation_metrics"),
        text("user_name"),
        text("engine_info"),
    ]))
}

fn batch(schema: &SchemaRef, commits: &[Commit], all: bool) -> datafusion::common::Result<RecordBatch> {
    let texts = |value: fn(&Commit) -> Option<&str>, shown: bool| -> ArrayRef {
        Arc::new(commits.iter().map(|commit| value(commit).filter(|_| shown)).collect::<StringArray>())
    };
    let times = commits.iter().map(|commit| Some(commit.timestamp.timestamp_micros()));
    Ok(RecordBatch::try_new(
        Arc::clone(schema),
        vec![
            Arc::new(commits.iter().map(|c| i64::try_from(c.version).ok()).collect::<Int64Array>()),
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            texts(|commit| commit.operation.as_deref(), true),
            texts(|commit| commit.parameters.as_deref(), all),
            texts(|commit| commit.metrics.as_deref(), all),
            texts(|commit| commit.user.as_deref(), all),
            texts(|commit| commit.engine.as_deref(), all),
        ],
    )?)
}
