//! Masks written as calls: `token(domain => 'patient', key => 'demo')`.

use std::collections::BTreeMap;

/// A mask as a call.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskCall {
    /// One of [`mask_functions`].
    pub function: String,
    /// By name.
    pub arguments: BTreeMap<String, Scalar>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
}

/// Masks and their parameters, in the order of positional arguments; the names are those of the records.
const FUNCTIONS: [(&str, &[&str]); 12] = [
    ("null", &[]),
    ("constant", &["value"]),
    ("token", &["domain", "key"]),
    ("show_first", &["n"]),
    ("show_last", &["n"]),
    ("redact", &[]),
    ("truncate_date", &["to"]),
    ("age_cap", &[]),
    ("outward_postcode", &[]),
    ("zip3", &[]),
    ("bucket", &["width", "origin"]),
    ("noise", &["amount", "domain", "key"]),
];

/// The masks there are.
pub fn mask_functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

/// Parameters of the mask `function`, in order; None where there is no such mask.
#[must_use]
pub fn mask_parameters(function: &str) -> Option<&'static [&'static str]> {
    FUNCTIONS.iter().find(|(name, _)| *name == function).map(|(_, parameters)| *parameters)
}
