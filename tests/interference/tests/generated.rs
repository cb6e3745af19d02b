//! Policies and statements that nobody wrote.
//!
//! The budget of a usual run is fixed, and so is what it draws: a change is not refused for what another one
//! broke. `PROPTEST_CASES` (scenarios) asks for more, drawn anew each time; `PROPTEST_RNG_SEED` repeats a run.
#![expect(clippy::unwrap_used, reason = "tests")]

use lakeward_interference::generated::trial::{Budget, Shrinking, Tally, search};
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// What a usual run draws from.
const SEED: u64 = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn random_statements_under_random_policies_do_not_tell_lakes_apart() {
    let scenarios = number("PROPTEST_CASES");
    let seed = number("PROPTEST_RNG_SEED").unwrap_or_else(|| match scenarios {
        Some(_) => std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "seed"),
        None => SEED,
    });
    println!("PROPTEST_RNG_SEED={seed}");
    let budget = Budget {
        scenarios: u32::try_from(scenarios.unwrap_or(14)).unwrap(),
        statements: 30,
        shrinking: Shrinking { statements: 300, policies: 30 },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner =
        TestRunner::new(Config { rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() });
    let mut tally = Tally::default();
    let found = search(&mut runner, &runtime, budget, &mut tally, || {}).unwrap();
    println!("{tally}");
    if let Some(finding) = found {
        panic!("a statement that was drawn tells the lakes apart (PROPTEST_RNG_SEED={seed})\n{finding}");
    }
    // What is refused proves little, and what returns nothing hardly more.
    assert!(tally.succeeded * 100 >= tally.statements * 70, "too few statements succeed: {tally}");
    assert!(tally.with_rows * 100 >= tally.statements * 40, "too few statements return rows: {tally}");
}
