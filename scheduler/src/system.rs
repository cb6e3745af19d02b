//! The `system` schema: the service's own state, under grants like any other table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Result;
use lakeward_catalog::TableState;

use crate::acting::Acting;
use crate::coordinator::Coordinator;
use crate::governed::GovernedLake;
use crate::pg_catalog::{VisibleColumn, VisibleSchema, VisibleTable};
use crate::system_table::SystemTable;

const SCHEMA: &str = "system";

/// Name, description, and whether everyone has it (about themselves) or only who is granted it.
const TABLES: [(&str, &str, bool); 5] = [
    ("queries", "Statements that run and that ran: your own, or all with a grant on system.queries", true),
    ("tables", "Tables of the lake, their versions, and why one is unavailable", false),
    ("policies", "Grants, row filters and masks in force", false),
    ("views", "Views, whose rights they read with, and why one is unavailable", false),
    ("view_columns", "Columns of views, the columns they derive from, and their tags", false),
];

/// Whether the principal may change views, and so see what they are made of.
pub(crate) fn may_change_views(lake: &GovernedLake) -> bool {
    lake.resolved.may_read(SCHEMA, "view_changes")
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn columns(table: &str) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let time = |name: &str| Field::new(name, instant(), true);
    Arc::new(Schema::new(match table {
        "queries" => vec![
            text("query_id"),
            text("user_name"),
            text("session_id"),
            text("application_name"),
            text("state"),
            text("sqlstate"),
            time("started_at"),
            time("ended_at"),
            number("rows"),
            number("bytes"),
            text("query"),
        ],
        "tables" => vec![
            text("table_schema"),
            text("table_name"),
            text("state"),
            text("reason"),
            number("version"),
            number("files"),
            text("tags"),
        ],
        "views" => vec![
            text("view_schema"),
            text("view_name"),
            text("rights"),
            text("state"),
            text("reason"),
            text("tags"),
            text("definition"),
        ],
        "view_columns" => vec![
            text("view_schema"),
            text("view_name"),
            text("column_name"),
            text("table_name"),
            text("source_column"),
            text("tags"),
            text("declassified"),
        ],
        _ => vec![text("kind"), text("name"), text("object"), text("definition")],
    }))
}

fn may_have(lake: &GovernedLake, table: &str, everyone: bool) -> bool {
    everyone || lake.resolved.may_read(SCHEMA, table)
}

/// The schema for pg_catalog and information_schema.
pub(crate) fn visible_schema(lake: &GovernedLake) -> VisibleSchema {
    let tables = TABLES
        .iter()
        .filter(|(name, _, everyone)| may_have(lake, name, *everyone))
        .map(|(name, description, _)| VisibleTable {
            name: (*name).to_owned(),
            is_view: true,
            definition: None,
            description: Some((*description).to_owned()),
            columns: columns(name)
                .fields()
                .iter()
                .map(|field| VisibleColumn {
                    name: field.name().clone(),
                    data_type: field.data_type().clone(),
                    nullable: true,
                    description: None,
                })
                .collect(),
        })
        .collect();
    VisibleSchema { name: SCHEMA.to_owned(), description: Some("The service's own state".to_owned()), tables }
}

#[derive(Debug)]
struct SystemSchema {
    tables: BTreeMap<&'static str, Arc<SystemTable>>,
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables.keys().map(ToString::to_string).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.tables.get(name).map(|table| Arc::clone(table) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }
}

/// The system tables that the principal of `lake` may read.
pub(crate) fn schema(
    coordinator: &Arc<Coordinator>,
    lake: &GovernedLake,
    acting: &Acting,
) -> Arc<dyn SchemaProvider> {
    let end_user = acting.end_user_name();
    let mut tables = BTreeMap::new();
    for (name, _, everyone) in TABLES {
        if !may_have(lake, name, everyone) {
            continue;
        }
        let schema = columns(name);
        // A table outlives no session, and a session is owned by the coordinator: no cycle.
        let (coordinator, lake, shape) = (Arc::downgrade(coordinator), lake.clone(), Arc::clone(&schema));
        let end_user = end_user.clone();
        let rows = move || {
            let snapshot = lake.resolved.snapshot();
            let batch = match (coordinator.upgrade(), name) {
                (None, _) => RecordBatch::new_empty(Arc::clone(&shape)),
                (Some(coordinator), "queries") => queries(&coordinator, &lake, end_user.as_ref(), &shape)?,
                (Some(_), "tables") => lake_tables(&lake, &shape)?,
                (Some(_), "views") => crate::views::listed(&lake.views, snapshot, &shape)?,
                (Some(_), "view_columns") => crate::views::listed_columns(&lake.views, snapshot, &shape)?,
                (Some(_), _) => policies(&lake, &shape)?,
            };
            Ok(vec![batch])
        };
        tables.insert(name, Arc::new(SystemTable::live(format!("{SCHEMA}.{name}"), schema, rows)));
    }
    Arc::new(SystemSchema { tables })
}

fn text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn queries(
    coordinator: &Coordinator,
    lake: &GovernedLake,
    end_user: Option<&String>,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let all = lake.resolved.may_read(SCHEMA, "queries");
    let user = &lake.resolved.principal().user;
    let mut entries = coordinator.registry().list();
    entries.retain(|entry| all || entry.is_of(user, end_user));
    entries.sort_by_key(|entry| entry.started);
    let ids: Vec<String> = entries.iter().map(|entry| entry.id.to_string()).collect();
    let progress: Vec<_> = entries.iter().map(|entry| entry.progress.lock().clone()).collect();
    let code = |state: &crate::registry::State| match state {
        crate::registry::State::Failed(code) => Some(*code),
        _ => None,
    };
    let time = |values: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
    };
    let number = |values: Vec<u64>| -> ArrayRef {
        Arc::new(values.into_iter().map(|value| i64::try_from(value).ok()).collect::<Int64Array>())
    };
    let arrays = vec![
        text(ids.iter().map(|id| Some(id.as_str()))),
        text(entries.iter().map(|entry| Some(entry.user.as_str()))),
        text(entries.iter().map(|entry| Some(entry.session.as_str()))),
        text(entries.iter().map(|entry| Some(entry.application.as_str()))),
        text(progress.iter().map(|(state, _)| Some(state.word()))),
        text(progress.iter().map(|(state, _)| code(state))),
        time(entries.iter().map(|entry| Some(entry.started.timestamp_micros())).collect()),
        time(progress.iter().map(|(_, ended)| ended.map(|t| t.timestamp_micros())).collect()),
        number(entries.iter().map(|entry| entry.rows.load(Ordering::Relaxed)).collect()),
        number(entries.iter().map(|entry| entry.bytes.load(Ordering::Relaxed)).collect()),
        // A statement's literals are its user's own; others see that it runs, not what it names.
        text(entries.iter().map(|entry| entry.is_of(user, end_user).then_some(entry.text.as_str()))),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

fn lake_tables(lake: &GovernedLake, schema: &SchemaRef) -> Result<RecordBatch> {
    let entries: Vec<_> = lake.catalog.tables().collect();
    let available = |entry: &lakeward_catalog::TableEntry| match &entry.state {
        TableState::Available(table) => Some(Arc::clone(table)),
        TableState::Unavailable { .. } => None,
    };
    let tags: Vec<Option<String>> =
        entries.iter().map(|entry| available(entry).map(|t| t.tags().join(", "))).collect();
    let number = |values: Vec<Option<u64>>| -> ArrayRef {
        Arc::new(
            values.into_iter().map(|value| value.and_then(|v| i64::try_from(v).ok())).collect::<Int64Array>(),
        )
    };
    let arrays = vec![
        text(entries.iter().map(|entry| Some(entry.schema.as_str()))),
        text(entries.iter().map(|entry| Some(entry.name.as_str()))),
        text(
            entries
                .iter()
                .map(|entry| Some(if available(entry).is_some() { "available" } else { "unavailable" })),
        ),
        text(entries.iter().map(|entry| match &entry.state {
            TableState::Unavailable { reason } => Some(reason.as_str()),
            TableState::Available(_) => None,
        })),
        number(entries.iter().map(|entry| available(entry).map(|t| t.version())).collect()),
        number(entries.iter().map(|entry| available(entry)?.files()).collect()),
        text(tags.iter().map(Option::as_deref)),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

fn policies(lake: &GovernedLake, schema: &SchemaRef) -> Result<RecordBatch> {
    let rules = lake.resolved.snapshot().describe();
    let arrays = vec![
        text(rules.iter().map(|rule| Some(rule.kind))),
        text(rules.iter().map(|rule| Some(rule.name.as_str()))),
        text(rules.iter().map(|rule| Some(rule.object.as_str()))),
        text(rules.iter().map(|rule| Some(rule.definition.as_str()))),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}
