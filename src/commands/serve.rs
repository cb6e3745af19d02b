//! `lakeward serve`: run the service until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{Config, DEFAULT_FILE};
use crate::{logging, service};

/// Arguments of `lakeward serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    lakeward serve --config /etc/lakeward/lakeward.yaml\n  \
    LAKEWARD_LISTEN__POSTGRES=127.0.0.1:6000 lakeward serve    every setting has a variable\n\n\
    SIGTERM or Ctrl-C: stop accepting, let running statements finish, exit 0; a second one stops at once.\n\
    SIGHUP: read policies, users and certificates again (changed files are also noticed by themselves).")]
pub struct Args {
    /// Configuration file
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_FILE, env = "LAKEWARD_CONFIG")]
    config: PathBuf,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    logging::start(&config.log)?;
    service::run(config, |_| ()).await?;
    Ok(ExitCode::SUCCESS)
}
