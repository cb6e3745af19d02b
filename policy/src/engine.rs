//! The policies in force: swapped whole, never half.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::Principal;
use crate::change::{ChangeError, Changed, PolicyChange, Replacement, Stamp, apply};
use crate::document::Diagnostics;
use crate::resolved::Resolved;
use crate::securable::Securable;
use crate::snapshot::PolicySnapshot;

/// Resolved principals kept per epoch; beyond it the cache starts anew.
const RESOLVED_LIMIT: u64 = 1_000;

/// Holds the snapshot in force and what it resolved to for recent principals.
#[derive(Debug)]
pub struct PolicyEngine {
    files: Vec<PathBuf>,
    /// The one of them that [`PolicyEngine::change`] writes.
    managed: Option<PathBuf>,
    current: ArcSwap<PolicySnapshot>,
    /// One reload or change at a time.
    reloading: Mutex<()>,
    resolved: dashmap::DashMap<(u64, Arc<Principal>), Arc<Resolved>>,
}

/// What a reload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The files say what they said.
    Unchanged,
    /// New policies are in force, at this epoch.
    Changed(u64),
}

impl PolicyEngine {
    /// Loads `files` and checks them against `tables`. Reads files: not for async tasks.
    pub fn load(files: Vec<PathBuf>, tables: &[Securable]) -> Result<Self, Diagnostics> {
        let snapshot = PolicySnapshot::load(&files, tables, 1)?;
        Ok(Self {
            files,
            managed: None,
            current: ArcSwap::from_pointee(snapshot),
            reloading: Mutex::new(()),
            resolved: dashmap::DashMap::new(),
        })
    }

    /// Lets [`PolicyEngine::change`] write `file`, which is one of those that were loaded.
    #[must_use]
    pub fn managing(mut self, file: PathBuf) -> Self {
        self.managed = Some(file);
        self
    }

    /// Changes records of the managed file, all or none of them, and puts the result in force: `who` asked.
    /// Blocking: not for async tasks.
    ///
    /// # Errors
    /// Files and policies in force are as they were.
    pub fn change(
        &self,
        changes: &[PolicyChange],
        who: &str,
        tables: &[Securable],
    ) -> Result<Changed, ChangeError> {
        let managed = self.managed.as_deref().ok_or(ChangeError::NotManaged)?;
        let _one = self.reloading.lock();
        let failed = |source| ChangeError::Io { path: managed.to_path_buf(), source };
        let replacement = Replacement::begin(managed).map_err(failed)?;
        let current = self.current.load();
        let mut texts = PolicySnapshot::read(&self.files).map_err(|_| ChangeError::ChangedOnDisk)?;
        if !current.is_of(&texts) {
            return Err(ChangeError::ChangedOnDisk);
        }
        let (of_managed, others): (Vec<_>, Vec<_>) =
            texts.iter().map(|(path, text)| (*path, text.as_str())).partition(|(path, _)| *path == managed);
        let [own] = of_managed.as_slice() else { return Err(ChangeError::NotManaged) };
        let mut notices = Vec::new();
        let stamp = Stamp::new(who, chrono::Utc::now());
        let text = apply(*own, &others, changes, &stamp, &mut notices)?;
        let old_digest = current.digest().to_owned();
        if text == own.1 {
            return Ok(Changed { new_digest: old_digest.clone(), old_digest, notices });
        }
        for (path, known) in &mut texts {
            if *path == managed {
                known.clone_from(&text);
            }
        }
        let next = PolicySnapshot::from_texts(&texts, tables, current.epoch() + 1)
            .and_then(|next| keeps_grants(&current, next, managed))
            .map_err(ChangeError::Refused)?;
        if replacement.put(text.as_bytes()).map_err(failed)? {
            tracing::warn!(file = %managed.display(), "a changed policy file may be lost if the machine fails now");
        }
        let new_digest = next.digest().to_owned();
        self.put_in_force(next);
        Ok(Changed { old_digest, new_digest, notices })
    }

    fn put_in_force(&self, next: PolicySnapshot) {
        self.current.store(Arc::new(next));
        self.resolved.clear();
    }

    /// Loads the files again. On any problem the snapshot in force stays. Reads files: not for async tasks.
    pub fn reload(&self, tables: &[Securable]) -> Result<Reload, Diagnostics> {
        self.reload_with(tables, || ())
    }

    /// The same; `accepted` is called between the check and the change: what changes together with the
    /// policies is put aside there.
    pub fn reload_with(&self, tables: &[Securable], accepted: impl FnOnce()) -> Result<Reload, Diagnostics> {
        let _one = self.reloading.lock();
        let current = self.current.load();
        let next = PolicySnapshot::load(&self.files, tables, current.epoch() + 1)?;
        let next =
            keeps_grants(&current, next, self.files.first().map_or(Path::new("policies"), PathBuf::as_path))?;
        accepted();
        if next.digest() == current.digest() {
            return Ok(Reload::Unchanged);
        }
        let epoch = next.epoch();
        self.put_in_force(next);
        Ok(Reload::Changed(epoch))
    }

    /// The snapshot in force.
    #[must_use]
    pub fn current(&self) -> Arc<PolicySnapshot> {
        self.current.load_full()
    }

    /// The policies in force as they concern `principal`.
    #[must_use]
    pub fn resolve(&self, principal: &Arc<Principal>) -> Arc<Resolved> {
        self.resolve_in(&self.current(), principal)
    }

    /// The policies in force as they concern `account` where it acts on behalf of `end_user`: what both
    /// may see.
    #[must_use]
    pub fn resolve_on_behalf(&self, account: &Arc<Principal>, end_user: &Arc<Principal>) -> Arc<Resolved> {
        let snapshot = self.current();
        let account = self.resolve_in(&snapshot, account);
        let end_user = self.resolve_in(&snapshot, end_user);
        Arc::new(account.narrowed_by(end_user))
    }

    fn resolve_in(&self, snapshot: &Arc<PolicySnapshot>, principal: &Arc<Principal>) -> Arc<Resolved> {
        let key = (snapshot.epoch(), Arc::clone(principal));
        if let Some(known) = self.resolved.get(&key) {
            return Arc::clone(&known);
        }
        let resolved = snapshot.resolve(principal);
        if self.resolved.len() as u64 >= RESOLVED_LIMIT {
            self.resolved.clear();
        }
        self.resolved.insert(key, Arc::clone(&resolved));
        resolved
    }
}

/// Nothing is granted where nothing was before, at the start; later it is a file that lost its content.
fn keeps_grants(
    current: &PolicySnapshot,
    next: PolicySnapshot,
    file: &Path,
) -> Result<PolicySnapshot, Diagnostics> {
    if current.grants_anything() && !next.grants_anything() {
        return Err(Diagnostics::file(
            file,
            "no grants at all: nobody would see anything; expected `grants`",
        ));
    }
    Ok(next)
}
