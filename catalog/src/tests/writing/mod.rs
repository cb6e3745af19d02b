//! Tests of the writer: what commits do to rows, whatever others do meanwhile.

mod ambiguity;
mod corruption;
mod faults;
mod features;
mod fencing;
mod model;
mod operations;
mod pins;
mod predicates;
pub(crate) mod support;
mod vacuum;
