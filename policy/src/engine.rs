//! The policies in force: swapped whole, never half.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::Principal;
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
    current: ArcSwap<PolicySnapshot>,
    /// One reload at a time.
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
            current: ArcSwap::from_pointee(snapshot),
            reloading: Mutex::new(()),
            resolved: dashmap::DashMap::new(),
        })
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
        accepted();
        if next.digest() == current.digest() {
            return Ok(Reload::Unchanged);
        }
        let epoch = next.epoch();
        self.current.store(Arc::new(next));
        self.resolved.clear();
        Ok(Reload::Changed(epoch))
    }

    /// The snapshot in force.
    #[must_use]
    pub fn current(&self) -> Arc<PolicySnapshot> {
        self.current.load_full()
    }

    /// The policies in force as they concern `principal`.
    pub async fn resolve(&self, principal: &Arc<Principal>) -> Result<Arc<Resolved>, casbin::Error> {
        let snapshot = self.current();
        let key = (snapshot.epoch(), Arc::clone(principal));
        if let Some(known) = self.resolved.get(&key) {
            return Ok(Arc::clone(&known));
        }
        let resolved = snapshot.resolve(principal).await?;
        if self.resolved.len() as u64 >= RESOLVED_LIMIT {
            self.resolved.clear();
        }
        self.resolved.insert(key, Arc::clone(&resolved));
        Ok(resolved)
    }
}
