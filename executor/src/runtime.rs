//! The engine's runtime: a bounded memory pool, spill files, caches and a closed set of stores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use object_store::ObjectStore;
use url::Url;

use crate::stores::ClosedStoreRegistry;

/// What a process gives to its queries.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    /// Bytes that all operators together may hold before they spill or fail.
    pub memory_limit: usize,
    /// Directory of spill files; made owner-only and emptied at start.
    pub spill_directory: PathBuf,
    /// Bytes that all spill files together may take.
    pub spill_limit: u64,
    /// Bytes of Parquet footers kept.
    pub footer_cache: usize,
}

/// Why a runtime could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The spill directory cannot be used.
    #[error("the spill directory {path} cannot be used: {source}")]
    SpillDirectory {
        /// Which directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine refused the options.
    #[error("the engine refused its options: {0}")]
    Engine(#[from] DataFusionError),
}

/// Makes the runtime that all sessions of a process share. Touches the disk: not for async tasks.
pub fn build_runtime(
    options: &RuntimeOptions,
    stores: Vec<(Url, Arc<dyn ObjectStore>)>,
) -> Result<Arc<RuntimeEnv>, RuntimeError> {
    prepare_spill_directory(&options.spill_directory)
        .map_err(|source| RuntimeError::SpillDirectory { path: options.spill_directory.clone(), source })?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![options.spill_directory.clone()]))
        .with_max_temp_directory_size(options.spill_limit);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_limit)))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(options.footer_cache)
        .with_object_store_registry(Arc::new(ClosedStoreRegistry::new(stores)))
        .build_arc()?;
    Ok(runtime)
}

/// Creates the directory for its owner alone and sweeps what an earlier process left: spilled rows.
fn prepare_spill_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // Only what the engine itself makes is swept: the directory may have been given by mistake.
        if entry.file_type()?.is_dir() && entry.file_name().to_string_lossy().starts_with("datafusion-") {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use datafusion::execution::object_store::ObjectStoreUrl;

    use super::*;

    fn options(directory: &Path) -> RuntimeOptions {
        RuntimeOptions {
            memory_limit: 1 << 20,
            spill_directory: directory.to_owned(),
            spill_limit: 1 << 20,
            footer_cache: 1 << 20,
        }
    }

    #[test]
    fn leftover_spill_files_are_swept_and_the_directory_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let spill = directory.path().join("spill");
        std::fs::create_dir_all(spill.join("datafusion-old")).unwrap();
        std::fs::write(spill.join("datafusion-old/rows"), b"patient").unwrap();
        std::fs::write(spill.join("mine.txt"), b"kept").unwrap();
        build_runtime(&options(&spill), Vec::new()).unwrap();
        assert!(!spill.join("datafusion-old").exists());
        assert!(spill.join("mine.txt").exists());
        assert_eq!(std::fs::metadata(&spill).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn only_the_given_stores_can_be_opened() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = build_runtime(&options(directory.path()), Vec::new()).unwrap();
        assert!(runtime.object_store(ObjectStoreUrl::local_filesystem()).is_err());
    }
}
