//! Files that must stay.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch, StructArray};
use arrow::datatypes::{Int32Type, Int64Type};
use delta_kernel::actions::Remove;
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::engine::arrow_data::EngineDataArrowExt as _;
use delta_kernel::schema::{StructField, StructType, ToSchema as _};
use delta_kernel::{Engine, Error, Snapshot};
use object_store::path::Path;
use url::Url;

use crate::writer::location::relative_path;
use crate::writer::manifest::vector_file;

/// Files that must stay.
#[derive(Debug, Default)]
pub(super) struct Keep {
    /// Of the newest version, and of those that were the newest within the retention.
    pub(super) needed: HashSet<Path>,
    /// Of pins.
    pub(super) pinned: HashSet<Path>,
}

/// Files that were removed from the table after `newer` (milliseconds since the epoch), with the
/// files of their deletion vectors. Blocking.
///
/// All `remove` actions of the log are taken, also those of files that were added again: too much is
/// kept rather than too little.
pub(super) fn tombstones(
    engine: &dyn Engine,
    table: &Url,
    version: u64,
    newer: i64,
) -> Result<Vec<Path>, Error> {
    let snapshot = Snapshot::builder_for(table.clone()).at_version(version).build(engine)?;
    let remove = StructField::nullable("remove", Remove::to_schema());
    let schema = Arc::new(StructType::try_new([remove])?);
    let mut kept = Vec::new();
    for batch in snapshot.log_segment().read_actions(engine, schema)? {
        let batch = batch?.actions.try_into_record_batch()?;
        collect(&batch, table, newer, &mut kept)?;
    }
    Ok(kept)
}

fn collect(batch: &RecordBatch, table: &Url, newer: i64, kept: &mut Vec<Path>) -> Result<(), Error> {
    let broken = |what: &str| Error::generic(format!("tombstones: {what}"));
    let removes = batch
        .column_by_name("remove")
        .and_then(|column| column.as_struct_opt())
        .ok_or_else(|| broken("no remove actions"))?;
    let paths = removes.column_by_name("path").and_then(|column| column.as_string_opt::<i32>());
    let paths = paths.ok_or_else(|| broken("no paths"))?;
    let times =
        removes.column_by_name("deletionTimestamp").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let times = times.ok_or_else(|| broken("no times"))?;
    let vectors = removes.column_by_name("deletionVector").and_then(|column| column.as_struct_opt());
    for row in 0..removes.len() {
        if removes.is_null(row) || paths.is_null(row) {
            continue;
        }
        // The protocol takes a missing time for the beginning of time.
        if times.is_null(row) || times.value(row) < newer {
            continue;
        }
        kept.extend(relative_path(table, paths.value(row)).map_err(Error::generic_err)?);
        if let Some(vectors) = vectors
            && let Some(vector) = descriptor(vectors, row)?
        {
            kept.extend(vector_file(&vector, table)?);
        }
    }
    Ok(())
}

fn descriptor(vectors: &StructArray, row: usize) -> Result<Option<DeletionVectorDescriptor>, Error> {
    if vectors.is_null(row) {
        return Ok(None);
    }
    let text = |name: &str| {
        let column = vectors.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    };
    let (Some(storage), Some(path)) = (text("storageType"), text("pathOrInlineDv")) else { return Ok(None) };
    let offset = vectors
        .column_by_name("offset")
        .and_then(|column| column.as_primitive_opt::<Int32Type>())
        .and_then(|column| column.is_valid(row).then(|| column.value(row)));
    Ok(Some(DeletionVectorDescriptor {
        storage_type: storage.parse()?,
        path_or_inline_dv: path.to_owned(),
        offset,
        // Only the place is asked for.
        size_in_bytes: 0,
        cardinality: 0,
    }))
}
