//! Older versions of a table, its history, and what changed between versions.

mod at;
mod changes;
mod error;
mod history;

pub use at::TableVersion;
pub(crate) use at::VersionCache;
pub use changes::{CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION};
pub use error::VersionError;
pub use history::Commit;
