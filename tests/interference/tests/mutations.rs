//! Each protection, taken away, turns cases of its own red on the smallest path.
#![cfg(feature = "mutations")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use lakeward_interference::cases::read_all;
use lakeward_interference::generated::trial::{Budget, Shrinking, Tally, search};
use lakeward_interference::matrix::{Trio, find};
use lakeward_policy::mutation::{Mutation, activate};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tokio::sync::Mutex;

/// The switches are those of the whole process.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What each of `names` finds with these protections gone.
async fn findings(mutations: &[Mutation], names: &[&str]) -> Vec<String> {
    let _alone = ALONE.lock().await;
    let all = read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("statements")).unwrap();
    let mut trio = Trio::start(find("plain_1").unwrap()).await.unwrap();
    let mut found = Vec::new();
    for name in names {
        let case = all.iter().find(|case| case.name == *name).unwrap();
        activate(&[]);
        let before = trio.judge(case).await.unwrap();
        assert!(before.is_none(), "{}", before.unwrap());
        activate(mutations);
        let after = trio.judge(case).await.unwrap();
        found.push(after.map(|finding| finding.what).unwrap_or_default());
    }
    activate(&[]);
    found
}

async fn caught(mutations: &[Mutation], names: &[&str]) {
    let found = findings(mutations, names).await;
    let missed: Vec<_> = names.iter().zip(&found).filter(|(_, what)| what.is_empty()).collect();
    assert!(missed.is_empty(), "{mutations:?} goes unnoticed by {missed:?}");
}

macro_rules! mutations {
    ($($test:ident: [$($mutation:ident),+] => [$($name:literal),+ $(,)?];)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            caught(&[$(Mutation::$mutation),+], &[$($name),+]).await;
        })*
    };
}

mutations! {
    without_barrier_and_verifier: [BarrierOff, VerifierOff] => [
        "division-by-a-hidden-value", "cast-of-hidden-remarks", "hidden-flag-of-observations",
    ];
    with_every_predicate_pushed: [PushEverything, VerifierOff] => [
        "division-by-a-hidden-value", "equality-with-the-masked-name", "cast-of-hidden-remarks",
    ];
    with_limits_passed: [LimitPassed] => ["limit-counts-shown-rows"];
    with_dynamic_filters_on_masks: [DynamicFiltersOfAny] => ["dynamic-filter-from-a-masked-key"];
    with_bounds: [BoundsPass] => ["interval-analysis-of-ids-under-a-join"];
    with_exact_counts: [ExactCounts] => ["count-of-a-table", "count-of-every-table"];
    without_masks: [MaskDropped, VerifierOff] => [
        "all-patients", "equality-with-a-raw-name", "group-by-birth-year", "least-and-greatest-raw-values",
    ];
    without_row_filters: [RowFilterDropped, VerifierOff] => [
        "count-of-a-table", "division-by-a-hidden-value", "semi-join", "gaps-between-ids",
    ];
    with_raw_errors: [RawErrors] => ["cast-of-names-quotes-nothing", "cast-of-a-masked-number"];
    with_forbidden_told_from_missing: [ForbiddenTold] => [
        "forbidden-table", "forbidden-table-by-search-path", "forbidden-table-in-a-union",
    ];
    with_physical_plans: [PhysicalExplain] => ["explain-a-join", "explain-a-scan"];
    without_statement_list: [StatementListOff] => ["tablesample-system", "tablesample-bernoulli"];
    with_open_views: [ViewOpen] => ["division-by-a-hidden-value-in-a-view", "cast-of-hidden-remarks-in-a-view"];
    with_old_policies: [EpochUnchecked] => ["prepared-then-denied", "denied-while-connected"];
}

/// What is drawn at random notices, too, within the budget that it has without damage.
#[test]
fn what_is_drawn_notices() {
    let _alone = ALONE.blocking_lock();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let shrinking = Shrinking { statements: 0, policies: 0 };
    let budget = Budget { scenarios: 12, statements: 30, shrinking };
    for mutations in [
        &[Mutation::BarrierOff, Mutation::VerifierOff][..],
        &[Mutation::PushEverything, Mutation::VerifierOff],
        &[Mutation::MaskDropped, Mutation::VerifierOff],
        &[Mutation::RowFilterDropped, Mutation::VerifierOff],
        &[Mutation::ExactCounts],
        &[Mutation::ForbiddenTold],
    ] {
        let config = Config { rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..Config::default() };
        let mut tally = Tally::default();
        let found =
            search(&mut TestRunner::new(config), &runtime, budget, &mut tally, || activate(mutations));
        activate(&[]);
        let told = found.unwrap().map(|finding| finding.statement.sql).unwrap_or_default();
        assert!(!told.is_empty(), "{mutations:?} goes unnoticed by what is drawn: {tally}");
        println!("{mutations:?} after {} statements: {told}", tally.statements);
    }
}

/// What is not as decided is refused on both lakes alike: nothing of what is hidden shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verifier_refuses_what_is_not_as_decided() {
    for (mutation, name) in [
        (Mutation::BarrierOff, "division-by-a-hidden-value"),
        (Mutation::BarrierOff, "hidden-flag-of-observations"),
        (Mutation::RowFilterDropped, "count-of-a-table"),
        (Mutation::MaskDropped, "all-patients"),
        (Mutation::PushEverything, "division-by-a-hidden-value"),
    ] {
        for what in findings(&[mutation], &[name]).await {
            assert!(
                what.contains("0A000") && !what.contains("lake B differs"),
                "{mutation:?} {name}: {what}"
            );
        }
    }
}
