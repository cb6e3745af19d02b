//! The file index of a version, which may be put aside while nobody asks for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use delta_kernel::snapshot::SnapshotRef;
use tokio::sync::Mutex;

use super::{LoadContext, blocking, replay};
use crate::definition::TableDefinition;
use crate::error::LoadError;
use crate::index::FileIndex;
use crate::stores::Location;

/// Counts uses of all indexes, so that they can be ordered by their last one.
static USES: AtomicU64 = AtomicU64::new(0);

/// An index in memory, or what it is read from again.
#[derive(Debug)]
pub(crate) struct KeptIndex {
    /// The columns that the index is over.
    definition: Arc<TableDefinition>,
    current: ArcSwapOption<FileIndex>,
    /// Number of files; `UNKNOWN` while it is not known.
    files: AtomicU64,
    used: AtomicU64,
    /// Held while the index is read again: whoever comes meanwhile waits for the same one.
    reading: Mutex<()>,
}

const UNKNOWN: u64 = u64::MAX;

impl KeptIndex {
    /// An index that is there.
    pub(super) fn new(definition: &Arc<TableDefinition>, index: FileIndex) -> Self {
        let kept = Self::aside(definition);
        kept.files.store(count(&index), Ordering::Relaxed);
        kept.current.store(Some(Arc::new(index)));
        kept.used.store(USES.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        kept
    }

    /// An index that was not read yet.
    pub(super) fn aside(definition: &Arc<TableDefinition>) -> Self {
        Self {
            definition: Arc::clone(definition),
            current: ArcSwapOption::empty(),
            files: AtomicU64::new(UNKNOWN),
            used: AtomicU64::new(0),
            reading: Mutex::new(()),
        }
    }

    /// The index, if it is in memory. Does not count as a use.
    pub(crate) fn current(&self) -> Option<Arc<FileIndex>> {
        self.current.load_full()
    }

    /// Number of data files, if the index was ever read.
    pub(crate) fn files(&self) -> Option<u64> {
        Some(self.files.load(Ordering::Relaxed)).filter(|&files| files != UNKNOWN)
    }

    /// Bytes of memory that it takes now.
    pub(crate) fn memory_size(&self) -> usize {
        self.current.load().as_ref().map_or(0, |index| index.memory_size())
    }

    /// Gives its memory back once the last statement that has it ends.
    fn put_aside(&self) {
        self.current.store(None);
    }

    /// The index; read from the log of `snapshot` if it was put aside.
    ///
    /// # Errors
    /// Those of reading a log.
    pub(super) async fn get(
        &self,
        snapshot: &SnapshotRef,
        location: &Location,
        context: &LoadContext,
    ) -> Result<Arc<FileIndex>, LoadError> {
        self.used.store(USES.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        if let Some(index) = self.current() {
            return Ok(index);
        }
        let _only_one = self.reading.lock().await;
        if let Some(index) = self.current() {
            return Ok(index);
        }
        let (snapshot, definition) = (Arc::clone(snapshot), Arc::clone(&self.definition));
        let (engine, places) = (Arc::clone(&location.store.engine), Arc::clone(&context.places));
        let failures = location.store.failures();
        let read = blocking(context.limits.load, move |stop| {
            replay::full(&snapshot, &definition, &places, engine.as_ref(), &stop)
        });
        let index = read.await.map_err(|error| error.or_store(location.store.failures() != failures))?;
        let index = Arc::new(index);
        self.files.store(count(&index), Ordering::Relaxed);
        self.current.store(Some(Arc::clone(&index)));
        context.indexes.make_room();
        Ok(index)
    }
}

/// Keeps the memory of indexes within a budget.
///
/// Older versions do not belong here: they have a cache of their own.
#[derive(Debug)]
pub(crate) struct IndexMemory {
    /// Bytes.
    budget: usize,
    kept: parking_lot::Mutex<Vec<Weak<KeptIndex>>>,
}

impl IndexMemory {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, kept: parking_lot::Mutex::default() }
    }

    /// Counts an index from now on, as long as somebody has it.
    pub(crate) fn keep(&self, index: &Arc<KeptIndex>) {
        {
            let mut kept = self.kept.lock();
            let is_known = kept.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(index)));
            if !is_known {
                kept.push(Arc::downgrade(index));
            }
        }
        self.make_room();
    }

    /// Puts aside the indexes that were used the longest ago while all take more than they may; never
    /// the last one, which somebody just asked for.
    fn make_room(&self) {
        let mut kept = self.kept.lock();
        kept.retain(|index| index.strong_count() > 0);
        let all = kept.iter().filter_map(Weak::upgrade).map(|index| index.memory_size());
        if all.fold(0, usize::saturating_add) <= self.budget {
            return;
        }
        let mut indexes: Vec<_> = kept
            .iter()
            .filter_map(Weak::upgrade)
            .map(|index| (index.used.load(Ordering::Relaxed), index.memory_size(), index))
            .filter(|(_, bytes, _)| *bytes > 0)
            .collect();
        let mut total = indexes.iter().fold(0_usize, |total, (_, bytes, _)| total.saturating_add(*bytes));
        indexes.sort_unstable_by_key(|(used, ..)| *used);
        indexes.pop();
        for (_, bytes, index) in indexes {
            if total <= self.budget {
                break;
            }
            index.put_aside();
            total = total.saturating_sub(bytes);
        }
    }
}

fn count(index: &FileIndex) -> u64 {
    u64::try_from(index.len()).unwrap_or(UNKNOWN)
}
