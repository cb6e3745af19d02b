//! Commands that change a users file: checked before it is replaced, in one step, owner-only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::directory::{ActsFor, EntryPlaces, UserDirectory, UserRecord, parse_with_places, read};
use super::scram::ScramVerifier;
use super::text;
use crate::document::Diagnostics;

/// Why a users file was not changed. It is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file has errors already, or would have with what was asked for.
    #[error("{0}")]
    Invalid(Diagnostics),
    /// There is such a user.
    #[error("user `{0}` exists already")]
    Exists(String),
    /// There is no such user.
    #[error("there is no user `{0}`")]
    Missing(String),
    /// The file is written in a way that cannot be changed without touching what people wrote.
    #[error(
        "{0}: the list is not written as `users:` with one entry per `- name: …` block; change it by hand"
    )]
    Layout(PathBuf),
    /// Writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An account to add.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Login name.
    pub name: String,
    /// Verifier of the password.
    pub verifier: ScramVerifier,
    /// Tenant, where the user belongs to one.
    pub tenant: Option<String>,
    /// Roles.
    pub roles: BTreeSet<String>,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// When the account ends.
    pub expires: Option<DateTime<Utc>>,
}

/// Appends an account to a users file, which is made where it does not exist. Blocking.
///
/// # Errors
/// The file stays as it was where it is invalid, has the user already or cannot be written.
pub fn add_user(path: &Path, user: NewUser) -> Result<(), EditError> {
    let record = UserRecord {
        name: user.name,
        verifier: user.verifier,
        tenant: user.tenant,
        roles: user.roles,
        attributes: user.attributes,
        enabled: true,
        expires: user.expires,
        end_users: ActsFor::Nobody,
    };
    change(path, true, |text, mut users, _| {
        if users.contains_key(&record.name) {
            return Err(EditError::Exists(record.name.clone()));
        }
        let changed = text::append(text, &record);
        users.insert(record.name.clone(), record);
        Ok((changed, users))
    })
}

/// Switches an account on or off. Blocking.
///
/// # Errors
/// The file stays as it was where it is invalid, lacks the user or cannot be written.
pub fn set_enabled(path: &Path, name: &str, enabled: bool) -> Result<(), EditError> {
    change(path, false, |text, mut users, places| {
        let (record, place) = find(name, &mut users, places)?;
        if record.enabled == enabled {
            return Ok((Some(text.to_owned()), users));
        }
        record.enabled = enabled;
        Ok((text::set_enabled(text, place, enabled), users))
    })
}

/// Gives an account another password. Blocking.
///
/// # Errors
/// The file stays as it was where it is invalid, lacks the user or cannot be written.
pub fn set_verifier(path: &Path, name: &str, verifier: &ScramVerifier) -> Result<(), EditError> {
    change(path, false, |text, mut users, places| {
        let (record, place) = find(name, &mut users, places)?;
        record.verifier = verifier.clone();
        Ok((text::set_verifier(text, place, &verifier.to_string()), users))
    })
}

type Users = BTreeMap<String, UserRecord>;
type Places = BTreeMap<String, EntryPlaces>;

fn find<'a>(
    name: &str,
    users: &'a mut Users,
    places: &'a Places,
) -> Result<(&'a mut UserRecord, &'a EntryPlaces), EditError> {
    match (users.get_mut(name), places.get(name)) {
        (Some(record), Some(place)) => Ok((record, place)),
        _ => Err(EditError::Missing(name.to_owned())),
    }
}

/// Reads, changes, proves that exactly the wanted accounts come out, and replaces the file.
fn change(
    path: &Path,
    create: bool,
    edit: impl FnOnce(&str, Users, &Places) -> Result<(Option<String>, Users), EditError>,
) -> Result<(), EditError> {
    let failed = |source: io::Error| EditError::Io { path: path.to_path_buf(), source };
    // A link is followed, so that the file is replaced and not the link.
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if create && error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(failed(error)),
    };
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    // Two commands at once would lose one's change: the folder's lock makes them queue.
    let lock = File::open(&folder).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let (text, existing) = match fs::metadata(&target) {
        Ok(metadata) => (read(&target).map_err(EditError::Invalid)?, Some(metadata)),
        Err(error) if create && error.kind() == io::ErrorKind::NotFound => {
            (text::empty_file().to_owned(), None)
        }
        Err(error) => return Err(failed(error)),
    };
    let (directory, places) = parse_with_places(path, &text).map_err(EditError::Invalid)?;
    let (changed, wanted) = edit(&text, directory.clone_users(), &places)?;
    let changed = changed.ok_or_else(|| EditError::Layout(path.to_path_buf()))?;
    let result = UserDirectory::parse(path, &changed).map_err(EditError::Invalid)?;
    if !result.same_users(&wanted) {
        return Err(EditError::Layout(path.to_path_buf()));
    }
    let owner = existing.map(|metadata| (metadata.uid(), metadata.gid()));
    replace(&target, &folder, changed.as_bytes(), owner).map_err(failed)?;
    lock.sync_all().map_err(failed)
}

fn replace(target: &Path, folder: &Path, content: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    let tag = OsRng.try_next_u64().map_err(io::Error::other)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = folder.join(format!(".{name}.{tag:016x}"));
    let result = write_owner_only(&temporary, content, owner).and_then(|()| fs::rename(&temporary, target));
    if result.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn write_owner_only(path: &Path, content: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some((uid, gid)) = owner {
        let made = file.metadata()?;
        // The service that reads the file must still be able to, whoever runs the command.
        if (made.uid(), made.gid()) != (uid, gid) {
            fchown(&file, Some(uid), Some(gid))?;
        }
    }
    file.write_all(content)?;
    file.sync_all()
}
