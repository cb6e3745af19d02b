//! Tests of the writer: what commits do to rows, whatever others do meanwhile.

mod ambiguity;
mod corruption;
mod features;
mod fencing;
mod model;
mod operations;
mod predicates;
pub(crate) mod support;
mod vacuum;
