//! What operators ask of a table: its files, and whether they are as its log says.

use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;

use crate::error::LoadError;
use crate::index::{FileId, FileIndex};
use crate::log;
use crate::scan::BoundedFile;
use crate::snapshot::TableSnapshot;

/// Files that are looked at at once.
const PARALLEL_CHECKS: usize = 8;

/// One data file of a table version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// Path, relative to the table's folder; inside its store where it lies elsewhere.
    pub path: String,
    /// Bytes, as the log says.
    pub size: u64,
    /// Rows that the table has of it, where the log says.
    pub rows: Option<u64>,
    /// Rows that a deletion vector removes.
    pub removed: u64,
    /// Partition values as `column=value`.
    pub partition: Vec<String>,
}

/// What is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// Path as in [`FileSummary::path`].
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

impl TableSnapshot {
    /// All data files, ordered by path.
    pub async fn file_summaries(&self) -> Result<Vec<FileSummary>, String> {
        let index = self.index().await.map_err(|error| error.to_string())?;
        let files = index.all().into_iter().map(|file| self.summary(&index, file));
        let mut files = files.collect::<Result<Vec<_>, _>>()?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn summary(&self, index: &FileIndex, file: FileId) -> Result<FileSummary, String> {
        let entry = index.file(file);
        let values = entry.partition_values().map_err(|error| error.to_string())?;
        let names = &self.log.definition.partition_columns;
        let vector = entry.deletion_vector().map_err(|error| error.to_string())?;
        Ok(FileSummary {
            path: entry.path().to_owned(),
            size: entry.size(),
            rows: entry.live_rows(),
            removed: vector.map_or(0, |vector| vector.cardinality),
            partition: names.iter().zip(&values).map(|(name, value)| format!("{name}={value}")).collect(),
        })
    }

    /// Looks at every file: is it there, as long as the log says, with a footer that can be read, as
    /// many rows as the statistics say, and a deletion vector that fits? `progress` is told of each file.
    pub async fn check_files(&self, progress: impl Fn(&FileSummary)) -> Result<Vec<FileProblem>, String> {
        let index = self.index().await.map_err(|error| error.to_string())?;
        let checked = futures::stream::iter(index.all())
            .map(|file| self.check_file(&index, file))
            .buffered(PARALLEL_CHECKS);
        futures::pin_mut!(checked);
        let mut problems = Vec::new();
        while let Some(outcome) = checked.next().await {
            let (summary, problem) = outcome?;
            progress(&summary);
            problems.extend(problem.map(|problem| FileProblem { path: summary.path, problem }));
        }
        Ok(problems)
    }

    async fn check_file(
        &self,
        index: &FileIndex,
        file: FileId,
    ) -> Result<(FileSummary, Option<String>), String> {
        let summary = self.summary(index, file)?;
        let problem = self.problem_of(index, file, &summary).await.err();
        Ok((summary, problem))
    }

    async fn problem_of(&self, index: &FileIndex, file: FileId, summary: &FileSummary) -> Result<(), String> {
        let entry = index.file(file);
        let limits = self.log.context.limits;
        let (path, other) = self.place(&entry.file_path()).map_err(|error| error.to_string())?;
        let store = other.map_or_else(|| Arc::clone(&self.location.store), |other| other.0);
        let objects = &store.objects;
        let text = |error: LoadError| error.to_string();
        let object = log::request(limits, objects.head(&path)).await.map_err(text)?;
        if object.size != summary.size {
            return Err(format!("{} bytes where the log says {}", object.size, summary.size));
        }
        let bounded = BoundedFile { store: Arc::clone(objects), size: object.size };
        let footer = DFParquetMetadata::new(&bounded, &object);
        let footer = tokio::time::timeout(limits.request, footer.fetch_metadata())
            .await
            .map_err(|_| "the store did not answer in time".to_owned())?
            .map_err(|error| format!("its footer cannot be read: {error}"))?;
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        if let Some(live) = summary.rows
            && live.saturating_add(summary.removed) != rows
        {
            return Err(format!("{rows} rows where the log says {}", live.saturating_add(summary.removed)));
        }
        let Some(vector) = entry.deletion_vector().map_err(text)? else { return Ok(()) };
        let vectors = &self.log.context.vectors;
        let placed = self.place_vector(vector).map_err(|error| error.to_string())?;
        let removed = vectors.read(&placed).await.map_err(|error| error.to_string())?;
        match removed.max() {
            Some(last) if last >= rows => Err(format!("a deletion vector of row {last}, of {rows} rows")),
            _ => Ok(()),
        }
    }
}
