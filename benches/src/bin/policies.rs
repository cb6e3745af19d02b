//! Very many policies: what a person, a plan and a reload cost.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;
use lakeward_benches::policies::{Size, measure};

/// Policies at the size of an organisation, against a single grant over the same tables.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where tables are made and kept; `target/lake` of the workspace unless given
    #[arg(long)]
    directory: Option<PathBuf>,
    /// How often everything is measured
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    #[command(flatten)]
    size: Size,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory =
        arguments.directory.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lake"));
    println!("{}", measure(&directory, arguments.size, arguments.rounds).await?);
    Ok(())
}
