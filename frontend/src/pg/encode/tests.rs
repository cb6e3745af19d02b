#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
//! Expected values are what PostgreSQL 15 answers for the same values.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, Fields, Int32Type, IntervalDayTime, IntervalMonthDayNano, Schema, TimeUnit, i256,
};

use super::super::types::{PgType, Scalar};
use super::{EncodeError, Format, RowEncoder};

/// The one value of each row, as it stands in the DataRow messages.
fn encode(array: ArrayRef, format: Format) -> Vec<Option<Vec<u8>>> {
    let field = Field::new("c", array.data_type().clone(), true);
    encode_field(field, array, format).unwrap()
}

fn encode_field(field: Field, array: ArrayRef, format: Format) -> Result<Vec<Option<Vec<u8>>>, EncodeError> {
    let schema = Arc::new(Schema::new(vec![field]));
    let encoder = RowEncoder::new(&schema).unwrap().with_formats(&[format.code()]).unwrap();
    let batch = RecordBatch::try_new(schema, vec![array]).unwrap();
    let plain = encoder.plain(&batch)?;
    let cells = plain.cells(&encoder)?;
    let mut values = Vec::new();
    for row in 0..plain.rows() {
        let mut out = Vec::new();
        cells.row(row, &mut out)?;
        // Type, length, column count, length of the value.
        assert_eq!(out[0], b'D');
        assert_eq!(u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize, out.len() - 1);
        assert_eq!(out[5..7], [0, 1]);
        let length = i32::from_be_bytes(out[7..11].try_into().unwrap());
        assert_eq!(out.len() - 11, usize::try_from(length).unwrap_or(0));
        values.push((length >= 0).then(|| out[11..].to_vec()));
    }
    Ok(values)
}

fn text(array: impl Array + 'static) -> Vec<String> {
    encode(Arc::new(array), Format::Text)
        .into_iter()
        .map(|value| value.map_or("(null)".to_owned(), |bytes| String::from_utf8(bytes).unwrap()))
        .collect()
}

fn binary(array: impl Array + 'static) -> Vec<String> {
    encode(Arc::new(array), Format::Binary)
        .into_iter()
        .map(|value| {
            value
                .map_or("(null)".to_owned(), |bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        })
        .collect()
}

#[test]
fn integers() {
    assert_eq!(text(Int8Array::from(vec![Some(-128), None, Some(127)])), ["-128", "(null)", "127"]);
    assert_eq!(text(Int64Array::from(vec![i64::MIN, 0])), ["-9223372036854775808", "0"]);
    assert_eq!(text(UInt64Array::from(vec![u64::MAX])), ["18446744073709551615"]);
    assert_eq!(binary(Int8Array::from(vec![-2])), ["fffe"]);
    assert_eq!(binary(UInt8Array::from(vec![255])), ["00ff"]);
    assert_eq!(binary(Int16Array::from(vec![Some(1), None])), ["0001", "(null)"]);
    assert_eq!(binary(UInt16Array::from(vec![65_535])), ["0000ffff"]);
    assert_eq!(binary(Int32Array::from(vec![-1])), ["ffffffff"]);
    assert_eq!(binary(UInt32Array::from(vec![u32::MAX])), ["00000000ffffffff"]);
    assert_eq!(binary(Int64Array::from(vec![1])), ["0000000000000001"]);
    assert_eq!(binary(UInt64Array::from(vec![u64::MAX])), ["000500040000000007341a5802e103bb064f"]);
}

#[test]
fn booleans_and_nulls() {
    assert_eq!(text(BooleanArray::from(vec![Some(true), None, Some(false)])), ["t", "(null)", "f"]);
    assert_eq!(binary(BooleanArray::from(vec![true, false])), ["01", "00"]);
    assert_eq!(text(NullArray::new(2)), ["(null)", "(null)"]);
    assert_eq!(binary(NullArray::new(1)), ["(null)"]);
}

#[test]
fn floats() {
    let doubles = [
        (1e15, "1e+15"),
        (123_456_789_012_345.0, "123456789012345"),
        (1e14, "100000000000000"),
        (0.0001, "0.0001"),
        (0.000_01, "1e-05"),
        (-0.0, "-0"),
        (0.0, "0"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-1234.5678, "-1234.5678"),
        (1_152_921_504_606_846_976.0, "1.152921504606847e+18"),
        (f64::MAX, "1.7976931348623157e+308"),
    ];
    let (values, expected): (Vec<f64>, Vec<&str>) = doubles.into_iter().unzip();
    assert_eq!(text(Float64Array::from(values)), expected);
    let singles = [
        (1_000_000.0, "1e+06"),
        (999_999.0, "999999"),
        (123_456.7, "123456.7"),
        (0.1, "0.1"),
        (1e-5, "1e-05"),
        (16_777_216.0, "1.6777216e+07"),
        (f32::MAX, "3.4028235e+38"),
    ];
    let (values, expected): (Vec<f32>, Vec<&str>) = singles.into_iter().unzip();
    assert_eq!(text(Float32Array::from(values)), expected);
    assert_eq!(binary(Float64Array::from(vec![1.5])), ["3ff8000000000000"]);
    assert_eq!(binary(Float32Array::from(vec![1.5])), ["3fc00000"]);
}

#[test]
fn decimals() {
    let decimal = |value: i128, precision, scale| {
        Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap()
    };
    for (value, scale, in_text, in_binary) in [
        (0, 0, "0", "0000000000000000"),
        (0, 2, "0.00", "0000000000000002"),
        (1, 0, "1", "00010000000000000001"),
        (-12_345_678, 3, "-12345.678", "0003000140000003000109291a7c"),
        (1_234, 8, "0.00001234", "0001fffe0000000804d2"),
        (10_000, 0, "10000", "00010001000000000001"),
        (1_000_000_005, 1, "100000000.5", "00040002000000010001000000001388"),
        (110, 2, "1.10", "0002000000000002000103e8"),
    ] {
        assert_eq!(text(decimal(value, 38, scale)), [in_text]);
        assert_eq!(binary(decimal(value, 38, scale)), [in_binary], "{in_text}");
    }
    // A negative scale means trailing zeros.
    assert_eq!(text(decimal(12, 5, -3)), ["12000"]);
    assert_eq!(text(decimal(0, 5, -3)), ["0"]);
    assert_eq!(binary(decimal(1, 5, -4)), ["00010001000000000001"]);
    let wide = i256::from_string(&"9".repeat(50)).unwrap();
    let wide = Decimal256Array::from(vec![wide]).with_precision_and_scale(76, 12).unwrap();
    assert_eq!(text(wide.clone()), ["99999999999999999999999999999999999999.999999999999"]);
    assert_eq!(binary(wide), ["000d00090000000c0063270f270f270f270f270f270f270f270f270f270f270f270f"]);
    let small = Decimal32Array::from(vec![-150]).with_precision_and_scale(9, 2).unwrap();
    assert_eq!(text(small), ["-1.50"]);
    let middle = Decimal64Array::from(vec![-150]).with_precision_and_scale(18, 2).unwrap();
    assert_eq!(text(middle), ["-1.50"]);
}

#[test]
fn dates_and_times() {
    let dates = Date32Array::from(vec![19_782, -1, -735_160, 3_789_391, -2_440_588, 2_145_042_905]);
    assert_eq!(
        text(dates),
        ["2024-02-29", "1969-12-31", "0044-03-15 BC", "12345-01-01", "4714-11-24 BC", "5874897-12-31"]
    );
    assert_eq!(binary(Date32Array::from(vec![19_782])), ["00002279"]);
    assert_eq!(text(Date64Array::from(vec![-1])), ["1969-12-31"]);
    assert_eq!(text(Time32SecondArray::from(vec![86_399])), ["23:59:59"]);
    assert_eq!(text(Time32MillisecondArray::from(vec![1])), ["00:00:00.001"]);
    assert_eq!(text(Time64MicrosecondArray::from(vec![86_399_999_999])), ["23:59:59.999999"]);
    assert_eq!(text(Time64NanosecondArray::from(vec![1_999])), ["00:00:00.000001"]);
    assert_eq!(binary(Time64MicrosecondArray::from(vec![86_399_999_999])), ["000000141dd75fff"]);
}

#[test]
fn timestamps() {
    let micros = 1_709_210_096_789_000;
    assert_eq!(text(TimestampMicrosecondArray::from(vec![micros])), ["2024-02-29 12:34:56.789"]);
    assert_eq!(
        text(TimestampMicrosecondArray::from(vec![micros]).with_timezone("Europe/London")),
        ["2024-02-29 12:34:56.789+00"]
    );
    assert_eq!(binary(TimestampMicrosecondArray::from(vec![micros])), ["0002b58341728608"]);
    assert_eq!(text(TimestampSecondArray::from(vec![0])), ["1970-01-01 00:00:00"]);
    assert_eq!(text(TimestampMillisecondArray::from(vec![-1])), ["1969-12-31 23:59:59.999"]);
    assert_eq!(text(TimestampNanosecondArray::from(vec![-1])), ["1969-12-31 23:59:59.999999"]);
    assert_eq!(text(TimestampMicrosecondArray::from(vec![-1])), ["1969-12-31 23:59:59.999999"]);
    let caesar = (-735_160 * 86_400 + 36_000) * 1_000_000 + 500_000;
    assert_eq!(
        text(TimestampMicrosecondArray::from(vec![caesar]).with_timezone("UTC")),
        ["0044-03-15 10:00:00.5+00 BC"]
    );
}

#[test]
fn what_postgresql_cannot_hold_is_an_error() {
    let arrays: [ArrayRef; 6] = [
        Arc::new(Date32Array::from(vec![i32::MAX])),
        Arc::new(Date64Array::from(vec![i64::MIN])),
        Arc::new(TimestampSecondArray::from(vec![i64::MAX])),
        Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN])),
        Arc::new(Time64MicrosecondArray::from(vec![-1])),
        Arc::new(DurationSecondArray::from(vec![i64::MAX])),
    ];
    for array in arrays {
        for format in [Format::Text, Format::Binary] {
            let field = Field::new("c", array.data_type().clone(), true);
            let result = encode_field(field, ArrayRef::clone(&array), format);
            assert_eq!(result, Err(EncodeError::OutOfRange), "{}", array.data_type());
        }
    }
}

#[test]
fn intervals() {
    let second = 1_000_000_000;
    let interval = |months, days, nanoseconds| IntervalMonthDayNano { months, days, nanoseconds };
    let time = (4 * 3_600 + 5 * 60 + 6) * second;
    let cases = [
        (interval(14, 3, time + second / 1_000 * 789), "1 year 2 mons 3 days 04:05:06.789"),
        (interval(-1, 0, 0), "-1 mons"),
        (interval(-12, 2, 0), "-1 years +2 days"),
        (interval(1, -1, 0), "1 mon -1 days"),
        (interval(0, -1, 3 * 3_600 * second), "-1 days +03:00:00"),
        (interval(0, 0, 0), "00:00:00"),
        (interval(0, 0, -1_500_000_000), "-00:00:01.5"),
        (interval(0, 1, 0), "1 day"),
        (interval(0, 0, 360_000 * second), "100:00:00"),
        (interval(-14, 0, 0), "-1 years -2 mons"),
        (interval(14, -3, time + second / 10 * 7), "1 year 2 mons -3 days +04:05:06.7"),
    ];
    let (values, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    assert_eq!(text(IntervalMonthDayNanoArray::from(values.clone())), expected);
    assert_eq!(binary(IntervalMonthDayNanoArray::from(values))[0], "000000036c97ca88000000030000000e");
    assert_eq!(text(IntervalYearMonthArray::from(vec![14])), ["1 year 2 mons"]);
    assert_eq!(text(IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 1)])), ["1 day 00:00:00.001"]);
    assert_eq!(text(DurationMillisecondArray::from(vec![Some(90_000), None])), ["00:01:30", "(null)"]);
}

#[test]
fn strings_and_bytes() {
    assert_eq!(text(StringArray::from(vec![Some("é\"\\"), None, Some("")])), ["é\"\\", "(null)", ""]);
    assert_eq!(text(LargeStringArray::from(vec!["a"])), ["a"]);
    assert_eq!(text(StringViewArray::from(vec!["a string longer than twelve bytes"])).len(), 1);
    assert_eq!(text(BinaryArray::from(vec![&b"\xde\xad"[..], b""])), ["\\xdead", "\\x"]);
    assert_eq!(binary(BinaryViewArray::from(vec![&b"\xde\xad"[..]])), ["dead"]);
    let fixed = FixedSizeBinaryArray::try_from_iter([b"\x01\x02"].into_iter()).unwrap();
    assert_eq!(text(fixed), ["\\x0102"]);
}

#[test]
fn uuids_have_their_own_type() {
    let bytes: Vec<u8> = (0..16).collect();
    let array: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap());
    let field = Field::new("c", DataType::FixedSizeBinary(16), true)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into());
    let value = encode_field(field, array, Format::Text).unwrap().remove(0).unwrap();
    assert_eq!(String::from_utf8(value).unwrap(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
}

fn strings(values: Vec<Option<&str>>) -> ListArray {
    let mut builder = ListBuilder::new(StringBuilder::new());
    builder.append_value(values);
    builder.finish()
}

#[test]
fn arrays() {
    assert_eq!(
        text(strings(vec![
            Some("a b"),
            None,
            Some("NULL"),
            Some(""),
            Some("q\"x"),
            Some("b\\s"),
            Some("{c}"),
            Some("pl,ain"),
            Some("tab\tx"),
            Some("ok"),
        ])),
        [r#"{"a b",NULL,"NULL","","q\"x","b\\s","{c}","pl,ain","tab	x",ok}"#]
    );
    let ints = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), None, Some(3)]),
        None,
        Some(vec![]),
    ]);
    assert_eq!(text(ints.clone()), ["{1,NULL,3}", "(null)", "{}"]);
    assert_eq!(
        binary(ints.clone()),
        [
            "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003",
            "(null)",
            "000000000000000000000017"
        ]
    );
    assert_eq!(text(ints.slice(2, 1)), ["{}"]);
    assert_eq!(
        binary(strings(vec![Some("a"), None])),
        ["00000001000000010000001900000002000000010000000161ffffffff"]
    );
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        vec![Some(vec![Some(1), Some(2)]), Some(vec![Some(3), Some(4)])],
        2,
    );
    assert_eq!(text(fixed.slice(1, 1)), ["{3,4}"]);
    let mut times = ListBuilder::new(TimestampMicrosecondBuilder::new());
    times.append_value([Some(1_704_067_200_000_000)]);
    assert_eq!(text(times.finish()), [r#"{"2024-01-01 00:00:00"}"#]);
}

#[test]
fn nested_values_are_json() {
    let fields = Fields::from(vec![
        Field::new("f1", DataType::Int32, true),
        Field::new("a\"b", DataType::Utf8, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("ok", DataType::Boolean, true),
        Field::new("x", DataType::Float64, true),
    ]);
    let record = StructArray::new(
        fields,
        vec![
            Arc::new(Int32Array::from(vec![Some(1), None])),
            Arc::new(StringArray::from(vec![Some("a\"b\\c\n\u{1}é"), None])),
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1_709_210_096_789_000), None]).with_timezone("UTC"),
            ),
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1e20)])),
        ],
        None,
    );
    assert_eq!(
        text(record),
        [
            r#"{"f1":1,"a\"b":"a\"b\\c\n\u0001é","at":"2024-02-29T12:34:56.789+00:00","ok":true,"x":"NaN"}"#,
            r#"{"f1":null,"a\"b":null,"at":null,"ok":null,"x":1e+20}"#,
        ]
    );
    let mut map = MapBuilder::new(None, Int32Builder::new(), Float32Builder::new());
    map.keys().append_value(7);
    map.values().append_value(1.5);
    map.keys().append_value(8);
    map.values().append_null();
    map.append(true).unwrap();
    assert_eq!(text(map.finish()), [r#"{"7":1.5,"8":null}"#]);
    let ints = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1)]),
        None,
        Some(vec![Some(2), Some(3)]),
    ]);
    let nested = ListArray::new(
        Field::new_list_field(ints.data_type().clone(), true).into(),
        OffsetBuffer::from_lengths([2, 1]),
        Arc::new(ints),
        None,
    );
    assert_eq!(text(nested), ["[[1],null]", "[[2,3]]"]);
}

#[test]
fn dictionaries_and_runs_are_their_values() {
    let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
    assert_eq!(text(dictionary), ["a", "(null)", "a"]);
    let runs = RunArray::<Int32Type>::try_new(
        &Int32Array::from(vec![2, 3]),
        &StringArray::from(vec![Some("x"), None]),
    )
    .unwrap();
    assert_eq!(text(runs), ["x", "x", "(null)"]);
    let values: DictionaryArray<Int32Type> = vec!["k", "v"].into_iter().collect();
    let list = ListArray::new(
        Field::new_list_field(values.data_type().clone(), true).into(),
        OffsetBuffer::from_lengths([2]),
        Arc::new(values),
        None,
    );
    assert_eq!(text(list), ["{k,v}"]);
}

#[test]
fn formats_are_none_one_or_one_each() {
    let schema =
        Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Int32, true)]);
    let encoder = RowEncoder::new(&schema).unwrap();
    assert!(encoder.clone().with_formats(&[]).is_ok());
    assert!(encoder.clone().with_formats(&[1]).is_ok());
    assert!(encoder.clone().with_formats(&[0, 1]).is_ok());
    assert_eq!(encoder.clone().with_formats(&[0, 1, 0]).unwrap_err().code, "08P01");
    assert_eq!(encoder.with_formats(&[2]).unwrap_err().code, "22023");
}

#[test]
fn a_result_may_change_its_layout_but_not_its_type() {
    let described = RowEncoder::new(&Schema::new(vec![Field::new("a", DataType::Utf8View, true)])).unwrap();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert!(described.adopt(&Schema::new(vec![Field::new("a", dictionary, true)])).is_ok());
    let error = described.adopt(&Schema::new(vec![Field::new("a", DataType::Int64, true)])).unwrap_err();
    assert_eq!(error.code, "0A000");
    assert!(described.adopt(&Schema::empty()).is_err());
    assert_eq!(described.columns[0].kind, PgType::Scalar(Scalar::Text));
}
