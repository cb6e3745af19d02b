//! Every query, governed and by hand.

use anyhow::{Context as _, Result};

use crate::answer::{Answer, Difference, compare};
use crate::governed::Governed;
use crate::plain::Plain;
use crate::queries::{QUERIES, Query};

/// What came of one query.
#[derive(Debug)]
pub struct Finding {
    /// The query.
    pub query: &'static Query,
    /// Rows of the governed answer.
    pub rows: usize,
    /// Whether the governed answer tells nothing.
    pub empty: bool,
    /// How it differs from the expected one.
    pub difference: Option<Difference>,
}

/// Runs all queries on both sides.
pub async fn check(expected: &Plain, governed: &Governed) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for query in &QUERIES {
        findings
            .push(check_one(query, expected, governed).await.with_context(|| format!("q{}", query.number))?);
    }
    Ok(findings)
}

async fn check_one(query: &'static Query, expected: &Plain, governed: &Governed) -> Result<Finding> {
    let whole = expected.answer(query.unlimited()).await.context("plain")?;
    let got: Answer = governed.answer(query.text).await.context("governed")?;
    let difference = compare(query, &whole, &got)?;
    Ok(Finding { query, rows: got.len(), empty: got.is_empty(), difference })
}
