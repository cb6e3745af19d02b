//! The log of copies: one checkpoint, which says of the copied files what the table's log says of them.

use std::sync::Arc;

use bytes::Bytes;
use delta_kernel::Snapshot;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::copy::timely;
use crate::stores::Location;
use crate::writer::location::{LOG, TableLocation};
use crate::writer::{TableWriter, WriteError};

impl TableWriter {
    /// Writes a checkpoint of `version` into the log of `copies`, and gives its path there. Files that are
    /// named relative to the table are so in the copies, too.
    pub(super) async fn write_copied_log(
        &self,
        version: u64,
        copies: &TableLocation,
    ) -> Result<Path, WriteError> {
        let (name, checkpoint) = self.encode_checkpoint(version, copies).await?;
        let path = Path::from_iter([LOG, name.as_str()]);
        let put = timely(self.table.limits.load, copies.files.put(&path, checkpoint.into())).await;
        put.map_err(|error| self.bad_copies(version, format!("{path}: {error}")))?;
        Ok(path)
    }

    /// A checkpoint's name and bytes. In memory first: what runs on a thread of its own does not end when it is
    /// no longer waited for, and must then not write into a folder that was emptied meanwhile.
    async fn encode_checkpoint(
        &self,
        version: u64,
        copies: &TableLocation,
    ) -> Result<(String, Bytes), WriteError> {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let target =
            Location::within(&copies.url, &memory).map_err(|reason| self.bad_copies(version, reason))?;
        let (source, url) = (self.table.engine(), self.table.url.clone());
        let (engine, folder) = (Arc::clone(&target.store.engine), target.url.clone());
        let writing = self.blocking("writing the log of copies", move || {
            let snapshot = Snapshot::builder_for(url).at_version(version).build(source.as_ref())?;
            let writer = snapshot.create_checkpoint_writer(source.as_ref())?;
            let path = writer.checkpoint_path()?;
            let name = path.path_segments().and_then(|mut parts| parts.next_back().map(str::to_owned));
            let name = name.ok_or_else(|| delta_kernel::Error::generic("a checkpoint without a name"))?;
            let actions = writer.checkpoint_data(source.as_ref())?;
            let actions = actions.map(|batch| batch.and_then(|batch| batch.apply_selection_vector()));
            let file = folder.join(&format!("{LOG}/{name}"))?;
            engine.parquet_handler().write_parquet_file(file, Box::new(actions))?;
            Ok(name)
        });
        let name = writing.await?;
        let written = memory.get(&target.log().join(name.as_str())).await;
        let bytes = match written {
            Ok(written) => written.bytes().await,
            Err(error) => Err(error),
        };
        Ok((name, bytes.map_err(|error| self.bad_copies(version, error))?))
    }
}
