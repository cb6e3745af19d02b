//! Tables of Lakeward's own writer, for readers that share no code with it.
//!
//! Each table is there for what was done to it (`operations`) or for what it holds (`values`).
//! `tests/delta` has the service, other readers and its own reader read them, at every version.

mod operations;
mod table;
mod values;

use std::path::Path;

use anyhow::{Context as _, Result};

/// Writes every table into a folder of its own below `folder`.
///
/// # Errors
/// When a table is there already, or the writer refuses something.
pub async fn write_all(folder: &Path) -> Result<()> {
    let lake = table::Lake::new(folder).await?;
    operations::write(&lake).await.context("tables of operations")?;
    values::write(&lake).await.context("tables of values")
}
