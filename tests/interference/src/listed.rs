//! The files of a table as a plain Parquet listing, below the same barrier: what a source without a log would be.

#![expect(clippy::disallowed_types, reason = "this is what stands in for the catalog's scan")]

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use lakeward_policy::mutation::substitute;
use url::Url;

use crate::delta::Layout;

/// Lies beside the folders of a lake whose tables are listed.
const MARK: &str = "_listed";

/// Has the tables of the lake below `directory` listed, if `layout` says so.
pub(crate) fn prepare(directory: &Path, layout: Layout) -> Result<()> {
    if layout == Layout::Listed {
        std::fs::create_dir_all(directory.join("lake"))?;
        std::fs::write(directory.join("lake").join(MARK), "")?;
        substitute(listing);
    }
    Ok(())
}

/// The files of a folder; None where its lake is read as it is.
fn listing(folder: &str, columns: &SchemaRef) -> Option<Arc<dyn TableProvider>> {
    let path = Url::parse(folder).ok()?.to_file_path().ok()?;
    if !path.parent()?.parent()?.join(MARK).exists() {
        return None;
    }
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new(ListingTableUrl::parse(folder).ok()?)
        .with_listing_options(options)
        .with_schema(Arc::clone(columns));
    Some(Arc::new(ListingTable::try_new(config).ok()?))
}
