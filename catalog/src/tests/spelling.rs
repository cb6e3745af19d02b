//! One spelling for every value, the same as in `tests/golden/generate.py`.

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, TimestampMicrosecondType};

/// Every row of `batches` as `value|value|…`, sorted.
pub(super) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values: Vec<String> = batch.columns().iter().map(|column| spell(column, row)).collect();
            lines.push(values.join("|"));
        }
    }
    lines.sort();
    lines
}

fn spell(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    let one = array.slice(row, 1);
    let children = |items: &ArrayRef| (0..items.len()).map(|i| spell(items, i)).collect::<Vec<_>>();
    match one.data_type() {
        DataType::Boolean => one.as_boolean().value(0).to_string(),
        DataType::Float32 | DataType::Float64 => {
            let wide = cast(&one, &DataType::Float64).unwrap();
            format!("f:{:016x}", wide.as_primitive::<Float64Type>().value(0).to_bits())
        }
        DataType::Decimal128(..) => one.as_primitive::<Decimal128Type>().value_as_string(0),
        DataType::Date32 => format!("d:{}", one.as_primitive::<Date32Type>().value(0)),
        DataType::Timestamp(..) => format!("t:{}", one.as_primitive::<TimestampMicrosecondType>().value(0)),
        DataType::Utf8 => serde_json::to_string(one.as_string::<i32>().value(0)).unwrap(),
        DataType::Utf8View => serde_json::to_string(one.as_string_view().value(0)).unwrap(),
        DataType::Binary => hex(one.as_binary::<i32>().value(0)),
        DataType::BinaryView => hex(one.as_binary_view().value(0)),
        DataType::List(_) => format!("[{}]", children(&one.as_list::<i32>().value(0)).join(",")),
        DataType::Struct(fields) => {
            let columns = one.as_struct().columns();
            let pairs: Vec<String> = fields
                .iter()
                .zip(columns)
                .map(|(field, column)| format!("{}={}", field.name(), spell(column, 0)))
                .collect();
            format!("{{{}}}", pairs.join(","))
        }
        DataType::Map(..) => {
            let entries = one.as_map().value(0);
            let keys = children(entries.column(0));
            let values = children(entries.column(1));
            let pairs: Vec<String> = keys.iter().zip(&values).map(|(k, v)| format!("{k}:{v}")).collect();
            format!("<{}>", pairs.join(","))
        }
        integer if integer.is_integer() => arrow::util::display::array_value_to_string(&one, 0).unwrap(),
        other => panic!("no spelling for {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x:{digits}")
}
