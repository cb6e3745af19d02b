//! What exists: layers, Delta tables, their versions, descriptions and tags, and how to scan them.
//!
//! [`LakeCatalog`] discovers tables under layer roots, replays their logs into a file index that all
//! sessions share, and publishes immutable [`CatalogSnapshot`]s. A [`TableSnapshot`] is one version of
//! one table; its provider builds native Parquet scans with file skipping. The catalog knows no
//! principals: what a user may see is decided above it.
//!
//! [`writer`] writes tables, one writer at a time; [`control`] keeps the records that processes agree on.

mod catalog;
pub mod control;
mod definition;
mod deletion;
mod discovery;
mod error;
mod footers;
mod index;
mod inspect;
mod log;
mod options;
mod places;
mod scan;
mod shape;
mod snapshot;
mod stores;
mod versions;
pub mod writer;

#[cfg(test)]
mod tests;

pub use catalog::LakeCatalog;
pub use error::{CatalogError, DataFileError, data_file_error};
pub use inspect::{FileProblem, FileSummary};
pub use options::{CatalogOptions, ColumnAnnotation, ExplicitTable, LayerRoot, TableAnnotation};
pub use scan::{LakeScanCodec, ScanCodecError, ScanPlaces};
pub use snapshot::{CatalogSnapshot, SnapshotId, TableEntry, TableSnapshot, TableState};
pub use stores::{
    AzureCredentials, AzureOptions, ConnectionOptions, GcsCredentials, GcsOptions, S3Addressing,
    S3ConditionalPut, S3Credentials, S3Encryption, S3Options, S3Role, Secret, SecretSource, StoreOptions,
    StoreProvider,
};
pub use versions::{
    CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION, Commit, PinnedError, TableVersion, VersionError,
};
