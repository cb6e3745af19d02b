//! Older versions of a table, its history, and what changed between versions.

mod at;
mod changes;
mod error;
mod history;
mod pinned;

pub use at::TableVersion;
pub(crate) use at::VersionCache;
pub use changes::{CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION};
pub use error::VersionError;
pub use history::Commit;
pub use pinned::PinnedError;
pub(crate) use pinned::load_pinned;
