//! Variants as JSON text.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet_variant_compute::{VariantArray, unshred_variant};
use parquet_variant_json::VariantToJson as _;

/// JSON of the variants in a struct of `metadata`, `value` and, where the file is shredded,
/// `typed_value`, as text of the type `to`.
pub(super) fn json(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let variants = unshred_variant(&VariantArray::try_new(array.as_struct())?)?;
    let mut texts = StringBuilder::new();
    for row in 0..variants.len() {
        if variants.is_null(row) {
            texts.append_null();
        } else {
            texts.append_value(variants.try_value(row)?.to_json_string()?);
        }
    }
    cast(&(Arc::new(texts.finish()) as ArrayRef), to)
}
