//! Variants as JSON text.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, StringBuilder, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet_variant_compute::{VariantArray, unshred_variant};
use parquet_variant_json::VariantToJson as _;

/// Levels of a variant that are read; parsers of JSON stop at about as many.
const DEEPEST: usize = 128;

/// JSON of the variants in a struct of `metadata`, `value` and, where the file is shredded,
/// `typed_value`, as text of the type `to`.
pub(super) fn json(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let fields = array.as_struct();
    check_depth(array)?;
    // The crate panics on some bytes that are no variant.
    catch_unwind(AssertUnwindSafe(|| texts(fields)))
        .unwrap_or_else(|_| Err(ArrowError::ParseError("bytes that are no variant".to_owned())))
        .and_then(|texts| cast(&texts, to))
}

/// Checks every variant of the array, those inside shredded ones included.
fn check_depth(array: &ArrayRef) -> Result<(), ArrowError> {
    match array.data_type() {
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            for (field, column) in columns.filter(|(field, _)| field.name() != "metadata") {
                let is_binary = matches!(
                    field.data_type(),
                    DataType::Binary | DataType::LargeBinary | DataType::BinaryView
                );
                if !is_binary {
                    check_depth(column)?;
                } else if field.name() == "value" {
                    let values = cast(column, &DataType::BinaryView)?;
                    if !values.as_binary_view().iter().flatten().all(is_shallow) {
                        return Err(ArrowError::ParseError("a variant of too many levels".to_owned()));
                    }
                }
            }
            Ok(())
        }
        DataType::List(_) => check_depth(array.as_list::<i32>().values()),
        _ => Ok(()),
    }
}

fn texts(fields: &StructArray) -> Result<ArrayRef, ArrowError> {
    let variants = unshred_variant(&VariantArray::try_new(fields)?)?;
    let mut texts = StringBuilder::new();
    for row in 0..variants.len() {
        if variants.is_null(row) {
            texts.append_null();
        } else {
            texts.append_value(variants.try_value(row)?.to_json_string()?);
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// Whether a value nests no deeper than is read. Looks at the frame alone (the Variant Binary Encoding,
/// section "Value Encoding"), without recursion, and at no more values than there are bytes.
fn is_shallow(value: &[u8]) -> bool {
    let mut open = vec![(0_usize, 0_usize)];
    let mut looked_at = 0_usize;
    while let Some((at, depth)) = open.pop() {
        looked_at += 1;
        if depth > DEEPEST || looked_at > value.len().max(1) {
            return false;
        }
        let Some(&header) = value.get(at) else { continue };
        let (id_bytes, offset_bytes, is_large) = match header & 0b11 {
            2 => ((header >> 4 & 0b11) + 1, (header >> 2 & 0b11) + 1, header >> 6 & 1 == 1),
            3 => (0, (header >> 2 & 0b11) + 1, header >> 4 & 1 == 1),
            _ => continue,
        };
        let (id_bytes, offset_bytes) = (usize::from(id_bytes), usize::from(offset_bytes));
        let count_bytes = if is_large { 4 } else { 1 };
        let Some(count) = little_endian(value, at + 1, count_bytes) else { continue };
        let offsets = (at + 1 + count_bytes).saturating_add(count.saturating_mul(id_bytes));
        let values = offsets.saturating_add((count.saturating_add(1)).saturating_mul(offset_bytes));
        if values > value.len() {
            // Longer than its bytes: the reader refuses it.
            continue;
        }
        for child in 0..count {
            if let Some(offset) = little_endian(value, offsets + child * offset_bytes, offset_bytes) {
                open.push((values.saturating_add(offset), depth + 1));
            }
        }
    }
    true
}

fn little_endian(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{DEEPEST, is_shallow};

    /// `levels` arrays of one element around a null.
    fn nested(levels: usize) -> Vec<u8> {
        let mut value = vec![0];
        for _ in 0..levels {
            let size = u32::try_from(value.len()).unwrap().to_le_bytes();
            let mut outer = vec![0b0000_1111, 1, 0, 0, 0, 0];
            outer.extend(size);
            outer.extend(&value);
            value = outer;
        }
        value
    }

    #[test]
    fn depth_is_bounded() {
        assert!(is_shallow(&nested(DEEPEST)));
        assert!(!is_shallow(&nested(DEEPEST + 1)));
        assert!(!is_shallow(&nested(2_000)));
        assert!(is_shallow(&[]));
        // An array whose elements all are itself.
        assert!(!is_shallow(&[0b0000_0011, 3, 0, 0, 0, 0, 0b0000_0011, 3, 0, 0, 0, 0]));
    }
}
