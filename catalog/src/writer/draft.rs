//! A commit as the engine made it, before it is written: what it does, and what we add to it.

use bytes::Bytes;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::schema::StructType;
use object_store::path::Path;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::location::TableLocation;
use super::manifest::vector_file;
use super::{WriteId, bounds};

/// Key of our own notes in a commit's `commitInfo`.
const NOTES: &str = "lakeward";
/// In place of a predicate's text.
const REDACTED: &str = "not recorded";

/// The actions of a commit, in order.
#[derive(Debug)]
pub(super) struct Draft {
    actions: Vec<Map<String, Value>>,
}

/// A file that a commit adds or removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileAction {
    /// Relative to the table; None for one outside.
    pub(super) path: Option<Path>,
    /// Which deletion vector the file has, as the log describes it.
    pub(super) vector: Option<String>,
    /// Rows in the file, where the log says.
    pub(super) rows: Option<u64>,
    pub(super) data_change: bool,
}

impl Draft {
    pub(super) fn parse(commit: &[u8]) -> Result<Self, String> {
        let lines = serde_json::Deserializer::from_slice(commit).into_iter::<Map<String, Value>>();
        let actions = lines.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        Ok(Self { actions })
    }

    /// The values of one kind of action, as `add`.
    pub(super) fn actions<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.actions.iter().filter_map(move |action| action.get(kind))
    }

    /// Names of all kinds of actions in it.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().flat_map(|action| action.keys().map(String::as_str))
    }

    /// The files of `add` or `remove` actions.
    pub(super) fn files(&self, kind: &str, table: &TableLocation) -> Result<Vec<FileAction>, String> {
        self.actions(kind).map(|action| file_action(action, table)).collect()
    }

    /// The files that added files need: each with the file of its deletion vector.
    pub(super) fn needed(&self, table: &TableLocation) -> Result<Vec<(Path, Option<Path>)>, String> {
        let mut needed = Vec::new();
        for action in self.actions("add") {
            let vector = match action.get("deletionVector").filter(|vector| !vector.is_null()) {
                Some(vector) => vector_path(vector, table)?,
                None => None,
            };
            if let Some(path) = file_action(action, table)?.path {
                needed.push((path, vector));
            }
        }
        Ok(needed)
    }

    /// What the operation counted.
    pub(super) fn metrics(&self) -> Value {
        self.actions("commitInfo")
            .find_map(|info| info.get("operationMetrics"))
            .cloned()
            .unwrap_or(Value::Null)
    }

    /// The newest number of `app` that the commit has.
    pub(super) fn transaction(&self, app: &str) -> Option<i64> {
        self.actions("txn")
            .filter(|txn| txn.get("appId").and_then(Value::as_str) == Some(app))
            .filter_map(|txn| txn.get("version").and_then(Value::as_i64))
            .max()
    }

    /// Takes the texts of predicates out: they have the literals that someone asked with, and history
    /// is kept longer than the rows that it removes.
    pub(super) fn redact(&mut self) {
        for action in &mut self.actions {
            let parameters =
                action.get_mut("commitInfo").and_then(|info| info.get_mut("operationParameters"));
            let Some(Value::Object(parameters)) = parameters else { continue };
            for (key, value) in parameters.iter_mut() {
                if key.to_ascii_lowercase().contains("predicate") && !value.is_null() {
                    *value = Value::from(REDACTED);
                }
            }
        }
    }

    /// Takes bounds out of the statistics that are not exact.
    pub(super) fn correct_statistics(&mut self, schema: &StructType) {
        for action in &mut self.actions {
            let Some(Value::Object(add)) = action.get_mut("add") else { continue };
            let Some(stats) = add.get("stats").and_then(Value::as_str) else { continue };
            let stats = bounds::exact(stats, schema).map_or(Value::Null, Value::from);
            add.insert("stats".to_owned(), stats);
        }
    }

    /// Adds the write's identity, and who writes it: no two commits are ever the same bytes.
    pub(super) fn sign(&mut self, id: &WriteId, fencing: u64, commit: Uuid, now_millis: i64) {
        for action in &mut self.actions {
            if let Some(Value::Object(info)) = action.get_mut("commitInfo") {
                info.insert(NOTES.to_owned(), json!({ "commit": commit, "fencing": fencing }));
            }
        }
        let transaction = json!({ "appId": id.app(), "version": id.number(), "lastUpdated": now_millis });
        self.actions.push(Map::from_iter([("txn".to_owned(), transaction)]));
    }

    /// Name of the commit and fencing number, if it was signed.
    pub(super) fn signature(&self) -> Option<(Uuid, u64)> {
        let notes = self.actions("commitInfo").find_map(|info| info.get(NOTES))?;
        let name = Uuid::parse_str(notes.get("commit")?.as_str()?).ok()?;
        Some((name, notes.get("fencing")?.as_u64()?))
    }

    /// The commit's file.
    pub(super) fn encode(&self) -> Result<Bytes, serde_json::Error> {
        let mut file = Vec::new();
        for action in &self.actions {
            serde_json::to_writer(&mut file, action)?;
            file.push(b'\n');
        }
        Ok(Bytes::from(file))
    }
}

fn file_action(action: &Value, table: &TableLocation) -> Result<FileAction, String> {
    let text = |key: &str| action.get(key).and_then(Value::as_str);
    let raw = text("path").ok_or_else(|| "a file without a path".to_owned())?;
    let path = table.relative(raw).map_err(|error| error.to_string())?;
    let rows = text("stats")
        .and_then(|stats| serde_json::from_str::<Value>(stats).ok())
        .and_then(|stats| stats.get("numRecords").and_then(Value::as_u64));
    let vector = action.get("deletionVector").filter(|vector| !vector.is_null());
    let vector = vector.and_then(|vector| {
        let name = vector.get("pathOrInlineDv").and_then(Value::as_str)?;
        let offset = vector.get("offset").and_then(Value::as_i64);
        Some(vector_name(name, offset))
    });
    // The protocol's default is true, for actions that leave it out.
    let data_change = action.get("dataChange").and_then(Value::as_bool).unwrap_or(true);
    Ok(FileAction { path, vector, rows, data_change })
}

/// The file of a deletion vector as the log describes it.
fn vector_path(vector: &Value, table: &TableLocation) -> Result<Option<Path>, String> {
    let text = |key: &str| vector.get(key).and_then(Value::as_str);
    let (Some(storage), Some(path)) = (text("storageType"), text("pathOrInlineDv")) else {
        return Err("a deletion vector without a place".to_owned());
    };
    let vector = DeletionVectorDescriptor {
        storage_type: storage.parse().map_err(|error: delta_kernel::Error| error.to_string())?,
        path_or_inline_dv: path.to_owned(),
        // Only the place is asked for.
        offset: None,
        size_in_bytes: 0,
        cardinality: 0,
    };
    vector_file(&vector, &table.url).map_err(|error| error.to_string())
}

/// What tells two deletion vectors apart.
pub(super) fn vector_name(path_or_inline: &str, offset: Option<i64>) -> String {
    match offset {
        Some(offset) => format!("{path_or_inline}@{offset}"),
        None => path_or_inline.to_owned(),
    }
}
