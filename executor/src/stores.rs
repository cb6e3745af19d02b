//! The object stores that plans may open: the catalog's, and no others.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::Url;

/// A registry that is filled once. The engine's own registry opens the whole local disk by default.
#[derive(Debug, Default)]
pub struct ClosedStoreRegistry {
    stores: HashMap<String, Arc<dyn ObjectStore>>,
}

impl ClosedStoreRegistry {
    /// The stores by scheme and authority of their URLs.
    pub fn new(stores: impl IntoIterator<Item = (Url, Arc<dyn ObjectStore>)>) -> Self {
        Self { stores: stores.into_iter().map(|(url, store)| (authority(&url), store)).collect() }
    }
}

fn authority(url: &Url) -> String {
    url[..url::Position::BeforePath].to_owned()
}

impl ObjectStoreRegistry for ClosedStoreRegistry {
    /// Refused: nothing is added to a registry in use.
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        tracing::error!("an object store was offered to a closed registry and not taken");
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.stores
            .get(&authority(url))
            .cloned()
            .ok_or_else(|| DataFusionError::Execution("no object store serves this location".to_owned()))
    }
}
