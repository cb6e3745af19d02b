//! The command line: what it accepts, what it teaches, and which exit code it ends with.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{audit, cert, config, demo, policy, serve, sql, table, user};

/// Exit code for bad input: arguments, configuration, policies, users.
pub const EXIT_BAD_INPUT: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "lakeward",
    version,
    about = "Governed SQL over healthcare lakehouses, for the PostgreSQL tools people already use",
    after_help = "Examples:\n  \
        lakeward demo                                  a complete demo lake, served on this machine\n  \
        lakeward config reference > lakeward.yaml      every setting, its default and what it does\n  \
        lakeward config check --config lakeward.yaml   find mistakes before the service does\n  \
        lakeward serve --config lakeward.yaml          run the service\n\n\
        Exit codes: 0 done, 1 failed, 2 bad input (arguments, configuration, policies, users)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Args),
    /// Create the demo lake if it is not there, and serve it
    Demo(demo::Args),
    /// Query a running service from the terminal
    Sql(sql::Args),
    /// Check the configuration, or print every setting
    Config(config::Args),
    /// Check policies against the catalog
    Policy(policy::Args),
    /// Look at a table: columns, history, files, and whether they are whole
    Table(table::Args),
    /// Is the audit trail whole, and who saw what?
    Audit(audit::Args),
    /// Manage the users file
    User(user::Args),
    /// Make certificates
    Cert(cert::Args),
}

/// Parses the command line, runs the command and says what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("lakeward: cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(cli.command));
    // A blocking task that outlives the service (a slow disk, a prompt) must not hold the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => report(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Sql(args) => sql::run(args).await,
        Command::Config(args) => config::run(args).await,
        Command::Policy(args) => policy::run(args).await,
        Command::Table(args) => table::run(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::User(args) => user::run(args).await,
        Command::Cert(args) => cert::run(args).await,
    }
}

/// Prints an error with its causes. Complaints about files are bad input; all else is a failure.
fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(diagnostics) = error.downcast_ref::<lakeward_policy::document::Diagnostics>() {
        eprintln!("{diagnostics}");
        return ExitCode::from(EXIT_BAD_INPUT);
    }
    eprintln!("lakeward: {error:#}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
