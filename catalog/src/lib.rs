//! What exists: layers, Delta tables, their versions, descriptions and tags, and how to scan them.
//!
//! [`LakeCatalog`] discovers tables under layer roots, replays their logs into a file index that all
//! sessions share, and publishes immutable [`CatalogSnapshot`]s. A [`TableSnapshot`] is one version of
//! one table; its provider builds native Parquet scans with file skipping. The catalog knows no
//! principals: what a user may see is decided above it.

mod catalog;
mod definition;
mod discovery;
mod error;
mod footers;
mod index;
mod log;
mod options;
mod reader;
mod scan;
mod snapshot;
mod stores;

#[cfg(test)]
mod tests;

pub use catalog::LakeCatalog;
pub use error::{CatalogError, DataFileError, data_file_error};
pub use options::{CatalogOptions, ColumnAnnotation, ExplicitTable, LayerRoot, TableAnnotation};
pub use snapshot::{CatalogSnapshot, SnapshotId, TableEntry, TableSnapshot, TableState};
pub use stores::{
    AzureCredentials, AzureOptions, ConnectionOptions, GcsCredentials, GcsOptions, S3Addressing,
    S3ConditionalPut, S3Credentials, S3Encryption, S3Options, S3Role, Secret, SecretSource, StoreOptions,
    StoreProvider,
};
