//! Writes Delta tables: Parquet files with their statistics, and one commit.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use chrono::Utc;
use deltalake_core::DeltaTableBuilder;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, Metadata, Protocol, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};
use url::Url;

use crate::statistics::Statistics;

/// Rows of a row group: small enough that a scan of one file can be cut for several cores.
const ROW_GROUP_ROWS: usize = 128 << 10;

/// A Parquet file that is being written.
pub(crate) struct ParquetFile {
    name: String,
    writer: ArrowWriter<BufWriter<File>>,
    statistics: Statistics,
}

/// A Parquet file that is complete.
pub(crate) struct DataFile {
    name: String,
    bytes: u64,
    rows: usize,
    statistics: Value,
}

impl ParquetFile {
    /// Creates `name` in `directory`.
    pub(crate) fn create(directory: &Path, name: &str, schema: &SchemaRef) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let sink = BufWriter::new(
            File::create_new(directory.join(name)).with_context(|| format!("creating {name}"))?,
        );
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(sink, SchemaRef::clone(schema), Some(properties))?;
        Ok(Self { name: name.to_owned(), writer, statistics: Statistics::new(SchemaRef::clone(schema)) })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.statistics.add(batch);
        Ok(self.writer.write(batch)?)
    }

    pub(crate) fn close(mut self) -> Result<DataFile> {
        self.writer.finish()?;
        let bytes = u64::try_from(self.writer.bytes_written())?;
        Ok(DataFile {
            name: self.name,
            bytes,
            rows: self.statistics.rows(),
            statistics: self.statistics.json()?,
        })
    }
}

impl DataFile {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

/// Writes all of `rows` to one file.
pub(crate) fn write_file(directory: &Path, name: &str, rows: Box<dyn RecordBatchReader>) -> Result<DataFile> {
    let mut file = ParquetFile::create(directory, name, &rows.schema())?;
    for batch in rows {
        file.write(&batch?)?;
    }
    file.close()
}

/// Makes a table of files that are there already.
pub(crate) async fn create_table(directory: &Path, schema: &Schema, files: Vec<DataFile>) -> Result<()> {
    let Ok(location) = Url::from_directory_path(directory) else { bail!("the directory is not absolute") };
    #[expect(clippy::disallowed_methods, reason = "the benchmark writes its own tables")]
    let log_store = DeltaTableBuilder::from_url(location.clone())?.build()?.log_store();
    let protocol: Protocol = serde_json::from_value(json!({ "minReaderVersion": 1, "minWriterVersion": 2 }))?;
    let metadata = metadata(schema)?;
    let mut actions = vec![Action::Protocol(protocol.clone()), Action::Metadata(metadata.clone())];
    for file in files {
        actions.push(Action::Add(Add {
            path: file.name,
            partition_values: HashMap::new(),
            size: i64::try_from(file.bytes)?,
            modification_time: Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(file.statistics.to_string()),
            ..Add::default()
        }));
    }
    let operation = DeltaOperation::Create { mode: SaveMode::ErrorIfExists, location, protocol, metadata };
    let properties = CommitProperties::default()
        .with_max_retries(0)
        .with_application_transaction(Transaction::new("lakeward-benches", 1));
    CommitBuilder::from(properties).with_actions(actions).build(None, log_store, operation).await?;
    Ok(())
}

fn metadata(schema: &Schema) -> Result<Metadata> {
    let fields = schema
        .fields()
        .iter()
        .map(|field| {
            let data_type = match field.data_type() {
                DataType::Int32 => "integer".to_owned(),
                DataType::Int64 => "long".to_owned(),
                DataType::Date32 => "date".to_owned(),
                DataType::Utf8View => "string".to_owned(),
                DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
                other => bail!("type {other}"),
            };
            Ok(json!({ "name": field.name(), "type": data_type, "nullable": field.is_nullable(), "metadata": {} }))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(serde_json::from_value(json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "format": { "provider": "parquet", "options": {} },
        "schemaString": json!({ "type": "struct", "fields": fields }).to_string(),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": Utc::now().timestamp_millis(),
    }))?)
}
