//! A real PostgreSQL with the same tables, and the policies of `peer/` in its own words.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use tempfile::TempDir;

use crate::cells::{Cell, Kind, Row};
use crate::delta::Layout;
use crate::doors::Visitor;
use crate::lakes::{Lake, NO_VIEWS};
use crate::masks::KEY;
use crate::tables::{self, Table, Variant};

const POLICIES: &str = include_str!("../peer/policies.yaml");
const SETUP: &str = include_str!("../peer/setup.sql");

/// Tables behind views of the same names.
const MASKED: [&str; 2] = ["silver.patients", "silver.encounters"];

/// Days that PostgreSQL has, too.
const DAYS: std::ops::RangeInclusive<i32> = -700_000..=2_900_000;

/// The lake that both hold: many hostile hidden rows, and no structs.
#[must_use]
pub fn lake() -> Lake {
    let known = |table: &Table| {
        table.columns.iter().all(|column| !matches!(column.kind, Kind::Person | Kind::Texts))
            && !table.name.starts_with("bronze.")
    };
    let mut tables = tables::all(Variant::B);
    tables.retain(known);
    for row in tables.iter_mut().flat_map(|table| table.shown.iter_mut().chain(&mut table.hidden)) {
        for cell in row {
            if let Cell::Date(day) = cell {
                *day = (*day).clamp(*DAYS.start(), *DAYS.end());
            }
        }
    }
    Lake { policies: POLICIES.to_owned(), tables, views: NO_VIEWS, layout: Layout::Plain }
}

/// A PostgreSQL of its own, gone with this value.
pub struct Postgres {
    /// Where it listens.
    pub address: SocketAddr,
    server: Child,
    _directory: TempDir,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It removes its shared memory on its way out.
        let asked = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

/// The newest server that is installed: Debian keeps each version's programs in a folder of its own.
fn programs() -> Result<PathBuf> {
    let version = |folder: &PathBuf| -> Option<u32> { folder.file_name()?.to_str()?.parse().ok() };
    let folders = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = folders
        .map(|folder| folder.path())
        .filter(|folder| folder.join("bin/postgres").exists())
        .max_by_key(version)
        .map(|folder| folder.join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = || std::env::split_paths(&path).find(|folder| folder.join("postgres").exists());
    debian
        .or_else(elsewhere)
        .context("there is no PostgreSQL server to compare with: scripts/setup.sh peers installs one")
}

/// A command for one of its programs, which refuse to be run by root.
fn program(programs: &Path, name: &str) -> Result<Command> {
    let id = Command::new("id").arg("-u").output().context("id")?;
    let path = programs.join(name);
    if id.stdout.trim_ascii() != b"0" {
        return Ok(Command::new(path));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(path);
    Ok(command)
}

fn give_to_nobody(directory: &Path) -> Result<()> {
    let uid = Command::new("id").arg("-u").output()?;
    if uid.stdout.trim_ascii() == b"0" {
        let done = Command::new("chown").arg("nobody:nogroup").arg(directory).status()?;
        ensure!(done.success(), "chown failed");
    }
    Ok(())
}

impl Postgres {
    /// Makes a cluster in a temporary directory, starts it, and fills it with [`lake`].
    pub async fn start() -> Result<Self> {
        let programs = programs()?;
        let directory = tempfile::tempdir()?;
        let root = directory.path().join("cluster");
        fs::create_dir(&root)?;
        give_to_nobody(&root)?;
        // Whoever may enter the folder above is not the one who runs the server.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
        let data = root.join("data");
        let made = program(&programs, "initdb")?
            .args([
                "--username=owner",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ])
            .arg(&data)
            .current_dir("/")
            .output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut server = program(&programs, "postgres")?
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", "", "-F"])
            .args(["-c", "timezone=UTC", "-c", "datestyle=ISO"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = server.stderr.take().context("the server's log")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let postgres = Self { address, server, _directory: directory };
        tokio::task::spawn_blocking(move || until_ready(log)).await??;
        postgres.fill().await?;
        Ok(postgres)
    }

    /// Somebody who is in.
    pub async fn visitor(&self, person: &str) -> Result<Visitor> {
        Visitor::at(self.address, "lakeward", person).await
    }

    async fn fill(&self) -> Result<()> {
        let mut owner = Visitor::at(self.address, "postgres", "owner").await?;
        run(&mut owner, "CREATE DATABASE lakeward").await?;
        let mut owner = Visitor::at(self.address, "lakeward", "owner").await?;
        run(&mut owner, "CREATE SCHEMA raw; CREATE SCHEMA silver; CREATE SCHEMA gold").await?;
        for table in lake().tables {
            run(&mut owner, &definition(&table)).await?;
            let rows: Vec<&Row> = table.shown.iter().chain(&table.hidden).collect();
            for rows in rows.chunks(1_000) {
                run(&mut owner, &insert(&table, rows)).await?;
            }
        }
        let (inner, outer) = pads();
        run(&mut owner, &SETUP.replace(":inner", &inner).replace(":outer", &outer)).await
    }
}

/// Reads the server's log until it takes connections; what it says afterwards goes nowhere.
fn until_ready(log: ChildStderr) -> Result<()> {
    let mut lines = BufReader::new(log).lines();
    let mut said = String::new();
    for line in lines.by_ref() {
        let line = line?;
        if line.contains("ready to accept connections") {
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(());
        }
        let _ = writeln!(said, "{line}");
    }
    bail!("PostgreSQL ended: {said}")
}

async fn run(visitor: &mut Visitor, sql: &str) -> Result<()> {
    let answer = visitor.run(sql).await?;
    ensure!(answer.code.is_none(), "{}: {}", sql.chars().take(200).collect::<String>(), answer.end);
    Ok(())
}

/// Name of the table itself, which may stand behind a view.
fn base(table: &Table) -> String {
    if MASKED.contains(&table.name) { table.name.replace("silver.", "raw.") } else { table.name.to_owned() }
}

fn definition(table: &Table) -> String {
    let kind = |kind| match kind {
        Kind::Long => "bigint",
        Kind::Double => "double precision",
        Kind::Bool => "boolean",
        Kind::Date => "date",
        Kind::Instant => "timestamptz",
        Kind::Decimal => "numeric(12,2)",
        Kind::Text | Kind::Person | Kind::Texts => "text",
    };
    let columns: Vec<_> =
        table.columns.iter().map(|column| format!("{} {}", column.name, kind(column.kind))).collect();
    format!("CREATE TABLE {} ({})", base(table), columns.join(", "))
}

fn insert(table: &Table, rows: &[&Row]) -> String {
    let mut sql = format!("INSERT INTO {} VALUES ", base(table));
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<_> = row.iter().map(literal).collect();
        let comma = if index > 0 { ", " } else { "" };
        let _ = write!(sql, "{comma}({})", cells.join(", "));
    }
    sql
}

fn literal(cell: &Cell) -> String {
    match cell {
        Cell::Long(value) => format!("'{value}'"),
        Cell::Double(value) => format!("'{value:?}'"),
        Cell::Text(value) => format!("'{}'", value.replace('\'', "''")),
        Cell::Bool(value) => value.to_string(),
        Cell::Date(day) => format!("date '1970-01-01' + ({day})"),
        Cell::Instant(instant) => {
            format!("timestamptz '1970-01-01 00:00:00+00' + interval '{instant} microseconds'")
        }
        Cell::Decimal(value) => format!("{value} / 100.0"),
        Cell::Null | Cell::Person(_, _) | Cell::Texts(_) => "NULL".to_owned(),
    }
}

/// The inner and the outer pad of HMAC under the key, as PostgreSQL's bytes.
fn pads() -> (String, String) {
    let mut key = [0_u8; 64];
    if KEY.len() > key.len() {
        key[..32].copy_from_slice(digest(&SHA256, KEY).as_ref());
    } else {
        key[..KEY.len()].copy_from_slice(KEY);
    }
    let pad = |with: u8| {
        let digits: String = key.iter().map(|byte| format!("{:02x}", byte ^ with)).collect();
        format!("'\\x{digits}'::bytea")
    };
    (pad(0x36), pad(0x5c))
}
