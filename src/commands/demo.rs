//! `lakeward demo`: a complete demo lake, served on this machine.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::config::{Config, ListenAddress};
use crate::demo::{self, DEFAULT_PATIENTS, DEFAULT_SEED, DemoOptions, DemoSummary, PEOPLE};
use crate::{logging, service};

/// Arguments of `lakeward demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    lakeward demo                             create ./demo-lake if it is not there, and serve it\n  \
    lakeward demo --patients 1000000          a larger one\n  \
    lakeward demo --dir trial --no-serve      only create it; its lakeward.yaml is a configuration to copy\n\n\
    Passwords of the demo people are known to everyone: it listens on this machine only.")]
pub struct Args {
    /// Directory of the demo lake
    #[arg(long, value_name = "DIR", default_value = "demo-lake")]
    dir: PathBuf,
    /// How many patients; everything else grows with them [default: 10000]
    #[arg(long, value_name = "N")]
    patients: Option<u64>,
    /// The same seed and number of patients give the same lake [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Create the lake and end
    #[arg(long)]
    no_serve: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let lake = prepare(&args).await?;
    let configuration = lake.configuration();
    if args.no_serve {
        println!("To serve it: lakeward serve --config {}", configuration.display());
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::load(&configuration)?;
    let listeners = [Some(&config.listen.postgres), config.listen.http.as_ref()];
    if !listeners.into_iter().flatten().all(ListenAddress::is_loopback) {
        bail!(
            "the passwords of the demo are known to everyone, so it listens on this machine only; see `listen` in {}",
            configuration.display()
        );
    }
    logging::start(&config.log)?;
    let database = config.database.as_str().to_owned();
    service::run(config, |addresses| print!("{}", welcome(&database, addresses.postgres))).await?;
    Ok(ExitCode::SUCCESS)
}

/// The lake that is there, or a new one.
async fn prepare(args: &Args) -> anyhow::Result<DemoSummary> {
    if let Some(lake) = demo::existing(&args.dir)? {
        let other = args.patients.is_some_and(|patients| patients != lake.patients)
            || args.seed.is_some_and(|seed| seed != lake.seed);
        let note = if other { "; remove it, or name another --dir, for one as asked" } else { "" };
        println!(
            "Using the demo lake in {} (made with {} patients and seed {}){note}.",
            args.dir.display(),
            lake.patients,
            lake.seed
        );
        return Ok(lake);
    }
    let patients = args.patients.unwrap_or(DEFAULT_PATIENTS);
    println!("Creating a demo lake of {patients} patients in {}.", args.dir.display());
    let options = DemoOptions {
        patients,
        seed: args.seed.unwrap_or(DEFAULT_SEED),
        progress: true,
        ..DemoOptions::new(&args.dir)
    };
    let lake = demo::create(options).await.context("cannot create the demo lake")?;
    let rows: u64 = lake.tables.values().sum();
    println!("Created {} tables with {rows} rows.", lake.tables.len());
    Ok(lake)
}

fn welcome(database: &str, address: SocketAddr) -> String {
    let mut text = String::from(
        "\nReady. Connect from another terminal as one of these people; each sees something else:\n\n",
    );
    for person in PEOPLE {
        let tenant = person.tenant.map(|tenant| format!(" of {tenant}")).unwrap_or_default();
        let _ = writeln!(text, "  # {}{tenant}: {}", person.role, person.what_they_see);
        let _ =
            writeln!(text, "  psql postgresql://{}:{}@{address}/{database}\n", person.user, person.password);
    }
    text.push_str(
        "A first question: SELECT count(*), min(birth_date) FROM silver.patients;\nCtrl-C stops.\n\n",
    );
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn everyone_gets_a_line_to_paste() {
        let text = super::welcome("lakeward", "127.0.0.1:5433".parse().unwrap());
        assert!(text.contains("\n  psql postgresql://alice:alice-demo@127.0.0.1:5433/lakeward\n"), "{text}");
        assert_eq!(text.matches("psql postgresql://").count(), super::PEOPLE.len());
    }
}
