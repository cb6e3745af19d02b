//! Every statement on every path.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use lakeward_interference::cases::{Case, read_all};
use lakeward_interference::matrix::{Finding, MATRIX, Trio, find};

fn cases() -> Vec<Case> {
    read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("statements")).unwrap()
}

fn shown(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect()
}

async fn holds(name: &str) {
    let cases = cases();
    let mut trio = Trio::start(find(name).unwrap()).await.unwrap();
    let judged = cases.iter().filter(|case| case.known.is_none());
    let findings = trio.judge_all(judged).await.unwrap();
    let statements: usize = cases.iter().map(Case::statements).sum();
    println!("{name}: {} cases, {statements} statements x {} paths x 3 lakes", cases.len(), MATRIX.len());
    assert!(findings.is_empty(), "{} cases tell the lakes apart\n{}", findings.len(), shown(&findings));
}

macro_rules! paths {
    ($($name:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            holds(stringify!($name)).await;
        })*

        #[test]
        fn every_path_has_its_test() {
            assert_eq!(MATRIX.map(|path| path.name).as_slice(), [$(stringify!($name)),*]);
        }
    };
}

paths! {
    plain_1,
    plain_8,
    plain_8_pushdown,
    plain_1_pushdown_expensive,
    plain_8_expensive,
    vectors_1,
    vectors_8_pushdown,
    plain_8_simple,
    plain_1_extended,
    vectors_8_extended_expensive,
}

/// What is marked as a known leak must leak somewhere: who mends it removes the mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_leaks_are_there() {
    let mut cases: Vec<_> = cases().into_iter().filter(|case| case.known.is_some()).collect();
    for path in ["plain_8", "plain_1", "plain_1_extended"] {
        let mut trio = Trio::start(find(path).unwrap()).await.unwrap();
        let mut tight = Vec::new();
        for case in cases {
            if trio.judge(&case).await.unwrap().is_none() {
                tight.push(case);
            }
        }
        cases = tight;
    }
    for Case { place, name, .. } in &cases {
        println!("{place} `{name}` does not leak any more: remove `-- known:`");
    }
    assert!(cases.is_empty(), "{} marks are out of date", cases.len());
}
