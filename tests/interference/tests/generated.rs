//! Policies and statements that nobody wrote.
//!
//! The budget of a usual run is fixed, and so is what it draws: a change is not refused for what another one
//! broke. `PROPTEST_CASES` (scenarios for each test) asks for more, drawn anew each time; `PROPTEST_RNG_SEED` repeats a
//! run.
#![expect(clippy::unwrap_used, reason = "tests")]

use lakeward_interference::counts::keep;
use lakeward_interference::generated::trial::{Budget, Shrinking, Tally, search};
use proptest::test_runner::{Config, RngSeed, TestRunner};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn nothing_tells(usual_seed: u64) {
    let scenarios = number("PROPTEST_CASES");
    let seed = number("PROPTEST_RNG_SEED").unwrap_or_else(|| match scenarios {
        Some(_) => std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), usual_seed),
        None => usual_seed,
    });
    println!("PROPTEST_RNG_SEED={seed}");
    let budget = Budget {
        scenarios: u32::try_from(scenarios.unwrap_or(12)).unwrap(),
        statements: 30,
        shrinking: Shrinking { statements: 300, policies: 30 },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let mut tally = Tally::default();
    let found = search(&mut TestRunner::new(config), &runtime, budget, &mut tally, || {}).unwrap();
    println!("{tally}");
    let told = found.map(|finding| finding.to_string()).unwrap_or_default();
    assert!(told.is_empty(), "a drawn statement tells the lakes apart (PROPTEST_RNG_SEED={seed})\n{told}");
    keep(env!("CARGO_TARGET_TMPDIR"), &format!("drawn-{usual_seed}"), tally.statements).unwrap();
    // The engine fails to plan a few, which tells nobody anything.
    let internal = tally.refused.get("XX000").map_or(0, |(count, _)| *count);
    assert!(internal * 100 <= tally.statements, "too many statements end with an internal error: {tally}");
    // What is refused proves little, and what returns nothing hardly more.
    assert!(tally.succeeded * 100 >= tally.statements * 70, "too few statements succeed: {tally}");
    assert!(tally.with_rows * 100 >= tally.statements * 40, "too few statements return rows: {tally}");
}

// Each in a process of its own, so that a slow machine has time for all of them.
#[test]
fn nothing_drawn_tells_lakes_apart() {
    nothing_tells(20);
}

#[test]
fn nothing_else_drawn_tells_lakes_apart() {
    nothing_tells(21);
}

#[test]
fn nothing_more_drawn_tells_lakes_apart() {
    nothing_tells(22);
}
