//! Measurements for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::EngineOptions;
use crate::interval::Interval;
use crate::overhead::{Cost, Pair, Series};

/// How something was measured.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// TPC-H scale factor.
    pub scale: f64,
    /// Pairs of each query.
    pub rounds: usize,
    /// Engine settings of both sides.
    pub engine: EngineOptions,
}

/// Costs of all queries together, by round.
fn totals(series: &[Series]) -> Vec<Pair> {
    let rounds = series.iter().map(|one| one.pairs.len()).min().unwrap_or(0);
    let sum = |costs: &mut dyn Iterator<Item = Cost>| {
        costs.fold(Cost::default(), |sum, cost| Cost { cpu: sum.cpu + cost.cpu, wall: sum.wall + cost.wall })
    };
    (0..rounds)
        .map(|round| {
            let of_round = || series.iter().filter_map(move |one| one.pairs.get(round));
            Pair {
                governed: sum(&mut of_round().map(|pair| pair.governed)),
                plain: sum(&mut of_round().map(|pair| pair.plain)),
            }
        })
        .collect()
}

type Part = fn(&Cost) -> Duration;
const CPU: Part = |cost| cost.cpu;
const WALL: Part = |cost| cost.wall;

fn interval(pairs: &[Pair], part: Part) -> Option<Interval> {
    Interval::of(
        pairs.iter().map(|pair| (part(&pair.governed).as_secs_f64(), part(&pair.plain).as_secs_f64())),
    )
}

/// Mean milliseconds.
fn mean(costs: impl ExactSizeIterator<Item = Duration>) -> f64 {
    let count = costs.len().max(1) as f64;
    costs.sum::<Duration>().as_secs_f64() * 1000.0 / count
}

/// A table of queries, and the total with its interval.
#[must_use]
pub fn text(setting: &Setting, series: &[Series]) -> String {
    let mut text = format!(
        "TPC-H SF{}, row filter and masks on every table, against the same filters and masks by hand\n\
         {} rounds of interleaved pairs, {} partitions, {} build; CPU of all threads, mean of a run\n\n\
         query   plain CPU ms   governed CPU ms   CPU ratio [95 %]          wall ratio\n",
        setting.scale,
        setting.rounds,
        setting.engine.target_partitions,
        build()
    );
    let mut line = |name: &str, pairs: &[Pair]| {
        let plain = mean(pairs.iter().map(|pair| pair.plain.cpu));
        let governed = mean(pairs.iter().map(|pair| pair.governed.cpu));
        let _ = write!(text, "{name:<7} {plain:>12.1} {governed:>17.1}   ");
        let _ = match (interval(pairs, CPU), interval(pairs, WALL)) {
            (Some(cpu), Some(wall)) => {
                writeln!(text, "{:.3} [{:.3}, {:.3}]      {:>8.3}", cpu.ratio, cpu.low, cpu.high, wall.ratio)
            }
            _ => writeln!(text, "(one pair tells nothing)"),
        };
    };
    for one in series {
        line(&format!("q{}", one.query.number), &one.pairs);
    }
    line("total", &totals(series));
    text
}

/// The same as JSON, with every pair.
#[must_use]
pub fn json(setting: &Setting, series: &[Series]) -> Value {
    let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let cost = |cost: &Cost| json!({ "cpu_ms": milliseconds(cost.cpu), "wall_ms": milliseconds(cost.wall) });
    let pairs = |pairs: &[Pair]| -> Vec<Value> {
        pairs
            .iter()
            .map(|pair| json!({ "governed": cost(&pair.governed), "plain": cost(&pair.plain) }))
            .collect()
    };
    let ratio =
        |found: Option<Interval>| found.map(|i| json!({ "ratio": i.ratio, "low": i.low, "high": i.high }));
    let of = |name: String, all: &[Pair]| json!({ "name": name, "cpu": ratio(interval(all, CPU)), "wall": ratio(interval(all, WALL)), "pairs": pairs(all) });
    json!({
        "benchmark": "tpch",
        "scale": setting.scale,
        "rounds": setting.rounds,
        "build": build(),
        "target_partitions": setting.engine.target_partitions,
        "batch_size": setting.engine.batch_size,
        "confidence": 0.95,
        "queries": series.iter().map(|one| of(format!("q{}", one.query.number), &one.pairs)).collect::<Vec<_>>(),
        "total": of("total".to_owned(), &totals(series)),
    })
}

const fn build() -> &'static str {
    if cfg!(debug_assertions) { "dev" } else { "release" }
}
