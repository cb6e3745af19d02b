//! The file index: every live file of one table version, in columns, shared by all sessions.
//!
//! An index is a list of segments. A segment is a batch of files that never changes, one row per
//! file: path, size, row count, deletion vector, partition values and per-column bounds, as Arrow
//! arrays that file skipping reads directly. The next version shares its segments, hides the files
//! that were removed, and adds one segment of those that were added, so that a commit costs what it
//! changed and not what the table holds. Small segments are merged from time to time.

mod build;
mod file;
mod layout;
mod partition;
mod pruning;
mod segment;
mod statistics;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::record_batch::RecordBatch;

pub(crate) use build::{IndexBuilder, Site};
pub(crate) use file::{FileEntry, FileId};
use layout::Layout;
pub(crate) use partition::instant as local_instant;
use segment::Segment;

use crate::definition::TableDefinition;
use crate::error::LoadError;
use crate::places::FilePath;

/// Segments that are kept apart before small ones are merged.
const MAX_SEGMENTS: usize = 16;
/// A segment is merged with smaller ones when these hold this share of its files, so that over time
/// each file is copied a bounded number of times.
const MERGE_SHARE: usize = 8;

/// The files of one table version.
#[derive(Debug)]
pub(crate) struct FileIndex {
    definition: Arc<TableDefinition>,
    layout: Arc<Layout>,
    /// Largest first.
    segments: Vec<LiveSegment>,
    len: usize,
}

/// A segment and which of its files this version still has.
#[derive(Debug, Clone)]
struct LiveSegment {
    segment: Arc<Segment>,
    /// None for all.
    live: Option<BooleanBuffer>,
    len: usize,
}

/// What identifies a file of a version: its path, and the vector of rows that it has lost.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    pub(crate) path: FilePath,
    /// The protocol's unique id of the deletion vector.
    pub(crate) vector: Option<String>,
}

impl FileIndex {
    fn new(
        definition: &Arc<TableDefinition>,
        layout: &Arc<Layout>,
        mut segments: Vec<LiveSegment>,
    ) -> Result<Self, LoadError> {
        segments.retain(|segment| segment.len > 0);
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.len));
        let segments = merged(layout, segments)?;
        let len = segments.iter().map(|segment| segment.len).sum();
        Ok(Self { definition: Arc::clone(definition), layout: Arc::clone(layout), segments, len })
    }

    /// Number of files.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that the index takes.
    pub(crate) fn memory_size(&self) -> usize {
        self.segments.iter().map(LiveSegment::memory_size).sum()
    }

    /// All files.
    pub(crate) fn all(&self) -> Vec<FileId> {
        let mut files = Vec::with_capacity(self.len);
        for (number, segment) in self.segments.iter().enumerate() {
            segment.rows().for_each(|row| files.push((number, row)));
        }
        files
    }

    /// What is known of a file.
    pub(crate) fn file(&self, (segment, row): FileId) -> FileEntry<'_> {
        FileEntry::new(self, &self.segments[segment].segment, row)
    }

    /// This index without the files of `removed`, plus those of `added`, which replace any entry of
    /// the same path.
    pub(crate) fn replace(&self, removed: &[FileKey], added: &Self) -> Result<Self, LoadError> {
        let mut gone: HashMap<usize, Vec<usize>> = HashMap::new();
        for key in removed {
            if let Some((segment, row)) = self.find(&key.path)
                && self.file((segment, row)).vector_id() == key.vector
            {
                gone.entry(segment).or_default().push(row);
            }
        }
        for file in added.all() {
            if let Some((segment, row)) = self.find(&added.file(file).file_path()) {
                gone.entry(segment).or_default().push(row);
            }
        }
        let kept = self.segments.iter().enumerate().map(|(number, segment)| match gone.get(&number) {
            None => segment.clone(),
            Some(rows) => segment.without(rows),
        });
        let segments = kept.chain(added.segments.iter().cloned()).collect();
        Self::new(&self.definition, &self.layout, segments)
    }

    /// The live file of this path.
    fn find(&self, path: &FilePath) -> Option<FileId> {
        self.segments.iter().enumerate().find_map(|(number, segment)| {
            let row = segment.segment.find(path)?;
            segment.is_live(row).then_some((number, row))
        })
    }

    /// All files as one batch ordered by path: the same for the same version however it was read.
    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "tests")]
    pub(crate) fn files(&self) -> RecordBatch {
        let all = one(&self.layout, &self.segments).unwrap();
        all.map_or_else(
            || RecordBatch::new_empty(Arc::clone(self.layout.schema())),
            |segment| segment.batch().clone(),
        )
    }
}

impl LiveSegment {
    fn whole(segment: Segment) -> Self {
        let len = segment.len();
        Self { segment: Arc::new(segment), live: None, len }
    }

    fn is_live(&self, row: usize) -> bool {
        self.live.as_ref().is_none_or(|live| live.value(row))
    }

    /// Rows of the segment that are live.
    fn rows(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match &self.live {
            None => Box::new(0..self.segment.len()),
            Some(live) => Box::new(live.set_indices()),
        }
    }

    fn without(&self, rows: &[usize]) -> Self {
        let mut live: Vec<bool> = match &self.live {
            None => vec![true; self.segment.len()],
            Some(live) => live.iter().collect(),
        };
        for &row in rows {
            if let Some(live) = live.get_mut(row) {
                *live = false;
            }
        }
        let live = BooleanBuffer::from(live);
        let len = live.count_set_bits();
        Self { segment: Arc::clone(&self.segment), live: Some(live), len }
    }

    fn batch(&self) -> Result<RecordBatch, LoadError> {
        match &self.live {
            None => Ok(self.segment.batch().clone()),
            Some(live) => {
                Ok(filter_record_batch(self.segment.batch(), &BooleanArray::new(live.clone(), None))?)
            }
        }
    }

    fn memory_size(&self) -> usize {
        self.segment.memory_size() + self.live.as_ref().map_or(0, |live| live.inner().capacity())
    }
}

/// Merges segments, largest first, until each is larger than all after it together by
/// [`MERGE_SHARE`], or few are left; also rewrites a segment most of whose files are gone.
fn merged(layout: &Arc<Layout>, mut segments: Vec<LiveSegment>) -> Result<Vec<LiveSegment>, LoadError> {
    while segments.len() > MAX_SEGMENTS {
        let mut after = 0_usize;
        let mut start = segments.len() - 1;
        for (number, segment) in segments.iter().enumerate().rev() {
            if after > 0 && after.saturating_mul(MERGE_SHARE) < segment.len {
                break;
            }
            after += segment.len;
            start = number;
        }
        // At least two, or nothing would become fewer.
        let start = start.min(segments.len().saturating_sub(2));
        let tail = segments.split_off(start);
        segments.extend(one(layout, &tail)?.map(LiveSegment::whole));
    }
    for segment in &mut segments {
        if segment.len.saturating_mul(2) < segment.segment.len() {
            *segment = LiveSegment::whole(Segment::ordered(&segment.batch()?)?);
        }
    }
    Ok(segments)
}

fn one(layout: &Arc<Layout>, segments: &[LiveSegment]) -> Result<Option<Segment>, LoadError> {
    let batches = segments.iter().map(LiveSegment::batch).collect::<Result<Vec<_>, _>>()?;
    if batches.is_empty() {
        return Ok(None);
    }
    Segment::ordered(&concat_batches(layout.schema(), &batches)?).map(Some)
}
