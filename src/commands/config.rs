//! `lakeward config`: check a configuration, or print every setting.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{DEFAULT_FILE, reference};
use crate::service::inspect;

/// Arguments of `lakeward config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say everything that is wrong with a configuration and the files it names
    #[command(after_help = "Examples:\n  \
        lakeward config check\n  \
        lakeward config check --config /etc/lakeward/lakeward.yaml\n  \
        LAKEWARD_LISTEN__POSTGRES=0.0.0.0:5433 lakeward config check    overrides are checked too\n\n\
        Each problem is one line: file:line:column: what is wrong. Exit code 2 if there is any.")]
    Check {
        /// Configuration file
        #[arg(long, short, value_name = "FILE", default_value = DEFAULT_FILE, env = "LAKEWARD_CONFIG")]
        config: PathBuf,
    },
    /// Print every setting with its default and what it does
    #[command(after_help = "Example:\n  lakeward config reference > lakeward.yaml    a file to start from")]
    Reference,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Reference => {
            print!("{}", reference());
            Ok(ExitCode::SUCCESS)
        }
        Action::Check { config } => {
            let summary = inspect::everything(&config).await?;
            println!("{}: no problems found\n{summary}", config.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}
