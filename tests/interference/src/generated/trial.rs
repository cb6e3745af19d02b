//! Statements on the three lakes of a scenario.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, anyhow};
use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use crate::cases::{Case, Step};
use crate::generated::scenario::{Grant, Numbers, Scenario, strategy};
use crate::generated::statement::{Relation, Statement, draw};
use crate::generated::tape::Tape;
use crate::matrix::{Trio, told_apart};
use crate::service::Service;

/// A scenario with its lakes.
pub struct Trial {
    trio: Trio,
    /// The policy file.
    pub policies: String,
    readable: Vec<Relation>,
    others: Vec<Relation>,
}

/// How statements ended.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many ran.
    pub statements: usize,
    /// How many succeeded.
    pub succeeded: usize,
    /// How many of these returned rows.
    pub with_rows: usize,
    /// SQLSTATEs of the others: how often, and the last statement with what it was told.
    pub refused: BTreeMap<String, (usize, String)>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { statements, succeeded, with_rows, refused } = self;
        writeln!(f, "{statements} statements, {succeeded} succeeded, {with_rows} with rows")?;
        refused.iter().try_for_each(|(code, (count, last))| writeln!(f, "  {count} x {code}, such as {last}"))
    }
}

impl Trial {
    /// Writes the lakes and starts the services.
    pub async fn start(numbers: &Numbers) -> Result<Self> {
        let scenario = Scenario::new(numbers);
        let policies = scenario.policies();
        let [a, b, copy] = scenario.lakes();
        let service = |lake| Service::over(lake, scenario.tuning);
        let services = futures::try_join!(service(a), service(b), service(copy));
        let (a, b, copy) = services.with_context(|| policies.clone())?;
        let (readable, others): (Vec<_>, Vec<_>) =
            scenario.relations().into_iter().partition(|(_, grant)| *grant == Grant::Select);
        let names = |relations: Vec<(Relation, Grant)>| relations.into_iter().map(|(relation, _)| relation);
        Ok(Self {
            trio: Trio::of([a, b, copy], scenario.door),
            policies,
            readable: names(readable).collect(),
            others: names(others).collect(),
        })
    }

    /// The statement that `numbers` stand for.
    #[must_use]
    pub fn statement(&self, numbers: &[u32]) -> Statement {
        draw(&Tape::new(numbers), &self.readable, &self.others)
    }

    /// Runs it on all three; what tells them apart, if anything does.
    pub async fn judge(&mut self, statement: &Statement, tally: &mut Tally) -> Result<Option<String>> {
        let case = Case {
            place: "drawn".to_owned(),
            name: statement.sql.clone(),
            person: "alice".to_owned(),
            ordered: statement.ordered,
            code: None,
            // A plan shows what is masked: no predicate on it goes down.
            copy: !statement.sql.starts_with("EXPLAIN"),
            door: None,
            known: None,
            steps: vec![Step::Run(statement.sql.clone())],
        };
        let [a, b, copy] = self.trio.answers(&case).await?;
        tally.statements += 1;
        match a.last().and_then(|answer| Some((answer.code.clone()?, answer))) {
            Some((code, answer)) => {
                let refused = tally.refused.entry(code).or_default();
                *refused = (refused.0 + 1, format!("{}: {}", statement.sql, answer.end));
            }
            None => {
                tally.succeeded += 1;
                tally.with_rows += usize::from(a.iter().any(|answer| !answer.rows.is_empty()));
            }
        }
        Ok(told_apart(&case, &a, &b, &copy))
    }
}

/// A scenario and a statement that tell the lakes apart, as small as they were made.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The policy file.
    pub policies: String,
    /// The statement.
    pub statement: Statement,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policies, statement, what } = self;
        writeln!(f, "{}\n\nunder the policies\n\n{policies}\n{what}", statement.sql)
    }
}

/// How much is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Scenarios.
    pub scenarios: u32,
    /// Statements for each.
    pub statements: u32,
    /// Tries to make what was found smaller.
    pub shrinking: Shrinking,
}

/// Tries to make what was found smaller.
#[derive(Debug, Clone, Copy)]
pub struct Shrinking {
    /// Statements.
    pub statements: usize,
    /// Policies, each of which takes three lakes.
    pub policies: usize,
}

/// Draws and judges until something is found or the budget is spent. `before` runs when a scenario's lakes are there.
pub fn search(
    runner: &mut TestRunner,
    runtime: &Runtime,
    budget: Budget,
    tally: &mut Tally,
    before: impl Fn(),
) -> Result<Option<Finding>> {
    for _ in 0..budget.scenarios {
        let mut numbers = drawn(&strategy(), runner)?;
        let mut trial = runtime.block_on(Trial::start(&numbers.current()))?;
        before();
        for _ in 0..budget.statements {
            let mut tape = drawn(&vec(0..1_000_000_u32, 10..160), runner)?;
            let mut statement = trial.statement(&tape.current());
            let Some(mut what) = runtime.block_on(trial.judge(&statement, tally))? else { continue };
            // Simplified as proptest does it: a smaller one that still tells is kept, else a step back is taken.
            let spare = &mut Tally::default();
            for _ in 0..budget.shrinking.statements {
                if !tape.simplify() {
                    break;
                }
                loop {
                    let smaller = trial.statement(&tape.current());
                    if smaller == statement {
                        break;
                    }
                    if let Some(told) = runtime.block_on(trial.judge(&smaller, spare))? {
                        (statement, what) = (smaller, told);
                        break;
                    }
                    if !tape.complicate() {
                        break;
                    }
                }
            }
            let mut policies = trial.policies.clone();
            for _ in 0..budget.shrinking.policies {
                if !numbers.simplify() {
                    break;
                }
                let mut smaller = runtime.block_on(Trial::start(&numbers.current()))?;
                before();
                match runtime.block_on(smaller.judge(&statement, spare))? {
                    Some(told) => (policies, what) = (smaller.policies, told),
                    None if numbers.complicate() => {}
                    None => break,
                }
            }
            return Ok(Some(Finding { policies, statement, what }));
        }
    }
    Ok(None)
}

fn drawn<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> Result<S::Tree> {
    strategy.new_tree(runner).map_err(|reason| anyhow!("nothing can be drawn: {reason}"))
}
