//! Delta logs: creates a table and commits its loads, each with an application transaction id.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use chrono::Utc;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, FinalizedCommit, TableReference};
use deltalake_core::kernel::{Action, Add, Metadata, Protocol, Remove, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTableBuilder, DeltaTableError};
use serde_json::{Value, json};
use url::Url;

use super::DemoError;
use super::delta::{DataFile, Load};
use super::dice::mix;
use super::tables::{Table, TableId};

/// The application that the transaction ids of the demo lake belong to.
const APPLICATION: &str = "lakeward-demo";

/// Creates a table in the lake and commits its loads in order; answers its rows.
pub(super) async fn commit_table(
    lake: &Path,
    seed: u64,
    id: TableId,
    loads: BTreeMap<Load, Vec<DataFile>>,
) -> Result<u64, DemoError> {
    let table = id.table();
    let directory = lake.join(table.layer).join(table.name);
    std::fs::create_dir_all(&directory).map_err(DemoError::io("create", &directory))?;
    let location =
        Url::from_directory_path(&directory).map_err(|()| DemoError::Directory(directory.clone()))?;
    #[expect(clippy::disallowed_methods, reason = "writes a new table, opens none")]
    let log_store = DeltaTableBuilder::from_url(location.clone())?.build()?.log_store();
    let metadata = metadata(table, seed)?;
    let protocol: Protocol = serde_json::from_value(json!({"minReaderVersion": 1, "minWriterVersion": 2}))?;
    let create = DeltaOperation::Create {
        mode: SaveMode::ErrorIfExists,
        location,
        protocol: protocol.clone(),
        metadata: metadata.clone(),
    };
    let actions = vec![Action::Protocol(protocol), Action::Metadata(metadata)];
    let mut state = builder(0).with_actions(actions).build(None, log_store.clone(), create).await?.snapshot();
    // The practitioners' second load replaces the first: it corrects it.
    let replaces = id == TableId::Practitioners;
    let mut current: Vec<DataFile> = Vec::new();
    for (load, files) in loads {
        let mut actions = Vec::new();
        if replaces {
            actions.extend(current.drain(..).map(|file| Action::Remove(remove(table, &file))));
        }
        actions.extend(files.iter().map(|file| Action::Add(add(table, file))));
        let operation = DeltaOperation::Write {
            mode: if replaces && load > Load(0) { SaveMode::Overwrite } else { SaveMode::Append },
            partition_by: (!table.partition_by.is_empty())
                .then(|| table.partition_by.iter().map(|column| (*column).to_owned()).collect()),
            predicate: None,
        };
        let transaction = i64::from(load.0) + 1;
        let committed: Result<FinalizedCommit, DeltaTableError> = builder(transaction)
            .with_actions(actions)
            .build(Some(&state as &dyn TableReference), log_store.clone(), operation)
            .await;
        state = committed?.snapshot();
        current.extend(files);
    }
    Ok(current.iter().map(|file| u64::try_from(file.rows).unwrap_or_default()).sum())
}

fn builder(transaction: i64) -> CommitBuilder {
    // Nobody else writes here: a conflict means that something is wrong.
    CommitBuilder::from(
        CommitProperties::default()
            .with_max_retries(0)
            .with_application_transaction(Transaction::new(APPLICATION, transaction)),
    )
}

fn add(table: &Table, file: &DataFile) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: file.partition.values(table),
        size: file.bytes,
        modification_time: Utc::now().timestamp_millis(),
        data_change: true,
        stats: Some(file.statistics.clone()),
        ..Add::default()
    }
}

fn remove(table: &Table, file: &DataFile) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change: true,
        deletion_timestamp: Some(Utc::now().timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition.values(table)),
        size: Some(file.bytes),
        ..Remove::default()
    }
}

/// Metadata with comments and tags; the table's id follows from the seed.
fn metadata(table: &Table, seed: u64) -> Result<Metadata, DemoError> {
    let fields: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            let mut metadata = HashMap::from([("comment", column.comment)]);
            if !column.tags.is_empty() {
                metadata.insert("lakeward.tags", column.tags);
            }
            json!({"name": column.name, "type": column.kind.delta(), "nullable": column.nullable, "metadata": metadata})
        })
        .collect();
    let high =
        table.layer.bytes().chain(table.name.bytes()).fold(seed, |state, byte| mix(state ^ u64::from(byte)));
    let id =
        uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(mix(high))).to_be_bytes())
            .into_uuid();
    Ok(serde_json::from_value(json!({
        "id": id.to_string(),
        "name": table.name,
        "description": table.description,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
        "partitionColumns": table.partition_by,
        "configuration": {"lakeward.tags": table.tags},
        "createdTime": Utc::now().timestamp_millis(),
    }))?)
}
