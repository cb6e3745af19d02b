//! Who sees what: principals, grants, row filters, masks, the barrier and the verifier.
//!
//! This crate knows DataFusion but no catalog and no protocol. The way of a decision: policy files
//! ([`records`](self)) become a [`PolicySnapshot`], which [`PolicyEngine`] keeps in force; for one
//! [`Principal`] it is [`Resolved`] once per epoch; for one [`Securable`] that gives an [`Access`], and
//! [`PolicyTable`] applies it to every scan through a [`PolicyBarrierExec`].

mod access;
mod audience;
mod barrier;
pub mod change;
mod check;
mod compact;
pub mod document;
mod engine;
mod explain;
mod filter_rules;
mod grants;
pub mod identity;
mod key;
mod known;
mod loading;
mod mask;
mod mask_rules;
pub mod mutation;
mod narrow;
mod numbers;
mod object_index;
mod operators;
mod pattern;
mod presets;
mod principal;
mod records;
mod resolved;
mod row_filter;
mod securable;
mod snapshot;
mod table;
mod tags;
#[cfg(test)]
mod tests;
mod total;
mod verifier;
pub mod view;
mod warnings;
mod yaml;

/// The JSON schema of policy files.
pub const POLICY_SCHEMA: &str = include_str!("../schema/policies.schema.json");

pub use access::{Access, TablePolicy};
pub use barrier::{BarrierColumn, PolicyBarrierExec, ScanFailed};
pub use engine::{PolicyEngine, Reload};
pub use explain::{AppliedMask, AppliedRule, Explanation, Right};
pub use mask::{Mask, MaskKey};
pub use numbers::PostgresNumbers;
pub use operators::{NO_FUNCTION, NO_OPERATOR, PostgresOperators};
pub use pattern::ObjectPattern;
pub use principal::Principal;
pub use resolved::Resolved;
pub use securable::{Origins, Securable};
pub use snapshot::{PolicySnapshot, RuleDescription};
pub use table::PolicyTable;
pub use verifier::{GovernedScan, IsSystemTable, NotVerified, Verified, verify_logical, verify_physical};
