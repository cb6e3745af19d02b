//! What a user can observe of one statement, and when two observations are the same.

use std::fmt;

/// What came back for one step of a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Name and type of each column.
    pub columns: Vec<String>,
    /// Rows as text, columns separated by `|`.
    pub rows: Vec<String>,
    /// Command tag, or SQLSTATE and text with all that comes with it.
    pub end: String,
    /// SQLSTATE, where it failed.
    pub code: Option<String>,
    /// Notices, parameter reports.
    pub notices: Vec<String>,
    /// The statement's own row in system.queries: state, SQLSTATE, rows.
    pub account: Vec<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    columns  {}", self.columns.join(", "))?;
        for row in self.rows.iter().take(12) {
            writeln!(f, "    row      {row}")?;
        }
        if self.rows.len() > 12 {
            writeln!(f, "    … {} rows in all", self.rows.len())?;
        }
        writeln!(f, "    end      {}", self.end)?;
        for notice in &self.notices {
            writeln!(f, "    notice   {notice}")?;
        }
        writeln!(f, "    account  {}", self.account.join(", "))
    }
}

impl Answer {
    /// Leaves what a statement promises: rows in order where it asks for one; of a failed statement its
    /// error, not how many rows had left before (that is up to the scheduling of its tasks).
    #[must_use]
    pub fn normal(mut self, ordered: bool) -> Self {
        if self.code.is_some() {
            self.rows.clear();
            // State and SQLSTATE stay.
            self.account.iter_mut().for_each(|row| {
                if let Some((kept, _rows)) = row.rsplit_once('|') {
                    *row = kept.to_owned();
                }
            });
        }
        // Planning errors name the engine's types.
        self.end = type_name(&self.end);
        if !ordered {
            self.rows.sort();
        }
        self
    }
}

/// A float without its last digits: the order of additions is not fixed.
#[must_use]
pub fn float(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.11e}") }
}

/// Type names that differ by layout in memory alone.
#[must_use]
pub fn type_name(name: &str) -> String {
    name.replace("Utf8View", "text").replace("LargeUtf8", "text").replace("Utf8", "text")
}

/// The first difference of two runs of a case, in words.
#[must_use]
pub fn difference(expected: &[Answer], got: &[Answer]) -> Option<String> {
    if expected.len() != got.len() {
        return Some(format!("{} answers instead of {}", got.len(), expected.len()));
    }
    let (step, (expected, got)) =
        expected.iter().zip(got).enumerate().find(|(_, (expected, got))| expected != got)?;
    let row = expected
        .rows
        .iter()
        .zip(&got.rows)
        .find(|(expected, got)| expected != got)
        .map(|(expected, got)| {
            format!("  first row that differs: {got}\n  instead of:             {expected}\n")
        })
        .unwrap_or_default();
    Some(format!("step {}\n{row}  expected\n{expected}  got\n{got}", step + 1))
}
