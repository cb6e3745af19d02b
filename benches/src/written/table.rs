//! One table while it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::Expr;
use lakeward_catalog::control::{ControlState, LocalControl, LocalControlOptions};
use lakeward_catalog::writer::{
    CreateTable, Merge, MergeClause, Optimise, Rows, TableWriter, Update, Vacuum, WriteId, WriteOutcome,
    WriterOptions,
};
use object_store::local::LocalFileSystem;
use tempfile::TempDir;
use url::Url;

/// A folder of tables.
pub(super) struct Lake {
    folder: PathBuf,
    control: Arc<dyn ControlState>,
    options: WriterOptions,
    /// Of the control state, which nobody needs afterwards.
    _control_folder: TempDir,
}

impl Lake {
    pub(super) async fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let control_folder = tempfile::tempdir()?;
        let control =
            LocalControl::open(LocalControlOptions::new(control_folder.path().join("control"))).await?;
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(256 << 20, 1.0).build_arc()?;
        let mut options = WriterOptions::new("written", runtime);
        options.partitions = 2;
        // Nobody reads while the tables are written.
        options.retention_floor = Duration::ZERO;
        let folder = std::path::absolute(folder)?;
        Ok(Self { folder, control: Arc::new(control), options, _control_folder: control_folder })
    }

    /// Creates table `name`.
    pub(super) async fn create(
        &self,
        name: &str,
        schema: &SchemaRef,
        partition_by: &[&str],
        properties: &[(&str, &str)],
    ) -> Result<Table> {
        let folder = self.folder.join(name);
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let url = Url::from_directory_path(&folder).map_err(|()| anyhow!("{}: no URL", folder.display()))?;
        let store = Arc::new(LocalFileSystem::new());
        let control = Arc::clone(&self.control);
        let writer = TableWriter::open(store, &url, control, self.options.clone()).await?;
        let mut table = Table { writer, next: 0 };
        let create = CreateTable {
            schema: Arc::clone(schema),
            partition_by: partition_by.iter().map(|&column| column.to_owned()).collect(),
            name: Some(name.to_owned()),
            description: None,
            properties: BTreeMap::from_iter(
                properties.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())),
            ),
        };
        let id = table.id()?;
        table.writer.create(&id, create).await.with_context(|| name.to_owned())?;
        Ok(table)
    }
}

/// One table. Every operation must be a new version of it.
pub(super) struct Table {
    writer: TableWriter,
    next: i64,
}

impl Table {
    fn id(&mut self) -> Result<WriteId> {
        self.next += 1;
        Ok(WriteId::new("written", self.next)?)
    }

    pub(super) async fn append(&mut self, rows: RecordBatch) -> Result<()> {
        let id = self.id()?;
        committed(self.writer.append(&id, &Rows::Batches(vec![rows])).await?)
    }

    pub(super) async fn overwrite(&mut self, rows: RecordBatch) -> Result<()> {
        let id = self.id()?;
        committed(self.writer.overwrite(&id, &Rows::Batches(vec![rows])).await?)
    }

    pub(super) async fn delete(&mut self, predicate: Option<Expr>) -> Result<()> {
        let id = self.id()?;
        committed(self.writer.delete(&id, predicate).await?)
    }

    pub(super) async fn update(&mut self, predicate: Expr, set: Vec<(&str, Expr)>) -> Result<()> {
        let id = self.id()?;
        let update = Update { predicate: Some(predicate), set: named(set) };
        committed(self.writer.update(&id, &update).await?)
    }

    pub(super) async fn merge(
        &mut self,
        rows: RecordBatch,
        on: Expr,
        clauses: Vec<MergeClause>,
    ) -> Result<()> {
        let id = self.id()?;
        let merge = Merge { source: Rows::Batches(vec![rows]), on, clauses };
        committed(self.writer.merge(&id, &merge).await?)
    }

    pub(super) async fn optimise(&self) -> Result<()> {
        committed(self.writer.optimise(&Optimise::default()).await?)
    }

    /// Removes every file that the newest version does not need.
    pub(super) async fn vacuum(&self) -> Result<()> {
        let vacuum = Vacuum { retention: Some(Duration::ZERO), dry_run: false };
        match self.writer.vacuum(&vacuum).await?.files.len() {
            0 => bail!("{}: nothing to vacuum", self.writer.table().location()),
            _ => Ok(()),
        }
    }

    pub(super) async fn checkpoint(&self) -> Result<()> {
        self.writer.checkpoint().await?;
        Ok(())
    }

    /// Removes every log file that the newest version does not need.
    pub(super) async fn clean_log(&self) -> Result<()> {
        match self.writer.clean_log().await? {
            0 => bail!("{}: no log file to remove", self.writer.table().location()),
            _ => Ok(()),
        }
    }
}

fn committed(outcome: WriteOutcome) -> Result<()> {
    match outcome {
        WriteOutcome::Committed(_) => Ok(()),
        WriteOutcome::Unchanged { version } => bail!("nothing was changed in version {version}"),
    }
}

/// Columns with owned names.
pub(super) fn named(values: Vec<(&str, Expr)>) -> Vec<(String, Expr)> {
    values.into_iter().map(|(column, value)| (column.to_owned(), value)).collect()
}

/// Columns `id` (long), `v` (long) and `k` (string).
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("k", DataType::Utf8, true),
    ]))
}

/// Rows of [`schema`] with these ids: every seventh `v` is null, as is every fifth `k`.
pub(super) fn numbered(ids: std::ops::Range<i64>) -> Result<RecordBatch> {
    let v = ids.clone().map(|id| (id % 7 != 0).then_some(id * 10));
    let k = ids.clone().map(|id| (id % 5 != 0).then(|| format!("k {}/é%", id % 3)));
    batch(
        &schema(),
        vec![
            Arc::new(Int64Array::from_iter_values(ids.clone())),
            Arc::new(Int64Array::from_iter(v)),
            Arc::new(StringArray::from_iter(k)),
        ],
    )
}

pub(super) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
