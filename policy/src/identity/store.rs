//! The users in force: what logins ask, reloaded while the service runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::directory::{ActsFor, UserDirectory};
use super::end_user::EndUsers;
use super::scram::{DEFAULT_ITERATIONS, ScramVerifier};
use crate::Principal;
use crate::document::Diagnostics;

/// Why an authenticated user gets no session. For logs and audit; clients are told less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No such account.
    #[error("unknown user")]
    Unknown,
    /// The account is switched off.
    #[error("the account is disabled")]
    Disabled,
    /// The account's time is over.
    #[error("the account has expired")]
    Expired,
}

/// The directory in force, with answers for unknown users that look like those for known ones.
pub struct IdentityStore {
    path: PathBuf,
    current: ArcSwap<UserDirectory>,
    /// One reload at a time, so that an older file never replaces a newer one.
    reloading: Mutex<()>,
    /// Makes decoys stable for the life of the process and unguessable outside it.
    decoy_secret: Zeroizing<[u8; 32]>,
    end_users: EndUsers,
}

impl std::fmt::Debug for IdentityStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityStore").field("users", &self.current.load().len()).finish_non_exhaustive()
    }
}

impl IdentityStore {
    /// Loads a users file and remembers where it is. Blocking.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, Diagnostics> {
        let path = path.into();
        let directory = UserDirectory::load(&path)?;
        let mut secret = Zeroizing::new([0u8; 32]);
        OsRng
            .try_fill_bytes(secret.as_mut())
            .map_err(|_| Diagnostics::file(&path, "the operating system's random generator failed"))?;
        Ok(Self {
            path,
            current: ArcSwap::from_pointee(directory),
            reloading: Mutex::new(()),
            decoy_secret: secret,
            end_users: EndUsers::default(),
        })
    }

    /// The same, with end users that `end_users` vouches for.
    #[must_use]
    pub fn with_end_users(self, end_users: EndUsers) -> Self {
        Self { end_users, ..self }
    }

    /// The issuers whose tokens name end users.
    #[must_use]
    pub fn end_users(&self) -> &EndUsers {
        &self.end_users
    }

    /// Reads the file again; true where its content changed and is now in force. Blocking.
    ///
    /// # Errors
    /// What is wrong with the file; the last good content stays in force.
    pub fn reload(&self) -> Result<bool, Diagnostics> {
        let _one_at_a_time = self.reloading.lock();
        let fresh = UserDirectory::load(&self.path)?;
        if fresh.digest() == self.current.load().digest() {
            return Ok(false);
        }
        self.current.store(Arc::new(fresh));
        Ok(true)
    }

    /// The file the users come from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The users in force.
    #[must_use]
    pub fn directory(&self) -> Arc<UserDirectory> {
        self.current.load_full()
    }

    /// What to check this user's password against. Always answers, at the same cost: for an unknown
    /// user with a decoy that stays the same for the life of the process and that no password fits.
    #[must_use]
    pub fn verifier(&self, user: &str) -> ScramVerifier {
        let directory = self.current.load();
        let decoy = self.decoy(&directory, user);
        match directory.get(user) {
            Some(record) => record.verifier.clone(),
            None => decoy,
        }
    }

    /// What a session of this user acts as, from now on.
    ///
    /// Call it only after the password was checked: its errors tell who exists.
    ///
    /// # Errors
    /// The account does not exist, is disabled or has expired.
    pub fn principal(&self, user: &str) -> Result<Principal, IdentityError> {
        self.principal_at(user, Utc::now())
    }

    /// As [`Self::principal`], at a given instant.
    ///
    /// # Errors
    /// The account does not exist, is disabled or has expired by then.
    pub fn principal_at(&self, user: &str, now: DateTime<Utc>) -> Result<Principal, IdentityError> {
        let directory = self.current.load();
        let record = directory.get(user).ok_or(IdentityError::Unknown)?;
        if !record.enabled {
            return Err(IdentityError::Disabled);
        }
        let principal = record.principal();
        if principal.is_expired(now) {
            return Err(IdentityError::Expired);
        }
        Ok(principal)
    }

    /// Whether the account acts on behalf of end users. Unknown ones do not.
    #[must_use]
    pub fn acts_for(&self, user: &str) -> ActsFor {
        self.current.load().get(user).map_or(ActsFor::Nobody, |record| record.end_users)
    }

    fn decoy(&self, directory: &UserDirectory, user: &str) -> ScramVerifier {
        // Real accounts may differ in iterations and salt length; a decoy that always had the same
        // would stand out, so it borrows those of an account that its name picks.
        let pick = u64::from_be_bytes(first_eight(&self.derive("shape", user)));
        let count = u64::try_from(directory.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(pick.checked_rem(count).unwrap_or(0)).unwrap_or(0);
        let (iterations, salt_length) =
            directory.users().nth(index).map_or((DEFAULT_ITERATIONS, 16), |user| {
                (user.verifier.iterations(), user.verifier.salt().len())
            });
        let long_salt = [self.derive("salt", user), self.derive("more salt", user)].concat();
        let salt = long_salt[..salt_length.min(long_salt.len())].to_vec();
        let (stored, server) = (self.derive("stored", user), self.derive("server", user));
        ScramVerifier::from_parts(iterations, salt, stored, server)
    }

    fn derive(&self, purpose: &str, user: &str) -> [u8; 32] {
        match Hmac::<Sha256>::new_from_slice(self.decoy_secret.as_ref()) {
            Ok(mut mac) => {
                mac.update(purpose.as_bytes());
                mac.update(&[0]);
                mac.update(user.as_bytes());
                mac.finalize().into_bytes().into()
            }
            // HMAC takes keys of every length; the secret is 32 bytes.
            Err(_) => [0; 32],
        }
    }
}

fn first_eight(bytes: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    first
}
