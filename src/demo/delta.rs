//! Data files of Delta tables: Parquet files by table, load and partition, with their statistics.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::DemoError;
use super::dice::mix;
use super::statistics::Statistics;
use super::tables::{Kind, Table, TableId};

/// Bytes after which a data file is closed and the next one begun.
const TARGET_FILE_BYTES: usize = 128 << 20;
/// Rows of a row group: of tables with one file at a time, of partitioned ones (many files at a time, and
/// each keeps its row group in memory), and of those that hold documents.
const ROW_GROUP_ROWS: usize = 128 << 10;
const PARTITIONED_ROW_GROUP_ROWS: usize = 32 << 10;
const DOCUMENT_ROW_GROUP_ROWS: usize = 16 << 10;

/// Orders the commits of a table: files of one load are committed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load(pub(super) u32);

/// Values of the partition columns, as Delta and its directories write them; empty for tables without.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partition(Vec<String>);

impl Partition {
    /// Values in the order of the table's partition columns.
    pub(super) fn new<const N: usize>(values: [String; N]) -> Self {
        Self(values.into())
    }

    /// `tenant_id=lakeside/year=2025`; our values need no escaping.
    fn directory(&self, table: &Table) -> String {
        let parts: Vec<String> = table
            .partition_by
            .iter()
            .zip(&self.0)
            .map(|(column, value)| format!("{column}={value}"))
            .collect();
        parts.join("/")
    }

    /// Column names to values.
    pub(super) fn values(&self, table: &Table) -> HashMap<String, Option<String>> {
        table
            .partition_by
            .iter()
            .zip(&self.0)
            .map(|(column, value)| ((*column).to_owned(), Some(value.clone())))
            .collect()
    }
}

/// A data file that is complete but not committed yet.
#[derive(Debug)]
pub(super) struct DataFile {
    /// Relative to the table.
    pub(super) path: String,
    pub(super) partition: Partition,
    pub(super) bytes: i64,
    pub(super) rows: i64,
    /// Delta's per-file statistics, JSON.
    pub(super) statistics: String,
}

type Key = (TableId, Load, Partition);

/// Writes the data files of all tables side by side.
///
/// At most one file is open for each table, load and partition, and holds at most one row group in
/// memory, so memory does not grow with the number of patients.
pub(super) struct DataFiles {
    lake: PathBuf,
    seed: u64,
    open: BTreeMap<Key, OpenFile>,
    /// Files begun so far.
    begun: BTreeMap<Key, u32>,
    complete: BTreeMap<TableId, BTreeMap<Load, Vec<DataFile>>>,
}

struct OpenFile {
    path: String,
    absolute: PathBuf,
    writer: ArrowWriter<BufWriter<File>>,
    statistics: Statistics,
}

impl DataFiles {
    /// Files below this directory, as `layer/table/…`.
    pub(super) fn new(lake: &Path, seed: u64) -> Self {
        Self {
            lake: lake.to_owned(),
            seed,
            open: BTreeMap::new(),
            begun: BTreeMap::new(),
            complete: BTreeMap::new(),
        }
    }

    /// Appends rows.
    pub(super) fn write(
        &mut self,
        table: TableId,
        load: Load,
        partition: &Partition,
        batch: &RecordBatch,
    ) -> Result<(), DemoError> {
        let key = (table, load, partition.clone());
        self.complete_earlier(&key)?;
        let mut file = match self.open.remove(&key) {
            Some(file) => file,
            None => self.begin(&key)?,
        };
        file.statistics.add(batch);
        file.writer.write(batch)?;
        if file.writer.bytes_written() + file.writer.in_progress_size() > TARGET_FILE_BYTES {
            self.complete(key, file)?;
        } else {
            self.open.insert(key, file);
        }
        Ok(())
    }

    /// Completes every file; the result has each table's files by load.
    pub(super) fn finish(mut self) -> Result<BTreeMap<TableId, BTreeMap<Load, Vec<DataFile>>>, DemoError> {
        for (key, file) in std::mem::take(&mut self.open) {
            self.complete(key, file)?;
        }
        Ok(self.complete)
    }

    /// Completes the file of the load before, once a table without partitions begins the next one.
    fn complete_earlier(&mut self, key: &Key) -> Result<(), DemoError> {
        let (table, Load(load), partition) = key;
        if self.open.contains_key(key) || !table.table().partition_by.is_empty() {
            return Ok(());
        }
        let Some(earlier) = load.checked_sub(1) else { return Ok(()) };
        let earlier = (*table, Load(earlier), partition.clone());
        match self.open.remove(&earlier) {
            Some(file) => self.complete(earlier, file),
            None => Ok(()),
        }
    }

    fn begin(&mut self, key: &Key) -> Result<OpenFile, DemoError> {
        let (id, load, partition) = key;
        let table = id.table();
        let number = self.begun.entry(key.clone()).or_default();
        // Names look like those of other writers, but follow from the seed.
        let directory = partition.directory(table);
        let name = [self.seed, u64::from(load.0), u64::from(*number)]
            .into_iter()
            .chain(table.layer.bytes().chain(table.name.bytes()).chain(directory.bytes()).map(u64::from))
            .fold(0, |state, value| mix(state ^ value));
        let file = format!("part-{number:05}-{name:016x}-c000.zstd.parquet");
        *number += 1;
        let path = if directory.is_empty() { file } else { format!("{directory}/{file}") };
        let absolute = self.lake.join(table.layer).join(table.name).join(&path);
        if let Some(parent) = absolute.parent() {
            fs::create_dir_all(parent).map_err(DemoError::io("create", parent))?;
        }
        let sink = File::create_new(&absolute).map_err(DemoError::io("create", &absolute))?;
        let sink = BufWriter::new(sink);
        let writer = ArrowWriter::try_new(sink, table.file_schema(), Some(properties(table)))?;
        Ok(OpenFile { path, absolute, writer, statistics: Statistics::new(table) })
    }

    fn complete(&mut self, key: Key, file: OpenFile) -> Result<(), DemoError> {
        let OpenFile { path, absolute, writer, statistics } = file;
        writer.close()?;
        let bytes = fs::metadata(&absolute).map_err(DemoError::io("read", &absolute))?.len();
        let (id, load, partition) = key;
        self.complete.entry(id).or_default().entry(load).or_default().push(DataFile {
            path,
            partition,
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            rows: statistics.rows(),
            statistics: statistics.json(),
        });
        Ok(())
    }
}

fn properties(table: &Table) -> WriterProperties {
    let row_group = if table.columns.iter().any(|column| column.kind == Kind::Document) {
        DOCUMENT_ROW_GROUP_ROWS
    } else if table.partition_by.is_empty() {
        ROW_GROUP_ROWS
    } else {
        PARTITIONED_ROW_GROUP_ROWS
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(row_group))
        .set_created_by("lakeward demo".to_owned());
    for column in table.file_columns().filter(|column| column.mostly_distinct()) {
        properties = properties.set_column_dictionary_enabled(column.name.into(), false);
    }
    properties.build()
}
