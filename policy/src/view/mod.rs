//! Views: how they are written, what their columns derive from, and how their queries are sealed.
//!
//! A view is a securable like a table. Whoever may read it gets a [`PolicyTable`](crate::PolicyTable) whose raw
//! rows are those of a [`ViewQuery`]: one leaf, [`ViewExec`], which nothing of a statement enters. With owner's
//! rights the query reads raw tables ([`OwnerTable`]); with the invoker's it reads governed ones.

mod definition;
mod exec;
mod lineage;
mod query;

pub use definition::{Rights, ViewColumn, ViewDefinition, parse_views};
pub use exec::{ViewExec, ViewFailed};
pub use lineage::{SourceColumn, lineage};
pub use query::{OwnerTable, ReadTable, ViewQuery};
pub(crate) use query::{Reads, ViewSource};
