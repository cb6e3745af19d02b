//! Coarse places: the outward part of a UK postcode, the first three digits of a US ZIP code.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::error::Result;

use super::number::is_integer;
use super::{Mask, is_text, map_text, wrong_type};

/// Three-digit ZIP areas with 20,000 people or fewer by the 2000 census, shown as `000`: the list
/// in the HHS guidance on 45 CFR 164.514(b)(2)(i)(B).
const SMALL_ZIP3: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884",
    "890", "893",
];

#[derive(Debug)]
struct OutwardPostcode;

#[derive(Debug)]
struct Zip3;

pub(super) fn outward(raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    if is_text(raw) {
        Ok(Arc::new(OutwardPostcode))
    } else {
        Err(wrong_type("outward_postcode", "text", raw))
    }
}

pub(super) fn zip3(raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    if is_text(raw) || is_integer(raw) {
        Ok(Arc::new(Zip3))
    } else {
        Err(wrong_type("zip3", "text and integer", raw))
    }
}

/// One or two letters, then `9`, `99` or `9A`: what does not look so is no district, and shows nothing.
fn is_outward(text: &[u8]) -> bool {
    let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    (1..=2).contains(&letters)
        && match &text[letters..] {
            [digit] => digit.is_ascii_digit(),
            [digit, last] => digit.is_ascii_digit() && last.is_ascii_alphanumeric(),
            _ => false,
        }
}

impl Mask for OutwardPostcode {
    fn name(&self) -> &'static str {
        "outward_postcode"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        map_text(raw, |value, out| {
            out.extend(value.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()));
            let shown = out.as_bytes().split_last_chunk::<3>().filter(|(outward, inward)| {
                inward[0].is_ascii_digit()
                    && inward[1..].iter().all(u8::is_ascii_alphabetic)
                    && is_outward(outward)
            });
            let length = shown.map_or(0, |(outward, _)| outward.len());
            out.truncate(length);
        })
    }
}

/// The three digits that may be shown, or the empty text for what is no ZIP code.
fn area(value: &str) -> &str {
    let value = value.trim();
    let digits = value.as_bytes();
    let five = digits.len() >= 5 && digits[..5].iter().all(u8::is_ascii_digit);
    let rest = digits.len() == 5
        || (digits.len() == 10 && digits[5] == b'-' && digits[6..].iter().all(u8::is_ascii_digit));
    match value.get(..3) {
        Some(area) if five && rest => {
            if SMALL_ZIP3.contains(&area) {
                "000"
            } else {
                area
            }
        }
        _ => "",
    }
}

impl Mask for Zip3 {
    fn name(&self) -> &'static str {
        "zip3"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        // The first digit may be a zero.
        if is_text(raw) { raw.clone() } else { DataType::Utf8 }
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        if is_text(raw.data_type()) {
            return map_text(raw, |value, out| out.push_str(area(value)));
        }
        macro_rules! integers {
            ($kind:ty) => {
                raw.as_primitive::<$kind>()
                    .iter()
                    // A number has lost its leading zeros; a negative one keeps its sign and is none.
                    .map(|value| value.map(|value| area(&format!("{value:05}")).to_owned()))
                    .collect::<StringArray>()
            };
        }
        Ok(Arc::new(match raw.data_type() {
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Int64 => integers!(Int64Type),
            DataType::UInt8 => integers!(UInt8Type),
            DataType::UInt16 => integers!(UInt16Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::UInt64 => integers!(UInt64Type),
            other => return datafusion::common::internal_err!("ZIP mask on {other}"),
        }))
    }
}
