//! Where the process that decodes may read, and with what.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use super::error::ScanCodecError;
use crate::deletion::DeletionVectors;
use crate::discovery::Sources;
use crate::error::CatalogError;
use crate::options::CatalogOptions;
use crate::places::Places;
use crate::stores::{Store, Stores};

/// The stores of the layers and tables that a process is configured to read. Cheap to clone.
///
/// A message names places, never credentials; a place that is not among these is refused, whoever wrote
/// the message.
#[derive(Debug, Clone)]
pub struct ScanPlaces {
    places: Arc<Places>,
    vectors: Arc<DeletionVectors>,
    stores: Vec<(Url, Arc<dyn ObjectStore>)>,
}

impl ScanPlaces {
    /// Opens the stores of a configuration, for a process that runs scans and has no catalog: looks for
    /// no tables, and sends nothing. A process with a catalog takes that one's
    /// ([`LakeCatalog::scan_places`](crate::LakeCatalog::scan_places)).
    pub async fn open(options: CatalogOptions) -> Result<Self, CatalogError> {
        let (sources, stores) =
            Sources::open(options.roots, options.tables, options.copies, options.stores).await?;
        let vectors = Arc::new(DeletionVectors::new(DeletionVectors::USUAL_BUDGET));
        Ok(Self::new(Arc::new(Places::new(sources.folders())), vectors, &stores))
    }

    pub(crate) fn new(places: Arc<Places>, vectors: Arc<DeletionVectors>, stores: &Stores) -> Self {
        Self { places, vectors, stores: stores.all() }
    }

    /// Stores to register in the execution runtime that decoded scans run in, by URL.
    pub fn object_stores(&self) -> Vec<(Url, Arc<dyn ObjectStore>)> {
        self.stores.clone()
    }

    pub(super) fn vectors(&self) -> &Arc<DeletionVectors> {
        &self.vectors
    }

    /// The configured store of what is at `path` of the store with this root.
    pub(super) fn store(&self, table: &str, root: &str, path: &Path) -> Result<Arc<Store>, ScanCodecError> {
        let folder = self.places.holding(root, path);
        folder.map(|folder| Arc::clone(&folder.store)).ok_or_else(|| ScanCodecError::NotConfigured {
            table: table.to_owned(),
            place: format!("{root}/{path}"),
        })
    }
}
