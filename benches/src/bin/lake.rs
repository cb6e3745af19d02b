//! `lake wide`, `lake many`, `lake vectors`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};
use lakeward_benches::lake::{many, vectors, wide};

/// Delta tables at the size of a lake.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where tables are made and kept; `target/lake` of the workspace unless given
    #[arg(long, global = true)]
    directory: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One table of very many files: open it, follow its commits, plan over it
    Wide {
        /// Files of the table
        #[arg(long, default_value_t = 100_000)]
        files: usize,
        /// Commits to follow
        #[arg(long, default_value_t = 300)]
        commits: usize,
    },
    /// A catalog of very many tables: open it, look at it, keep it
    Many {
        /// Tables of the catalog
        #[arg(long, default_value_t = 1_000)]
        tables: usize,
    },
    /// Deletion vectors on every file, against the same rows in files without
    Vectors {
        /// Pairs of each statement
        #[arg(long, default_value_t = 12)]
        rounds: usize,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory =
        arguments.directory.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lake"));
    match arguments.command {
        Command::Wide { files, commits } => {
            println!("{}", wide::measure(&directory, files, commits).await?.text());
        }
        Command::Many { tables } => println!("{}", many::measure(&directory, tables).await?.text()),
        Command::Vectors { rounds } => println!("{}", vectors::measure(&directory, rounds).await?),
    }
    Ok(())
}
