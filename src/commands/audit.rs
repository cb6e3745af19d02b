//! `lakeward audit`: is the trail whole, and who saw what?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use lakeward_scheduler::audit::{self, AuditKey, Entry, Report, SignedHead};
use serde_json::Value;

use crate::config::{Config, DEFAULT_FILE};

/// Arguments of `lakeward audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Args)]
struct From {
    /// Configuration file: names the trail and its key
    #[arg(long, short, value_name = "FILE", default_value = DEFAULT_FILE, env = "LAKEWARD_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Is every record what was written, and none missing?
    #[command(after_help = "Examples:\n  \
        lakeward audit verify\n  \
        lakeward audit verify --heads /mnt/elsewhere/audit-heads.jsonl\n\n\
        The chain alone shows changes and gaps in the middle. That nothing was cut off at the end, or all\n\
        of it written anew, is shown by heads that were kept elsewhere: see `audit.heads` in the\n\
        configuration, or `lakeward audit head`. Exit code 1 if anything is wrong.")]
    Verify {
        /// File of signed heads that was kept elsewhere; `audit.heads` unless given
        #[arg(long, value_name = "FILE")]
        heads: Option<PathBuf>,
        #[command(flatten)]
        from: From,
    },
    /// Print the signed head of the trail, to be kept elsewhere
    Head(From),
    /// Who may have seen a value of a table: as far as the trail can tell
    #[command(after_help = "Example:\n  \
        lakeward audit subject --table silver.patients --column nhs_number --value 9990000018\n\n\
        The trail holds what a statement read: table, version, columns, how many rows it gave, the rules\n\
        that applied. It does not hold which rows. So this lists every statement that read the table and\n\
        gave rows, and says of each whether its text names the value.")]
    Subject {
        /// Table, as schema.table
        #[arg(long, value_name = "TABLE")]
        table: String,
        /// Only statements that read this column
        #[arg(long, value_name = "COLUMN")]
        column: Option<String>,
        /// Value to look for in the statements' texts
        #[arg(long, value_name = "VALUE")]
        value: Option<String>,
        #[command(flatten)]
        from: From,
    },
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // The trail may be large, and reading it blocks.
    tokio::task::spawn_blocking(move || match args.action {
        Action::Verify { heads, from } => verify(&Config::load(&from.config)?, heads),
        Action::Head(from) => head(&Config::load(&from.config)?),
        Action::Subject { table, column, value, from } => {
            subject(&Config::load(&from.config)?, &table, column.as_deref(), value.as_deref())
        }
    })
    .await?
}

/// Where `lakeward policy test` keeps its records: a trail has one writer, and the service's has the service.
pub(crate) fn policy_test_trail(config: &Config) -> PathBuf {
    config.audit.directory.path.join("policy-test")
}

/// The key that opens the texts of statements.
pub(crate) fn key(config: &Config) -> anyhow::Result<AuditKey> {
    let secret = config.audit_key().map_err(lakeward_policy::document::Diagnostics::from)?;
    Ok(AuditKey::new(secret.bytes())?)
}

fn verify(config: &Config, heads: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let heads = heads.or_else(|| config.audit.heads.as_ref().map(|file| file.path.clone()));
    let signed = match &heads {
        Some(file) => signed_heads(file, &key(config)?)?,
        None => Vec::new(),
    };
    let directory = &config.audit.directory.path;
    let heads: Vec<_> = signed.into_iter().map(|signed| signed.head).collect();
    let report = audit::verify(directory, &heads).with_context(|| directory.display().to_string())?;
    print!("{}", text(&report, !heads.is_empty()));
    let mut intact = report.is_intact();
    let tests = policy_test_trail(config);
    if tests.is_dir() {
        let report = audit::verify(&tests, &[]).with_context(|| tests.display().to_string())?;
        intact &= report.is_intact();
        print!("\nstatements of `lakeward policy test`:\n{}", text(&report, false));
    }
    Ok(if intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every line must be a head, and signed: a line that is not could hide that a head is missing.
fn signed_heads(file: &Path, key: &AuditKey) -> anyhow::Result<Vec<SignedHead>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut heads = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{}:{}", file.display(), number + 1);
        let signed: SignedHead =
            serde_json::from_str(line).with_context(|| format!("{}: not a head", place()))?;
        if signed.key != key.id() {
            bail!("{}: signed with key {}; this one is {}", place(), signed.key, key.id());
        }
        if !key.has_signed(&signed) {
            bail!("{}: the signature is wrong", place());
        }
        heads.push(signed);
    }
    Ok(heads)
}

fn text(report: &Report, with_heads: bool) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for problem in &report.problems {
        let _ = writeln!(text, "{}:{}: {}", problem.file, problem.line, problem.message);
    }
    let _ = write!(text, "{} records in {} files", report.records, report.files);
    if let (Some(first), Some(head)) = (report.first, &report.head) {
        let _ = write!(text, ", {first} to {}", head.seq);
    }
    let _ = writeln!(text, "; statements without an end: {}", report.open_statements);
    if with_heads {
        let _ = writeln!(
            text,
            "heads kept elsewhere: {} found in the chain, {} of files that were taken away",
            report.confirmed_heads, report.older_heads
        );
    } else {
        text.push_str("no heads kept elsewhere: a tail that was cut off would not show\n");
    }
    text.push_str(if report.is_intact() {
        "the trail is intact\n"
    } else {
        "THE TRAIL IS NOT WHAT WAS WRITTEN\n"
    });
    text
}

fn head(config: &Config) -> anyhow::Result<ExitCode> {
    let directory = &config.audit.directory.path;
    let report = audit::verify(directory, &[]).with_context(|| directory.display().to_string())?;
    if !report.is_intact() {
        bail!("the trail is damaged; `lakeward audit verify` says where");
    }
    let head = report.head.context("the trail has no records yet")?;
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    println!("{}", serde_json::to_string(&key(config)?.sign(&head, &time))?);
    Ok(ExitCode::SUCCESS)
}

/// A statement that read the table.
struct Reading {
    time: String,
    user: String,
    version: String,
    columns: String,
    rows: Option<u64>,
    names_value: &'static str,
}

fn subject(
    config: &Config,
    table: &str,
    column: Option<&str>,
    value: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let key = key(config)?;
    let Some((schema, name)) = table.split_once('.') else { bail!("name the table as schema.table") };
    let mut readings: Vec<(String, Reading)> = Vec::new();
    let mut positions = std::collections::HashMap::new();
    let mut visit = |entry: Entry| match entry.kind.as_str() {
        "intent" => {
            if let Some((id, reading)) = reading(&entry, &key, schema, name, column, value) {
                positions.insert(id.clone(), readings.len());
                readings.push((id, reading));
            }
        }
        "outcome" => {
            let position = entry.statement_id().and_then(|id| positions.remove(id));
            if let Some((_, reading)) = position.and_then(|position| readings.get_mut(position)) {
                reading.rows = entry.members.get("rows").and_then(Value::as_u64);
            }
        }
        _ => {}
    };
    let report = audit::read(&config.audit.directory.path, &mut visit)?;
    let tests = policy_test_trail(config);
    let intact = match tests.is_dir() {
        true => audit::read(&tests, &mut visit)?.is_intact() && report.is_intact(),
        false => report.is_intact(),
    };
    let mut listed = Table::new();
    listed.load_preset(NOTHING);
    listed.set_header(["time", "user", "version", "columns", "rows", "names the value"]);
    let mut count = 0;
    for (_, reading) in readings.into_iter().filter(|(_, reading)| reading.rows != Some(0)) {
        count += 1;
        let rows = reading.rows.map_or_else(|| "unknown".to_owned(), |rows| rows.to_string());
        let names_value = reading.names_value.to_owned();
        listed.add_row([reading.time, reading.user, reading.version, reading.columns, rows, names_value]);
    }
    println!("{listed}\n");
    println!(
        "{count} statements read {table} and gave rows, or did not come to an end. The trail does not hold which rows: \
         whoever is listed may have seen the value, under the row filters and masks of that day; nobody else has, \
         through this service, since record {}.",
        report.first.unwrap_or(1)
    );
    if !intact {
        println!("The trail is damaged (`lakeward audit verify`): somebody may be missing.");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn reading(
    entry: &Entry,
    key: &AuditKey,
    schema: &str,
    name: &str,
    column: Option<&str>,
    value: Option<&str>,
) -> Option<(String, Reading)> {
    let id = entry.statement_id()?;
    if entry.members.get("kind").and_then(Value::as_str) == Some("EXPLAIN") {
        return None;
    }
    let text = |value: &Value, member: &str| value.get(member).and_then(Value::as_str).map(str::to_owned);
    let tables = entry.members.get("tables")?.as_array()?;
    let read: Vec<&Value> = tables
        .iter()
        .filter(|table| {
            text(table, "schema").as_deref() == Some(schema) && text(table, "table").as_deref() == Some(name)
        })
        .collect();
    let columns: Vec<String> = read
        .iter()
        .filter_map(|table| table.get("columns")?.as_array())
        .flatten()
        .filter_map(|column| column.as_str().map(str::to_owned))
        .collect();
    if read.is_empty() || column.is_some_and(|column| !columns.iter().any(|known| known == column)) {
        return None;
    }
    let names_value = match value {
        None => "",
        Some(value) => match entry.text().map(|sealed| key.open(id, &sealed)) {
            Some(Ok(text)) if text.contains(value) => "yes",
            Some(Ok(_)) => "no",
            _ => "unknown: its text cannot be opened with this key",
        },
    };
    let version = read.first().and_then(|table| table.get("version")?.as_u64());
    let reading = Reading {
        time: entry.time.clone(),
        user: entry.members.get("actor").and_then(|actor| text(actor, "user")).unwrap_or_default(),
        version: version.map_or_else(String::new, |version| version.to_string()),
        columns: columns.join(", "),
        rows: None,
        names_value,
    };
    Some((id.to_owned(), reading))
}
