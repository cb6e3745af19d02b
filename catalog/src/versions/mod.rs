//! Older versions of a table, its history, and what changed between versions.

mod at;
mod changes;
mod error;
mod history;

pub(crate) use at::VersionCache;
pub use at::TableVersion;

pub use error::VersionError;
pub use history::Commit;
