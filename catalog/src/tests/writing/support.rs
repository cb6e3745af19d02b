//! A folder with a table and a control state, writers of it, and other people's delta-rs.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use deltalake_core::DeltaTable;
use deltalake_core::operations::collect_sendable_stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use url::Url;

use crate::control::{Clock, ControlState, LocalControl, LocalControlOptions};
use crate::tests::spelling::lines;
use crate::tests::support::{folder_url, open, query};
use crate::writer::{CreateTable, Rows, TableWriter, WriteId, WriteOutcome, WriterOptions};

/// A row: `id`, `v`, partition `part`.
pub(crate) type Row = (i64, i64, &'static str);

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("part", DataType::Utf8, true),
    ]))
}

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub(crate) fn rows(rows: &[Row]) -> Rows {
    Rows::Batches(vec![batch(rows)])
}

/// Rows as reading spells them.
pub(crate) fn spelled(rows: &[Row]) -> Vec<String> {
    lines(&[batch(rows)])
}

pub(crate) fn id(app: &str, number: i64) -> WriteId {
    WriteId::new(app, number).unwrap()
}

/// A clock that tests set.
#[derive(Debug)]
pub(crate) struct TestClock {
    now: Mutex<(DateTime<Utc>, Duration)>,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { now: Mutex::new((Utc::now(), Duration::ZERO)) })
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.now.lock();
        *now = (now.0 + by, now.1 + by);
    }
}

impl Clock for TestClock {
    fn wall(&self) -> DateTime<Utc> {
        self.now.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.now.lock().1
    }
}

/// A lake of one table, `t`.
pub(crate) struct Lake {
    pub(crate) folder: TempDir,
    pub(crate) control: Arc<dyn ControlState>,
    pub(crate) clock: Arc<TestClock>,
}

impl Lake {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let control = LocalControlOptions::new(folder.path().join("control"));
        let control = Arc::new(LocalControl::open(control).await.unwrap());
        Self { folder, control, clock: TestClock::new() }
    }

    /// A lake whose table has these rows, one file for each slice, from version 1 on.
    pub(crate) async fn with_rows(files: &[&[Row]]) -> Self {
        let lake = Self::new().await;
        let writer = lake.writer().await;
        create(&writer, &[]).await;
        for (number, file) in files.iter().enumerate() {
            let id = id("seed", i64::try_from(number).unwrap());
            writer.append(&id, &rows(file)).await.unwrap();
        }
        lake
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.root().join("t")
    }

    pub(crate) fn url(&self) -> Url {
        folder_url(&self.table())
    }

    pub(crate) fn options(&self) -> WriterOptions {
        let mut options = WriterOptions::new("test", runtime());
        options.partitions = 2;
        options.lease_wait = Duration::from_secs(20);
        options.request_timeout = Duration::from_secs(5);
        options.clock = Arc::clone(&self.clock) as _;
        options
    }

    pub(crate) async fn writer(&self) -> TableWriter {
        self.writer_with(Arc::new(LocalFileSystem::new()), self.options()).await
    }

    pub(crate) async fn writer_over(&self, store: &Arc<TestStore>) -> TableWriter {
        self.writer_with(Arc::clone(store) as _, self.options()).await
    }

    pub(crate) async fn writer_with(
        &self,
        store: Arc<dyn ObjectStore>,
        options: WriterOptions,
    ) -> TableWriter {
        std::fs::create_dir_all(self.table()).unwrap();
        TableWriter::open(store, &self.url(), Arc::clone(&self.control), options).await.unwrap()
    }

    /// The table as others open it.
    pub(crate) async fn bare(&self) -> DeltaTable {
        DeltaTable::try_from_url(self.url()).await.unwrap()
    }

    /// All rows of the newest version, as the catalog reads them.
    pub(crate) async fn read(&self) -> Vec<String> {
        query(open(&self.root()).await.as_ref(), "SELECT * FROM lake.t").await
    }

    /// All rows of a version.
    pub(crate) async fn read_at(&self, version: u64) -> Vec<String> {
        let mut table = self.bare().await;
        table.load_version(version).await.unwrap();
        read_all(table).await
    }

    pub(crate) async fn version(&self) -> u64 {
        self.bare().await.version().unwrap()
    }

    /// The actions of a version's commit.
    pub(crate) fn commit(&self, version: u64) -> Vec<Value> {
        let file = self.table().join(format!("_delta_log/{version:020}.json"));
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Paths of all files in the table's folder, the log apart.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.table()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let path = path.strip_prefix(self.table()).unwrap().to_str().unwrap().to_owned();
                    if !path.starts_with("_delta_log") {
                        found.push(path);
                    }
                }
            }
        }
        found.sort();
        found
    }
}

/// All rows of the version that is loaded.
pub(crate) async fn read_all(table: DeltaTable) -> Vec<String> {
    let (_, stream) = table.scan_table().await.unwrap();
    lines(&plain(collect_sendable_stream(stream).await.unwrap()))
}

/// Without the encodings that delta-rs chooses for partition columns.
fn plain(batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    let plain = |column: &ArrayRef| match column.data_type() {
        DataType::Dictionary(_, value) => cast(column, value).unwrap(),
        _ => Arc::clone(column),
    };
    batches
        .into_iter()
        .map(|batch| {
            let schema = batch.schema();
            let columns = schema.fields().iter().zip(batch.columns());
            RecordBatch::try_from_iter_with_nullable(
                columns.map(|(field, column)| (field.name(), plain(column), true)),
            )
            .unwrap()
        })
        .collect()
}

fn runtime() -> Arc<RuntimeEnv> {
    RuntimeEnvBuilder::new().with_memory_limit(256 << 20, 1.0).build_arc().unwrap()
}

/// Creates the table, partitioned by `part`.
pub(crate) async fn create(writer: &TableWriter, properties: &[(&str, &str)]) -> WriteOutcome {
    let properties = properties.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let table = CreateTable {
        schema: schema(),
        partition_by: vec!["part".to_owned()],
        name: None,
        description: None,
        properties: BTreeMap::from_iter(properties),
    };
    writer.create(&id("create", 1), table).await.unwrap()
}

/// What happens at one write of a commit.
pub(crate) enum Step {
    /// Others do something first.
    First(BoxFuture<'static, ()>),
    /// The request never arrives.
    FailBefore,
    /// The request arrives, its answer does not.
    FailAfter,
    /// The store refuses for good.
    Deny,
    /// It arrives only after the writer looked for it, together with the next request.
    Late,
}

/// A local store where the first writes of commits go by a script.
pub(crate) struct TestStore {
    inner: LocalFileSystem,
    script: Mutex<VecDeque<Step>>,
    late: Mutex<Option<(Path, PutPayload)>>,
    /// Happens when the first data file is written.
    first_data: Mutex<Option<BoxFuture<'static, ()>>>,
    /// Reading a commit back fails as long as the script goes.
    pub(crate) blind: bool,
}

impl TestStore {
    pub(crate) fn new(script: impl IntoIterator<Item = Step>) -> Arc<Self> {
        Arc::new(Self::with(script, false))
    }

    pub(crate) fn with(script: impl IntoIterator<Item = Step>, blind: bool) -> Self {
        Self {
            inner: LocalFileSystem::new(),
            script: Mutex::new(script.into_iter().collect()),
            late: Mutex::new(None),
            first_data: Mutex::new(None),
            blind,
        }
    }

    /// A store where `first` happens when the first data file is written.
    pub(crate) fn before_data(first: BoxFuture<'static, ()>) -> Arc<Self> {
        let store = Self::new([]);
        *store.first_data.lock() = Some(first);
        store
    }

    /// Steps that were not taken.
    pub(crate) fn left(&self) -> usize {
        self.script.lock().len()
    }

    fn lost() -> Error {
        Error::Generic { store: "test", source: "connection reset".into() }
    }
}

fn is_commit(path: &Path) -> bool {
    path.as_ref().contains("_delta_log/0") && path.as_ref().ends_with(".json")
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

impl fmt::Display for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

#[async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !is_commit(path) {
            let first = self.first_data.lock().take();
            if let Some(first) = first {
                first.await;
            }
            return self.inner.put_opts(path, payload, options).await;
        }
        assert_eq!(options.mode, PutMode::Create);
        let late = self.late.lock().take();
        if let Some((path, payload)) = late {
            self.inner.put_opts(&path, payload, options.clone()).await.unwrap();
        }
        let step = self.script.lock().pop_front();
        match step {
            None => {}
            Some(Step::First(first)) => first.await,
            Some(Step::FailBefore) => return Err(Self::lost()),
            Some(Step::FailAfter) => {
                self.inner.put_opts(path, payload, options).await?;
                return Err(Self::lost());
            }
            Some(Step::Deny) => {
                let path = path.to_string();
                return Err(Error::PermissionDenied { path, source: "no".into() });
            }
            Some(Step::Late) => {
                *self.late.lock() = Some((path.clone(), payload));
                return Err(Self::lost());
            }
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let first = self.first_data.lock().take();
        if let Some(first) = first {
            first.await;
        }
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if self.blind && is_commit(path) && self.left() > 0 {
            // Only what was just written cannot be read.
            let exists = self.inner.get_opts(path, GetOptions::default()).await;
            if self.late.lock().as_ref().is_some_and(|late| late.0 == *path) || exists.is_err() {
                return Err(Self::lost());
            }
        }
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
