//! A few characters at one end shown, all others hidden.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

use super::{Mask, is_text, map_text, wrong_type};

#[derive(Debug)]
struct ShowFirst(usize);

#[derive(Debug)]
struct ShowLast(usize);

pub(super) fn first(n: usize, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    if is_text(raw) { Ok(Arc::new(ShowFirst(n))) } else { Err(wrong_type("show_first", "text", raw)) }
}

pub(super) fn last(n: usize, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    if is_text(raw) { Ok(Arc::new(ShowLast(n))) } else { Err(wrong_type("show_last", "text", raw)) }
}

/// How many of `length` characters are hidden where `n` may be shown. A value no longer than what
/// would be shown is hidden whole: else short ones appear raw.
fn hidden(length: usize, n: usize) -> usize {
    if length <= n { length } else { length - n }
}

impl Mask for ShowFirst {
    fn name(&self) -> &'static str {
        "show_first"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        map_text(raw, |value, out| {
            let length = value.chars().count();
            let hidden = hidden(length, self.0);
            out.extend(value.chars().take(length - hidden));
            out.extend(std::iter::repeat_n('*', hidden));
        })
    }
}

impl Mask for ShowLast {
    fn name(&self) -> &'static str {
        "show_last"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        map_text(raw, |value, out| {
            let hidden = hidden(value.chars().count(), self.0);
            out.extend(std::iter::repeat_n('*', hidden));
            out.extend(value.chars().skip(hidden));
        })
    }
}
