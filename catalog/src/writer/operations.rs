//! The operations, each as a plan for the engine.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::scalar::ScalarValue;
use delta_kernel::engine::arrow_conversion::TryIntoKernel as _;
use delta_kernel::schema::StructType;
use deltalake_core::delta_datafusion::SessionFallbackPolicy;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::operations::merge::MergeBuilder;
use deltalake_core::protocol::SaveMode;
use deltalake_core::{DeltaTable, DeltaTableError};

use super::rules::Kind;
use super::run::PlanError;
use super::session::{check_immutable, file_properties, hide_loose_bounds};
use super::{
    CreateTable, Merge, MergeClause, Optimise, Rows, TableWriter, Update, WriteError, WriteId, WriteOutcome,
    features, partitions,
};

/// Alias of a merge's rows.
const SOURCE: &str = "source";
/// Alias of the table in a merge.
const TARGET: &str = "target";

/// How the engine commits: what it does besides is the writer's. `retries` are for pure appends only.
pub(super) fn commit(retries: usize) -> CommitProperties {
    CommitProperties::default()
        .with_max_retries(retries)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
}

const STRICT: SessionFallbackPolicy = SessionFallbackPolicy::RequireSessionState;

impl TableWriter {
    /// Creates the table.
    ///
    /// # Errors
    /// [`WriteError::TableExists`]; [`WriteError::Unsupported`] for a property that needs a feature
    /// that is not written.
    pub async fn create(&self, id: &WriteId, table: CreateTable) -> Result<WriteOutcome, WriteError> {
        for (key, value) in &table.properties {
            if let Some(feature) = features::check_property(key, value) {
                let location = self.table.name().to_owned();
                return Err(WriteError::Unsupported { location, feature });
            }
        }
        let schema: StructType = table
            .schema
            .as_ref()
            .try_into_kernel()
            .map_err(|error| WriteError::InvalidRequest(format!("schema: {error}")))?;
        let missing = table.partition_by.iter().find(|name| schema.field(name.as_str()).is_none());
        if let Some(missing) = missing {
            return Err(WriteError::InvalidRequest(format!(
                "partition column {missing} is not in the schema"
            )));
        }
        if let Some(feature) = features::check_partitions(&schema, &table.partition_by) {
            return Err(WriteError::Unsupported { location: self.table.name().to_owned(), feature });
        }
        let (schema, table) = (&schema, &table);
        self.write(id, Kind::Create, |target, _session| async move {
            let mut create = target
                .create()
                .with_save_mode(SaveMode::ErrorIfExists)
                .with_columns(schema.fields().cloned())
                .with_partition_columns(table.partition_by.clone())
                .with_configuration(table.properties.iter().map(|(key, value)| (key, Some(value))))
                .with_raise_if_key_not_exists(false)
                .with_commit_properties(commit(0));
            if let Some(name) = &table.name {
                create = create.with_table_name(name);
            }
            if let Some(description) = &table.description {
                create = create.with_comment(description);
            }
            create.await?;
            Ok(())
        })
        .await
    }

    /// Adds rows. Columns that the table has and the rows do not become null.
    ///
    /// An append does not mind what others commit meanwhile, as long as schema, properties and
    /// protocol stay the same; its files are then committed as the next version.
    ///
    /// # Errors
    /// [`WriteError::InvalidRows`] when the rows do not fit.
    pub async fn append(&self, id: &WriteId, rows: &Rows) -> Result<WriteOutcome, WriteError> {
        let plan = &rows.plan()?;
        self.write(id, Kind::Append, |table, session| async move {
            write_rows(table, session, plan.clone(), SaveMode::Append, self.options.append_tries).await
        })
        .await
    }

    /// Replaces all rows. The schema stays.
    ///
    /// # Errors
    /// [`WriteError::InvalidRows`] when the rows do not fit.
    pub async fn overwrite(&self, id: &WriteId, rows: &Rows) -> Result<WriteOutcome, WriteError> {
        let plan = &rows.plan()?;
        self.write(id, Kind::Overwrite, |table, session| async move {
            write_rows(table, session, plan.clone(), SaveMode::Overwrite, 0).await
        })
        .await
    }

    /// Removes the rows for which `predicate` is true; all rows without one.
    ///
    /// # Errors
    /// [`WriteError::InvalidRequest`] when the predicate is not immutable.
    pub async fn delete(&self, id: &WriteId, predicate: Option<Expr>) -> Result<WriteOutcome, WriteError> {
        predicate.iter().try_for_each(check_immutable)?;
        let predicate = &predicate;
        self.write(id, Kind::Delete { all: predicate.is_none() }, |table, session| async move {
            let predicate =
                predicate.clone().map(|predicate| exactly(predicate, &table, None)).transpose()?;
            let mut delete = table
                .delete()
                .with_session_state(session)
                .with_session_fallback_policy(STRICT)
                .with_writer_properties(file_properties())
                .with_commit_properties(commit(0));
            if let Some(predicate) = predicate {
                delete = delete.with_predicate(predicate);
            }
            delete.await?;
            Ok(())
        })
        .await
    }

    /// Changes rows.
    ///
    /// # Errors
    /// [`WriteError::InvalidRequest`] for a column that does not exist, or an expression that is not
    /// immutable.
    pub async fn update(&self, id: &WriteId, update: &Update) -> Result<WriteOutcome, WriteError> {
        update
            .predicate
            .iter()
            .chain(update.set.iter().map(|(_, value)| value))
            .try_for_each(check_immutable)?;
        if update.set.is_empty() {
            return Err(WriteError::InvalidRequest("an update of no column".to_owned()));
        }
        self.write(id, Kind::Update, |table, session| async move {
            check_columns(&table, &update.set)?;
            let target = Target::of(&table)?;
            let predicate = update.predicate.clone();
            let predicate = predicate.map(|predicate| exactly(predicate, &table, None)).transpose()?;
            let mut builder = table
                .update()
                .with_session_state(session)
                .with_session_fallback_policy(STRICT)
                .with_writer_properties(file_properties())
                .with_commit_properties(commit(0));
            if let Some(predicate) = predicate {
                builder = builder.with_predicate(predicate);
            }
            for (column, value) in &update.set {
                let value = target.checked(value.clone(), column);
                builder = builder.with_update(Column::from_name(column), value);
            }
            builder.await?;
            Ok(())
        })
        .await
    }

    /// Merges rows into the table.
    ///
    /// # Errors
    /// [`WriteError::InvalidRequest`] for a column that does not exist, or an expression that is not
    /// immutable; [`WriteError::Engine`] when several rows of the source match one of the table that
    /// would be changed.
    pub async fn merge(&self, id: &WriteId, merge: &Merge) -> Result<WriteOutcome, WriteError> {
        check_immutable(&merge.on)?;
        for clause in &merge.clauses {
            let (condition, values) = clause.parts();
            condition
                .into_iter()
                .chain(values.iter().map(|(_, value)| value))
                .try_for_each(check_immutable)?;
        }
        if merge.clauses.is_empty() {
            return Err(WriteError::InvalidRequest("a merge without any clause".to_owned()));
        }
        let source = &merge.source.plan()?;
        self.write(id, Kind::Merge, |table, session| async move {
            for clause in &merge.clauses {
                check_columns(&table, clause.parts().1)?;
            }
            let target = Target::of(&table)?;
            let on = exactly(merge.on.clone(), &table, Some(TARGET))?;
            let source = DataFrame::new(session.as_ref().clone(), source.clone());
            let mut builder = table
                .merge(source, on)
                .with_source_alias(SOURCE)
                .with_target_alias(TARGET)
                .with_session_state(session)
                .with_session_fallback_policy(STRICT)
                .with_writer_properties(file_properties())
                .with_commit_properties(commit(0));
            for clause in &merge.clauses {
                builder = add_clause(builder, clause, &target)?;
            }
            builder.await?;
            Ok(())
        })
        .await
    }

    /// Joins small files. Changes no row.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn optimise(&self, optimise: &Optimise) -> Result<WriteOutcome, WriteError> {
        self.leased(|lease| async move {
            self.write_leased(&lease, None, Kind::Optimise, |table, session| async move {
                let mut builder = table
                    .optimize()
                    .with_session_state(session)
                    .with_session_fallback_policy(STRICT)
                    .with_max_concurrent_tasks(self.options.partitions.max(1))
                    .with_writer_properties(file_properties())
                    .with_commit_properties(commit(0));
                if let Some(size) = optimise.target_size {
                    builder = builder.with_target_size(size);
                }
                builder.await?;
                Ok(())
            })
            .await
        })
        .await
    }
}

/// What new values must fit.
struct Target {
    schema: SchemaRef,
    partitions: Vec<String>,
}

impl Target {
    fn of(table: &DeltaTable) -> Result<Self, PlanError> {
        let state = table.snapshot()?;
        let partitions = state.metadata().partition_columns().to_vec();
        Ok(Self { schema: state.snapshot().arrow_schema(), partitions })
    }

    /// See [`partitions::checked`].
    fn checked(&self, value: Expr, column: &str) -> Expr {
        partitions::checked(value, column, &self.partitions, &self.schema)
    }
}

/// See [`hide_loose_bounds`].
fn exactly(predicate: Expr, table: &DeltaTable, alias: Option<&str>) -> Result<Expr, PlanError> {
    let schema = table.snapshot()?.snapshot().arrow_schema();
    hide_loose_bounds(predicate, &schema, alias).map_err(|error| PlanError::Engine(error.into()))
}

async fn write_rows(
    table: DeltaTable,
    session: Arc<SessionState>,
    rows: LogicalPlan,
    mode: SaveMode,
    retries: usize,
) -> Result<(), PlanError> {
    let rows = in_order(rows, &Target::of(&table)?)?;
    let session: Arc<dyn Session> = session;
    table
        .write([])
        .with_input_plan(rows)
        .with_save_mode(mode)
        .with_session_state(session)
        .with_session_fallback_policy(STRICT)
        .with_writer_properties(file_properties())
        .with_commit_properties(commit(retries))
        .await?;
    Ok(())
}

/// Rows with the columns of `table` in its order, null where they have none. The engine casts.
fn in_order(rows: LogicalPlan, target: &Target) -> Result<LogicalPlan, PlanError> {
    let wrong = |error: DataFusionError| PlanError::Engine(error.into());
    let table = target.schema.as_ref();
    let given = Arc::clone(rows.schema());
    let unknown = given.fields().iter().find(|field| table.field_with_name(field.name()).is_err());
    if let Some(unknown) = unknown {
        let msg = format!("the table has no column {}", unknown.name());
        return Err(DeltaTableError::SchemaMismatch { msg }.into());
    }
    let mut columns = Vec::with_capacity(table.fields().len());
    for field in table.fields() {
        let value = match given.index_of_column_by_name(None, field.name()) {
            Some(index) => {
                let value = Expr::Column(Column::from(given.qualified_field(index)));
                target.checked(value, field.name())
            }
            None => lit(ScalarValue::try_new_null(field.data_type()).map_err(wrong)?),
        };
        columns.push(value.alias(field.name()));
    }
    LogicalPlanBuilder::from(rows).project(columns).and_then(LogicalPlanBuilder::build).map_err(wrong)
}

/// The engine ignores values for columns that do not exist.
fn check_columns(table: &DeltaTable, values: &[(String, Expr)]) -> Result<(), PlanError> {
    let schema = table.snapshot()?.schema();
    match values.iter().find(|(column, _)| schema.field(column).is_none()) {
        Some((column, _)) => {
            Err(WriteError::InvalidRequest(format!("the table has no column {column}")).into())
        }
        None => Ok(()),
    }
}

impl MergeClause {
    /// Condition and values.
    fn parts(&self) -> (Option<&Expr>, &[(String, Expr)]) {
        match self {
            Self::MatchedUpdate { condition, set } | Self::NotMatchedBySourceUpdate { condition, set } => {
                (condition.as_ref(), set)
            }
            Self::NotMatchedInsert { condition, values } => (condition.as_ref(), values),
            Self::MatchedDelete { condition } | Self::NotMatchedBySourceDelete { condition } => {
                (condition.as_ref(), &[])
            }
        }
    }
}

fn add_clause(
    builder: MergeBuilder,
    clause: &MergeClause,
    target: &Target,
) -> Result<MergeBuilder, PlanError> {
    use deltalake_core::operations::merge::{DeleteBuilder, InsertBuilder, UpdateBuilder};
    let (condition, values) = clause.parts();
    let update = |builder: UpdateBuilder| {
        let builder = condition.iter().fold(builder, |builder, c| builder.predicate((*c).clone()));
        values.iter().fold(builder, |builder, (column, value)| {
            builder.update(Column::from_name(column), target.checked(value.clone(), column))
        })
    };
    let insert = |builder: InsertBuilder| {
        let builder = condition.iter().fold(builder, |builder, c| builder.predicate((*c).clone()));
        values.iter().fold(builder, |builder, (column, value)| {
            builder.set(Column::from_name(column), target.checked(value.clone(), column))
        })
    };
    let delete =
        |builder: DeleteBuilder| condition.iter().fold(builder, |builder, c| builder.predicate((*c).clone()));
    Ok(match clause {
        MergeClause::MatchedUpdate { .. } => builder.when_matched_update(update)?,
        MergeClause::MatchedDelete { .. } => builder.when_matched_delete(delete)?,
        MergeClause::NotMatchedInsert { .. } => builder.when_not_matched_insert(insert)?,
        MergeClause::NotMatchedBySourceUpdate { .. } => builder.when_not_matched_by_source_update(update)?,
        MergeClause::NotMatchedBySourceDelete { .. } => builder.when_not_matched_by_source_delete(delete)?,
    })
}
