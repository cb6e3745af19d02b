//! What masks make of values.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Decimal128Array, Int32Array, Int64Array,
    LargeStringArray, StringArray, StringViewArray, TimestampMicrosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use zeroize::Zeroizing;

use crate::mask::{Mask, MaskKey, Surroundings, build_part};
use crate::records::{DateUnit, MaskSpec};

/// Keys `k` and `other`, and the year 2026.
pub(super) fn try_mask(spec: &MaskSpec, data_type: &DataType) -> Result<Arc<dyn Mask>, String> {
    let key = |fill| Arc::new(MaskKey::new(Zeroizing::new(vec![fill; 32])).expect("long enough"));
    let keys = BTreeMap::from([("k".to_owned(), key(7)), ("other".to_owned(), key(8))]);
    build_part(spec, data_type, &[], &Surroundings { keys: &keys, year: 2026 })
}

pub(super) fn mask(spec: &MaskSpec, data_type: &DataType) -> Arc<dyn Mask> {
    try_mask(spec, data_type).expect("a mask")
}

pub(super) fn masked(spec: &MaskSpec, array: &ArrayRef) -> ArrayRef {
    mask(spec, array.data_type()).apply(array).expect("masks are total")
}

pub(super) fn texts(spec: &MaskSpec, values: &[Option<&str>]) -> Vec<Option<String>> {
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let masked = mask(spec, &DataType::Utf8).apply(&array).expect("masks are total");
    masked.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
}

pub(super) fn token(domain: &str, key: &str) -> MaskSpec {
    MaskSpec::Token { domain: domain.to_owned(), key: key.to_owned() }
}

#[test]
fn null_stays_null_and_layouts_are_kept() {
    for spec in [
        MaskSpec::Constant { value: "x".to_owned() },
        token("d", "k"),
        MaskSpec::ShowFirst { n: 2 },
        MaskSpec::ShowLast { n: 2 },
        MaskSpec::Redact {},
        MaskSpec::OutwardPostcode {},
        MaskSpec::Zip3 {},
    ] {
        let values = vec![Some("SW1A 1AA"), None, Some("")];
        let arrays: [ArrayRef; 3] = [
            Arc::new(StringArray::from(values.clone())),
            Arc::new(LargeStringArray::from(values.clone())),
            Arc::new(StringViewArray::from(values)),
        ];
        for array in arrays {
            let masked = mask(&spec, array.data_type()).apply(&array).expect("total");
            assert_eq!(masked.data_type(), array.data_type(), "{spec:?}");
            assert_eq!((masked.len(), masked.is_null(1), masked.null_count()), (3, true, 1), "{spec:?}");
        }
    }
}

#[test]
fn the_null_mask_hides_everything() {
    assert_eq!(texts(&MaskSpec::Null {}, &[Some("a"), None]), [None, None]);
}

#[test]
fn last_characters_are_shown_unless_they_are_all_there_is() {
    let spec = MaskSpec::ShowLast { n: 4 };
    assert_eq!(
        texts(&spec, &[Some("9990000018"), Some("0018"), Some("é8"), Some("ünïcödé")]),
        [
            Some("******0018".to_owned()),
            Some("****".to_owned()),
            Some("**".to_owned()),
            Some("***cödé".to_owned()),
        ]
    );
}

#[test]
fn first_characters_are_shown_unless_they_are_all_there_is() {
    let spec = MaskSpec::ShowFirst { n: 3 };
    assert_eq!(
        texts(&spec, &[Some("SW1A 1AA"), Some("Ann"), Some("Bo"), Some(""), Some("Zoë🙂")]),
        ["SW1*****", "***", "**", "", "Zoë*"].map(|shown| Some(shown.to_owned()))
    );
    assert_eq!(texts(&MaskSpec::ShowFirst { n: 0 }, &[Some("Ann")]), [Some("***".to_owned())]);
    assert_eq!(texts(&MaskSpec::ShowFirst { n: usize::MAX }, &[Some("Ann")]), [Some("***".to_owned())]);
}

#[test]
fn redaction_keeps_length_white_space_and_punctuation() {
    for (raw, shown) in [
        ("Dr O'Neill-Smith, ward 12", "xx x'xxxxx-xxxxx, xxxx 00"),
        ("Zoë\t学生", "xxx\txx"),
        // An accent of its own, Arabic digits, a fraction, a flag, Braille, a control character.
        ("e\u{301} \u{664}\u{662} ½ 🇬🇧 ⠁ \u{1}", "xx 00 0 xx x x"),
        ("“a – b”…", "“x – x”…"),
        ("", ""),
    ] {
        assert_eq!(texts(&MaskSpec::Redact {}, &[Some(raw)]), [Some(shown.to_owned())], "{raw}");
    }
}

#[test]
fn tokens_are_stable_keyed_and_apart_by_domain() {
    let [Some(a), Some(again), Some(b)] = &texts(&token("d", "k"), &[Some("1"), Some("1"), Some("2")])[..]
    else {
        panic!("three tokens");
    };
    assert_eq!(a, again);
    assert_ne!(a, b);
    assert_eq!(a.len(), 32);
    assert_ne!(texts(&token("e", "k"), &[Some("1")])[0].as_ref(), Some(a), "another domain");
    assert_ne!(texts(&token("d", "other"), &[Some("1")])[0].as_ref(), Some(a), "another key");
    // Numbers and their text give one token, whatever their width, so that tokens join.
    for array in [Arc::new(Int64Array::from(vec![1])) as ArrayRef, Arc::new(Int32Array::from(vec![1]))] {
        let masked = mask(&token("d", "k"), array.data_type()).apply(&array).expect("total");
        assert_eq!(masked.as_string::<i32>().value(0), a);
    }
}

/// HMAC-SHA-256 computed by another implementation (Python's hmac) over the length-prefixed domain.
#[test]
fn tokens_follow_the_published_construction() {
    assert_eq!(
        texts(&token("patient", "k"), &[Some("9990000018")]),
        [Some("394dbf20bd709529289370ff6e71ba5e".to_owned())]
    );
}

#[test]
fn postcodes_lose_their_inward_part() {
    let spec = MaskSpec::OutwardPostcode {};
    for (raw, shown) in [
        ("SW1A 1AA", "SW1A"),
        ("m1 1ae", "M1"),
        ("EC1A1BB", "EC1A"),
        ("12345", ""),
        ("SW1A", ""),
        ("", ""),
        ("Ward 7, bed 3", ""),
        ("GL50 1AA", "GL50"),
        ("W1A 0AX", "W1A"),
        // A name that ends like a postcode.
        ("Mary 1st", ""),
        ("ABC1 2DE", ""),
        ("SW1AA 1AA", ""),
        ("ＳＷ1A 1AA", ""),
    ] {
        assert_eq!(texts(&spec, &[Some(raw)]), [Some(shown.to_owned())], "{raw}");
    }
}

#[test]
fn zip_codes_keep_three_digits_and_small_areas_none() {
    for (raw, shown) in [
        ("60614", "606"),
        ("60614-1234", "606"),
        ("03601", "000"),
        ("89312", "000"),
        ("6061", ""),
        ("60614-12", ""),
        ("SW1A 1AA", ""),
    ] {
        assert_eq!(texts(&MaskSpec::Zip3 {}, &[Some(raw)]), [Some(shown.to_owned())], "{raw}");
    }
}

#[test]
fn zip_codes_stored_as_numbers_get_their_zeros_back() {
    let raw: ArrayRef = Arc::new(Int32Array::from(vec![
        Some(60_614),
        Some(2_138),
        Some(3_601),
        Some(-2_138),
        None,
        Some(123_456),
    ]));
    let shown = masked(&MaskSpec::Zip3 {}, &raw);
    let shown: Vec<_> = shown.as_string::<i32>().iter().collect();
    assert_eq!(shown, [Some("606"), Some("021"), Some("000"), Some(""), None, Some("")]);
}

#[test]
fn tokens_of_every_type_are_those_of_the_text() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(i32::MAX), Some(i32::MIN)]));
    let bytes: ArrayRef =
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b"7".as_slice()), None, Some(b"\xff")]));
    let decimals: ArrayRef = Arc::new(
        Decimal128Array::from(vec![Some(700), None, Some(750)])
            .with_precision_and_scale(10, 2)
            .expect("fits"),
    );
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![Some(7), None, Some(u64::MAX)]));
    let tokens = |array: &ArrayRef| -> Vec<Option<String>> {
        let tokens = masked(&token("d", "k"), array);
        tokens.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
    };
    let expected = |values: &[Option<&str>]| texts(&token("d", "k"), values);
    assert_eq!(tokens(&days)[..2], expected(&[Some("1970-01-01"), None]));
    assert_ne!(tokens(&days)[2], tokens(&days)[3], "beyond the calendar, too");
    assert_eq!(tokens(&bytes)[..2], expected(&[Some("7"), None]));
    assert_eq!(tokens(&decimals), expected(&[Some("7"), None, Some("7.5")]));
    assert_eq!(tokens(&unsigned), expected(&[Some("7"), None, Some("18446744073709551615")]));
}

#[test]
fn dates_are_cut_to_their_year_or_month() {
    // 1969-11-27, 1970-01-01, 2024-02-29 and the ends of the type.
    let raw: ArrayRef = Arc::new(Date32Array::from(vec![
        Some(-35),
        Some(0),
        Some(19_782),
        None,
        Some(i32::MAX),
        Some(i32::MIN),
    ]));
    let cut = |unit| {
        let masked =
            mask(&MaskSpec::TruncateDate { to: unit }, &DataType::Date32).apply(&raw).expect("total");
        masked.as_primitive::<Date32Type>().iter().collect::<Vec<_>>()
    };
    assert_eq!(cut(DateUnit::Year)[..4], [Some(-365), Some(0), Some(19_723), None]);
    assert_eq!(cut(DateUnit::Quarter)[..4], [Some(-92), Some(0), Some(19_723), None]);
    assert_eq!(cut(DateUnit::Month)[..4], [Some(-61), Some(0), Some(19_754), None]);
    // Day by day: a quarter begins with January, April, July and October.
    let year: ArrayRef = Arc::new(Date32Array::from_iter_values(0..365));
    let quarters = masked(&MaskSpec::TruncateDate { to: DateUnit::Quarter }, &year);
    let mut starts: Vec<_> = quarters.as_primitive::<Date32Type>().values().to_vec();
    starts.dedup();
    assert_eq!(starts, [0, 90, 181, 273]);
    let instants: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
        Some(-1),
        Some(86_400_000_001),
        Some(i64::MAX),
        Some(i64::MIN),
    ]));
    let masked = mask(&MaskSpec::TruncateDate { to: DateUnit::Year }, instants.data_type())
        .apply(&instants)
        .expect("total");
    let masked = masked.as_primitive::<TimestampMicrosecondType>();
    assert_eq!((masked.value(0), masked.value(1)), (-365 * 86_400_000_000, 0));
}

#[test]
fn a_mask_of_the_wrong_type_is_refused() {
    for (spec, data_type, words) in [
        (
            MaskSpec::ShowLast { n: 1 },
            DataType::Int64,
            "`show_last` is defined for text columns, not for Int64",
        ),
        (MaskSpec::ShowFirst { n: 1 }, DataType::Date32, "`show_first` is defined for text"),
        (MaskSpec::Redact {}, DataType::Binary, "`redact` is defined for text"),
        (MaskSpec::OutwardPostcode {}, DataType::Int32, "`outward_postcode` is defined for text"),
        (MaskSpec::TruncateDate { to: DateUnit::Year }, DataType::Utf8, "for date and timestamp"),
        (MaskSpec::AgeCap {}, DataType::Utf8, "for integer, float, decimal (128 bits), date and timestamp"),
        (token("d", "k"), DataType::Float64, "for text, integer, decimal, date and binary"),
        (token("", "k"), DataType::Utf8, "domain that is not empty"),
        (token("d", "missing"), DataType::Utf8, "key `missing` is not declared"),
        (MaskSpec::Constant { value: "x".to_owned() }, DataType::Int64, "`x` is not a value of type Int64"),
        (MaskSpec::Zip3 {}, DataType::Float64, "for text and integer"),
    ] {
        let why = try_mask(&spec, &data_type).expect_err("refused");
        assert!(why.contains(words), "{spec:?}: {why}");
    }
    assert!(MaskKey::new(Zeroizing::new(vec![1; 31])).is_err(), "a short key");
}
