//! The changes of a table as a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, case, is_null};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectMeta;

use super::super::VersionError;
use super::super::at::TableVersion;
use super::super::history::{self, CommitFile};
use super::actions::{Change, ChangedFile, changes_of};
use crate::error::LoadError;
use crate::index::local_instant;
use crate::scan::{ChosenRows, LakeScan};
use crate::shape::{FieldShape, FileColumns, Shape};
use crate::snapshot::TableSnapshot;

/// Column that says what happened to a row: `insert`, `delete`, `update_preimage`, `update_postimage`.
pub const CHANGE_TYPE: &str = "_change_type";
/// Column with the version that changed the row.
pub const COMMIT_VERSION: &str = "_commit_version";
/// Column with the time of that version.
pub const COMMIT_TIMESTAMP: &str = "_commit_timestamp";

/// What happened to all rows of a file; no file column can be called so.
const CHANGE_OF_FILE: &str = "\0change";
/// Versions that one request may cover.
const MOST_VERSIONS: u64 = 10_000;
/// Commits that are read at once.
const PARALLEL_READS: usize = 4;
/// Files with changes that one request may cover.
const MOST_FILES: usize = 100_000;

impl TableSnapshot {
    /// The changes of the versions `from` to `to`, both included, as a table of the table's columns at
    /// `to` and [`CHANGE_TYPE`], [`COMMIT_VERSION`] and [`COMMIT_TIMESTAMP`].
    pub async fn changes(
        self: &Arc<Self>,
        from: u64,
        to: u64,
    ) -> Result<Arc<dyn TableProvider>, VersionError> {
        let table = || self.qualified_name.clone();
        if from > to {
            return Err(VersionError::BackwardRange { table: table(), from, to });
        }
        if to - from >= MOST_VERSIONS {
            let versions = (to - from).saturating_add(1);
            return Err(VersionError::TooManyVersions { table: table(), versions, most: MOST_VERSIONS });
        }
        let commits = history::commit_files(self).await.map_err(|error| self.unreadable(from, &error))?;
        let in_range: Vec<_> =
            commits.iter().filter(|commit| (from..=to).contains(&commit.version)).collect();
        if in_range.first().map(|commit| commit.version) != Some(from)
            || u64::try_from(in_range.len()).ok() != Some(to - from + 1)
        {
            let newest = self.version();
            let oldest = commits.first().map_or(newest, |commit| commit.version);
            let version = if to > newest { to } else { from };
            return Err(VersionError::NoVersion { table: table(), version, oldest, newest });
        }
        let at = self.at(TableVersion::Number(to)).await?;
        let partitions: Vec<String> =
            at.log.snapshot.table_configuration().metadata().partition_columns().to_vec();
        let in_range: Vec<_> = in_range.into_iter().copied().collect();
        let mut reads = futures::stream::iter(in_range)
            .map(|commit| read_commit(&at, commit, &partitions))
            .buffered(PARALLEL_READS);
        let (mut commits, mut files) = (Vec::new(), 0_usize);
        while let Some(commit) = reads.try_next().await? {
            files = files.saturating_add(commit.2.len());
            if files > MOST_FILES {
                return Err(VersionError::TooManyFiles { table: table(), most: MOST_FILES });
            }
            commits.push(commit);
        }
        drop(reads);
        let changes = ChangesTable::new(at, commits);
        changes.map(|changes| Arc::new(changes) as _).map_err(|error| self.unreadable(to, &error))
    }
}

/// The changes of one commit, with its version and time.
type CommitChanges = (u64, DateTime<Utc>, Vec<ChangedFile>);

async fn read_commit(
    at: &TableSnapshot,
    commit: CommitFile,
    partitions: &[String],
) -> Result<CommitChanges, VersionError> {
    let version = commit.version;
    let fail = |error: LoadError| at.unreadable(version, &error);
    let changes = changes_of(at, version).await.map_err(fail)?;
    if changes.partition_columns.is_some_and(|columns| columns != partitions) {
        return Err(VersionError::SchemaChanged { table: at.qualified_name.clone(), version });
    }
    let info = history::commit_info(at, version).await.map_err(fail)?;
    let in_commit = info.get("inCommitTimestamp").and_then(serde_json::Value::as_i64);
    let time = in_commit.and_then(DateTime::from_timestamp_millis).unwrap_or(commit.modified);
    Ok((version, time, changes.files))
}

/// Files with changed rows, over the table's columns and three more.
#[derive(Debug)]
struct ChangesTable {
    at: Arc<TableSnapshot>,
    schema: SchemaRef,
    scan_schema: TableSchema,
    file_columns: Arc<FileColumns>,
    commits: Vec<CommitChanges>,
}

impl ChangesTable {
    fn new(at: Arc<TableSnapshot>, commits: Vec<CommitChanges>) -> Result<Self, LoadError> {
        let definition = &at.log.definition;
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let added = [
            Field::new(CHANGE_TYPE, DataType::Utf8View, true),
            Field::new(COMMIT_VERSION, DataType::Int64, true),
            Field::new(COMMIT_TIMESTAMP, instant.clone(), true),
        ];
        if added.iter().any(|field| definition.schema.index_of(field.name()).is_ok()) {
            return Err(LoadError::Unsupported(
                "changes of a table that has columns of their names".to_owned(),
            ));
        }
        let columns = definition.schema.fields().iter().cloned();
        let schema = columns.chain(added.into_iter().map(Arc::new)).collect::<Vec<_>>();
        let in_files = definition.scan_schema.file_schema().fields().iter().cloned();
        let change_type = Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8View, true));
        let in_files = in_files.chain([change_type]).collect::<Vec<_>>();
        let mut partitions = definition.scan_schema.table_partition_cols().to_vec();
        partitions.extend([
            Arc::new(Field::new(CHANGE_OF_FILE, DataType::Utf8View, true)),
            Arc::new(Field::new(COMMIT_VERSION, DataType::Int64, true)),
            Arc::new(Field::new(COMMIT_TIMESTAMP, instant, true)),
        ]);
        let mut shapes = definition.file_columns.columns.clone();
        let shape = Shape::Primitive;
        shapes.push(FieldShape { physical_name: CHANGE_TYPE.to_owned(), id: None, shape });
        let match_by = definition.file_columns.match_by;
        Ok(Self {
            schema: Arc::new(Schema::new(schema)),
            scan_schema: TableSchema::builder(Arc::new(Schema::new(in_files)))
                .with_table_partition_cols(partitions)
                .build(),
            file_columns: Arc::new(FileColumns { columns: shapes, match_by }),
            at: Arc::clone(&at),
            commits,
        })
    }

    fn files(&self) -> Result<Vec<PartitionedFile>> {
        let mut files = Vec::new();
        let unknown = Arc::new(Statistics::new_unknown(self.scan_schema.table_schema()));
        for (version, time, changed) in &self.commits {
            for file in changed {
                let (location, other) = self.at.place(&file.path)?;
                let mut partitioned = PartitionedFile::new_from_meta(ObjectMeta {
                    location,
                    last_modified: DateTime::from_timestamp_millis(file.modified).unwrap_or_default(),
                    size: file.size,
                    e_tag: None,
                    version: None,
                });
                partitioned.partition_values = self.partition_values(file, *version, *time)?;
                partitioned.statistics = Some(Arc::clone(&unknown));
                if let Some(other) = other {
                    partitioned.extensions.insert(other);
                }
                if file.only.is_some() || file.without.is_some() {
                    let place = |vector: &Option<_>| {
                        vector.clone().map(|vector| self.at.place_vector(vector)).transpose()
                    };
                    partitioned.extensions.insert(ChosenRows {
                        table: self.at.shared_name(),
                        only: place(&file.only)?,
                        without: place(&file.without)?,
                    });
                }
                files.push(partitioned);
            }
        }
        Ok(files)
    }

    fn partition_values(
        &self,
        file: &ChangedFile,
        version: u64,
        time: DateTime<Utc>,
    ) -> Result<Vec<ScalarValue>> {
        let definition = &self.at.log.definition;
        let mut values = Vec::new();
        for column in definition.scan_schema.table_partition_cols() {
            // By the protocol an empty text is the null partition value.
            let text = file.partition_values.get(column.name()).cloned().flatten().filter(|t| !t.is_empty());
            values.push(match text {
                None => ScalarValue::try_from(column.data_type())?,
                Some(text) => self.partition_value(&text, column)?,
            });
        }
        let change = match file.change {
            Change::Insert => Some("insert".to_owned()),
            Change::Delete => Some("delete".to_owned()),
            Change::InFile => None,
        };
        values.push(ScalarValue::Utf8View(change));
        values.push(ScalarValue::Int64(i64::try_from(version).ok()));
        values.push(ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), Some("UTC".into())));
        Ok(values)
    }

    fn partition_value(&self, text: &str, column: &Field) -> Result<ScalarValue> {
        let wrong = || self.at.damaged(LoadError::Broken("a partition value not of its type".to_owned()));
        if let (Some(zone), DataType::Timestamp(_, Some(zone_name))) =
            (self.at.log.definition.partition_zone, column.data_type())
        {
            let micros = local_instant(text, zone).ok_or_else(wrong)?;
            return Ok(ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::clone(zone_name))));
        }
        let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let text = if column.data_type() == &DataType::BinaryView {
            Arc::new(arrow::array::BinaryArray::from(text.as_string::<i32>().clone())) as ArrayRef
        } else {
            text
        };
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let value = cast_with_options(&text, column.data_type(), &strict).map_err(|_| wrong())?;
        ScalarValue::try_from_array(&value, 0)
    }

    /// Columns of the scan behind the advertised ones at `positions`.
    fn projection(&self, positions: &[usize]) -> Result<ProjectionExprs> {
        let scan = self.scan_schema.table_schema();
        let at = |name: &str| -> Result<Arc<dyn PhysicalExpr>> {
            Ok(Arc::new(Column::new(name, scan.index_of(name)?)))
        };
        let exprs = positions
            .iter()
            .map(|&position| {
                let field = self.schema.field(position);
                let expr = match field.name().as_str() {
                    CHANGE_TYPE => {
                        let of_file = at(CHANGE_OF_FILE)?;
                        let none = is_null(Arc::clone(&of_file))?;
                        case(None, vec![(none, at(CHANGE_TYPE)?)], Some(of_file))?
                    }
                    name @ (COMMIT_VERSION | COMMIT_TIMESTAMP) => at(name)?,
                    _ => {
                        let definition = &self.at.log.definition;
                        let own = definition.scan_positions.get(position).copied().ok_or_else(|| {
                            DataFusionError::Internal("a column that is not scanned".to_owned())
                        })?;
                        at(definition.scan_schema.table_schema().field(own).name())?
                    }
                };
                Ok(ProjectionExpr::new(expr, field.name().clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(exprs.into())
    }
}

#[async_trait]
impl TableProvider for ChangesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        LakeScan {
            schema: self.scan_schema.clone(),
            file_columns: Arc::clone(&self.file_columns),
            projection: self.projection(projection.unwrap_or(&all))?,
            predicate: None,
            files: self.files()?,
            statistics: Statistics::new_unknown(self.scan_schema.table_schema()),
            limit: limit.filter(|_| filters.is_empty()),
        }
        .plan(&self.at, state)
    }
}
