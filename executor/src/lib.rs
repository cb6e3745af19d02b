//! Where plans run: memory, spill files and object stores of one process.

mod runtime;
mod stores;

pub use runtime::{RuntimeError, RuntimeOptions, build_runtime};
pub use stores::ClosedStoreRegistry;
