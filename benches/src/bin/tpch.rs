//! `tpch check`, `tpch bench`, `tpch plan`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use lakeward_benches::bytes;
use lakeward_benches::check::check;
use lakeward_benches::data::Data;
use lakeward_benches::engine::EngineOptions;
use lakeward_benches::governed::{Lake, Person};
use lakeward_benches::overhead::measure;
use lakeward_benches::plain::Plain;
use lakeward_benches::queries::{QUERIES, Query};
use lakeward_benches::report::{self, Setting};
use lakeward_benches::skipping;

/// TPC-H over governed Delta tables.
#[derive(Debug, Parser)]
struct Arguments {
    /// Scale factor
    #[arg(long, global = true, default_value_t = 1.0)]
    scale: f64,
    /// Partitions a plan is cut into; the number of cores unless given
    #[arg(long, global = true)]
    partitions: Option<usize>,
    /// Where data and results go; `target` of the workspace unless given
    #[arg(long, global = true)]
    directory: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare the governed answers with those of a filtered and masked copy
    Check,
    /// Compare the cost with that of the same filters and masks by hand
    Bench {
        /// Pairs of each query
        #[arg(long, default_value_t = 10)]
        rounds: usize,
        /// Only these queries, such as 1,6,21
        #[arg(long, value_delimiter = ',')]
        queries: Vec<u8>,
        /// Fail where the upper end of the total CPU ratio's interval lies above this
        #[arg(long)]
        limit: Option<f64>,
    },
    /// Count the files that the queries open over tables clustered by date
    Files,
    /// Compare the bytes that the queries read with those of the same filters and masks by hand
    Bytes,
    /// Print both plans of a query
    Plan {
        /// Its number
        query: u8,
    },
    /// Run one side of one query again and again, for a profiler
    Repeat {
        /// Its number
        query: u8,
        /// How often
        #[arg(long, default_value_t = 20)]
        times: usize,
        /// The plain side instead of the governed one
        #[arg(long)]
        plain: bool,
    },
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let directory = arguments
        .directory
        .clone()
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let data = Data::ensure(&directory.join("tpch"), arguments.scale).await?;
    let mut engine = EngineOptions::default();
    if let Some(partitions) = arguments.partitions {
        engine.target_partitions = partitions;
    }
    let lake = Lake::open(&data, &engine).await?;
    match arguments.command {
        Command::Check => run_check(&data, &engine, &lake).await,
        Command::Bench { rounds, queries, limit } => {
            let queries: Vec<&'static Query> = if queries.is_empty() {
                QUERIES.iter().collect()
            } else {
                queries.iter().map(|&number| query(number)).collect::<Result<_>>()?
            };
            let plain = Plain::views(&data, &engine).await?;
            let governed = lake.session(Person::Analyst).await?;
            let series = measure(&queries, rounds, &plain, &governed, |line| eprintln!("{line}")).await?;
            let setting = Setting { scale: arguments.scale, rounds, engine };
            println!("{}", report::text(&setting, &series));
            let file = directory.join("bench/tpch.json");
            fs::create_dir_all(directory.join("bench"))?;
            let json = report::json(&setting, &series);
            fs::write(&file, serde_json::to_vec_pretty(&json)?).context("writing the results")?;
            let high = json.pointer("/total/cpu/high").and_then(serde_json::Value::as_f64);
            if let (Some(limit), Some(high)) = (limit, high)
                && high > limit
            {
                bail!(
                    "the governed side may take more than {limit} times the CPU of the plain one: {high:.3}"
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Files => run_files(&data, &engine).await,
        Command::Bytes => run_bytes(&data, &engine, &lake).await,
        Command::Plan { query: number } => {
            let text = query(number)?.text;
            println!("-- governed\n{}", lake.session(Person::Operator).await?.plan(text).await?);
            println!("-- plain\n{}", Plain::views(&data, &engine).await?.plan(text).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Repeat { query: number, times, plain } => {
            let text = query(number)?.text;
            let views = Plain::views(&data, &engine).await?;
            let governed = lake.session(Person::Analyst).await?;
            for _ in 0..times {
                if plain {
                    views.answer(text).await?;
                } else {
                    governed.answer(text).await?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// No file is opened that the log's statistics rule out.
async fn run_files(data: &Data, engine: &EngineOptions) -> Result<ExitCode> {
    let scans = skipping::measure(data, engine).await?;
    for scan in &scans {
        println!(
            "q{:<3} {:<9} {:>3} of {} files opened, {} needed",
            scan.query, scan.table, scan.opened, scan.files, scan.needed
        );
    }
    let in_vain: usize = scans.iter().map(|scan| scan.opened.saturating_sub(scan.needed)).sum();
    println!("{} scans, {in_vain} files opened that statistics rule out", scans.len());
    Ok(if in_vain == 0 && !scans.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Both sides read the same bytes of the same tables.
async fn run_bytes(data: &Data, engine: &EngineOptions, lake: &Lake) -> Result<ExitCode> {
    let plain = Plain::views(data, engine).await?;
    let read = bytes::measure(&lake.session(Person::Operator).await?, &plain).await?;
    let mut differing = 0;
    for one in &read {
        let same = one.governed == one.plain;
        differing += usize::from(!same);
        println!("q{:<3} {}  {:?}", one.query, if same { "equal" } else { "DIFFERENT" }, one.governed);
        if !same {
            println!("     by hand    {:?}", one.plain);
        }
    }
    println!("{} of {} queries read the same bytes on both sides", read.len() - differing, read.len());
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn query(number: u8) -> Result<&'static Query> {
    Query::of(number).with_context(|| format!("there is no query {number}"))
}

/// All answers equal the copy's, none is empty, and without policies each would be another.
async fn run_check(data: &Data, engine: &EngineOptions, lake: &Lake) -> Result<ExitCode> {
    let copy = Plain::copy(data, engine).await?;
    let governed = check(&copy, &lake.session(Person::Analyst).await?).await?;
    let open = check(&copy, &lake.session(Person::Steward).await?).await?;
    let mut failures = 0;
    for (governed, open) in governed.iter().zip(&open) {
        let verdict = match (&governed.difference, governed.empty, &open.difference) {
            (Some(difference), _, _) => format!("WRONG: {difference}"),
            (None, true, _) => "EMPTY: tells nothing".to_owned(),
            (None, false, None) => "BLIND: the same without policies".to_owned(),
            (None, false, Some(_)) => "equal".to_owned(),
        };
        failures += usize::from(verdict != "equal");
        println!("q{:<3} {:>6} rows  {verdict}", governed.query.number, governed.rows);
    }
    println!(
        "{} of {} answers equal those of the filtered and masked copy",
        governed.len() - failures,
        governed.len()
    );
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
