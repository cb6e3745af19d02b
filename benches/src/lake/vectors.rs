//! Deletion vectors on every file, against the same rows in files without.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema};
use cpu_time::ProcessTime;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionConfig;
use lakeward_catalog::{CatalogOptions, LakeCatalog, LayerRoot, TableState};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use roaring::RoaringTreemap;
use serde_json::{Value, json};
use url::Url;

use crate::interval::Interval;

const FILES: u64 = 8;
const ROWS: u64 = 1 << 20;
const ROW_GROUP_ROWS: usize = 128 << 10;

/// Which rows the vectors remove.
const PATTERNS: [(&str, &str); 3] = [
    ("few", "one row of 1,000, anywhere"),
    ("some", "one row of 20, anywhere"),
    ("runs", "runs of 500 of each 5,000 rows"),
];

const STATEMENTS: [(&str, &str); 4] = [
    ("sum", "SELECT sum(id) AS ids, sum(amount) AS amounts FROM {t}"),
    ("text", "SELECT count(DISTINCT text) AS texts FROM {t}"),
    ("group", "SELECT id % 100 AS g, count(*) AS rows, avg(amount) AS mean FROM {t} GROUP BY 1"),
    (
        "range",
        "SELECT count(*) AS rows, sum(amount) AS amounts FROM {t} WHERE id BETWEEN 1000000 AND 3000000",
    ),
];

/// Makes the tables unless they are there, compares the answers, then measures pairs. Gives the
/// report, with plans.
pub async fn measure(directory: &Path, rounds: usize) -> Result<String> {
    let root = directory.join("vectors-1");
    if !root.join("done").is_file() {
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        for (pattern, _) in PATTERNS {
            make(&root.join("lake"), pattern)?;
        }
        fs::write(root.join("done"), "")?;
    }
    let location = Url::from_directory_path(fs::canonicalize(root.join("lake"))?);
    let location = location.map_err(|()| anyhow::anyhow!("no URL for {}", root.display()))?;
    let roots = vec![LayerRoot { schema: "lake".to_owned(), location }];
    let catalog = LakeCatalog::open(CatalogOptions { roots, ..CatalogOptions::default() }).await?;
    let context = SessionContext::new_with_config(SessionConfig::new());
    for (url, store) in catalog.object_stores() {
        context.register_object_store(&url, store);
    }
    for entry in catalog.snapshot().tables() {
        let TableState::Available(table) = &entry.state else { bail!("{} is unavailable", entry.name) };
        context.register_table(entry.name.as_str(), table.provider())?;
    }
    let mut report = String::new();
    for (pattern, meaning) in PATTERNS {
        let mut all = Vec::new();
        report.push_str(&format!("{meaning}\n"));
        for (name, statement) in STATEMENTS {
            let with = statement.replace("{t}", &format!("{pattern}_vectors"));
            let without = statement.replace("{t}", &format!("{pattern}_rewritten"));
            if answer(&context, &with).await? != answer(&context, &without).await? {
                bail!("{pattern} {name}: the answers differ");
            }
            let mut pairs = Vec::new();
            for round in 0..rounds {
                let pair = if round % 2 == 0 {
                    let with = cost(&context, &with).await?;
                    (with, cost(&context, &without).await?)
                } else {
                    let without = cost(&context, &without).await?;
                    (cost(&context, &with).await?, without)
                };
                pairs.push(pair);
            }
            let of = |pairs: &[(Cost, Cost)]| {
                let cpu = Interval::of(pairs.iter().map(|(with, without)| (with.0, without.0)));
                let wall = Interval::of(pairs.iter().map(|(with, without)| (with.1, without.1)));
                cpu.zip(wall).context("at least two rounds")
            };
            report.push_str(&line(name, of(&pairs)?));
            all.extend(pairs);
        }
        let sums = (0..rounds).map(|round| {
            let picked = all.iter().skip(round).step_by(rounds);
            picked.fold((0.0, 0.0), |sum, (with, without)| (sum.0 + with.0, sum.1 + without.0))
        });
        let total = Interval::of(sums).context("at least two rounds")?;
        report.push_str(&format!("  total   cpu {:.3} [{:.3}, {:.3}]\n", total.ratio, total.low, total.high));
    }
    for table in ["some_vectors", "some_rewritten"] {
        let (_, statement) = STATEMENTS[3];
        let frame = context.sql_for_bench(&statement.replace("{t}", table)).await?;
        let plan = frame.create_physical_plan().await?;
        let plan = displayable(plan.as_ref()).indent(false).to_string();
        let folder = root.to_string_lossy();
        report.push_str(&format!("\nplan over {table}:\n{}", plan.replace(folder.as_ref(), "…")));
    }
    Ok(report)
}

fn line(name: &str, (cpu, wall): (Interval, Interval)) -> String {
    format!(
        "  {name:<7} cpu {:.3} [{:.3}, {:.3}]  wall {:.3} [{:.3}, {:.3}]\n",
        cpu.ratio, cpu.low, cpu.high, wall.ratio, wall.low, wall.high,
    )
}

trait PlainSql {
    async fn sql_for_bench(&self, sql: &str) -> Result<datafusion::prelude::DataFrame>;
}

impl PlainSql for SessionContext {
    async fn sql_for_bench(&self, sql: &str) -> Result<datafusion::prelude::DataFrame> {
        Ok(self.sql(sql).await?)
    }
}

async fn answer(context: &SessionContext, sql: &str) -> Result<Vec<String>> {
    let batches = context.sql_for_bench(sql).await?.collect().await?;
    let text = arrow::util::pretty::pretty_format_batches(&batches)?.to_string();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

/// Seconds of CPU and on the clock.
type Cost = (f64, f64);

async fn cost(context: &SessionContext, sql: &str) -> Result<Cost> {
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    context.sql_for_bench(sql).await?.collect().await?;
    Ok((cpu.elapsed().as_secs_f64(), wall.elapsed().as_secs_f64()))
}

fn removed(pattern: &str, file: u64) -> RoaringTreemap {
    // A step that shares no factor with the row count spreads rows without order.
    let spread = |row: u64| (row * 2_654_435_761 + file * 97) % ROWS;
    match pattern {
        "few" => (0..ROWS / 1000).map(spread).collect(),
        "some" => (0..ROWS / 20).map(spread).collect(),
        _ => (0..ROWS).filter(|row| row % 5000 < 500).collect(),
    }
}

fn make(lake: &Path, pattern: &str) -> Result<()> {
    let with = lake.join(format!("{pattern}_vectors"));
    let without = lake.join(format!("{pattern}_rewritten"));
    fs::create_dir_all(with.join("_delta_log"))?;
    fs::create_dir_all(without.join("_delta_log"))?;
    let features = json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}});
    let plain = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    let (mut log_with, mut log_without) = (vec![features, metadata()], vec![plain, metadata()]);
    let mut vectors = vec![1_u8];
    let uuid = uuid::Uuid::new_v4();
    for file in 0..FILES {
        let rows = rows(file)?;
        let removed = removed(pattern, file);
        let mut add = add(&with, file, &rows)?;
        let mut body = 1_681_511_377_u32.to_le_bytes().to_vec();
        removed.serialize_into(&mut body)?;
        add["add"]["deletionVector"] = json!({
            "storageType": "u",
            "pathOrInlineDv": z85::encode(uuid.as_bytes()),
            "offset": vectors.len(),
            "sizeInBytes": body.len(),
            "cardinality": removed.len(),
        });
        vectors.extend(u32::try_from(body.len())?.to_be_bytes());
        vectors.extend(&body);
        vectors.extend(crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&body).to_be_bytes());
        log_with.push(add);
        let keep: arrow::array::BooleanArray = (0..ROWS).map(|row| Some(!removed.contains(row))).collect();
        log_without.push(self::add(&without, file, &filter_record_batch(&rows, &keep)?)?);
    }
    fs::write(with.join(format!("deletion_vector_{uuid}.bin")), vectors)?;
    commit(&with, &log_with)?;
    commit(&without, &log_without)
}

fn commit(table: &Path, actions: &[Value]) -> Result<()> {
    let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
    Ok(fs::write(table.join(format!("_delta_log/{:020}.json", 0)), text)?)
}

fn metadata() -> Value {
    let field =
        |name: &str, kind: &str| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
    let fields = [field("id", "long"), field("amount", "double"), field("text", "string")];
    json!({"metaData": {
        "id": uuid::Uuid::new_v4().to_string(),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
        "partitionColumns": [],
        "configuration": {},
    }})
}

fn rows(file: u64) -> Result<RecordBatch> {
    let ids = (file * ROWS..(file + 1) * ROWS).map(i64::try_from).collect::<Result<Vec<_>, _>>()?;
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("amount", DataType::Float64, true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.clone())),
        // Whole numbers, so that sums do not depend on their order.
        Arc::new(Float64Array::from_iter_values(ids.iter().map(|id| (id * 7 % 1000) as f64))),
        Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("text {}", id * 31 % 5000)))),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

fn add(table: &Path, file: u64, rows: &RecordBatch) -> Result<Value> {
    let path: PathBuf = table.join(format!("{file}.parquet"));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let mut writer = ArrowWriter::try_new(File::create_new(&path)?, rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.close()?;
    let stats = json!({
        "numRecords": rows.num_rows(),
        "minValues": {"id": file * ROWS}, "maxValues": {"id": (file + 1) * ROWS - 1},
        "nullCount": {"id": 0, "amount": 0, "text": 0}, "tightBounds": false,
    });
    Ok(json!({"add": {
        "path": format!("{file}.parquet"),
        "partitionValues": {},
        "size": fs::metadata(&path)?.len(),
        "modificationTime": 1_700_000_000_000_u64,
        "dataChange": true,
        "stats": stats.to_string(),
    }}))
}
