//! What rows amount to by their values alone.

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;

/// Bytes of the values of a batch: of texts their characters, of all else their width. Unlike the memory
/// that arrays take, it is the same however rows were read and cut into batches, so it tells nothing of rows
/// that a policy hides.
pub(crate) fn size_of_values(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(size).sum()
}

fn size(array: &ArrayRef) -> usize {
    let texts = |lengths: &mut dyn Iterator<Item = Option<usize>>| lengths.flatten().sum::<usize>();
    match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => array.len(),
        DataType::Utf8 => texts(&mut array.as_string::<i32>().iter().map(|text| text.map(str::len))),
        DataType::LargeUtf8 => texts(&mut array.as_string::<i64>().iter().map(|text| text.map(str::len))),
        DataType::Utf8View => texts(&mut array.as_string_view().iter().map(|text| text.map(str::len))),
        DataType::Binary => texts(&mut array.as_binary::<i32>().iter().map(|bytes| bytes.map(<[u8]>::len))),
        DataType::LargeBinary => {
            texts(&mut array.as_binary::<i64>().iter().map(|bytes| bytes.map(<[u8]>::len)))
        }
        DataType::BinaryView => texts(&mut array.as_binary_view().iter().map(|bytes| bytes.map(<[u8]>::len))),
        DataType::Struct(_) => array.as_struct().columns().iter().map(size).sum(),
        DataType::List(_) => {
            elements(array.len(), |row| array.is_valid(row).then(|| array.as_list::<i32>().value(row)))
        }
        DataType::LargeList(_) => {
            elements(array.len(), |row| array.is_valid(row).then(|| array.as_list::<i64>().value(row)))
        }
        DataType::Map(_, _) => elements(array.len(), |row| {
            array.is_valid(row).then(|| std::sync::Arc::new(array.as_map().value(row)) as ArrayRef)
        }),
        other => other.primitive_width().unwrap_or(0).saturating_mul(array.len()),
    }
}

fn elements(rows: usize, of: impl Fn(usize) -> Option<ArrayRef>) -> usize {
    (0..rows).filter_map(of).map(|elements| size(&elements)).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use arrow::array::{Int32Array, StringViewArray};

    use super::*;

    #[test]
    fn a_part_of_a_batch_counts_for_itself() {
        let batch = RecordBatch::try_from_iter(vec![
            ("a", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef),
            ("b", Arc::new(StringViewArray::from(vec![Some("a text of some length"), None, Some("x")])) as _),
        ])
        .unwrap();
        assert_eq!(size_of_values(&batch), 3 * 4 + 21 + 1);
        assert_eq!(size_of_values(&batch.slice(1, 2)), 2 * 4 + 1);
        assert_eq!(size_of_values(&batch.slice(0, 0)), 0);
    }
}
