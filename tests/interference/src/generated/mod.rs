//! Policies and statements that nobody wrote: drawn at random, and held to the same comparison.
//!
//! A [`Scenario`](scenario::Scenario) is a set of policies and the three lakes that belong to it. Which rows it shows and
//! what is in place of masked values is worked out here, by an evaluator of filters and by masks of the suite's own.
//! Statements are drawn over what is shown. What draws them reads numbers off a [`Tape`](tape::Tape): the less there is on
//! it and the smaller the numbers are, the simpler is what comes of it, and so whatever shortens a tape shortens a
//! finding.

pub mod expression;
pub mod filter;
pub mod lake;
pub mod scenario;
pub mod statement;
pub mod tape;
pub mod trial;
