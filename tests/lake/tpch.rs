//! TPC-H under policies: a row filter and masks on every table (`benches/tpch/policies.yaml`).

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use lakeward_benches::check::{Finding, check};
use lakeward_benches::data::Data;
use lakeward_benches::engine::EngineOptions;
use lakeward_benches::governed::{Lake, Person};
use lakeward_benches::plain::Plain;
use lakeward_benches::skipping;

/// Small enough for every run of the tests, large enough that every query finds something and sees the policies.
const SCALE: f64 = 0.1;

/// Runs all queries as `person` and compares them with the copy that was filtered and masked by hand.
async fn findings(person: Person) -> Vec<Finding> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tpch");
    let data = Data::ensure(&target, SCALE).await.unwrap();
    let options = EngineOptions::default();
    let copy = Plain::copy(&data, &options).await.unwrap();
    let lake = Lake::open(&data, &options).await.unwrap();
    check(&copy, &lake.session(person).await.unwrap()).await.unwrap()
}

fn numbers<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<u8> {
    findings.into_iter().map(|finding| finding.query.number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_policies_all_answers_are_those_of_a_filtered_and_masked_copy() {
    let findings = findings(Person::Analyst).await;
    assert_eq!(findings.len(), 22);
    let wrong: Vec<String> = findings
        .iter()
        .filter_map(|finding| finding.difference.as_ref().map(|d| format!("q{}: {d}", finding.query.number)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // An empty answer proves little.
    assert_eq!(numbers(findings.iter().filter(|finding| finding.empty)), Vec::<u8>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_policies_all_answers_are_others() {
    let findings = findings(Person::Steward).await;
    assert_eq!(findings.len(), 22);
    assert_eq!(numbers(findings.iter().filter(|finding| finding.difference.is_none())), Vec::<u8>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_opened_that_statistics_rule_out() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tpch");
    let data = Data::ensure(&target, SCALE).await.unwrap();
    let scans = skipping::measure(&data, &EngineOptions::default()).await.unwrap();
    assert!(scans.iter().any(|scan| scan.needed * 20 < scan.files), "some query needs few files");
    for scan in scans {
        assert!(scan.opened <= scan.needed, "{scan:?}");
    }
}
