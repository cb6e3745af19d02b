//! Whom a session acts as: its account, and the end user it named, whose rights narrow the account's.

use std::sync::Arc;

use chrono::Utc;
use lakeward_policy::identity::{ActsFor, EndUser};
use lakeward_policy::{Principal, Resolved};

use crate::coordinator::Coordinator;
use crate::error::{QueryError, SqlState};
use crate::governed::GovernedLake;

/// The setting that names the end user, by a signed token.
pub(crate) const END_USER: &str = "lakeward.end_user";

/// An account, and the end user it acts on behalf of.
#[derive(Debug, Clone)]
pub(crate) struct Acting {
    pub(crate) account: Arc<Principal>,
    pub(crate) end_user: Option<Arc<EndUser>>,
    /// Counts changes of the end user within a session: plans and rows of one turn are not those of another.
    pub(crate) turn: u64,
}

impl Acting {
    pub(crate) fn new(account: Arc<Principal>) -> Self {
        Self { account, end_user: None, turn: 0 }
    }

    /// The same account for another end user, or for itself.
    pub(crate) fn turned_to(&self, end_user: Option<Arc<EndUser>>) -> Self {
        Self { account: Arc::clone(&self.account), end_user, turn: self.turn + 1 }
    }

    /// Issuer and name of the end user, as records tell them apart.
    pub(crate) fn end_user_name(&self) -> Option<String> {
        self.end_user.as_ref().map(|user| format!("{} {}", user.issuer, user.principal.user))
    }

    /// Whether the account is still what it was at login: enabled, not expired, with the same rights.
    pub(crate) fn check_account(&self, coordinator: &Coordinator) -> Result<(), QueryError> {
        match coordinator.identity().principal(&self.account.user) {
            Ok(now) if now == *self.account => Ok(()),
            Ok(_) => Err(QueryError::new(SqlState::InvalidAuthorization, "the account changed since login")
                .with_hint("Connect again.")),
            Err(_) => {
                Err(QueryError::new(SqlState::InvalidAuthorization, "the account is not valid any more"))
            }
        }
    }

    /// Whether the account may act as it does now.
    fn check_end_user(&self, coordinator: &Coordinator) -> Result<(), QueryError> {
        let refused = |text: &str, hint: &str| {
            Err(QueryError::new(SqlState::InvalidAuthorization, text).with_hint(hint))
        };
        match (coordinator.identity().acts_for(&self.account.user), &self.end_user) {
            (ActsFor::Nobody, Some(_)) => {
                refused("the account does not act for end users any more", "Connect again.")
            }
            (ActsFor::Required, None) => refused(
                "the account acts for end users only, and none is named",
                "SET lakeward.end_user = '…' with a token that its issuer signed.",
            ),
            (_, Some(user)) if user.principal.is_expired(Utc::now()) => refused(
                "the end user's token has expired",
                "SET lakeward.end_user with a new one, or RESET it.",
            ),
            _ => Ok(()),
        }
    }

    /// The lake as it may be seen now.
    pub(crate) async fn lake(&self, coordinator: &Coordinator) -> Result<GovernedLake, QueryError> {
        self.check_end_user(coordinator)?;
        loop {
            // Views and policies are checked against each other and change together.
            let set = coordinator.views().settled().await;
            let resolved = self.resolve(coordinator);
            if coordinator.views().is_current(&set) {
                let catalog = coordinator.catalog().snapshot();
                let views = coordinator.views().compiled(&set, &catalog).await;
                return Ok(GovernedLake::new(catalog, resolved, views));
            }
        }
    }

    /// What the account may see; of it what the end user may see, where there is one.
    fn resolve(&self, coordinator: &Coordinator) -> Arc<Resolved> {
        let policies = coordinator.policies();
        match &self.end_user {
            None => policies.resolve(&self.account),
            Some(user) => {
                let user = Arc::new(user.principal.clone());
                policies.resolve_on_behalf(&self.account, &user)
            }
        }
    }
}
