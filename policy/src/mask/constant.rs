//! The constant mask.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, make_array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;

use super::{Mask, wrong_type};

#[derive(Debug)]
struct ConstantMask(ScalarValue);

/// The text must be a value of the column's own type.
pub(super) fn build(value: &str, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    // A text is read as a list of itself, and dictionaries and unions have NULLs of their own.
    if raw.is_nested()
        || matches!(raw, DataType::Dictionary(_, _) | DataType::RunEndEncoded(_, _) | DataType::Null)
    {
        return Err(wrong_type("constant", "text, number, date, time, boolean and binary", raw));
    }
    let value = ScalarValue::try_from_string(value.to_owned(), raw)
        .map_err(|_| format!("mask `constant`: `{value}` is not a value of type {raw}"))?;
    if value.is_null() {
        return Err("mask `constant` with a NULL value; use `null`".to_owned());
    }
    Ok(Arc::new(ConstantMask(value)))
}

impl Mask for ConstantMask {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        let values = self.0.to_array_of_size(raw.len())?;
        let Some(nulls) = raw.logical_nulls() else { return Ok(values) };
        let nulls = NullBuffer::union(Some(&nulls), values.nulls());
        Ok(make_array(values.to_data().into_builder().nulls(nulls).build()?))
    }
}
