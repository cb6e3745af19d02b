//! Views over the lake: one file of definitions, read and checked as a whole like the policies.
//!
//! [`parse`](mod@parse) reads definitions and puts them in order; [`compile`](mod@compile) plans them against one
//! catalog snapshot, as the policies' owner; [`invoker`] plans those with the invoker's rights for one session.

mod compile;
mod engine;
mod inlined;
mod invoker;
mod listing;
mod owner;
mod parse;
mod rows;

pub(crate) use compile::{CompiledView, CompiledViews};
pub use engine::Views;
pub(crate) use invoker::{provider as invoker_provider, unavailable};
pub(crate) use listing::{Listing, of as listing};
pub(crate) use rows::{listed, listed_columns};
