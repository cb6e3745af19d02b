//! Arrays without what stands beside their values in shared buffers.
//!
//! A view array keeps the whole pages that its texts were read from, and a slice of a list all of its
//! elements: values of rows that a filter hid among them. They cannot be seen in a result, but they count
//! where memory is counted, and they travel where arrays are sent as they are.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

/// The same values, and no others.
pub(crate) fn compacted(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Utf8View => {
            let views = values.as_string_view();
            if views.data_buffers().is_empty() { Arc::clone(values) } else { Arc::new(views.gc()) }
        }
        DataType::BinaryView => {
            let views = values.as_binary_view();
            if views.data_buffers().is_empty() { Arc::clone(values) } else { Arc::new(views.gc()) }
        }
        DataType::Struct(fields) => {
            let parent = values.as_struct();
            let children = parent.columns().iter().map(compacted).collect::<Result<Vec<_>>>()?;
            let (fields, nulls) = (fields.clone(), parent.nulls().cloned());
            Arc::new(StructArray::try_new_with_length(fields, children, nulls, parent.len())?)
        }
        DataType::List(_) => list::<i32>(values)?,
        DataType::LargeList(_) => list::<i64>(values)?,
        DataType::Map(field, ordered) => {
            let map = values.as_map();
            let (offsets, range) = rebased(map.offsets());
            let entries: ArrayRef = Arc::new(map.entries().slice(range.start, range.len()));
            let entries = compacted(&entries)?.as_struct().clone();
            Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, map.nulls().cloned(), *ordered)?)
        }
        _ => Arc::clone(values),
    })
}

fn list<O: OffsetSizeTrait>(values: &ArrayRef) -> Result<ArrayRef> {
    let list = values.as_list::<O>();
    let (DataType::List(field) | DataType::LargeList(field)) = list.data_type() else {
        return datafusion::common::internal_err!("a list that is none");
    };
    let (offsets, range) = rebased(list.offsets());
    let elements = compacted(&list.values().slice(range.start, range.len()))?;
    Ok(Arc::new(GenericListArray::<O>::try_new(Arc::clone(field), offsets, elements, list.nulls().cloned())?))
}

/// Offsets that start at zero, and the elements they are of.
fn rebased<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (OffsetBuffer<O>, std::ops::Range<usize>) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let range = first.as_usize()..last.as_usize();
    if range.start == 0 {
        return (offsets.clone(), range);
    }
    (OffsetBuffer::new(offsets.iter().map(|offset| *offset - first).collect()), range)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use datafusion::arrow::array::{ListBuilder, StringViewArray, StringViewBuilder};
    use datafusion::arrow::compute::{concat, filter};

    use super::*;

    const SHOWN: &str = "a text of the tenant who asks for it";
    const HIDDEN: &str = "a text that somebody else must not see";

    fn texts() -> ArrayRef {
        Arc::new(StringViewArray::from(vec![Some(SHOWN), Some(HIDDEN), None, Some("short")]))
    }

    /// Every buffer below an array, as text.
    fn bytes(array: &ArrayRef) -> String {
        fn collect(data: &datafusion::arrow::array::ArrayData, all: &mut Vec<u8>) {
            data.buffers().iter().for_each(|buffer| all.extend_from_slice(buffer.as_slice()));
            data.child_data().iter().for_each(|child| collect(child, all));
        }
        let mut all = Vec::new();
        collect(&array.to_data(), &mut all);
        String::from_utf8_lossy(&all).into_owned()
    }

    fn check(shown: &ArrayRef) {
        assert!(bytes(shown).contains(HIDDEN), "the buffers hold it before");
        let compact = compacted(shown).unwrap();
        assert_eq!(&compact, shown);
        assert!(bytes(&compact).contains(SHOWN));
        assert!(!bytes(&compact).contains(HIDDEN));
    }

    #[test]
    fn views_keep_no_hidden_text() {
        check(&filter(&texts(), &vec![true, false, true, true].into()).unwrap());
    }

    #[test]
    fn fields_and_elements_keep_no_hidden_text() {
        let field = Arc::new(datafusion::arrow::datatypes::Field::new("text", DataType::Utf8View, true));
        let structs: ArrayRef = Arc::new(StructArray::from(vec![(field, texts())]));
        check(&filter(&structs, &vec![true, false, true, true].into()).unwrap());

        let mut lists = ListBuilder::new(StringViewBuilder::new());
        lists.append_value([Some(HIDDEN)]);
        lists.append_value([Some(SHOWN), None]);
        lists.append_null();
        lists.append_value([Some(HIDDEN)]);
        let lists: ArrayRef = Arc::new(lists.finish());
        check(&lists.slice(1, 2));
    }

    #[test]
    fn what_needs_no_buffer_stays() {
        let short: ArrayRef = Arc::new(StringViewArray::from(vec!["short"; 3]));
        assert!(Arc::ptr_eq(&short, &compacted(&short).unwrap()));
        let none = short.slice(0, 0);
        assert_eq!(compacted(&concat(&[none.as_ref()]).unwrap()).unwrap().len(), 0);
    }
}
