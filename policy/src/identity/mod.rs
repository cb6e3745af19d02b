//! Users, password verifiers and the directory they are loaded from.
//!
//! Passwords are never stored: a user has a SCRAM-SHA-256 verifier (RFC 7677) in the form PostgreSQL
//! keeps. The directory is a file that people review; [`IdentityStore`] holds its last good state.

mod directory;
mod edit;
mod end_user;
mod names;
mod scram;
mod store;
mod text;

#[cfg(test)]
mod tests;

pub use directory::{ActsFor, UserDirectory, UserRecord};
pub use edit::{EditError, NewUser, add_user, set_enabled, set_verifier};
pub use end_user::{EndUser, EndUserError, EndUserIssuer, EndUsers, TokenAlgorithm};
pub use names::{NameError, check_attribute_key, check_attribute_value, check_name};
pub use scram::{DEFAULT_ITERATIONS, PasswordError, ScramVerifier, VerifierError};
pub use store::{IdentityError, IdentityStore};
