//! Every statement on every path.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use lakeward_interference::cases::{Case, read_all};
use lakeward_interference::counts::keep;
use lakeward_interference::matrix::{Finding, MATRIX, Trio, find};

fn cases() -> Vec<Case> {
    read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("statements")).unwrap()
}

fn shown(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect()
}

async fn holds(name: &str) {
    let cases = cases();
    let path = find(name).unwrap();
    let mut trio = Trio::start(path).await.unwrap();
    let suits = |case: &&Case| case.known.is_none() && case.door.is_none_or(|door| door == path.door);
    let judged: Vec<_> = cases.iter().filter(suits).collect();
    let findings = trio.judge_all(judged.iter().copied()).await.unwrap();
    assert!(findings.is_empty(), "{} cases tell the lakes apart\n{}", findings.len(), shown(&findings));
    let statements = judged.iter().map(|case| case.statements()).sum();
    println!("{name}: {} cases, {statements} statements x 3 lakes", judged.len());
    keep(env!("CARGO_TARGET_TMPDIR"), &format!("path-{name}"), statements).unwrap();
}

macro_rules! paths {
    ($($(#[$when:meta])? $name:ident),* $(,)?) => {
        $($(#[$when])? #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            holds(stringify!($name)).await;
        })*

        #[test]
        fn every_path_has_its_test() {
            let names: Vec<_> = MATRIX.iter().map(|path| path.name).collect();
            assert_eq!(names, [$($(#[$when])? stringify!($name)),*]);
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
    #[cfg(feature = "mutations")]
    parquet_8_pushdown,
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
