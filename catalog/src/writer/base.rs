//! The version that a write starts from.

use std::collections::HashMap;

use deltalake_core::DeltaTable;
use deltalake_core::kernel::LogicalFileView;
use deltalake_core::table::state::DeltaTableState;
use object_store::path::Path;

use super::draft::vector_name;

/// One version of a table, as the engine read it.
#[derive(Debug, Clone)]
pub(super) struct Base {
    state: DeltaTableState,
}

/// A file of the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseFile {
    pub(super) vector: Option<String>,
    /// Rows without those that its deletion vector hides, where the log says.
    pub(super) rows: Option<u64>,
}

impl Base {
    /// The version that `table` has loaded; None without one.
    pub(super) fn of(table: &DeltaTable) -> Option<Self> {
        Some(Self { state: table.snapshot().ok()?.clone() })
    }

    pub(super) fn version(&self) -> u64 {
        self.state.version()
    }

    pub(super) fn state(&self) -> &DeltaTableState {
        &self.state
    }

    /// Number of files.
    pub(super) fn files(&self) -> usize {
        self.state.log_data().num_files()
    }

    /// Paths of all files, relative to the table.
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> {
        self.state.log_data().iter().map(|file| file.object_store_path()).collect::<Vec<_>>().into_iter()
    }

    /// All files by path, relative to the table.
    pub(super) fn by_path(&self) -> HashMap<Path, BaseFile> {
        self.state.log_data().iter().map(|file| (file.object_store_path(), base_file(&file))).collect()
    }

    /// In partition order.
    pub(super) fn partition_columns(&self) -> &[String] {
        self.state.metadata().partition_columns()
    }

    pub(super) fn property(&self, key: &str) -> Option<&str> {
        self.state.metadata().configuration().get(key).map(String::as_str)
    }

    /// Whether a property is `true`.
    pub(super) fn enabled(&self, key: &str) -> bool {
        self.property(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

fn base_file(file: &LogicalFileView) -> BaseFile {
    let vector = file.deletion_vector_descriptor();
    let hidden = vector.as_ref().map_or(Some(0), |vector| u64::try_from(vector.cardinality).ok());
    let rows = file.num_records().and_then(|rows| u64::try_from(rows).ok());
    BaseFile {
        vector: vector.map(|vector| vector_name(&vector.path_or_inline_dv, vector.offset.map(i64::from))),
        rows: rows.zip(hidden).and_then(|(rows, hidden)| rows.checked_sub(hidden)),
    }
}
