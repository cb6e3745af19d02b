//! `lakeward sql`: a small client for people and scripts.

mod connect;
mod csv;
mod json;
mod run;
mod split;
mod table;

use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use run::Runner;

/// Arguments of `lakeward sql`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    lakeward sql --user alice                                      a prompt; end statements with ;\n  \
    lakeward sql --user alice -c 'SELECT count(*) FROM silver.patients'\n  \
    lakeward sql --user alice --format csv < report.sql > report.csv\n  \
    lakeward sql --host lake.example.org --user alice --tls-ca ca.crt\n\n\
    The password: variable PGPASSWORD, or --password-stdin, or asked for on the terminal.\n\
    Exit codes: 0 done, 1 a statement or the connection failed, 2 wrong arguments.")]
pub struct Args {
    /// Host of the service
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1", env = "PGHOST")]
    host: String,
    /// Port of the service
    #[arg(long, value_name = "PORT", default_value_t = 5433, env = "PGPORT")]
    port: u16,
    /// Login name
    #[arg(long, short = 'U', value_name = "NAME", env = "PGUSER")]
    user: String,
    /// Database
    #[arg(long, short, value_name = "NAME", default_value = "lakeward", env = "PGDATABASE")]
    database: String,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// Run this and end; may be given more than once
    #[arg(long = "command", short, value_name = "SQL")]
    commands: Vec<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Encryption; without it: required unless the host is this machine
    #[arg(long, value_enum)]
    tls: Option<Tls>,
    /// Certificate authority that the service must be certified by; turns TLS on
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns for people; long values are cut
    Table,
    /// RFC 4180 with a header; NULL is empty, an empty text is ""
    Csv,
    /// One object per line, with numbers, booleans and null
    Json,
}

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tls {
    /// Never
    Disable,
    /// Always, and the server's certificate is verified for its host
    Require,
}

impl Args {
    /// Clear text is for this machine only, unless somebody says so.
    fn encrypted(&self) -> bool {
        match self.tls {
            Some(tls) => tls == Tls::Require,
            None => self.tls_ca.is_some() || !is_this_machine(&self.host),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.tls == Some(Tls::Disable) && args.tls_ca.is_some() {
        anyhow::bail!("--tls disable and --tls-ca contradict each other");
    }
    let session = match connect::connect(&args).await? {
        Ok(session) => session,
        Err(failure) => {
            eprintln!("{failure}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut runner = Runner::new(session, args.format);
    let good = if args.commands.is_empty() {
        let interactive = std::io::stdin().is_terminal();
        runner.lines(interactive.then(|| format!("{}@{}", args.user, args.database))).await?
    } else {
        runner.commands(&args.commands).await?
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(host: &str, tls: Option<Tls>, ca: bool) -> Args {
        Args {
            host: host.to_owned(),
            port: 5433,
            user: "alice".to_owned(),
            database: "lakeward".to_owned(),
            password_stdin: false,
            commands: Vec::new(),
            format: Format::Table,
            tls,
            tls_ca: ca.then(|| PathBuf::from("ca.crt")),
        }
    }

    #[test]
    fn nothing_crosses_a_network_in_clear_by_default() {
        assert!(!args("127.0.0.1", None, false).encrypted());
        assert!(!args("localhost", None, false).encrypted());
        assert!(!args("::1", None, false).encrypted());
        assert!(args("localhost", None, true).encrypted());
        assert!(args("lake.example.org", None, false).encrypted());
        assert!(args("10.0.0.1", None, false).encrypted());
        assert!(args("localhost", Some(Tls::Require), false).encrypted());
        assert!(!args("lake.example.org", Some(Tls::Disable), false).encrypted());
    }
}
