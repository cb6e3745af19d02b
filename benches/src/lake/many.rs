//! A catalog of many small tables.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use lakeward_catalog::{CatalogOptions, LakeCatalog, LayerRoot};
use serde_json::json;
use url::Url;

use super::process::resident_bytes;

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// Tables of the catalog.
    pub tables: usize,
    /// Seconds until all of them can be read.
    pub open: f64,
    /// Seconds of one look at all of them, when nothing changed.
    pub refresh: f64,
    /// Resident bytes of the process then.
    pub resident: u64,
}

/// Makes the tables unless they are there, and measures. Memory is that of the whole process, so this
/// is the only thing that a process should measure.
pub async fn measure(directory: &Path, tables: usize) -> Result<Report> {
    let root = directory.join(format!("many-{tables}"));
    if !root.join("done").is_file() {
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        for table in 0..tables {
            make(&root.join(format!("lake/t{table:05}")))?;
        }
        fs::write(root.join("done"), "")?;
    }
    let location = Url::from_directory_path(fs::canonicalize(root.join("lake"))?);
    let location = location.map_err(|()| anyhow::anyhow!("no URL for {}", root.display()))?;
    let roots = vec![LayerRoot { schema: "lake".to_owned(), location }];
    let started = Instant::now();
    let catalog = LakeCatalog::open(CatalogOptions { roots, ..CatalogOptions::default() }).await?;
    let open = started.elapsed().as_secs_f64();
    if catalog.snapshot().tables().count() != tables {
        bail!("not all tables were found");
    }
    let mut refresh = 0.0;
    for _ in 0..3 {
        let started = Instant::now();
        catalog.refresh().await?;
        refresh = started.elapsed().as_secs_f64();
    }
    Ok(Report { tables, open, refresh, resident: resident_bytes()? })
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{} tables\nopen: {:.2} s\none look at all of them: {:.2} s\nresident memory, idle: {:.0} MB",
            self.tables,
            self.open,
            self.refresh,
            self.resident as f64 / 1e6,
        )
    }
}

fn make(table: &Path) -> Result<()> {
    let log = table.join("_delta_log");
    fs::create_dir_all(&log)?;
    let fields: Vec<_> = (0..12)
        .map(|n| json!({"name": format!("c{n}"), "type": "long", "nullable": true, "metadata": {}}))
        .collect();
    let start = format!(
        "{}\n{}\n",
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {
            "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": 1_700_000_000_000_u64,
        }}),
    );
    fs::write(log.join(format!("{:020}.json", 0)), start)?;
    for version in 1..=4 {
        let bounds: serde_json::Map<_, _> = (0..12).map(|n| (format!("c{n}"), json!(version * n))).collect();
        let stats = json!({"numRecords": 100, "minValues": bounds, "maxValues": bounds});
        let adds: String = (0..5)
            .map(|file| {
                let add = json!({"add": {
                    "path": format!("part-{version}-{file}.parquet"),
                    "partitionValues": {},
                    "size": 1000,
                    "modificationTime": 1_700_000_000_000_u64,
                    "dataChange": true,
                    "stats": stats.to_string(),
                }});
                format!("{add}\n")
            })
            .collect();
        fs::write(log.join(format!("{version:020}.json")), adds)?;
    }
    Ok(())
}
