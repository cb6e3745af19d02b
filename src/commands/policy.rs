//! `lakeward policy`: check policies against the tables there are.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{Config, DEFAULT_FILE};
use crate::service::inspect;

/// Arguments of `lakeward policy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check grants, row filters and masks against the catalog
    #[command(after_help = "Examples:\n  \
        lakeward policy check\n  \
        lakeward policy check --config /etc/lakeward/lakeward.yaml\n\n\
        Each problem is one line: file:line:column: what is wrong. Exit code 2 if there is any.\n\
        Run it before merging a change to a policy file; the running service keeps the last good\n\
        policies when a file is wrong.")]
    Check {
        /// Configuration file
        #[arg(long, short, value_name = "FILE", default_value = DEFAULT_FILE, env = "LAKEWARD_CONFIG")]
        config: PathBuf,
    },
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Action::Check { config } = args.action;
    let config = Config::load(&config)?;
    println!("{}", inspect::policies(&config).await?);
    Ok(ExitCode::SUCCESS)
}
