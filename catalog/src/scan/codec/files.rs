//! What files carry besides what the engine's form of a file has.

use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use object_store::path::Path;

use super::error::{ScanCodecError, missing};
use super::message::{Chosen, File, Place, StoredVector, Vector, VectorAt};
use super::places::ScanPlaces;
use crate::deletion::{MAX_VECTOR_SIZE, PlacedVector, VectorPlace};
use crate::scan::open::ChosenRows;
use crate::scan::reader::OtherStore;

/// Refuses what neither this nor the engine's form of a file has a place for.
pub(super) fn encode(file: &PartitionedFile, table: &str) -> Result<File, ScanCodecError> {
    let refuse = |what: &str| Err(ScanCodecError::NotCarried(format!("a file with {what}")));
    let PartitionedFile {
        object_meta,
        partition_values: _,
        range: _,
        statistics: _,
        ordering,
        extensions,
        metadata_size_hint,
        table_reference,
        arrow_schema: _,
    } = file;
    if object_meta.e_tag.is_some() || object_meta.version.is_some() {
        return refuse("a tag or a version of its object");
    }
    if ordering.is_some() {
        return refuse("an order of its own");
    }
    if table_reference.is_some() {
        return refuse("a table of its own");
    }
    let other = extensions.get::<OtherStore>();
    let chosen = extensions.get::<ChosenRows>();
    if extensions.len() != usize::from(other.is_some()) + usize::from(chosen.is_some()) {
        return refuse("an extension of an unknown type");
    }
    if chosen.is_some_and(|chosen| chosen.table.as_ref() != table) {
        return refuse("rows chosen for another table");
    }
    Ok(File {
        elsewhere: other.map(|OtherStore(store)| store.root()),
        chosen: chosen.map(|ChosenRows { table: _, only, without }| Chosen {
            only: only.as_ref().map(encode_vector),
            without: without.as_ref().map(encode_vector),
        }),
        metadata_size_hint: metadata_size_hint.map(|bytes| bytes as u64),
    })
}

/// Gives `file`, as the engine's form of it is, what it carried. `folder` is the table's.
pub(super) fn decode(
    form: File,
    file: &mut PartitionedFile,
    table: &Arc<str>,
    folder: &Path,
    places: &ScanPlaces,
) -> Result<(), ScanCodecError> {
    let path = &file.object_meta.location;
    match form.elsewhere {
        Some(root) => {
            file.extensions.insert(OtherStore(places.store(table, &root, path)?));
        }
        None if !path.prefix_matches(folder) => {
            return Err(ScanCodecError::Damaged("a file of the table outside its folder".to_owned()));
        }
        None => {}
    }
    if let Some(Chosen { only, without }) = form.chosen {
        let decode =
            |vector: Option<Vector>| vector.map(|vector| decode_vector(vector, table, places)).transpose();
        let (only, without) = (decode(only)?, decode(without)?);
        file.extensions.insert(ChosenRows { table: Arc::clone(table), only, without });
    }
    file.metadata_size_hint = form.metadata_size_hint.map(usize::try_from).transpose().map_err(too_large)?;
    Ok(())
}

fn encode_vector(vector: &PlacedVector) -> Vector {
    let PlacedVector { place, size, cardinality } = vector;
    let at = match place {
        VectorPlace::Inline(text) => VectorAt::Inline(text.clone()),
        VectorPlace::File { store, path, offset } => VectorAt::Stored(StoredVector {
            file: Some(Place { root: store.root(), path: path.to_string() }),
            offset: *offset,
        }),
    };
    Vector { at: Some(at), size: *size, cardinality: *cardinality }
}

fn decode_vector(vector: Vector, table: &str, places: &ScanPlaces) -> Result<PlacedVector, ScanCodecError> {
    let Vector { at, size, cardinality } = vector;
    if size > MAX_VECTOR_SIZE {
        return Err(ScanCodecError::Damaged("a deletion vector that is too large".to_owned()));
    }
    let place = match at.ok_or_else(|| missing("a deletion vector"))? {
        VectorAt::Inline(text) => VectorPlace::Inline(text),
        VectorAt::Stored(StoredVector { file, offset }) => {
            let Place { root, path } = file.ok_or_else(|| missing("the file of a deletion vector"))?;
            let path = decode_path(&path)?;
            VectorPlace::File { store: places.store(table, &root, &path)?, path, offset }
        }
    };
    Ok(PlacedVector { place, size, cardinality })
}

/// Refuses `..`, too.
pub(super) fn decode_path(path: &str) -> Result<Path, ScanCodecError> {
    Path::parse(path).map_err(|_| ScanCodecError::Damaged("a path that is none".to_owned()))
}

pub(super) fn too_large(_: std::num::TryFromIntError) -> ScanCodecError {
    ScanCodecError::Damaged("a number that is too large for this machine".to_owned())
}
