//! The demo lake: a deterministic generator of a believable healthcare platform.
//!
//! Three tenants (an NHS trust, a US health system, a GP federation) with practices, practitioners and
//! patients, as bronze (raw FHIR R4), silver (flattened) and gold (aggregated) Delta tables, and everything
//! a service needs beside them: configuration, policies, users, keys. A seed and a number of patients
//! always give the same rows and files. Nobody in it is real: NHS numbers are from the range for tests,
//! telephone numbers from the ranges for fiction, emails at `example.org`.
//!
//! - [`create`] and its [`DemoOptions`]: from here all is called
//! - `places`, `people`, `clinical`, `claims`, `fhir`, `gold`: what is made up
//! - `vocabulary`, `names`: what it is made up from
//! - `tables`, `columns`: what the tables look like
//! - `chunk`: a thousand patients as Arrow batches
//! - `delta`, `statistics`, `commits`: data files and Delta logs
//! - `accounts`: people, policies, configuration
//! - `directory`: the lake appears only when it is complete

mod accounts;
mod calendar;
mod chunk;
mod claims;
mod clinical;
mod columns;
mod commits;
mod delta;
mod dice;
mod directory;
mod fhir;
mod gold;
mod names;
mod people;
mod places;
mod statistics;
mod tables;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake_core::DeltaTableError;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use accounts::{DemoPerson, PEOPLE};
pub use directory::existing;

use chunk::{CHUNK, Chunk, LOADS};
use delta::{DataFile, DataFiles, Load, Partition};
use directory::Staging;
use gold::Gold;
use people::NhsNumbers;
use places::World;
use tables::TableId;

/// Patients unless said otherwise.
pub const DEFAULT_PATIENTS: u64 = 10_000;
/// Seed unless said otherwise.
pub const DEFAULT_SEED: u64 = 42;
/// Patients at most; more would not fit the record numbers.
pub const MOST_PATIENTS: u64 = 100_000_000;

/// What to make.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Directory of the lake; must not exist, or be empty.
    pub directory: PathBuf,
    /// Patients, from 1 to [`MOST_PATIENTS`]; everything else grows with them.
    pub patients: u64,
    /// The same seed and number of patients give the same lake.
    pub seed: u64,
    /// Shows a progress bar on standard error, if that is a terminal.
    pub progress: bool,
}

impl DemoOptions {
    /// The usual lake, in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), patients: DEFAULT_PATIENTS, seed: DEFAULT_SEED, progress: false }
    }
}

/// A complete demo lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSummary {
    /// Where it is; `lakeward.yaml` is in it.
    pub directory: PathBuf,
    /// Patients it was made with.
    pub patients: u64,
    /// Seed it was made with.
    pub seed: u64,
    /// Rows by `schema.table`.
    pub tables: BTreeMap<String, u64>,
}

impl DemoSummary {
    /// The configuration to serve it with.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.directory.join("lakeward.yaml")
    }
}

/// Why there is no demo lake.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The directory holds a complete demo lake already.
    #[error("{} holds a demo lake already; remove it first or name another directory", .0.display())]
    Exists(PathBuf),
    /// The directory holds a demo lake that this release cannot use.
    #[error("{} holds a demo lake of another release; remove it first or name another directory", .0.display())]
    OtherRelease(PathBuf),
    /// The directory holds something else, which is not touched.
    #[error("{} is not empty; name another directory", .0.display())]
    NotEmpty(PathBuf),
    /// Another process is at it.
    #[error("another process is making a demo lake in {}", .0.display())]
    Busy(PathBuf),
    /// The directory cannot be one.
    #[error("{} does not name a directory", .0.display())]
    Directory(PathBuf),
    /// Too few or too many patients.
    #[error("{0} patients: expected 1 to {MOST_PATIENTS}")]
    Patients(u64),
    /// The file system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Rows did not fit their table: a fault of the generator.
    #[error("rows do not fit their table")]
    Rows(#[from] arrow::error::ArrowError),
    /// A data file could not be written.
    #[error("cannot write a data file")]
    DataFile(#[from] parquet::errors::ParquetError),
    /// A table could not be committed.
    #[error("cannot commit a table")]
    Commit(#[source] Box<DeltaTableError>),
    /// Metadata could not be written or read.
    #[error("cannot write or read metadata")]
    Metadata(#[from] serde_json::Error),
    /// Accounts or keys could not be made.
    #[error("cannot make accounts")]
    Account(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The caller went away.
    #[error("stopped")]
    Stopped,
    /// A part of the generator ended without a result.
    #[error("the generator failed")]
    Failed(#[from] tokio::task::JoinError),
}

impl From<DeltaTableError> for DemoError {
    fn from(error: DeltaTableError) -> Self {
        Self::Commit(Box::new(error))
    }
}

impl DemoError {
    /// For `map_err` on what the file system answers.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Makes a demo lake; it appears in its directory when it is complete.
///
/// Memory does not grow with the number of patients. Dropping the future stops the work; what it leaves
/// beside the directory is cleared away by the next run.
///
/// # Errors
/// The directory is in use, or something could not be written; see [`DemoError`].
pub async fn create(options: DemoOptions) -> Result<DemoSummary, DemoError> {
    if !(1..=MOST_PATIENTS).contains(&options.patients) {
        return Err(DemoError::Patients(options.patients));
    }
    let directory = options.directory.clone();
    let staging = tokio::task::spawn_blocking(move || Staging::begin(&directory)).await??;
    let made = fill(&options, &staging).await;
    tokio::task::spawn_blocking(move || match made {
        Ok(tables) => staging.complete(&options, tables),
        Err(error) => {
            staging.abandon();
            Err(error)
        }
    })
    .await?
}

/// Writes everything below the staging directory; answers the rows of each table.
async fn fill(options: &DemoOptions, staging: &Staging) -> Result<BTreeMap<String, u64>, DemoError> {
    let progress = progress_bar(options);
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let (sender, receiver) = mpsc::channel(2);
    let world = Arc::new(World::new(options.seed, options.patients));
    let lake = staging.path().join("lake");

    let making = tokio::task::spawn_blocking({
        let (world, stop, patients) = (Arc::clone(&world), stop.clone(), options.patients);
        move || make_chunks(&world, patients, &sender, &stop)
    });
    let writing = tokio::task::spawn_blocking({
        let (world, lake, progress) = (Arc::clone(&world), lake.clone(), progress.clone());
        let lock = staging.lock();
        move || {
            // Outlives a dropped future until the last write has ended.
            let _lock = lock;
            write_chunks(&world, &lake, receiver, &progress, &stop)
        }
    });
    let (made, written) = tokio::join!(making, writing);
    // A writer that fails stops the maker, so the writer's error is the one to tell.
    let files = written??;
    made??;

    progress.set_message("committing");
    let mut rows = BTreeMap::new();
    let mut files = files;
    for id in TableId::ALL {
        let loads = files.remove(&id).unwrap_or_default();
        let table = id.table();
        rows.insert(
            format!("{}.{}", table.layer, table.name),
            commits::commit_table(&lake, options.seed, id, loads).await?,
        );
    }
    let staging = staging.path().to_owned();
    tokio::task::spawn_blocking(move || accounts::write(&staging)).await??;
    progress.finish_and_clear();
    Ok(rows)
}

fn make_chunks(
    world: &World,
    patients: u64,
    sender: &mpsc::Sender<Chunk>,
    stop: &CancellationToken,
) -> Result<(), DemoError> {
    let numbers = NhsNumbers::new(world.seed);
    let chunks = patients.div_ceil(CHUNK);
    for number in 0..chunks {
        if stop.is_cancelled() {
            return Err(DemoError::Stopped);
        }
        let load = Load((number * LOADS / chunks) as u32);
        let chunk = chunk::make(world, &numbers, number * CHUNK, patients.min((number + 1) * CHUNK), load)?;
        sender.blocking_send(chunk).map_err(|_| DemoError::Stopped)?;
    }
    Ok(())
}

type FilesOfTables = BTreeMap<TableId, BTreeMap<Load, Vec<DataFile>>>;

fn write_chunks(
    world: &World,
    lake: &Path,
    mut receiver: mpsc::Receiver<Chunk>,
    progress: &ProgressBar,
    stop: &CancellationToken,
) -> Result<FilesOfTables, DemoError> {
    let mut files = DataFiles::new(lake, world.seed);
    let mut gold = Gold::default();
    for rows in chunk::reference(world)? {
        files.write(rows.table, rows.load, &rows.partition, &rows.batch)?;
    }
    while let Some(chunk) = receiver.blocking_recv() {
        if stop.is_cancelled() {
            return Err(DemoError::Stopped);
        }
        for rows in &chunk.rows {
            files.write(rows.table, rows.load, &rows.partition, &rows.batch)?;
        }
        gold.merge(chunk.gold);
        progress.inc(chunk.patients);
    }
    for (table, batch) in gold.batches(world)? {
        files.write(table, Load(0), &Partition::default(), &batch)?;
    }
    files.finish()
}

fn progress_bar(options: &DemoOptions) -> ProgressBar {
    if !options.progress {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(options.patients);
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} patients, {eta} left")
    {
        bar.set_style(style);
    }
    bar.set_message("making the demo lake");
    bar
}
