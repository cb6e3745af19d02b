//! Tables written as Delta: hidden rows between shown ones, in the same files, and in files of their own.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use chrono::{Duration, NaiveDate};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use roaring::RoaringTreemap;
use serde_json::{Map, Value, json};

use crate::cells::{Cell, Column, Row, batch};
use crate::tables::Table;

/// How tables lie in their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Data files alone.
    Plain,
    /// The same, found by listing the folder: no log is read for a scan.
    #[cfg(feature = "mutations")]
    Listed,
    /// Some hidden rows are deleted by vectors, and so are rows that would be shown; some tables are partitioned.
    Vectors,
}

/// Files that hold both shown and hidden rows.
const MIXED: usize = 3;
/// Rows in a file of hidden rows alone.
const OWN: usize = 400;
/// Rows in a row group: a file has several.
const GROUP: usize = 128;

/// Rows of one file, and which of them are deleted.
struct File {
    rows: Vec<Row>,
    deleted: RoaringTreemap,
    partition: Option<Cell>,
    own: bool,
}

/// Writes `table` below `lake`.
pub fn write(lake: &Path, table: &Table, layout: Layout) -> Result<()> {
    let folder = lake.join(table.name.replace('.', "/"));
    fs::create_dir_all(folder.join("_delta_log"))?;
    let partition = table
        .partition
        .filter(|_| layout == Layout::Vectors)
        .and_then(|name| table.columns.iter().position(|column| column.name == name));
    let mut commits = vec![vec![protocol(layout), metadata(table, partition)]];
    for (index, file) in files(table, layout, partition).into_iter().enumerate() {
        let action = add(&folder, index, &table.columns, partition, &file)?;
        if file.own && table.own_commits {
            commits.push(vec![action]);
        } else if let Some(first) = commits.first_mut() {
            first.push(action);
        }
    }
    for (version, actions) in commits.iter().enumerate() {
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        fs::write(folder.join(format!("_delta_log/{version:020}.json")), text)?;
    }
    Ok(())
}

fn files(table: &Table, layout: Layout, partition: Option<usize>) -> Vec<File> {
    // Half of the hidden rows, but no more than there are shown ones three times, lie between shown ones.
    let between = (table.hidden.len() / 2).min(table.shown.len() * 3);
    let (between, own) = table.hidden.split_at(between);
    let mut files = Vec::new();
    for part in 0..MIXED {
        let share = |rows: &[Row]| -> Vec<Row> {
            let size = rows.len().div_ceil(MIXED).max(1);
            rows.chunks(size).nth(part).map(<[Row]>::to_vec).unwrap_or_default()
        };
        let (shown, hidden) = (share(&table.shown), share(between));
        if !shown.is_empty() || !hidden.is_empty() {
            files.push(interleaved(shown, hidden, layout == Layout::Vectors && !table.hidden.is_empty()));
        }
    }
    files.extend(own.chunks(OWN).map(|rows| File {
        rows: rows.to_vec(),
        deleted: RoaringTreemap::new(),
        partition: None,
        own: true,
    }));
    match partition {
        None => files,
        Some(column) => files.into_iter().flat_map(|file| partitioned(file, column)).collect(),
    }
}

/// Hidden rows spread between shown ones. With `vectors` every fourth hidden row is deleted, and so are
/// copies of shown rows that the table had once.
fn interleaved(shown: Vec<Row>, hidden: Vec<Row>, vectors: bool) -> File {
    let mut file = File { rows: Vec::new(), deleted: RoaringTreemap::new(), partition: None, own: false };
    let each = hidden.len() as f64 / shown.len().max(1) as f64;
    let (mut due, mut hidden) = (0.5, hidden.into_iter().enumerate());
    let hide = |file: &mut File, (index, row): (usize, Row)| {
        if vectors && index % 4 == 0 {
            file.deleted.insert(file.rows.len() as u64);
        }
        file.rows.push(row);
    };
    for (index, row) in shown.into_iter().enumerate() {
        due += each;
        while due >= 1.0 {
            due -= 1.0;
            if let Some(next) = hidden.next() {
                hide(&mut file, next);
            }
        }
        if vectors && index % 10 == 3 {
            file.deleted.insert(file.rows.len() as u64);
            file.rows.push(row.clone());
        }
        file.rows.push(row);
    }
    hidden.for_each(|next| hide(&mut file, next));
    file
}

fn partitioned(file: File, column: usize) -> Vec<File> {
    let mut parts: Vec<File> = Vec::new();
    for (index, row) in file.rows.into_iter().enumerate() {
        let value = row[column].clone();
        let known = parts.iter().position(|part| part.partition.as_ref() == Some(&value));
        let place = known.unwrap_or_else(|| {
            let deleted = RoaringTreemap::new();
            parts.push(File { rows: Vec::new(), deleted, partition: Some(value), own: file.own });
            parts.len() - 1
        });
        if let Some(part) = parts.get_mut(place) {
            if file.deleted.contains(index as u64) {
                part.deleted.insert(part.rows.len() as u64);
            }
            part.rows.push(row);
        }
    }
    parts
}

fn protocol(layout: Layout) -> Value {
    match layout {
        Layout::Vectors => json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}}),
        _ => json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
    }
}

fn metadata(table: &Table, partition: Option<usize>) -> Value {
    let fields: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            let notes = json!({"comment": format!("The {}", column.name), "lakeward.tags": column.tags});
            json!({"name": column.name, "type": column.kind.delta(), "nullable": true, "metadata": notes})
        })
        .collect();
    let partitions: Vec<&str> = partition.iter().map(|index| table.columns[*index].name).collect();
    json!({"metaData": {
        "id": uuid::Uuid::new_v4().to_string(),
        "description": format!("The table {}", table.name),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
        "partitionColumns": partitions,
        "configuration": {},
        "createdTime": 0,
    }})
}

fn add(
    folder: &Path,
    index: usize,
    columns: &[Column],
    partition: Option<usize>,
    file: &File,
) -> Result<Value> {
    let kept = |i: usize| Some(i) != partition;
    let stored: Vec<Column> =
        columns.iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, column)| *column).collect();
    let rows: Vec<Row> = file
        .rows
        .iter()
        .map(|row| row.iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, cell)| cell.clone()).collect())
        .collect();
    let name = format!("part-{index:05}.parquet");
    let batch = batch(&stored, &rows)?;
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(GROUP)).build();
    let mut writer =
        ArrowWriter::try_new(fs::File::create(folder.join(&name))?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    let mut values = Map::new();
    if let (Some(column), Some(value)) = (partition, &file.partition) {
        let value = if let Cell::Text(value) = value { json!(value) } else { Value::Null };
        values.insert(columns[column].name.to_owned(), value);
    }
    let mut action = json!({"add": {
        "path": name,
        "partitionValues": values,
        "size": fs::metadata(folder.join(&name))?.len(),
        "modificationTime": 1_700_000_000_000_i64,
        "dataChange": true,
        "stats": statistics(&stored, &rows).to_string(),
    }});
    if !file.deleted.is_empty() {
        action["add"]["deletionVector"] = vector(&file.deleted)?;
    }
    Ok(action)
}

/// A deletion vector in the log itself.
fn vector(deleted: &RoaringTreemap) -> Result<Value> {
    let mut bytes = 1_681_511_377_u32.to_le_bytes().to_vec();
    deleted.serialize_into(&mut bytes).context("a deletion vector")?;
    let size = bytes.len();
    bytes.resize(size.next_multiple_of(4), 0);
    Ok(json!({
        "storageType": "i",
        "pathOrInlineDv": z85::encode(&bytes),
        "sizeInBytes": size,
        "cardinality": deleted.len(),
    }))
}

/// Bounds and counts of every column for which they can be written.
fn statistics(columns: &[Column], rows: &[Row]) -> Value {
    let (mut least, mut most, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (index, column) in columns.iter().enumerate() {
        let cells = || rows.iter().map(|row| &row[index]).filter(|cell| **cell != Cell::Null);
        nulls.insert(column.name.to_owned(), json!(rows.len() - cells().count()));
        let (Some(low), Some(high)) = (bound(cells(), false), bound(cells(), true)) else { continue };
        least.insert(column.name.to_owned(), low);
        most.insert(column.name.to_owned(), high);
    }
    json!({"numRecords": rows.len(), "minValues": least, "maxValues": most, "nullCount": nulls})
}

/// None where there is no value, or one that JSON cannot say.
fn bound<'a>(cells: impl Iterator<Item = &'a Cell> + Clone, largest: bool) -> Option<Value> {
    macro_rules! extreme {
        ($values:expr) => {{
            let values = $values;
            if largest { values.max() } else { values.min() }
        }};
    }
    match cells.clone().next()? {
        Cell::Long(_) => {
            extreme!(cells.filter_map(|cell| if let Cell::Long(v) = cell { Some(*v) } else { None }))
                .map(|v| json!(v))
        }
        Cell::Text(_) => {
            extreme!(cells.filter_map(|cell| if let Cell::Text(v) = cell { Some(v) } else { None }))
                .map(|v| json!(v))
        }
        Cell::Date(_) => {
            let day =
                extreme!(cells.filter_map(|cell| if let Cell::Date(v) = cell { Some(*v) } else { None }))?;
            let date = NaiveDate::default().checked_add_signed(Duration::days(i64::from(day)))?;
            let written = date.to_string();
            (written.len() == 10).then(|| json!(written))
        }
        Cell::Double(_) => {
            let mut values = Vec::new();
            for cell in cells {
                match cell {
                    Cell::Double(value) if value.is_finite() => values.push(*value),
                    _ => return None,
                }
            }
            let fold = if largest { f64::max } else { f64::min };
            values.into_iter().reduce(fold).map(|v| json!(v))
        }
        _ => None,
    }
}
