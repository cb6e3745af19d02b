//! From removed rows to the rows that a scan reads.

use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use roaring::RoaringTreemap;

use super::format::FormatError;

/// The rows of a file of `rows` rows that `removed` leaves, over the whole file.
pub(crate) fn row_selection(removed: &RoaringTreemap, rows: u64) -> Result<RowSelection, FormatError> {
    if removed.max().is_some_and(|last| last >= rows) {
        return Err(FormatError::Rows);
    }
    let count = |rows: u64| usize::try_from(rows).map_err(|_| FormatError::Rows);
    let mut selectors = Vec::new();
    // Rows before `next` are dealt with; `run` are the removed ones right before it.
    let (mut next, mut run) = (0_u64, 0_u64);
    for row in removed {
        if row > next {
            if run > 0 {
                selectors.push(RowSelector::skip(count(run)?));
            }
            selectors.push(RowSelector::select(count(row - next)?));
            run = 0;
        }
        run += 1;
        next = row + 1;
    }
    if run > 0 {
        selectors.push(RowSelector::skip(count(run)?));
    }
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
