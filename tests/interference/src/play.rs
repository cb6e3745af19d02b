//! Plays cases on a service and keeps what each person observes.

use std::collections::HashMap;

use anyhow::{Context as _, Result};

use crate::cases::{Case, Step};
use crate::doors::{Door, Visitor};
use crate::observe::Answer;
use crate::service::Service;

/// A statement's own row: the newest one with its text.
const ACCOUNT: &str = "SELECT state, sqlstate, rows FROM system.queries WHERE query = $1 AND state <> 'running' \
                       ORDER BY started_at DESC LIMIT 1";

/// The people who are in, each by the same door.
pub struct Stage {
    service: Service,
    door: Door,
    /// Sessions that cases left as they found them.
    visitors: HashMap<String, Visitor>,
    /// Sessions that read system.queries for somebody.
    accounts: HashMap<String, Visitor>,
}

impl Stage {
    /// Nobody is in yet.
    #[must_use]
    pub fn new(service: Service, door: Door) -> Self {
        Self { service, door, visitors: HashMap::new(), accounts: HashMap::new() }
    }

    /// Whether the case is one for this stage's door.
    #[must_use]
    pub fn suits(&self, case: &Case) -> bool {
        case.door.is_none_or(|door| door == self.door)
    }

    /// Plays one case; afterwards the policies are the original ones again.
    pub async fn play(&mut self, case: &Case) -> Result<Vec<Answer>> {
        let played = self.steps(case).await.with_context(|| format!("{} `{}`", case.place, case.name));
        if !case.leaves_no_trace() || played.is_err() {
            self.visitors.clear();
        }
        if case.steps.iter().any(|step| matches!(step, Step::Reload(_))) {
            self.service.reload("original").await?;
        }
        Ok(played?.into_iter().map(|answer| answer.normal(case.ordered)).collect())
    }

    async fn steps(&mut self, case: &Case) -> Result<Vec<Answer>> {
        if !case.leaves_no_trace() {
            self.visitors.clear();
        }
        let (mut person, mut quiet) = (case.person.clone(), false);
        let mut texts: HashMap<&str, &str> = HashMap::new();
        let mut answers = Vec::new();
        for step in &case.steps {
            let (mut answer, text) = match step {
                Step::As { person: next, quietly } => {
                    (person, quiet) = (next.clone(), *quietly);
                    continue;
                }
                Step::Reload(what) => {
                    self.service.reload(what).await?;
                    continue;
                }
                Step::Run(sql) => (self.visitor(&person).await?.run(sql).await?, Some(sql.as_str())),
                Step::Prepare { name, sql } => {
                    texts.insert(name, sql);
                    (self.visitor(&person).await?.prepare(name, sql).await?, None)
                }
                Step::Fetch { name, rows } => (self.visitor(&person).await?.fetch(name, *rows).await?, None),
                Step::Execute { name, parameters } => {
                    let answer = self.visitor(&person).await?.execute(name, parameters).await?;
                    (answer, texts.get(name.as_str()).copied())
                }
            };
            if quiet {
                continue;
            }
            if let Some(text) = text {
                answer.account = self.account(&person, text).await?;
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    async fn visitor(&mut self, person: &str) -> Result<&mut Visitor> {
        if !self.visitors.contains_key(person) {
            let visitor = Visitor::enter(&self.service, self.door, person).await?;
            self.visitors.insert(person.to_owned(), visitor);
        }
        self.visitors.get_mut(person).context("a visitor")
    }

    async fn account(&mut self, person: &str, text: &str) -> Result<Vec<String>> {
        if !self.accounts.contains_key(person) {
            let mut visitor = Visitor::enter(&self.service, Door::Inside, person).await?;
            visitor.prepare("account", ACCOUNT).await?;
            self.accounts.insert(person.to_owned(), visitor);
        }
        let visitor = self.accounts.get_mut(person).context("a visitor")?;
        let answer = visitor.execute("account", &[text.to_owned()]).await?;
        Ok(if answer.code.is_some() { vec![answer.end] } else { answer.rows })
    }
}
