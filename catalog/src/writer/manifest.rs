//! The files that a version needs.

use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use object_store::path::Path;
use url::Url;

use super::base::Base;
use super::location::relative_path;
use super::{TableWriter, WriteError};
use crate::control::{Manifest, ManifestFile};

impl TableWriter {
    /// Data files and deletion vector files of a version; those outside the table's folder are left
    /// out, as nobody removes them here.
    pub(super) fn manifest_of(&self, base: &Base) -> Result<Manifest, WriteError> {
        let mut files = Vec::new();
        for file in base.state().log_data().iter() {
            let size = u64::try_from(file.size()).ok();
            files.push(ManifestFile { path: file.object_store_path().to_string(), size });
            if let Some(vector) = file.deletion_vector_descriptor() {
                let vector = DeletionVectorDescriptor::try_from(vector)
                    .and_then(|vector| vector_file(&vector, &self.table.url))
                    .map_err(|error| self.broken(error))?;
                let vector = vector.map(|path| ManifestFile { path: path.to_string(), size: None });
                files.extend(vector);
            }
        }
        Ok(Manifest::new(files))
    }

    pub(super) fn broken(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> WriteError {
        WriteError::Engine { location: self.table.name().to_owned(), source: source.into() }
    }
}

/// The file of a deletion vector, relative to the table; None for an inline one or one elsewhere.
pub(super) fn vector_file(
    vector: &DeletionVectorDescriptor,
    table: &Url,
) -> Result<Option<Path>, delta_kernel::Error> {
    let Some(url) = vector.absolute_path(table)? else { return Ok(None) };
    relative_path(table, url.as_str()).map_err(delta_kernel::Error::generic_err)
}
