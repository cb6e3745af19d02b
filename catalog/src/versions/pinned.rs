//! A pinned version as a table that can be read: from the table while everything is there, else from copies.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;

use crate::LakeCatalog;
use crate::control::{Manifest, Pin, PinError, PinState, Pins, TableId};
use crate::deletion::Stored;
use crate::error::LoadError;
use crate::log::{self, LoadContext};
use crate::places::FilePath;
use crate::snapshot::TableSnapshot;
use crate::stores::Location;
use crate::writer::table_id;

/// Why a pinned version cannot be read. The reasons are for operators: they may name locations.
#[derive(Debug, thiserror::Error)]
pub enum PinnedError {
    /// There is no pin of that name.
    #[error("table {table} has no pin named {id}")]
    NotFound {
        /// `schema.table`.
        table: String,
        /// The name.
        id: String,
    },
    /// The version must not be read any more, and what was copied of it is gone or going.
    #[error("pin {id} of table {table} was invalidated at {at}: {reason}")]
    Invalid {
        /// `schema.table`.
        table: String,
        /// The name of the pin.
        id: String,
        /// Why.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// The pin is still being made, or being removed.
    #[error("pin {id} of table {table} is {doing}")]
    Unfinished {
        /// `schema.table`.
        table: String,
        /// The name of the pin.
        id: String,
        /// What is being done to it.
        doing: &'static str,
    },
    /// Neither the table nor copies have the version any more.
    #[error(
        "version {version} of table {table}, pinned as {id}, cannot be read: in the table, {in_table}; of copies, {in_copies}"
    )]
    Gone {
        /// `schema.table`.
        table: String,
        /// The name of the pin.
        id: String,
        /// The pinned version.
        version: u64,
        /// Why not from the table.
        in_table: String,
        /// Why not from copies.
        in_copies: String,
    },
    /// The pin's record cannot be read, so nobody knows whether the version may be.
    #[error("pin {id} of table {table} cannot be looked at")]
    Unknown {
        /// `schema.table`.
        table: String,
        /// The name of the pin.
        id: String,
        /// Why.
        source: PinError,
    },
}

impl LakeCatalog {
    /// The version of `table` that was pinned as `id`: from the table itself while its log and all files of
    /// the pin are there, else from the pin's copies, if it has any. With the columns that the table
    /// still has, under today's names and with today's tags, so that today's policies apply to it.
    ///
    /// What is erased while a snapshot is open is no longer promised: open it for each statement.
    ///
    /// # Errors
    /// [`PinnedError::Invalid`] for a pin that an erasure or someone else invalidated.
    pub async fn open_pin(
        &self,
        table: &Arc<TableSnapshot>,
        pins: &Pins,
        id: &str,
    ) -> Result<Arc<TableSnapshot>, PinnedError> {
        let context = &table.log.context;
        let name = &table.qualified_name;
        let key = table_id(&table.location.url, context.limits.request).await;
        let unknown = |source| PinnedError::Unknown { table: name.clone(), id: id.to_owned(), source };
        let pin = read_pin(pins, &key, name, id).await?;
        let manifest = pins.manifest(&key, &pin).await.map_err(unknown)?;
        let opened = match load_pinned(name, &table.location, context, pin.version, &manifest).await {
            Ok(opened) => opened,
            Err(in_table) => {
                tracing::info!(table = name, pin = id, reason = %in_table, "the pinned version is read from copies");
                self.open_copies(table, &pin, &manifest).await.map_err(|in_copies| PinnedError::Gone {
                    table: name.clone(),
                    id: id.to_owned(),
                    version: pin.version,
                    in_table: in_table.to_string(),
                    in_copies,
                })?
            }
        };
        // Looking at files takes time, and an erasure may have won meanwhile.
        read_pin(pins, &key, name, id).await?;
        let definition = Arc::new(opened.log.definition.as_of_today(&table.log.definition));
        let log = opened.log.described(definition);
        Ok(Arc::new(TableSnapshot::new(name.clone(), opened.location, log)))
    }

    async fn open_copies(
        &self,
        table: &TableSnapshot,
        pin: &Pin,
        manifest: &Manifest,
    ) -> Result<TableSnapshot, String> {
        let copies = pin.copies.as_ref().ok_or("there are none")?;
        let location = self
            .locate(&copies.folder)
            .ok_or_else(|| format!("they are in a store that is not configured ({})", copies.folder))?;
        load_pinned(&table.qualified_name, &location, &table.log.context, pin.version, manifest)
            .await
            .map_err(|error| error.to_string())
    }
}

/// The pin, if its version may be read.
async fn read_pin(pins: &Pins, key: &TableId, table: &str, id: &str) -> Result<Pin, PinnedError> {
    let (table, id) = (table.to_owned(), id.to_owned());
    match pins.get(key, &id).await {
        Err(source) => Err(PinnedError::Unknown { table, id, source }),
        Ok(None) => Err(PinnedError::NotFound { table, id }),
        Ok(Some(pin)) => match pin.state {
            PinState::Valid => Ok(pin),
            PinState::Invalid { reason, at } => Err(PinnedError::Invalid { table, id, reason, at }),
            PinState::Making | PinState::Copying => {
                Err(PinnedError::Unfinished { table, id, doing: "still being made" })
            }
            PinState::Releasing => Err(PinnedError::Unfinished { table, id, doing: "being removed" }),
        },
    }
}

/// Reads `version` at a location, if it is the one that `manifest` is of and all of its files are there.
pub(crate) async fn load_pinned(
    name: &str,
    location: &Location,
    context: &Arc<LoadContext>,
    version: u64,
    manifest: &Manifest,
) -> Result<TableSnapshot, LoadError> {
    let log = log::load_at(location, context, version).await?;
    let table = TableSnapshot::new(name.to_owned(), location.clone(), log);
    let pinned: BTreeSet<String> = manifest.files().iter().map(|file| file.path.clone()).collect();
    if table.own_files().await? != pinned {
        return Err(LoadError::Broken(format!("version {version} is not the one that was pinned")));
    }
    let missing = missing(location, context, manifest).await?;
    match missing.iter().min() {
        None => Ok(table),
        Some(first) => {
            Err(LoadError::Broken(format!("{} of its files are gone or changed, as {first}", missing.len())))
        }
    }
}

/// Files of `manifest` that are not there, or of another size. Lists the folder: one request for each
/// object would be many.
async fn missing<'m>(
    location: &Location,
    context: &LoadContext,
    manifest: &'m Manifest,
) -> Result<HashSet<&'m str>, LoadError> {
    let mut missing: HashSet<&str> = manifest.files().iter().map(|file| file.path.as_str()).collect();
    let sizes: std::collections::HashMap<&str, Option<u64>> =
        manifest.files().iter().map(|file| (file.path.as_str(), file.size)).collect();
    let listing = async {
        let mut objects = location.store.objects.list(Some(&location.path));
        while let Some(object) = objects.try_next().await? {
            let Some(parts) = object.location.prefix_match(&location.path) else { continue };
            let path = parts.collect::<object_store::path::Path>();
            if let Some(size) = sizes.get(path.as_ref())
                && size.is_none_or(|size| size == object.size)
            {
                missing.remove(path.as_ref());
            }
            if missing.is_empty() {
                break;
            }
        }
        Ok::<_, object_store::Error>(())
    };
    match tokio::time::timeout(context.limits.load, listing).await {
        Ok(listed) => listed?,
        Err(_) => return Err(LoadError::Unreachable("the store did not list the table in time".to_owned())),
    }
    Ok(missing)
}

impl TableSnapshot {
    /// Data files and deletion vector files in the table's own folder, relative to it.
    async fn own_files(&self) -> Result<BTreeSet<String>, LoadError> {
        let mut files = BTreeSet::new();
        let index = self.index().await?;
        for file in index.all() {
            let entry = index.file(file);
            if entry.place().is_none() {
                files.insert(entry.path().to_owned());
            }
            match entry.deletion_vector()?.map(|vector| vector.stored) {
                Some(Stored::Beside { path, .. }) => {
                    files.insert(path);
                }
                Some(Stored::Elsewhere { url, .. }) => {
                    let places = &self.log.context.places;
                    let file = FilePath::parse(url.as_str(), &self.location.url, places)?;
                    files.extend(file.place.is_none().then_some(file.path));
                }
                Some(Stored::Inline(_)) | None => {}
            }
        }
        Ok(files)
    }
}
