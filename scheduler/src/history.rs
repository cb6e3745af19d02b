//! The commits of a table as a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use lakeward_catalog::Commit;

use crate::system_table::SystemTable;

/// What somebody sees of commits besides versions, times and operations, which tell nothing of rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Parameters of the operation: may hold values of rows.
    pub(crate) parameters: bool,
    /// How many rows and files it touched, by whom, with what.
    pub(crate) counts: bool,
}

/// Newest first.
pub(crate) fn table(commits: Vec<Commit>, shown: Shown) -> Arc<dyn TableProvider> {
    let schema = schema();
    let rows = Arc::clone(&schema);
    let table =
        SystemTable::stable("table_history", schema, move || Ok(vec![batch(&rows, &commits, shown)?]));
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

fn batch(schema: &SchemaRef, commits: &[Commit], shown: Shown) -> datafusion::common::Result<RecordBatch> {
    let texts = |value: fn(&Commit) -> Option<&str>, visible: bool| -> ArrayRef {
        Arc::new(commits.iter().map(|commit| value(commit).filter(|_| visible)).collect::<StringArray>())
    };
    let times = commits.iter().map(|commit| Some(commit.timestamp.timestamp_micros()));
    Ok(RecordBatch::try_new(
        Arc::clone(schema),
        vec![
            Arc::new(commits.iter().map(|c| i64::try_from(c.version).ok()).collect::<Int64Array>()),
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            texts(|commit| commit.operation.as_deref(), true),
            texts(|commit| commit.parameters.as_deref(), shown.parameters),
            texts(|commit| commit.metrics.as_deref(), shown.counts),
            texts(|commit| commit.user.as_deref(), shown.counts),
            texts(|commit| commit.engine.as_deref(), shown.counts),
        ],
    )?)
}
