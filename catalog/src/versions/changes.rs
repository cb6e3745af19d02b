//! What happened to a table's rows between two versions: the change data feed.
//!
//! Where a commit has change files, these say it; else the files that it added and removed do, as
//! the protocol's section "Add CDC File" has it. Without the feed an update shows as the removal of
//! a file's rows and the insertion of the rewritten ones.

mod actions;
mod table;

pub use table::{CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION};
