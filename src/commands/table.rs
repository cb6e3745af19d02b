//! `lakeward table`: look at a table of the lake from the terminal, for operators.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::{ProgressBar, ProgressStyle};
use lakeward_catalog::{LakeCatalog, TableSnapshot, TableState, TableVersion};

use crate::config::{Config, DEFAULT_FILE};
use crate::service::parts;

/// Arguments of `lakeward table`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    lakeward table describe silver.patients\n  \
    lakeward table history silver.patients --limit 5\n  \
    lakeward table files silver.patients --version 3\n  \
    lakeward table check silver.patients\n\n\
    These read the lake with the service's own configuration and credentials, and show what policies\n\
    hide from users: file names with partition values, and what writers recorded of their statements.\n\
    They show no rows.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Args)]
struct Of {
    /// Table, as schema.table
    table: String,
    /// This version instead of the newest
    #[arg(long, value_name = "N", conflicts_with = "at")]
    version: Option<u64>,
    /// The version of this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    /// Configuration file
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_FILE, env = "LAKEWARD_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Columns, tags, version, size
    Describe(Of),
    /// Commits, newest first
    History {
        #[command(flatten)]
        of: Of,
        /// Commits to show
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Data files of a version
    Files {
        #[command(flatten)]
        of: Of,
        /// Files to show
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// Is every file there, whole, and as the log says? Exit code 1 if not
    Check(Of),
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Describe(of) => describe(open(&of).await?.as_ref()).await,
        Action::History { of, limit } => history(open(&of).await?.as_ref(), limit).await,
        Action::Files { of, limit } => files(open(&of).await?.as_ref(), limit).await,
        Action::Check(of) => check(open(&of).await?.as_ref()).await,
    }
}

async fn open(of: &Of) -> anyhow::Result<Arc<TableSnapshot>> {
    let config = Config::load(&of.config)?;
    let catalog: Arc<LakeCatalog> = parts::open_catalog(&config).await?;
    let snapshot = catalog.snapshot();
    let named = of.table.split_once('.').context("name the table as schema.table")?;
    let Some(entry) = snapshot.table(named.0, named.1) else {
        let known: Vec<_> =
            snapshot.tables().map(|entry| format!("{}.{}", entry.schema, entry.name)).collect();
        bail!("there is no table {}; there are: {}", of.table, known.join(", "));
    };
    let table = match &entry.state {
        TableState::Available(table) => Arc::clone(table),
        TableState::Unavailable { reason } => bail!("table {} is unavailable: {reason}", of.table),
    };
    let asked = of.version.map(TableVersion::Number).or_else(|| of.at.map(TableVersion::Time));
    match asked {
        Some(version) => Ok(table.at(version).await?),
        None => Ok(table),
    }
}

async fn describe(table: &TableSnapshot) -> anyhow::Result<ExitCode> {
    let files = table.file_summaries().await.map_err(anyhow::Error::msg)?;
    let rows: Option<u64> = files.iter().map(|file| file.rows).sum();
    let removed: u64 = files.iter().map(|file| file.removed).sum();
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    let mut facts = plain();
    let mut fact = |name: &str, value: String| {
        facts.add_row([name.to_owned(), value]);
    };
    fact("location", table.location().to_string());
    fact("version", table.version().to_string());
    if let Some(modified) = table.modified() {
        fact("committed", modified.to_rfc3339());
    }
    if let Some(description) = table.description() {
        fact("description", description.to_owned());
    }
    fact("tags", table.tags().join(", "));
    fact("partitioned by", table.partition_columns().join(", "));
    fact("files", files.len().to_string());
    fact("bytes", bytes.to_string());
    fact("rows", rows.map_or_else(|| "unknown".to_owned(), |rows| rows.to_string()));
    fact("rows removed by deletion vectors", removed.to_string());
    fact("index in memory", format!("{} bytes", table.index_memory()));
    println!("{facts}\n");
    let mut columns = plain();
    columns.set_header(["column", "type", "tags", "description"]);
    for field in table.schema().fields() {
        columns.add_row([
            field.name().clone(),
            field.data_type().to_string(),
            table.column_tags(field.name()).join(", "),
            table.column_description(field.name()).unwrap_or_default().to_owned(),
        ]);
    }
    println!("{columns}");
    Ok(ExitCode::SUCCESS)
}

async fn history(table: &TableSnapshot, limit: usize) -> anyhow::Result<ExitCode> {
    let mut commits = plain();
    commits.set_header(["version", "time", "operation", "parameters", "metrics", "user", "engine"]);
    for commit in table.history(limit).await? {
        commits.add_row([
            commit.version.to_string(),
            commit.timestamp.to_rfc3339(),
            commit.operation.unwrap_or_default(),
            commit.parameters.unwrap_or_default(),
            commit.metrics.unwrap_or_default(),
            commit.user.unwrap_or_default(),
            commit.engine.unwrap_or_default(),
        ]);
    }
    println!("{commits}");
    Ok(ExitCode::SUCCESS)
}

async fn files(table: &TableSnapshot, limit: usize) -> anyhow::Result<ExitCode> {
    let files = table.file_summaries().await.map_err(anyhow::Error::msg)?;
    let mut shown = plain();
    shown.set_header(["path", "bytes", "rows", "removed", "partition"]);
    for file in files.iter().take(limit) {
        shown.add_row([
            file.path.clone(),
            file.size.to_string(),
            file.rows.map_or_else(|| "unknown".to_owned(), |rows| rows.to_string()),
            file.removed.to_string(),
            file.partition.join(", "),
        ]);
    }
    println!("{shown}");
    if files.len() > limit {
        println!("{} more; --limit shows them", files.len() - limit);
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(table: &TableSnapshot) -> anyhow::Result<ExitCode> {
    let bar = ProgressBar::new(table.files().unwrap_or_default())
        .with_style(ProgressStyle::with_template("{bar:30} {pos} of {len} files")?);
    let problems = table.check_files(|_| bar.inc(1)).await.map_err(anyhow::Error::msg)?;
    let total = bar.position();
    bar.finish_and_clear();
    for problem in &problems {
        println!("{}: {}", problem.path, problem.problem);
    }
    println!("version {}: {total} files, {} with problems", table.version(), problems.len());
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table
}
