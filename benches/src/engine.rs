//! What both sides are given alike.

use std::num::NonZero;

/// Settings of the engine.
#[derive(Debug, Clone, Copy)]
pub struct EngineOptions {
    /// Partitions a plan is cut into.
    pub target_partitions: usize,
    /// Rows in a batch.
    pub batch_size: usize,
    /// Bytes that all operators together may hold.
    pub memory_limit: usize,
    /// Bytes of Parquet footers kept.
    pub footer_cache: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            target_partitions: std::thread::available_parallelism().map_or(1, NonZero::get),
            batch_size: 8192,
            memory_limit: 8 << 30,
            footer_cache: 256 << 20,
        }
    }
}
