//! The shape of a text without its content.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

use super::{Mask, is_text, map_text, wrong_type};

/// Every numeric character becomes `0`, white space and punctuation stay, all else becomes `x`.
///
/// What stays visible is the number of characters, of words, and the punctuation between them.
#[derive(Debug)]
struct Redact;

pub(super) fn build(raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    if is_text(raw) { Ok(Arc::new(Redact)) } else { Err(wrong_type("redact", "text", raw)) }
}

/// What is shown for one character.
fn shown(character: char) -> char {
    match character {
        c if c.is_numeric() => '0',
        c if c.is_whitespace() || c.is_ascii_punctuation() => c,
        // Dashes, quotation marks and the ellipsis of typeset text.
        '\u{2010}'..='\u{2027}' => character,
        // Letters, and whatever else might spell one: combining accents, Braille, flags, emoji.
        _ => 'x',
    }
}

impl Mask for Redact {
    fn name(&self) -> &'static str {
        "redact"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        map_text(raw, |value, out| out.extend(value.chars().map(shown)))
    }
}
