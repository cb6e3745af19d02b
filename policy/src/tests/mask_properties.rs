//! What holds for every mask, type and value: totality, length, NULLs, type, slices, determinism.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, Date32Array, Date64Array, Decimal128Array,
    Decimal256Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, LargeBinaryArray, LargeStringArray, ListArray, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array, new_empty_array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, i256};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use super::masks::{token, try_mask};
use crate::records::{DateUnit, MaskSpec};

/// Every mask with arguments that at least one type takes.
fn specs() -> Vec<MaskSpec> {
    let noise =
        |amount, domain: &str| MaskSpec::Noise { amount, domain: domain.to_owned(), key: "k".to_owned() };
    vec![
        MaskSpec::Null {},
        MaskSpec::Constant { value: "7".to_owned() },
        MaskSpec::Constant { value: "2024-02-29".to_owned() },
        token("d", "k"),
        MaskSpec::ShowFirst { n: 0 },
        MaskSpec::ShowFirst { n: 3 },
        MaskSpec::ShowLast { n: 3 },
        MaskSpec::ShowLast { n: usize::MAX },
        MaskSpec::Redact {},
        MaskSpec::TruncateDate { to: DateUnit::Year },
        MaskSpec::TruncateDate { to: DateUnit::Quarter },
        MaskSpec::TruncateDate { to: DateUnit::Month },
        MaskSpec::AgeCap {},
        MaskSpec::OutwardPostcode {},
        MaskSpec::Zip3 {},
        MaskSpec::Bucket { width: 10.0, origin: 3.0 },
        MaskSpec::Bucket { width: 4e18, origin: -4e18 },
        noise(1.0, "d"),
        noise(1e9, "d"),
    ]
}

/// Texts as people write them, and any text.
fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let text = prop_oneof![
        ".{0,12}",
        "[A-Z]{1,2}[0-9]{1,2} ?[0-9][A-Z]{2}",
        "[0-9]{5}(-[0-9]{4})?",
        "[\\u{1F600}-\\u{1F64F}]{0,4}",
        Just(String::new()),
    ];
    vec(weighted(0.8, text), 1..20)
}

/// Any integers, the ends of their types and the small numbers that ages are.
fn integers() -> impl Strategy<Value = Vec<Option<i64>>> {
    let integer = prop_oneof![any::<i64>(), -200..200_i64, Just(i64::MIN), Just(i64::MAX)];
    vec(weighted(0.8, integer), 1..20)
}

fn floats() -> impl Strategy<Value = Vec<Option<f64>>> {
    let float = prop_oneof![
        any::<f64>(),
        -1e6..1e6,
        proptest::num::f64::ANY,
        Just(f64::NAN),
        Just(f64::MIN),
        Just(-0.0),
    ];
    vec(weighted(0.8, float), 1..20)
}

fn text_arrays(values: &[Option<String>]) -> Vec<ArrayRef> {
    let bytes: Vec<_> = values.iter().map(|value| value.as_ref().map(String::as_bytes)).collect();
    let fixed = values.iter().map(|value| value.as_ref().map(|text| [text.len() as u8; 16]));
    vec![
        Arc::new(StringArray::from(values.to_vec())),
        Arc::new(LargeStringArray::from(values.to_vec())),
        Arc::new(values.iter().collect::<StringViewArray>()),
        Arc::new(BinaryArray::from(bytes.clone())),
        Arc::new(LargeBinaryArray::from(bytes.clone())),
        Arc::new(bytes.iter().collect::<BinaryViewArray>()),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 16).expect("of one size")),
    ]
}

fn integer_arrays(values: &[Option<i64>]) -> Vec<ArrayRef> {
    macro_rules! cut {
        ($array:ty, $native:ty) => {
            Arc::new(values.iter().map(|v| v.map(|v| v as $native)).collect::<$array>()) as ArrayRef
        };
    }
    let decimals = values.iter().map(|v| v.map(|v| i128::from(v) % 10_i128.pow(18)));
    let wide = values.iter().map(|v| v.map(|v| i256::from_i128(i128::from(v))));
    vec![
        cut!(Int8Array, i8),
        cut!(Int16Array, i16),
        cut!(Int32Array, i32),
        cut!(Int64Array, i64),
        cut!(UInt8Array, u8),
        cut!(UInt16Array, u16),
        cut!(UInt32Array, u32),
        cut!(UInt64Array, u64),
        cut!(Date32Array, i32),
        cut!(Date64Array, i64),
        cut!(TimestampSecondArray, i64),
        cut!(TimestampMillisecondArray, i64),
        cut!(TimestampMicrosecondArray, i64),
        cut!(TimestampNanosecondArray, i64),
        Arc::new(
            values.iter().copied().collect::<TimestampMicrosecondArray>().with_timezone("Europe/London"),
        ),
        Arc::new(
            decimals.clone().collect::<Decimal128Array>().with_precision_and_scale(18, 0).expect("fits"),
        ),
        Arc::new(decimals.collect::<Decimal128Array>().with_precision_and_scale(18, 4).expect("fits")),
        Arc::new(wide.collect::<Decimal256Array>().with_precision_and_scale(40, 2).expect("fits")),
    ]
}

fn float_arrays(values: &[Option<f64>]) -> Vec<ArrayRef> {
    vec![
        Arc::new(values.iter().map(|v| v.map(|v| v as f32)).collect::<Float32Array>()),
        Arc::new(Float64Array::from(values.to_vec())),
    ]
}

/// `array` as the elements of lists, two by two.
fn in_lists(array: &ArrayRef) -> ArrayRef {
    let lengths = (0..array.len()).step_by(2).map(|start| (array.len() - start).min(2));
    let item = Arc::new(Field::new("item", array.data_type().clone(), true));
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), Arc::clone(array), None))
}

/// Checks every mask on every array; answers how many masks took how many arrays.
fn check(arrays: &[ArrayRef]) -> Result<usize, TestCaseError> {
    let mut taken = 0;
    for array in arrays {
        for spec in specs() {
            let Ok(mask) = try_mask(&spec, array.data_type()) else { continue };
            taken += 1;
            let context = format!("{spec:?} on {}", array.data_type());
            let shown = mask.apply(array).map_err(|e| TestCaseError::fail(format!("{context}: {e}")))?;
            prop_assert_eq!(shown.len(), array.len(), "{}", context);
            prop_assert_eq!(shown.data_type(), &mask.output_type(array.data_type()), "{}", context);
            for row in 0..array.len() {
                prop_assert!(shown.is_null(row) || array.is_valid(row), "{}: NULL became a value", context);
            }
            if matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
                && spec != (MaskSpec::Null {})
            {
                prop_assert_eq!(shown.null_count(), array.null_count(), "{}", context);
            }
            prop_assert_eq!(&mask.apply(array).expect("again"), &shown, "{}: not deterministic", context);
            let (from, rows) = (array.len() / 3, array.len() / 2);
            let slice = mask.apply(&array.slice(from, rows)).expect("a slice");
            prop_assert_eq!(&slice, &shown.slice(from, rows), "{}: a slice differs", context);
            let none = new_empty_array(array.data_type());
            prop_assert_eq!(mask.apply(&none).expect("no rows").len(), 0, "{}", context);
            shown.to_data().validate_full().map_err(|e| TestCaseError::fail(format!("{context}: {e}")))?;
        }
    }
    Ok(taken)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn texts_and_bytes_are_masked_whatever_they_are(values in texts()) {
        // Null and token on all, constants and the text masks on three layouts.
        prop_assert!(check(&text_arrays(&values))? >= 7 * 2 + 3 * 8);
    }

    #[test]
    fn integers_dates_and_decimals_are_masked_whatever_they_are(values in integers()) {
        prop_assert!(check(&integer_arrays(&values))? >= 18 * 4);
    }

    #[test]
    fn floats_are_masked_whatever_they_are(values in floats()) {
        prop_assert!(check(&float_arrays(&values))? >= 2 * 5);
    }

    #[test]
    fn elements_of_lists_are_masked_whatever_they_are(values in texts(), numbers in integers()) {
        let lists: Vec<_> = text_arrays(&values).iter().chain(&integer_arrays(&numbers)).map(in_lists).collect();
        prop_assert!(check(&lists)? > 0);
        let nested: Vec<_> = lists.iter().map(in_lists).collect();
        prop_assert!(check(&nested)? > 0);
    }

    /// A character that is shown by `show_first` or `show_last` leaves at least one hidden.
    #[test]
    fn no_text_is_shown_whole(value in ".{1,12}", n in 0..15_usize) {
        for spec in [MaskSpec::ShowFirst { n }, MaskSpec::ShowLast { n }] {
            let shown = super::masks::texts(&spec, &[Some(&value)])[0].clone().expect("a text");
            prop_assert_eq!(shown.chars().count(), value.chars().count());
            prop_assert!(shown.contains('*'), "{:?} shows {}", spec, shown);
        }
    }

    #[test]
    fn redacted_texts_hold_no_letter_but_x_and_no_digit_but_0(value in "\\PC{0,16}") {
        let shown = super::masks::texts(&MaskSpec::Redact {}, &[Some(&value)])[0].clone().expect("a text");
        prop_assert!(shown.chars().all(|c| !c.is_alphanumeric() || c == 'x' || c == '0'), "{}", shown);
    }

    /// Every bucket is as wide as it says: values in it lie less than a width above what is shown.
    #[test]
    fn a_bucket_holds_its_values(value in any::<i64>(), width in 2..1_000_000_i64, origin in -1000..1000_i64) {
        let raw: ArrayRef = Arc::new(Int64Array::from(vec![value]));
        let spec = MaskSpec::Bucket { width: width as f64, origin: origin as f64 };
        let shown = super::masks::masked(&spec, &raw);
        let shown = shown.as_any().downcast_ref::<Int64Array>().expect("integers");
        if shown.is_valid(0) {
            let above = i128::from(value) - i128::from(shown.value(0));
            prop_assert!((0..i128::from(width)).contains(&above));
            prop_assert_eq!((i128::from(shown.value(0)) - i128::from(origin)).rem_euclid(i128::from(width)), 0);
        } else {
            prop_assert!(value < i64::MIN + width);
        }
    }

    #[test]
    fn float_noise_keeps_its_bounds(value in -1e9..1e9_f64, amount in 0.01..1e6_f64) {
        let raw: ArrayRef = Arc::new(Float64Array::from(vec![value]));
        let spec = MaskSpec::Noise { amount, domain: "d".to_owned(), key: "k".to_owned() };
        let shown = super::masks::masked(&spec, &raw);
        let shown = shown.as_any().downcast_ref::<Float64Array>().expect("floats");
        prop_assert!((shown.value(0) - value).abs() <= amount, "{} for {value} and {amount}", shown.value(0));
    }

    #[test]
    fn tokens_and_noise_differ_between_values_domains_and_keys(a in any::<i64>(), b in any::<i64>()) {
        prop_assume!(a != b);
        let raw: ArrayRef = Arc::new(Int64Array::from(vec![a >> 8, b >> 8]));
        let noise = |domain: &str, key: &str| MaskSpec::Noise {
            amount: 1e15, domain: domain.to_owned(), key: key.to_owned(),
        };
        for [spec, domain, key] in [
            [token("d", "k"), token("e", "k"), token("d", "other")],
            [noise("d", "k"), noise("e", "k"), noise("d", "other")],
        ] {
            let shown = super::masks::masked(&spec, &raw);
            prop_assert_eq!(&shown, &super::masks::masked(&spec, &raw));
            prop_assert_ne!(&shown, &super::masks::masked(&domain, &raw));
            prop_assert_ne!(&shown, &super::masks::masked(&key, &raw));
        }
    }
}

/// A struct has no mask of its own but `null`.
#[test]
fn structs_take_null_only() {
    let fields = vec![(
        Arc::new(Field::new("a", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![1])) as ArrayRef,
    )];
    let array: ArrayRef = Arc::new(StructArray::from(fields));
    let taken: Vec<_> =
        specs().into_iter().filter(|spec| try_mask(spec, array.data_type()).is_ok()).collect();
    assert_eq!(taken, [MaskSpec::Null {}]);
}
