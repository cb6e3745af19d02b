//! One table of very many files.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::SessionConfig;
use deltalake_core::DeltaTableBuilder;
use deltalake_core::checkpoints::create_checkpoint;
use lakeward_catalog::{CatalogOptions, LakeCatalog, LayerRoot, TableSnapshot, TableState};
use serde_json::{Value, json};
use url::Url;

use super::process::quantile;

/// Columns with statistics.
const COLUMNS: usize = 20;
/// Files of one commit while the table is made.
const FILES_PER_COMMIT: usize = 2_000;
const DAYS: usize = 365;

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// Files of the table.
    pub files: usize,
    /// Seconds to open the catalog from the checkpoint, each time anew.
    pub open: Vec<f64>,
    /// Bytes of the index.
    pub index: usize,
    /// Milliseconds from a new commit to a plan that has it: noticing it, reading it, planning.
    pub follow_and_plan: Vec<f64>,
    /// Milliseconds of planning alone.
    pub plan: Vec<f64>,
    /// Milliseconds of planning a scan of all files.
    pub plan_all: Vec<f64>,
    /// Plans that other readers made meanwhile.
    pub others: u64,
}

/// Makes the table unless it is there, and measures.
pub async fn measure(directory: &Path, files: usize, commits: usize) -> Result<Report> {
    let root = directory.join(format!("wide-{files}"));
    let table = root.join("events");
    if !table.join("_delta_log/_last_checkpoint").is_file() {
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        make(&table, files).await?;
    }
    let mut open = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let catalog = open_catalog(&root).await?;
        open.push(started.elapsed().as_secs_f64());
        drop(catalog);
    }
    open.sort_by(f64::total_cmp);
    let catalog = open_catalog(&root).await?;
    let index = snapshot(&catalog)?.index_memory();

    let stop = Arc::new(AtomicBool::new(false));
    let others = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (catalog, stop, others) = (Arc::clone(&catalog), Arc::clone(&stop), Arc::clone(&others));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    plan(&catalog, selective(17)).await?;
                    others.fetch_add(1, Ordering::Relaxed);
                    // Idle for the most part, as people are.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                Ok::<_, anyhow::Error>(())
            })
        })
        .collect();

    let mut version = snapshot(&catalog)?.version();
    let (mut follow_and_plan, mut alone, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..commits {
        version += 1;
        commit(&table, version, &[add(files + round, files)])?;
        let started = Instant::now();
        catalog.refresh().await?;
        let planning = Instant::now();
        let scanned = plan(&catalog, selective(round)).await?;
        alone.push(milliseconds(planning));
        follow_and_plan.push(milliseconds(started));
        if snapshot(&catalog)?.version() != version || scanned == 0 {
            bail!("version {version} was not followed");
        }
        if round % 10 == 0 {
            let planning = Instant::now();
            plan(&catalog, lit(true)).await?;
            all.push(milliseconds(planning));
        }
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await??;
    }
    for series in [&mut follow_and_plan, &mut alone, &mut all] {
        series.sort_by(f64::total_cmp);
    }
    // As it was, for the next time.
    for extra in version - commits as u64 + 1..=version {
        fs::remove_file(table.join(format!("_delta_log/{extra:020}.json")))?;
    }
    let others = others.load(Ordering::Relaxed);
    Ok(Report { files, open, index, follow_and_plan, plan: alone, plan_all: all, others })
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let spread = |sorted: &[f64]| {
            format!(
                "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} times)",
                quantile(sorted, 0.5),
                quantile(sorted, 0.99),
                quantile(sorted, 1.0),
                sorted.len(),
            )
        };
        format!(
            "{} files, {COLUMNS} columns with statistics\n\
             cold open from a checkpoint: {:.2} s (best {:.2}, worst {:.2})\n\
             index: {:.0} MB\n\
             after one new commit, following and planning: {}\n\
             planning alone, one day of a year: {}\n\
             planning a scan of all files: {}\n\
             plans by two idle readers meanwhile: {}",
            self.files,
            quantile(&self.open, 0.5),
            quantile(&self.open, 0.0),
            quantile(&self.open, 1.0),
            self.index as f64 / 1e6,
            spread(&self.follow_and_plan),
            spread(&self.plan),
            spread(&self.plan_all),
            self.others,
        )
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

async fn open_catalog(root: &Path) -> Result<Arc<LakeCatalog>> {
    let location = Url::from_directory_path(fs::canonicalize(root)?);
    let location = location.map_err(|()| anyhow::anyhow!("no URL for {}", root.display()))?;
    let roots = vec![LayerRoot { schema: "lake".to_owned(), location }];
    Ok(LakeCatalog::open(CatalogOptions { roots, ..CatalogOptions::default() }).await?)
}

fn snapshot(catalog: &LakeCatalog) -> Result<Arc<TableSnapshot>> {
    match catalog.snapshot().table("lake", "events").map(|entry| entry.state.clone()) {
        Some(TableState::Available(table)) => Ok(table),
        other => bail!("the table is not there: {other:?}"),
    }
}

/// One day of one device.
fn selective(round: usize) -> Expr {
    col("day").eq(lit(day(round))).and(col("c1").lt(lit(1_000_000_i64)))
}

/// Plans a scan of the newest version; gives the number of its partitions.
async fn plan(catalog: &LakeCatalog, filter: Expr) -> Result<usize> {
    let context = datafusion::execution::context::SessionContext::new_with_config(SessionConfig::new());
    let frame = context.read_table(snapshot(catalog)?.provider())?.filter(filter)?;
    let plan = frame.create_physical_plan().await?;
    Ok(plan.properties().output_partitioning().partition_count())
}

fn day(file: usize) -> String {
    format!("day-{:03}", file % DAYS)
}

fn add(file: usize, files: usize) -> Value {
    let spread = (file * 7919) % files.max(1);
    let bounds = |offset: usize| -> Value {
        (0..COLUMNS)
            .map(|column| {
                let value = spread * 100 + column * 3 + offset;
                let value = if column % 4 == 3 { json!(format!("text-{value:012}")) } else { json!(value) };
                (format!("c{column}"), value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let nulls: Value =
        (0..COLUMNS).map(|column| (format!("c{column}"), json!(0))).collect::<serde_json::Map<_, _>>().into();
    let stats =
        json!({"numRecords": 10_000, "minValues": bounds(0), "maxValues": bounds(99), "nullCount": nulls});
    let day = day(file);
    json!({"add": {
        "path": format!("day={day}/part-{file:08}-7f5a1c52-5f6e-4a3a-9a0e-3a8f6d1c2b{:02x}.snappy.parquet", file % 256),
        "partitionValues": {"day": day},
        "size": 4_000_000 + file,
        "modificationTime": 1_700_000_000_000_u64,
        "dataChange": true,
        "stats": stats.to_string(),
    }})
}

fn commit(table: &Path, version: u64, actions: &[Value]) -> Result<()> {
    let log = table.join("_delta_log");
    fs::create_dir_all(&log)?;
    let mut file = std::io::BufWriter::new(fs::File::create_new(log.join(format!("{version:020}.json")))?);
    for action in actions {
        writeln!(file, "{action}")?;
    }
    Ok(file.flush()?)
}

async fn make(table: &Path, files: usize) -> Result<()> {
    let column = |number: usize| {
        let kind = if number % 4 == 3 { "string" } else { "long" };
        json!({"name": format!("c{number}"), "type": kind, "nullable": true, "metadata": {}})
    };
    let mut fields: Vec<Value> = (0..COLUMNS).map(column).collect();
    fields.push(json!({"name": "day", "type": "string", "nullable": true, "metadata": {}}));
    let start = [
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {
            "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
            "partitionColumns": ["day"],
            "configuration": {},
            "createdTime": 1_700_000_000_000_u64,
        }}),
    ];
    commit(table, 0, &start)?;
    let mut version = 0;
    let numbers: Vec<usize> = (0..files).collect();
    for chunk in numbers.chunks(FILES_PER_COMMIT) {
        version += 1;
        let adds: Vec<Value> = chunk.iter().map(|&file| add(file, files)).collect();
        commit(table, version, &adds)?;
    }
    let url = Url::from_directory_path(fs::canonicalize(table)?).map_err(|()| anyhow::anyhow!("no URL"))?;
    let table = DeltaTableBuilder::from_url(url)?.load().await.context("loading the new table")?;
    create_checkpoint(&table, None).await.context("writing its checkpoint")?;
    Ok(())
}
