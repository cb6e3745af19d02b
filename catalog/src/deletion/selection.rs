//! From removed rows to the rows that a scan reads.

use std::ops::Range;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use roaring::RoaringTreemap;

use super::format::FormatError;

/// Rows of a run at and above which decoding by selection wins.
const LONG_RUN: u64 = 32;

/// The rows of a file that a deletion vector leaves, as a scan of it uses them.
#[derive(Debug)]
pub(crate) enum LeftRows {
    /// In long runs, over the whole file.
    Runs(RowSelection),
    /// One bit for each row of the file, unset where it is removed.
    Scattered(BooleanBuffer),
}

impl LeftRows {
    /// Those of a file of `rows` rows without the `removed` ones; never scattered unless `may_scatter`.
    pub(super) fn of(removed: &RoaringTreemap, rows: u64, may_scatter: bool) -> Result<Self, FormatError> {
        if !may_scatter || !is_scattered(removed, rows) {
            return row_selection(removed, rows).map(Self::Runs);
        }
        fits(removed, rows)?;
        let mut left = BooleanBufferBuilder::new(count(rows)?);
        let mut next = 0;
        for_each_run(removed, |run| {
            left.append_n(count(run.start - next)?, true);
            left.append_n(count(run.end - run.start)?, false);
            next = run.end;
            Ok(())
        })?;
        left.append_n(count(rows - next)?, true);
        Ok(Self::Scattered(left.finish()))
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Runs(selection) => selection.iter().count().saturating_mul(size_of::<RowSelector>()),
            Self::Scattered(bits) => bits.len().div_ceil(8),
        }
    }
}

/// Whether a file's rows are cut into runs that are short on average.
fn is_scattered(removed: &RoaringTreemap, rows: u64) -> bool {
    // A removed row has one run after it and one of its own, or is part of a longer one.
    if removed.len().saturating_mul(2).saturating_mul(LONG_RUN) <= rows {
        return false;
    }
    let mut runs = 1_u64;
    let counted = for_each_run(removed, |_| {
        runs += 2;
        Ok(())
    });
    counted.is_ok() && runs.saturating_mul(LONG_RUN) > rows
}

/// The rows of a file of `rows` rows that `removed` leaves, over the whole file.
pub(super) fn row_selection(removed: &RoaringTreemap, rows: u64) -> Result<RowSelection, FormatError> {
    fits(removed, rows)?;
    let mut selectors = Vec::new();
    let mut next = 0;
    for_each_run(removed, |run| {
        if run.start > next {
            selectors.push(RowSelector::select(count(run.start - next)?));
        }
        selectors.push(RowSelector::skip(count(run.end - run.start)?));
        next = run.end;
        Ok(())
    })?;
    if rows > next {
        selectors.push(RowSelector::select(count(rows - next)?));
    }
    Ok(RowSelection::from(selectors))
}

/// The rows of a file of `rows` rows that are in `kept`, over the whole file.
pub(crate) fn selection_of(kept: &RoaringTreemap, rows: u64) -> Result<RowSelection, FormatError> {
    let others: Vec<RowSelector> = row_selection(kept, rows)?.into();
    let turned =
        others.into_iter().map(|RowSelector { row_count, skip }| RowSelector { row_count, skip: !skip });
    Ok(RowSelection::from(turned.collect::<Vec<_>>()))
}

/// Rows that stay of a file whose log entry counts `rows` in all.
pub(crate) fn live_rows(rows: u64, cardinality: u64) -> Option<u64> {
    rows.checked_sub(cardinality)
}

fn fits(removed: &RoaringTreemap, rows: u64) -> Result<(), FormatError> {
    if removed.max().is_some_and(|last| last >= rows) { Err(FormatError::Rows) } else { Ok(()) }
}

fn count(rows: u64) -> Result<usize, FormatError> {
    usize::try_from(rows).map_err(|_| FormatError::Rows)
}

/// Calls `see` with each longest run of rows in `set`, in order.
fn for_each_run(
    set: &RoaringTreemap,
    mut see: impl FnMut(Range<u64>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut run = 0..0;
    for (high, bitmap) in set.bitmaps() {
        let base = u64::from(high) << 32;
        let mut rows = bitmap.iter();
        while let Some(part) = rows.next_range() {
            // The bitmap's own ranges end where its containers do.
            let part = base + u64::from(*part.start())..base + u64::from(*part.end()) + 1;
            if part.start == run.end {
                run.end = part.end;
                continue;
            }
            if !run.is_empty() {
                see(run)?;
            }
            run = part;
        }
    }
    if run.is_empty() { Ok(()) } else { see(run) }
}
