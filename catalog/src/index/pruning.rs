//! File skipping: which files may hold rows that a predicate keeps.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, BooleanArray, UInt64Array};
use arrow::compute::is_null;
use arrow::compute::kernels::boolean::or;
use arrow::compute::kernels::cmp::eq;
use arrow::compute::kernels::zip::zip;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::layout::{ColumnSource, Layout};
use super::segment::Segment;
use super::{FileId, FileIndex};

impl FileIndex {
    /// Files that may hold a row for which `predicate` (over the scan's schema) is true, in order.
    ///
    /// Whatever cannot be decided keeps the file.
    pub(crate) fn prune(&self, predicate: &Arc<dyn PhysicalExpr>) -> Vec<FileId> {
        let schema = Arc::clone(self.definition.scan_schema.table_schema());
        let pruning =
            PruningPredicateBuilder::new().with_file_schema(schema).try_build(Arc::clone(predicate));
        let Ok(pruning) = pruning else { return self.all() };
        let mut files = Vec::new();
        for (number, live) in self.segments.iter().enumerate() {
            let statistics = SegmentStatistics { layout: &self.layout, segment: &live.segment };
            let kept = pruning.prune(&statistics).ok().filter(|kept| kept.len() == live.segment.len());
            let may = |&row: &usize| kept.as_ref().is_none_or(|kept| kept[row]);
            files.extend(live.rows().filter(may).map(|row| (number, row)));
        }
        files
    }
}

/// What one segment knows of its files' columns.
struct SegmentStatistics<'a> {
    layout: &'a Layout,
    segment: &'a Segment,
}

impl SegmentStatistics<'_> {
    fn source(&self, column: &Column) -> Option<ColumnSource> {
        self.layout.source(column.name())
    }

    fn rows(&self) -> &ArrayRef {
        self.segment.column(Layout::LIVE_ROWS)
    }
}

impl PruningStatistics for SegmentStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        match self.source(column)? {
            ColumnSource::Partition(values) => Some(Arc::clone(self.segment.column(values))),
            ColumnSource::Indexed(bounds) => Some(Arc::clone(self.segment.column(bounds.min))),
        }
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        match self.source(column)? {
            ColumnSource::Partition(values) => Some(Arc::clone(self.segment.column(values))),
            ColumnSource::Indexed(bounds) => Some(Arc::clone(self.segment.column(bounds.max))),
        }
    }

    fn num_containers(&self) -> usize {
        self.segment.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        match self.source(column)? {
            // All rows or none.
            ColumnSource::Partition(values) => {
                let none = UInt64Array::new_scalar(0);
                let null = is_null(self.segment.column(values)).ok()?;
                zip(&null, self.rows(), &none).ok()
            }
            ColumnSource::Indexed(bounds) => Some(Arc::clone(self.segment.column(bounds.nulls))),
        }
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::clone(self.rows()))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let ColumnSource::Partition(partition) = self.source(column)? else { return None };
        let partition = self.segment.column(partition);
        let mut contained = BooleanArray::from(vec![false; partition.len()]);
        for value in values {
            let value = value.cast_to(partition.data_type()).ok()?.to_scalar().ok()?;
            let equal = eq(partition, &value).ok()?;
            // A null partition value is none of the values.
            let equal: BooleanArray = equal.iter().map(|equal| Some(equal == Some(true))).collect();
            contained = or(&contained, &equal).ok()?;
        }
        Some(contained)
    }
}
