//! Copying the files of a pinned version, in bounded time and memory, as often as it takes.

use std::fmt::Display;
use std::sync::Arc;

use futures::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncWriteExt as _;

use super::CopyPlace;
use crate::control::{Copying, Manifest, ManifestFile, Pin};
use crate::log::{Limits, LoadContext};
use crate::stores::Location;
use crate::versions::load_pinned;
use crate::writer::location::TableLocation;
use crate::writer::{TableWriter, WriteError, durable};

/// Files copied at once.
const PARALLEL_COPIES: usize = 8;
/// Bytes of one request of a streamed copy, and how many such requests of a file run at once.
const PART_BYTES: usize = 8 << 20;
const PARALLEL_PARTS: usize = 2;

impl TableWriter {
    /// Copies everything, while the record says that it is being done. Ends before that time does.
    pub(super) async fn copy_pinned(&self, copying: &Copying, place: &CopyPlace) -> Result<(), WriteError> {
        let pin = &copying.pin;
        let folder = copying.folder().ok_or_else(|| self.bad_copies(pin.version, "no folder"))?;
        let copies = self.copies_at(folder, place).await?;
        let time = self.options.lease.time_to_live;
        let work = self.copy_version(pin, &copies);
        futures::pin_mut!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(time / 3) => {
                    let extended = self.pins.extend(&self.table.id, copying, time);
                    match tokio::time::timeout(time / 3, extended).await {
                        Ok(extended) => extended?,
                        Err(elapsed) => return Err(self.bad_copies(pin.version, elapsed)),
                    }
                }
            }
        }
    }

    async fn copy_version(&self, pin: &Pin, copies: &TableLocation) -> Result<(), WriteError> {
        let manifest = self.manifest_of_pin(pin).await?;
        futures::stream::iter(manifest.files())
            .map(|file| self.copy_file(pin, file, copies))
            .buffer_unordered(PARALLEL_COPIES)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        let checkpoint = self.write_copied_log(pin.version, copies).await?;
        let mut all: Vec<Path> = manifest.files().iter().map(path_of).collect();
        all.push(checkpoint);
        durable::sync(copies, all).await?;
        self.check_copies(pin, &manifest, copies).await
    }

    /// Copies one file unless it is there already.
    async fn copy_file(
        &self,
        pin: &Pin,
        file: &ManifestFile,
        copies: &TableLocation,
    ) -> Result<(), WriteError> {
        let path = path_of(file);
        let wrong = |reason: &dyn Display| self.bad_copies(pin.version, format!("{path}: {reason}"));
        let there = match self.look(copies.files.as_ref(), &path).await {
            Ok(there) => Some(there.size),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(wrong(&error)),
        };
        if there.is_some() && there == file.size {
            return Ok(());
        }
        let source = self.look(self.table.files.as_ref(), &path).await.map_err(|error| wrong(&error))?;
        if file.size.is_some_and(|size| size != source.size) {
            return Err(wrong(&format!("it has {} bytes, not what the log says", source.size)));
        }
        if there == Some(source.size) {
            return Ok(());
        }
        if !self.copied_by_store(&path, copies).await {
            self.stream(&path, copies).await.map_err(|error| wrong(&error))?;
        }
        let copy = self.look(copies.files.as_ref(), &path).await.map_err(|error| wrong(&error))?;
        match copy.size == source.size {
            true => Ok(()),
            false => Err(wrong(&format!("its copy has {} bytes of {}", copy.size, source.size))),
        }
    }

    async fn look(&self, store: &dyn ObjectStore, path: &Path) -> Result<ObjectMeta, Error> {
        timely(self.table.limits.request, store.head(path)).await
    }

    /// Has the store copy a file, if both places are in it. Stores do not copy what is very large.
    async fn copied_by_store(&self, path: &Path, copies: &TableLocation) -> bool {
        let root = self.table.root();
        if !Arc::ptr_eq(root, copies.root()) {
            return false;
        }
        let (from, to) = (self.table.absolute(path), copies.absolute(path));
        match timely(self.table.limits.load, root.copy(&from, &to)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(table = self.table.name(), %path, %error, "the store does not copy the file");
                false
            }
        }
    }

    async fn stream(&self, path: &Path, copies: &TableLocation) -> Result<(), Error> {
        let limits = self.table.limits;
        let source = timely(limits.request, self.table.files.get(path)).await?;
        let mut chunks = source.into_stream();
        let mut writer = BufWriter::with_capacity(Arc::clone(&copies.files), path.clone(), PART_BYTES)
            .with_max_concurrency(PARALLEL_PARTS);
        while let Some(chunk) = timely(limits.request, chunks.try_next()).await.transpose() {
            let put = match chunk {
                Ok(chunk) => timely(limits.load, writer.put(chunk)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = put {
                if let Err(error) = timely(limits.request, writer.abort()).await {
                    tracing::debug!(table = self.table.name(), %path, %error, "the upload was not aborted");
                }
                return Err(error);
            }
        }
        // This aborts by itself when it fails.
        timely(limits.load, writer.shutdown().map_err(generic)).await
    }

    /// Reads the copies as any reader would: the log has the files of the pin, and each is whole.
    async fn check_copies(
        &self,
        pin: &Pin,
        manifest: &Manifest,
        copies: &TableLocation,
    ) -> Result<(), WriteError> {
        let wrong = |reason: &dyn Display| self.bad_copies(pin.version, reason);
        let limits = self.table.limits;
        let context = Arc::new(LoadContext::alone(Limits { load: limits.load, request: limits.request }));
        let location = Location::within(&copies.url, copies.root()).map_err(|error| wrong(&error))?;
        let loaded = load_pinned(self.table.name(), &location, &context, pin.version, manifest).await;
        let table = loaded.map_err(|error| wrong(&error))?;
        let problems = table.check_files(|_| ()).await.map_err(|error| wrong(&error))?;
        match problems.first() {
            None => Ok(()),
            Some(first) => Err(wrong(&format!("the copy of {}: {}", first.path, first.problem))),
        }
    }
}

/// A path as manifests have it: as the store spells it.
fn path_of(file: &ManifestFile) -> Path {
    Path::parse(&file.path).unwrap_or_else(|_| Path::from(file.path.as_str()))
}

pub(super) async fn timely<T>(
    limit: std::time::Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(elapsed) => Err(generic(elapsed)),
    }
}

fn generic(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: "copy", source: Box::new(source) }
}
