//! Very many policies over a catalog of many tables: what a person, a plan and a reload cost.

mod set;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use cpu_time::ThreadTime;
use futures::StreamExt as _;
use lakeward_catalog::{CatalogOptions, LakeCatalog, LayerRoot};
use lakeward_executor::{RuntimeOptions, build_runtime};
use lakeward_policy::identity::{IdentityStore, ScramVerifier};
use lakeward_policy::{PolicyEngine, Principal, Reload};
use lakeward_scheduler::audit::{AuditLog, AuditOptions};
use lakeward_scheduler::coordinator::{
    Coordinator, CoordinatorOptions, CoordinatorParts, Views, load_policies,
};
use lakeward_scheduler::session::{ClientInfo, Outcome, Protocol, Session};
use url::Url;
use zeroize::Zeroizing;

use crate::engine::EngineOptions;

pub use set::Size;

/// Durations in the order they were measured.
#[derive(Debug, Default)]
struct Series(Vec<Duration>);

impl Series {
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
        sorted.get(index).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e3)
    }

    fn text(&self) -> String {
        format!("{:>9.3} ({:.3} to {:.3})", self.quantile(0.5), self.quantile(0.25), self.quantile(0.75))
    }
}

/// What one set of policies costs.
#[derive(Debug, Default)]
struct Costs {
    resolve: Series,
    first_plan: Series,
    next_plan: Series,
    wide_plan: Series,
    listing: Series,
    reload: Series,
    reload_cpu: Series,
    alone: Series,
    meanwhile: Series,
}

/// A line of the report: what it is about, and where its measurements are.
type Line = (&'static str, fn(&Costs) -> &Series);

/// Makes the tables unless they are there, and measures the large set of policies against a single grant.
pub async fn measure(directory: &Path, size: Size, rounds: usize) -> Result<String> {
    let lake = set::ensure_tables(directory, size)?;
    let one = costs(&lake, size, rounds, &set::one_grant()).await?;
    let many = costs(&lake, size, rounds, &set::policies(size)).await?;
    let mut text = format!(
        "{} tables, {} grants, {} roles, {} row filters, {} masks; milliseconds, median (quartiles) of {rounds}\n{:<34}{:<34}{:<34}difference of medians\n",
        size.tables, size.grants, size.roles, size.row_filters, size.masks, "", "one grant", "all policies",
    );
    let lines: [Line; 7] = [
        ("a person's policies", |costs| &costs.resolve),
        ("session and first plan", |costs| &costs.first_plan),
        ("plan after that", |costs| &costs.next_plan),
        ("first plan over the wide table", |costs| &costs.wide_plan),
        ("information_schema.tables, first", |costs| &costs.listing),
        ("reload", |costs| &costs.reload),
        ("reload, CPU of its thread", |costs| &costs.reload_cpu),
    ];
    for (what, series) in lines {
        let (one, many) = (series(&one), series(&many));
        let difference = many.quantile(0.5) - one.quantile(0.5);
        text.push_str(&format!("{what:<34}{:<34}{:<34}{difference:+.3}\n", one.text(), many.text()));
    }
    text.push_str(&format!(
        "longest of {} statements alone: {:.1}; of {} while policies are reloaded again and again: {:.1}\n",
        many.alone.0.len(),
        many.alone.quantile(1.0),
        many.meanwhile.0.len(),
        many.meanwhile.quantile(1.0),
    ));
    Ok(text)
}

struct Service {
    coordinator: Arc<Coordinator>,
    policies: Arc<PolicyEngine>,
    file: PathBuf,
    text: String,
    _directory: tempfile::TempDir,
}

impl Service {
    async fn open(lake: &Path, text: &str, size: Size, rounds: usize) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let location = Url::from_directory_path(fs::canonicalize(lake)?);
        let location = location.map_err(|()| anyhow!("no URL for {}", lake.display()))?;
        let roots = vec![LayerRoot { schema: set::SCHEMA.to_owned(), location }];
        let catalog = LakeCatalog::open(CatalogOptions { roots, ..CatalogOptions::default() }).await?;
        let file = directory.path().join("policies.yaml");
        fs::write(&file, text)?;
        let mut key = fs::OpenOptions::new();
        let key = key.write(true).create_new(true).mode(0o600).open(directory.path().join("mask.key"));
        key?.write_all(&[7; 32])?;
        let users = directory.path().join("users.yaml");
        let verifier = ScramVerifier::generate(&uuid::Uuid::new_v4().to_string())?;
        let mut accounts = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&users)?;
        writeln!(accounts, "version: 1\nusers:")?;
        let people = (0..rounds).flat_map(|round| [format!("planning{round}"), format!("listing{round}")]);
        for name in people.chain(["busy".to_owned()]) {
            writeln!(accounts, "  - {}", set::account(&set::person(&name, size), &verifier.to_string()))?;
        }
        let (root, policy_file) = (directory.path().to_owned(), file.clone());
        let (parts, policies) = tokio::task::spawn_blocking(move || -> Result<_> {
            let options = EngineOptions::default();
            let runtime = RuntimeOptions {
                memory_limit: options.memory_limit,
                spill_directory: root.join("spill"),
                spill_limit: 1 << 30,
                footer_cache: options.footer_cache,
            };
            let policies = Arc::new(load_policies(vec![policy_file], &catalog)?);
            let parts = CoordinatorParts {
                policies: Arc::clone(&policies),
                views: Arc::new(Views::none()),
                identity: Arc::new(IdentityStore::load(users)?),
                runtime: build_runtime(&runtime, catalog.object_stores())?,
                audit: AuditLog::open(AuditOptions::new(root.join("audit"), Zeroizing::new(vec![7; 32])))?,
                metrics: prometheus::Registry::new(),
                options: CoordinatorOptions {
                    database: "lakeward".to_owned(),
                    statement_timeout: None,
                    target_partitions: options.target_partitions,
                    batch_size: options.batch_size,
                    pushdown_filters: false,
                },
                catalog,
            };
            Ok((parts, policies))
        })
        .await??;
        Ok(Self {
            coordinator: Coordinator::start(parts)?,
            policies,
            file,
            text: text.to_owned(),
            _directory: directory,
        })
    }

    async fn session(&self, principal: Principal) -> Result<Arc<Session>> {
        let client =
            ClientInfo { protocol: Protocol::Internal, peer: None, application: "policies".to_owned() };
        self.coordinator.open_session(principal, client).await.map_err(|error| anyhow!("{error:?}"))
    }

    /// Puts a file in force that says the same in other words. Reads files.
    fn reload(&self, round: usize) -> Result<(Duration, Duration)> {
        fs::write(&self.file, format!("{}# {round}\n", self.text))?;
        let (started, busy) = (Instant::now(), ThreadTime::now());
        let Reload::Changed(_) = self.coordinator.reload_policies()? else { bail!("nothing was reloaded") };
        Ok((started.elapsed(), busy.elapsed()))
    }
}

async fn plan(session: &Arc<Session>, sql: &str) -> Result<()> {
    let failed = |error| anyhow!("{error:?}");
    let statements = session.parse(sql).map_err(failed)?;
    let [statement] = statements.as_slice() else { bail!("{} statements", statements.len()) };
    session.prepare(statement, &[]).await.map_err(failed)?;
    Ok(())
}

async fn rows(session: &Arc<Session>, sql: &str) -> Result<usize> {
    let failed = |error| anyhow!("{error:?}");
    let statements = session.parse(sql).map_err(failed)?;
    let [statement] = statements.as_slice() else { bail!("{} statements", statements.len()) };
    let prepared = session.prepare(statement, &[]).await.map_err(failed)?;
    let Outcome::Rows { mut stream, .. } = session.execute(&prepared, Vec::new()).await.map_err(failed)?
    else {
        bail!("no rows")
    };
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.map_err(|error| anyhow!("{error:?}"))?.num_rows();
    }
    Ok(rows)
}

async fn costs(lake: &Path, size: Size, rounds: usize, text: &str) -> Result<Costs> {
    let service = Arc::new(Service::open(lake, text, size, rounds).await?);
    let mut costs = Costs::default();
    for round in 0..rounds {
        let person = |kind: &str| set::person(&format!("{kind}{round}"), size);
        let principal = Arc::new(person("resolved"));
        let started = Instant::now();
        std::hint::black_box(service.policies.resolve(&principal));
        costs.resolve.0.push(started.elapsed());

        let table = |step: usize| set::table((round * 7 + step) % size.tables);
        let started = Instant::now();
        let session = service.session(person("planning")).await?;
        plan(&session, &format!("SELECT c1, count(*) FROM lake.{} GROUP BY c1", table(0))).await?;
        costs.first_plan.0.push(started.elapsed());
        for step in 1..4 {
            let sql =
                format!("SELECT c1, count(*) FROM lake.{} WHERE c2 = '{round}' GROUP BY c1", table(step));
            let started = Instant::now();
            plan(&session, &sql).await?;
            costs.next_plan.0.push(started.elapsed());
        }
        let started = Instant::now();
        plan(&session, &format!("SELECT * FROM lake.wide WHERE c2 = '{round}'")).await?;
        costs.wide_plan.0.push(started.elapsed());

        let session = service.session(person("listing")).await?;
        let started = Instant::now();
        let listed =
            rows(&session, "SELECT * FROM information_schema.tables WHERE table_schema = 'lake'").await?;
        costs.listing.0.push(started.elapsed());
        ensure!(listed == size.tables + 1, "{listed} tables are listed");
    }
    for round in 0..rounds.min(10) {
        let service = Arc::clone(&service);
        let (took, busy) = tokio::task::spawn_blocking(move || service.reload(round)).await??;
        costs.reload.0.push(took);
        costs.reload_cpu.0.push(busy);
    }
    let session = service.session(set::person("busy", size)).await?;
    costs.alone = statements(&session, size, || false, rounds * 20).await?;
    let done = Arc::new(AtomicBool::new(false));
    let reloads = {
        let (service, done) = (Arc::clone(&service), Arc::clone(&done));
        tokio::task::spawn_blocking(move || -> Result<()> {
            let outcome = (100..105).try_for_each(|round| service.reload(round).map(|_| ()));
            done.store(true, Ordering::Release);
            outcome
        })
    };
    costs.meanwhile = statements(&session, size, || done.load(Ordering::Acquire), usize::MAX).await?;
    reloads.await??;
    Ok(costs)
}

/// Statements, one after the other, until `enough` or `limit`.
async fn statements(
    session: &Arc<Session>,
    size: Size,
    enough: impl Fn() -> bool,
    limit: usize,
) -> Result<Series> {
    let mut series = Series::default();
    while series.0.len() < limit && !enough() {
        let number = series.0.len();
        let sql =
            format!("SELECT count(*) FROM lake.{} WHERE c1 = '{number}'", set::table(number % size.tables));
        let started = Instant::now();
        rows(session, &sql).await?;
        series.0.push(started.elapsed());
    }
    Ok(series)
}
