//! `written FOLDER`: tables of Lakeward's own writer, for other readers to read.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use lakeward_benches::written;

/// Writes a fixed set of Delta tables, one of each folder.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the tables are made; must not have them yet
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    written::write_all(&Arguments::parse().folder).await
}
