//! Whether the service should be sent queries, and if not, why.

use std::collections::BTreeSet;
use std::fmt;

use parking_lot::RwLock;

type Probe = Box<dyn Fn() -> bool + Send + Sync>;

/// Why the service is not ready: reasons that were set, and probes that fail right now.
///
/// Reasons are codes (`starting`, `draining`, `catalog_not_loaded` …): they say what to look for in
/// the log and carry nothing else.
#[derive(Default)]
pub struct Readiness {
    reasons: RwLock<BTreeSet<&'static str>>,
    probes: RwLock<Vec<(&'static str, Probe)>>,
    warnings: RwLock<Vec<(&'static str, Probe)>>,
}

impl Readiness {
    /// Not ready, because `reasons`.
    #[must_use]
    pub fn blocked_by(reasons: &[&'static str]) -> Self {
        Self { reasons: RwLock::new(reasons.iter().copied().collect()), ..Self::default() }
    }

    /// Adds a reason.
    pub fn block(&self, reason: &'static str) {
        self.reasons.write().insert(reason);
    }

    /// Takes a reason away.
    pub fn clear(&self, reason: &'static str) {
        self.reasons.write().remove(reason);
    }

    /// Adds `reason` whenever `probe` answers no. Probes are asked on every request: they look at
    /// state in memory and return at once.
    pub fn probe(&self, reason: &'static str, probe: impl Fn() -> bool + Send + Sync + 'static) {
        self.probes.write().push((reason, Box::new(probe)));
    }

    /// Says `warning` whenever `probe` answers no: queries can be sent, but something is not as it should be.
    pub fn warn(&self, warning: &'static str, probe: impl Fn() -> bool + Send + Sync + 'static) {
        self.warnings.write().push((warning, Box::new(probe)));
    }

    /// The warnings that hold now.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        let warnings = self.warnings.read();
        warnings.iter().filter(|(_, probe)| !probe()).map(|(warning, _)| *warning).collect()
    }

    /// The reasons that hold now; empty means ready.
    #[must_use]
    pub fn reasons(&self) -> BTreeSet<&'static str> {
        let mut reasons = self.reasons.read().clone();
        reasons.extend(self.probes.read().iter().filter(|(_, probe)| !probe()).map(|(reason, _)| *reason));
        reasons
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("reasons", &*self.reasons.read()).finish_non_exhaustive()
    }
}
