//! What policies cost: interleaved pairs of governed and plain runs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use cpu_time::ProcessTime;

use crate::answer::{Answer, compare};
use crate::governed::Governed;
use crate::plain::Plain;
use crate::queries::Query;

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Of all threads of the process.
    pub(crate) cpu: Duration,
    /// On the clock.
    pub(crate) wall: Duration,
}

/// Governed and plain, one right after the other.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pair {
    pub(crate) governed: Cost,
    pub(crate) plain: Cost,
}

/// All pairs of one query, a pair for each round.
#[derive(Debug)]
pub struct Series {
    /// The query.
    pub query: &'static Query,
    pub(crate) pairs: Vec<Pair>,
}

/// Runs every query on both sides in every round, after one round that is checked and not counted.
/// Which side goes first alternates.
pub async fn measure(
    queries: &[&'static Query],
    rounds: usize,
    plain: &Plain,
    governed: &Governed,
    progress: impl Fn(&str),
) -> Result<Vec<Series>> {
    for &query in queries {
        let whole = plain.answer(query.unlimited()).await?;
        let got = governed.answer(query.text).await?;
        plain.answer(query.text).await?;
        if let Some(difference) = compare(query, &whole, &got)? {
            bail!("q{}: the two sides do not do the same: {difference}", query.number);
        }
    }
    progress("both sides give the same answers");
    let mut series: Vec<Series> = queries.iter().map(|&query| Series { query, pairs: Vec::new() }).collect();
    for round in 0..rounds {
        for (index, one) in series.iter_mut().enumerate() {
            let text = one.query.text;
            let pair = if (round + index) % 2 == 0 {
                let plain = timed(plain.answer(text)).await;
                let governed = timed(governed.answer(text)).await;
                (governed, plain)
            } else {
                let governed = timed(governed.answer(text)).await;
                let plain = timed(plain.answer(text)).await;
                (governed, plain)
            };
            let context = || format!("q{}", one.query.number);
            let pair = Pair { governed: pair.0.with_context(context)?, plain: pair.1.with_context(context)? };
            one.pairs.push(pair);
        }
        progress(&format!("round {} of {rounds}", round + 1));
    }
    Ok(series)
}

async fn timed(run: impl Future<Output = Result<Answer>>) -> Result<Cost> {
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    let answer = run.await?;
    let cost = Cost { cpu: cpu.elapsed(), wall: wall.elapsed() };
    drop(answer);
    Ok(cost)
}
