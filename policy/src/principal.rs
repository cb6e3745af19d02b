//! Who a session acts as.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

/// An authenticated user with everything that policies may ask about.
///
/// It is made once, after authentication, and bound to the session: nothing in
/// SQL, in start-up parameters or in settings changes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Login name.
    pub user: String,
    /// Tenant the user belongs to; the casbin domain of their grants.
    pub tenant: Option<String>,
    /// Roles as assigned, before inheritance.
    pub roles: BTreeSet<String>,
    /// Free attributes, read by row filters as `principal.attr('name')`.
    pub attributes: BTreeMap<String, String>,
    /// After this instant the account answers nothing any more.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Principal {
    /// Whether the account has expired at `now`.
    #[must_use]
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}
