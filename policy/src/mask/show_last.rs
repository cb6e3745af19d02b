//! All but the last characters hidden.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

use super::{Mask, is_text, map_text, wrong_type};

#[derive(Debug)]
struct ShowLast(usize);

pub(super) fn build(n: usize, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    if is_text(raw) { Ok(Arc::new(ShowLast(n))) } else { Err(wrong_type("show_last", "text", raw)) }
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
            let length = value.chars().count();
            // A value no longer than what would be shown is hidden whole: else short ones appear raw.
            let hidden = if length <= self.0 { length } else { length - self.0 };
            out.extend(std::iter::repeat_n('*', hidden));
            out.extend(value.chars().skip(hidden));
        })
    }
}
