//! Masks: what becomes of a column's values before anything a user wrote sees them.
//!
//! A mask is no function of the SQL registry: it runs inside the barrier only, so no plan can call
//! it, undo it or look at its key. Every mask is total (no value makes it fail) and keeps NULL NULL,
//! except [`NullMask`].

mod age;
mod bucket;
mod constant;
mod date;
mod nested;
mod noise;
mod number;
mod postcode;
mod redact;
mod show;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, new_null_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

pub(crate) use nested::{build_part, combine, field_names, splits};
pub use token::MaskKey;

use crate::records::MaskSpec;

/// A total function over one column.
pub trait Mask: fmt::Debug + Send + Sync {
    /// Word that names the mask in audit records and to operators; no arguments, no key.
    fn name(&self) -> &'static str;

    /// Type of the masked column for a raw column of type `raw`.
    fn output_type(&self, raw: &DataType) -> DataType;

    /// Masked values, as many as there are raw ones. Fails only on memory or a type the mask was
    /// not made for, never on a value.
    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef>;
}

/// Every value becomes NULL.
#[derive(Debug)]
struct NullMask;

impl Mask for NullMask {
    fn name(&self) -> &'static str {
        "null"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        Ok(new_null_array(raw.data_type(), raw.len()))
    }
}

/// The mask that shows nothing, for columns of any type.
pub(crate) fn hidden() -> Arc<dyn Mask> {
    Arc::new(NullMask)
}

/// What masks need beyond their own arguments.
pub(crate) struct Surroundings<'a> {
    /// The keys that are declared, by name.
    pub(crate) keys: &'a BTreeMap<String, Arc<MaskKey>>,
    /// The calendar year (UTC) at which people's ages are reckoned: that of planning, so that all rows
    /// of a statement meet the same one.
    pub(crate) year: i32,
}

impl Surroundings<'_> {
    fn key(&self, name: &str) -> Result<&MaskKey, String> {
        let key = self.keys.get(name).ok_or_else(|| format!("key `{name}` is not declared under `keys`"))?;
        Ok(key)
    }
}

/// Makes the mask for a column of type `raw`, or says why it cannot be.
pub(crate) fn build(
    spec: &MaskSpec,
    raw: &DataType,
    surroundings: &Surroundings<'_>,
) -> Result<Arc<dyn Mask>, String> {
    match spec {
        MaskSpec::Null {} => Ok(Arc::new(NullMask)),
        MaskSpec::Constant { value } => constant::build(value, raw),
        MaskSpec::Token { domain, key } => token::build(domain, surroundings.key(key)?, raw),
        MaskSpec::ShowFirst { n } => show::first(*n, raw),
        MaskSpec::ShowLast { n } => show::last(*n, raw),
        MaskSpec::Redact {} => redact::build(raw),
        MaskSpec::TruncateDate { to } => date::build(*to, raw),
        MaskSpec::AgeCap {} => age::build(raw, surroundings.year),
        MaskSpec::OutwardPostcode {} => postcode::outward(raw),
        MaskSpec::Zip3 {} => postcode::zip3(raw),
        MaskSpec::Bucket { width, origin } => bucket::build(*width, *origin, raw),
        MaskSpec::Noise { amount, domain, key } => noise::build(*amount, domain, surroundings.key(key)?, raw),
    }
}

/// Text columns of any layout.
fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The complaint about a mask on a type it is not defined for.
fn wrong_type(mask: &str, expected: &str, raw: &DataType) -> String {
    let hint = match raw {
        DataType::Struct(_) => "; name a field of it, as in `column.field`",
        _ => "",
    };
    format!("mask `{mask}` is defined for {expected} columns, not for {raw}{hint}")
}

/// Applies a total text function value by value and keeps the column's own layout.
fn map_text(raw: &ArrayRef, mut map: impl FnMut(&str, &mut String)) -> Result<ArrayRef> {
    use datafusion::arrow::array::{Array, AsArray, LargeStringBuilder, StringBuilder, StringViewBuilder};
    let mut scratch = String::new();
    macro_rules! each {
        ($values:expr, $builder:expr) => {{
            let mut builder = $builder;
            for value in $values.iter() {
                match value {
                    Some(value) => {
                        scratch.clear();
                        map(value, &mut scratch);
                        builder.append_value(&scratch);
                    }
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    Ok(match raw.data_type() {
        DataType::Utf8 => {
            each!(raw.as_string::<i32>(), StringBuilder::with_capacity(raw.len(), raw.len() * 8))
        }
        DataType::LargeUtf8 => {
            each!(raw.as_string::<i64>(), LargeStringBuilder::with_capacity(raw.len(), raw.len() * 8))
        }
        DataType::Utf8View => each!(raw.as_string_view(), StringViewBuilder::with_capacity(raw.len())),
        other => return datafusion::common::internal_err!("text mask on {other}"),
    })
}
