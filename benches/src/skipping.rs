//! Which files the 22 queries open over tables that are clustered by date.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use serde_json::Value;

use crate::data::{Data, SCHEMA};
use crate::delta::{ParquetFile, create_table};
use crate::engine::EngineOptions;
use crate::governed::{Lake, Person};
use crate::plain::Plain;
use crate::queries::QUERIES;
use crate::tables::Table;

/// The tables that are clustered, and by what.
const CLUSTERED: [(&str, &str); 2] = [("lineitem", "l_shipdate"), ("orders", "o_orderdate")];
/// Files of each: about one a month.
const FILES: usize = 80;

/// What a query says about dates of a table: from this one, and before that one.
struct Range {
    query: u8,
    table: &'static str,
    column: &'static str,
    from: &'static str,
    before: &'static str,
}

const ALWAYS: &str = "0000-00-00";
const NEVER: &str = "9999-99-99";

const fn range(
    query: u8,
    table: &'static str,
    column: &'static str,
    from: &'static str,
    before: &'static str,
) -> Range {
    Range { query, table, column, from, before }
}

/// By hand, from the texts of the queries. One that is not here needs all files.
const RANGES: [Range; 13] = [
    range(1, "lineitem", "l_shipdate", ALWAYS, "1998-09-03"),
    range(3, "orders", "o_orderdate", ALWAYS, "1995-03-15"),
    range(3, "lineitem", "l_shipdate", "1995-03-16", NEVER),
    range(4, "orders", "o_orderdate", "1993-07-01", "1993-10-01"),
    range(5, "orders", "o_orderdate", "1994-01-01", "1995-01-01"),
    range(6, "lineitem", "l_shipdate", "1994-01-01", "1995-01-01"),
    range(7, "lineitem", "l_shipdate", "1995-01-01", "1997-01-01"),
    range(8, "orders", "o_orderdate", "1995-01-01", "1997-01-01"),
    range(10, "orders", "o_orderdate", "1993-10-01", "1994-01-01"),
    range(12, "lineitem", "l_receiptdate", "1994-01-01", "1995-01-01"),
    range(14, "lineitem", "l_shipdate", "1995-09-01", "1995-10-01"),
    range(15, "lineitem", "l_shipdate", "1996-01-01", "1996-04-01"),
    range(20, "lineitem", "l_shipdate", "1994-01-01", "1995-01-01"),
];

/// One scan of a clustered table.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Number of the query.
    pub query: u8,
    /// The table.
    pub table: &'static str,
    /// Files that were opened, as the engine counts.
    pub opened: usize,
    /// Files that the log's statistics do not rule out.
    pub needed: usize,
    /// Files of the table.
    pub files: usize,
}

/// Runs all queries as an analyst under row filters and masks, and counts.
pub async fn measure(data: &Data, options: &EngineOptions) -> Result<Vec<Scan>> {
    let lake = clustered(data, options).await?;
    // In more than one, a file that is cut in two counts twice.
    let options = EngineOptions { target_partitions: 1, ..*options };
    let session = Lake::open_folder(&lake, &options).await?.session(Person::Operator).await?;
    let mut scans = Vec::new();
    for query in &QUERIES {
        let plan = session.plan(&format!("analyze {}", query.text)).await?;
        for line in plan.lines().filter(|line| line.contains("DataSourceExec")) {
            let Some((table, _)) = CLUSTERED.iter().find(|(table, _)| line.contains(&format!("/{table}/")))
            else {
                // Nothing is left of the scan, or it is of another table.
                continue;
            };
            let opened = line.split_once("files_opened=").map(|(_, rest)| rest);
            let opened = opened.and_then(|rest| rest.split([',', ']']).next()?.trim().parse().ok());
            let opened = opened.with_context(|| format!("no count of opened files in {line}"))?;
            let bounds = bounds(&lake.join(table))?;
            let needed = bounds.iter().filter(|file| is_needed(file, query.number, table)).count();
            scans.push(Scan { query: query.number, table, opened, needed, files: bounds.len() });
        }
    }
    Ok(scans)
}

/// The statistics of each file, as they stand in the log.
fn bounds(table: &Path) -> Result<Vec<Value>> {
    let log = fs::read_to_string(table.join("_delta_log").join(format!("{:020}.json", 0)))?;
    let mut files = Vec::new();
    for line in log.lines() {
        let action: Value = serde_json::from_str(line)?;
        if let Some(stats) = action.pointer("/add/stats").and_then(Value::as_str) {
            files.push(serde_json::from_str(stats)?);
        }
    }
    if files.is_empty() {
        bail!("{} has no files", table.display());
    }
    Ok(files)
}

fn is_needed(stats: &Value, query: u8, table: &str) -> bool {
    let text = |bound: &str, column: &str| {
        stats.get(bound).and_then(|bounds| bounds.get(column)?.as_str()).map(str::to_owned)
    };
    RANGES.iter().filter(|range| range.query == query && range.table == table).all(|range| {
        // Dates of one length compare as texts.
        let (min, max) = (text("minValues", range.column), text("maxValues", range.column));
        let starts_too_late = min.is_some_and(|min| min.as_str() >= range.before);
        let ends_too_early = max.is_some_and(|max| max.as_str() < range.from);
        !starts_too_late && !ends_too_early
    })
}

/// The folder of the clustered tables, made now if it is not there; the other tables are links.
async fn clustered(data: &Data, options: &EngineOptions) -> Result<PathBuf> {
    let root = data.root().join("clustered");
    let lake = root.join(SCHEMA);
    if root.join("complete").is_file() {
        return Ok(lake);
    }
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    let plain = Plain::views(data, options).await?;
    for table in Table::ALL {
        let folder = lake.join(table.name());
        let Some((name, column)) = CLUSTERED.iter().find(|(name, _)| *name == table.name()) else {
            link(&data.lake().join(table.name()), &folder)?;
            continue;
        };
        let mut rows = plain.stream(&format!("select * from raw.{name} order by {column}")).await?;
        let total = plain.count(&format!("raw.{name}")).await?;
        let schema = rows.schema();
        let (mut files, mut open, mut written) = (Vec::new(), None, 0);
        while let Some(batch) = rows.next().await.transpose()? {
            let mut batch = batch;
            while batch.num_rows() > 0 {
                let end = total * (files.len() + 1) / FILES;
                let part = batch.slice(0, batch.num_rows().min(end - written));
                let mut file = match open.take() {
                    Some(file) => file,
                    None => {
                        let name = format!("part-{:05}.snappy.parquet", files.len());
                        ParquetFile::create(&folder, &name, &schema)?
                    }
                };
                file.write(&part)?;
                written += part.num_rows();
                if written == end {
                    files.push(file.close()?);
                } else {
                    open = Some(file);
                }
                batch = batch.slice(part.num_rows(), batch.num_rows() - part.num_rows());
            }
        }
        create_table(&folder, &schema, files).await?;
    }
    fs::write(root.join("complete"), "")?;
    Ok(lake)
}

fn link(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link(&entry.path(), &target)?;
        } else {
            fs::hard_link(entry.path(), target)?;
        }
    }
    Ok(())
}
