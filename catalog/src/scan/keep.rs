//! Rows without those that a deletion vector scatters over a file, taken out of decoded batches.
//!
//! As a selection such rows cut a file into runs of a few rows each, which the engine flattens, splits and
//! joins again several times, and which let no page be skipped. So the file is read whole, with the number
//! of each row, and batches lose the rows afterwards.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::FilterBuilder;
use arrow::datatypes::Int64Type;
use datafusion::common::{DataFusionError, Result};
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner};
use futures::StreamExt as _;
use futures::stream::BoxStream;

/// The rows of a file that stay, a bit for each row.
#[derive(Debug)]
pub(super) struct KeptRows(pub(super) BooleanBuffer);

impl KeptRows {
    /// A batch whose last column numbers its rows, without that column and without the rows that do not stay.
    fn keep(&self, numbered: &RecordBatch) -> Result<RecordBatch> {
        let last = numbered.num_columns().checked_sub(1).ok_or_else(unnumbered)?;
        let numbers = numbered.column(last).as_primitive_opt::<Int64Type>().ok_or_else(unnumbered)?;
        if numbers.null_count() > 0 {
            return Err(unnumbered());
        }
        let kept = BooleanArray::new(self.bits(numbers.values())?, None);
        let rows = numbered.project(&(0..last).collect::<Vec<_>>())?;
        if kept.true_count() == rows.num_rows() {
            return Ok(rows);
        }
        let filter = FilterBuilder::new(&kept).optimize().build();
        Ok(filter.filter_record_batch(&rows)?)
    }

    /// Which of the rows with these numbers stay.
    fn bits(&self, numbers: &[i64]) -> Result<BooleanBuffer> {
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Ok(BooleanBuffer::new_unset(0));
        };
        let in_file = |number: i64| {
            usize::try_from(number).ok().filter(|row| *row < self.0.len()).ok_or_else(unnumbered)
        };
        let (first, last) = (in_file(*first)?, in_file(*last)?);
        // Numbers rise; without a gap the bits are those of the file.
        if last.checked_sub(first) == Some(numbers.len() - 1) && numbers.is_sorted() {
            return Ok(self.0.slice(first, numbers.len()));
        }
        let mut bits = BooleanBufferBuilder::new(numbers.len());
        for number in numbers {
            bits.append(self.0.value(in_file(*number)?));
        }
        Ok(bits.finish())
    }
}

fn unnumbered() -> DataFusionError {
    DataFusionError::Internal("rows of a file came without their numbers".to_owned())
}

/// Plans a file whose rows are numbered, and takes rows out of what it gives.
pub(super) struct KeepingPlanner {
    pub(super) inner: Box<dyn MorselPlanner>,
    pub(super) kept: Arc<KeptRows>,
}

impl fmt::Debug for KeepingPlanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepingPlanner").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl KeepingPlanner {
    fn boxed(inner: Box<dyn MorselPlanner>, kept: Arc<KeptRows>) -> Box<dyn MorselPlanner> {
        Box::new(Self { inner, kept })
    }
}

impl MorselPlanner for KeepingPlanner {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let Self { inner, kept } = *self;
        let Some(mut plan) = inner.plan()? else { return Ok(None) };
        let morsels = plan.take_morsels().into_iter();
        let planners = plan.take_ready_planners().into_iter();
        let mut keeping = MorselPlan::new()
            .with_morsels(
                morsels
                    .map(|inner| {
                        Box::new(KeepingMorsel { inner, kept: Arc::clone(&kept) }) as Box<dyn Morsel>
                    })
                    .collect(),
            )
            .with_planners(planners.map(|inner| Self::boxed(inner, Arc::clone(&kept))).collect());
        if let Some(pending) = plan.take_pending_planner() {
            keeping.set_pending_planner(async move { Ok(Self::boxed(pending.await?, kept)) });
        }
        Ok(Some(keeping))
    }
}

struct KeepingMorsel {
    inner: Box<dyn Morsel>,
    kept: Arc<KeptRows>,
}

impl fmt::Debug for KeepingMorsel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepingMorsel").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Morsel for KeepingMorsel {
    fn into_stream(self: Box<Self>) -> BoxStream<'static, Result<RecordBatch>> {
        let Self { inner, kept } = *self;
        inner.into_stream().map(move |batch| kept.keep(&batch?)).boxed()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use arrow::array::{ArrayRef, Int64Array, StringViewArray};

    use super::*;

    fn numbered(numbers: &[i64]) -> RecordBatch {
        let texts = numbers.iter().map(|number| Some(format!("row {number}"))).collect::<StringViewArray>();
        let numbers = Int64Array::from(numbers.to_vec());
        RecordBatch::try_from_iter([
            ("text", Arc::new(texts) as ArrayRef),
            ("number", Arc::new(numbers) as _),
        ])
        .unwrap()
    }

    fn texts(batch: &RecordBatch) -> Vec<String> {
        assert_eq!(batch.num_columns(), 1);
        batch.column(0).as_string_view().iter().map(|text| text.unwrap().to_owned()).collect()
    }

    #[test]
    fn rows_go_by_their_numbers() {
        let kept = KeptRows((0..8).map(|row| ![1, 3, 4].contains(&row)).collect());
        assert_eq!(texts(&kept.keep(&numbered(&[0, 1, 2, 3])).unwrap()), ["row 0", "row 2"]);
        assert_eq!(texts(&kept.keep(&numbered(&[5, 6, 7])).unwrap()), ["row 5", "row 6", "row 7"]);
        // Row groups and pages that were skipped leave gaps.
        assert_eq!(texts(&kept.keep(&numbered(&[2, 4, 7])).unwrap()), ["row 2", "row 7"]);
        assert_eq!(texts(&kept.keep(&numbered(&[3, 4])).unwrap()), Vec::<String>::new());
        assert_eq!(texts(&kept.keep(&numbered(&[])).unwrap()), Vec::<String>::new());
        assert!(kept.keep(&numbered(&[7, 8])).is_err(), "a row that the file does not have");
        assert!(kept.keep(&numbered(&[-1])).is_err());
    }
}
