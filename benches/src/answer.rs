//! Answers, and whether two of them are the same.

use std::fmt::{self, Display};

use anyhow::{Result, ensure};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use futures::{Stream, StreamExt as _};

use crate::queries::Query;

/// Units in the last place that float results may differ by: the order of additions is not fixed.
const ULPS: u64 = 64;

type Row = Vec<ScalarValue>;

/// The rows of one statement.
#[derive(Debug, Clone)]
pub struct Answer {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

/// How an answer is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference(String);

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Answer {
    /// Reads a stream to its end.
    pub async fn collect<E: Into<anyhow::Error>>(
        schema: SchemaRef,
        rows: impl Stream<Item = Result<RecordBatch, E>>,
    ) -> Result<Self> {
        let mut rows = std::pin::pin!(rows);
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await {
            batches.push(batch.map_err(Into::into)?);
        }
        Ok(Self { schema, batches })
    }

    /// The batches as they came.
    #[must_use]
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether it tells nothing: no rows, or one of NULLs and zero counts only.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
            || (self.len() == 1
                && self
                    .batches
                    .iter()
                    .all(|batch| batch.columns().iter().all(|column| column.null_count() == column.len())))
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(self.len());
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                rows.push(
                    batch
                        .columns()
                        .iter()
                        .map(|column| ScalarValue::try_from_array(column, row))
                        .collect::<Result<_, _>>()?,
                );
            }
        }
        Ok(rows)
    }
}

/// Whether `got` answers `query` as `whole` does, which is the expected answer without the query's
/// LIMIT. Rows come in the order that ORDER BY promises; rows that tie may come in any order, and of
/// those that tie with the last one any may be there.
pub fn compare(query: &Query, whole: &Answer, got: &Answer) -> Result<Option<Difference>> {
    // Names that the engine makes of expressions are not those that PostgreSQL makes.
    let columns = |answer: &Answer| -> Vec<String> {
        let named = whole.schema.fields().iter().map(|field| !field.name().contains('('));
        let fields = answer.schema.fields().iter().zip(named.chain(std::iter::repeat(true)));
        fields
            .map(|(field, named)| {
                format!("{} {}", if named { field.name().as_str() } else { "?" }, field.data_type())
            })
            .collect()
    };
    let (expected, found) = (columns(whole), columns(got));
    if expected != found {
        return Ok(Some(Difference(format!("columns {found:?} instead of {expected:?}"))));
    }
    ensure!(query.order.iter().all(|&key| key < expected.len()), "q{}: no such sort column", query.number);
    let (whole, got) = (whole.rows()?, got.rows()?);
    let count = query.limit.map_or(whole.len(), |limit| limit.min(whole.len()));
    if got.len() != count {
        return Ok(Some(Difference(format!("{} rows instead of {count}", got.len()))));
    }
    let keys = |row: &Row| -> Row { query.order.iter().filter_map(|&key| row.get(key).cloned()).collect() };
    let mut start = 0;
    for ties in whole.chunk_by(|a, b| same_row(&keys(a), &keys(b))) {
        let Some(rest) = got.get(start..).filter(|rest| !rest.is_empty()) else { break };
        let mut candidates: Vec<&Row> = ties.iter().collect();
        for (offset, row) in rest.iter().take(ties.len()).enumerate() {
            let Some(found) = candidates.iter().position(|candidate| same_row(candidate, row)) else {
                let line = start + offset + 1;
                return Ok(Some(Difference(format!(
                    "row {line} is [{}], not one of {}",
                    shown(row),
                    some(&candidates)
                ))));
            };
            candidates.swap_remove(found);
        }
        start += ties.len();
    }
    Ok(None)
}

fn some(rows: &[&Row]) -> String {
    rows.iter().take(3).map(|row| format!("[{}]", shown(row))).collect::<Vec<_>>().join(" ")
}

fn shown(row: &Row) -> String {
    row.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn same_row(a: &Row, b: &Row) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn same(a: &ScalarValue, b: &ScalarValue) -> bool {
    match (a, b) {
        (ScalarValue::Float64(Some(a)), ScalarValue::Float64(Some(b))) => {
            a == b || ordinal(*a).abs_diff(ordinal(*b)) <= ULPS
        }
        _ => a == b,
    }
}

/// Floats in their order as integers: neighbours differ by one.
fn ordinal(value: f64) -> i64 {
    let bits = i64::from_ne_bytes(value.to_ne_bytes());
    if bits < 0 { i64::MIN - bits } else { bits }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array};

    use super::*;

    fn answer(rows: &[(i64, f64)]) -> Answer {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.1)));
        let batch = RecordBatch::try_from_iter([("k", keys), ("v", values)]).unwrap();
        Answer { schema: batch.schema(), batches: vec![batch] }
    }

    fn differs(
        order: &'static [usize],
        limit: Option<usize>,
        whole: &[(i64, f64)],
        got: &[(i64, f64)],
    ) -> bool {
        let query = Query { number: 1, text: "", order, limit };
        compare(&query, &answer(whole), &answer(got)).unwrap().is_some()
    }

    #[test]
    fn ties_may_come_in_any_order_and_others_may_not() {
        assert!(!differs(&[0], None, &[(1, 1.0), (1, 2.0), (2, 3.0)], &[(1, 2.0), (1, 1.0), (2, 3.0)]));
        assert!(differs(&[0], None, &[(1, 1.0), (2, 3.0)], &[(2, 3.0), (1, 1.0)]));
        assert!(!differs(&[], None, &[(1, 1.0), (2, 3.0)], &[(2, 3.0), (1, 1.0)]));
    }

    #[test]
    fn a_limit_may_cut_ties_anywhere_but_takes_no_foreign_row() {
        let whole = [(1, 1.0), (2, 2.0), (2, 3.0), (3, 4.0)];
        assert!(!differs(&[0], Some(2), &whole, &[(1, 1.0), (2, 3.0)]));
        assert!(differs(&[0], Some(2), &whole, &[(1, 1.0), (3, 4.0)]));
        assert!(differs(&[0], Some(3), &whole, &[(1, 1.0), (2, 3.0), (2, 3.0)]));
    }

    #[test]
    fn rows_that_are_missing_or_too_many_are_seen() {
        assert!(differs(&[0], None, &[(1, 1.0), (2, 2.0)], &[(1, 1.0)]));
        assert!(differs(&[0], None, &[(1, 1.0)], &[(1, 1.0), (1, 1.0)]));
    }

    #[test]
    fn floats_may_differ_in_their_last_places_only() {
        assert!(!differs(&[0], None, &[(1, 0.1 + 0.2)], &[(1, 0.3)]));
        assert!(differs(&[0], None, &[(1, 0.3)], &[(1, 0.300_000_1)]));
        assert!(differs(&[0], None, &[(1, 0.3)], &[(1, -0.3)]));
    }
}
