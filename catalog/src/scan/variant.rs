//! Variants as JSON text.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringBuilder, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use parquet_variant::{Variant, VariantMetadata};
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

/// Checks what the crate would panic on: dictionaries of names, values that are not shredded, and names
/// of shredded fields that are not in the dictionary.
fn check_bytes(variants: &StructArray) -> Result<(), ArrowError> {
    let Some(metadata) = binary(variants, "metadata")? else {
        return Err(ArrowError::ParseError("a variant without a dictionary of names".to_owned()));
    };
    let metadata = metadata.as_binary_view();
    let values = binary(variants, "value")?;
    let values = values.as_ref().map(|values| values.as_binary_view());
    let mut names = Vec::with_capacity(variants.len());
    for row in 0..variants.len() {
        if variants.is_null(row) {
            names.push(None);
            continue;
        }
        let of_row = VariantMetadata::try_new(metadata.value(row))?;
        if let Some(values) = values.filter(|values| values.is_valid(row)) {
            Variant::try_new_with_metadata(of_row.clone(), values.value(row))?;
        }
        names.push(Some(of_row));
    }
    let rows: Vec<usize> = (0..variants.len()).collect();
    check_names(variants, &names, &rows)
}

/// `rows` says for each element of `group` which of `names` it goes by.
fn check_names(
    group: &StructArray,
    names: &[Option<VariantMetadata<'_>>],
    rows: &[usize],
) -> Result<(), ArrowError> {
    let Some(typed) = group.column_by_name("typed_value") else { return Ok(()) };
    if let Some(object) = typed.as_struct_opt() {
        for (field, column) in object.fields().iter().zip(object.columns()) {
            let Some(column) = column.as_struct_opt() else { continue };
            let is_there = |row| column.columns().iter().any(|part| part.is_valid(row));
            for row in (0..column.len()).filter(|&row| object.is_valid(row) && is_there(row)) {
                let known = rows.get(row).and_then(|&row| names.get(row)?.as_ref());
                if known.is_some_and(|known| known.get_entry(field.name()).is_none()) {
                    return Err(ArrowError::ParseError("a field whose name is in no dictionary".to_owned()));
                }
            }
            check_names(column, names, rows)?;
        }
    } else if let Some(list) = typed.as_list_opt::<i32>()
        && let Some(elements) = list.values().as_struct_opt()
    {
        let mut rows_of_elements = vec![usize::MAX; elements.len()];
        for (row, ends) in list.offsets().windows(2).enumerate() {
            if let [start, end] = ends
                && let (Ok(start), Ok(end)) = (usize::try_from(*start), usize::try_from(*end))
                && let (Some(part), Some(&of)) = (rows_of_elements.get_mut(start..end), rows.get(row))
            {
                part.fill(of);
            }
        }
        check_names(elements, names, &rows_of_elements)?;
    }
    Ok(())
}

fn binary(fields: &StructArray, name: &str) -> Result<Option<ArrayRef>, ArrowError> {
    fields.column_by_name(name).map(|column| cast(column, &DataType::BinaryView)).transpose()
}

fn texts(fields: &StructArray) -> Result<ArrayRef, ArrowError> {
    check_bytes(fields)?;
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
