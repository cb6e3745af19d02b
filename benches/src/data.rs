//! TPC-H data on disk: Delta tables, and a copy that is filtered and masked by hand.
//!
//! Made once for each scale and kept: `<directory>/sf<scale>/lake/tpch/<table>` are the Delta tables,
//! `…/copy/<table>` the copy's Parquet files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use tokio::task::JoinSet;

use crate::delta::{DataFile, ParquetFile, create_table, write_file};
use crate::engine::EngineOptions;
use crate::plain::Plain;
use crate::tables::Table;

/// Changes whenever the data of the same scale does: data of another layout is made again.
const LAYOUT: &str = concat!("1\n", include_str!("../tpch/views.sql"));
/// Marks data that is complete; holds the layout.
const MARKER: &str = "complete";

/// The schema that the tables are in.
pub const SCHEMA: &str = "tpch";

/// Data of one scale.
#[derive(Debug, Clone)]
pub struct Data {
    root: PathBuf,
}

impl Data {
    /// The data of `scale` below `directory`, made now if it is not there. Processes wait for each other.
    pub async fn ensure(directory: &Path, scale: f64) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let directory = directory.canonicalize()?;
        let name = format!("sf{scale}");
        let root = directory.join(&name);
        let lock = File::create(directory.join(format!("{name}.lock")))?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
        if fs::read_to_string(root.join(MARKER)).is_ok_and(|layout| layout == LAYOUT) {
            return Ok(Self { root });
        }
        eprintln!("making TPC-H data at scale {scale} (once)");
        let unfinished = directory.join(format!("{name}.unfinished"));
        for stale in [&root, &unfinished] {
            if stale.exists() {
                fs::remove_dir_all(stale)?;
            }
        }
        let data = Self { root: unfinished.clone() };
        data.write_lake(scale).await?;
        data.write_copy().await?;
        fs::write(unfinished.join(MARKER), LAYOUT)?;
        fs::rename(&unfinished, &root)?;
        drop(lock);
        Ok(Self { root })
    }

    /// The folder of everything of this scale.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder whose children are the Delta tables.
    #[must_use]
    pub fn lake(&self) -> PathBuf {
        self.root.join("lake").join(SCHEMA)
    }

    /// The folder of the filtered and masked copy: a folder of Parquet files for each table.
    #[must_use]
    pub fn copy(&self) -> PathBuf {
        self.root.join("copy")
    }

    async fn write_lake(&self, scale: f64) -> Result<()> {
        let mut writing = JoinSet::new();
        for table in Table::ALL {
            let directory = self.lake().join(table.name());
            writing.spawn_blocking(move || {
                let files = (1..=table.files())
                    .map(|file| {
                        write_file(
                            &directory,
                            &format!("part-{file:05}.snappy.parquet"),
                            table.rows(scale, file),
                        )
                    })
                    .collect::<Result<Vec<_>>>()
                    .with_context(|| table.name());
                (table, files)
            });
        }
        while let Some(written) = writing.join_next().await {
            let (table, files): (Table, Result<Vec<DataFile>>) = written?;
            let schema = table.rows(scale, 1).schema();
            create_table(&self.lake().join(table.name()), &schema, files?).await?;
        }
        Ok(())
    }

    /// Writes what the hand-written views show.
    async fn write_copy(&self) -> Result<()> {
        let views = Plain::views(self, &EngineOptions::default()).await?;
        for table in Table::ALL {
            let mut rows = views.stream(&format!("select * from {}", table.name())).await?;
            let mut file = ParquetFile::create(
                &self.copy().join(table.name()),
                "part-00000.snappy.parquet",
                &rows.schema(),
            )?;
            while let Some(batch) = rows.next().await {
                file.write(&batch?)?;
            }
            anyhow::ensure!(file.close()?.rows() > 0, "the views show nothing of {}", table.name());
        }
        Ok(())
    }
}
