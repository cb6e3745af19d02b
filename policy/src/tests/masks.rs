//! What masks make of values.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int32Array, Int64Array, LargeStringArray, StringArray,
    StringViewArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use zeroize::Zeroizing;

use crate::mask::{Mask, MaskKey, build};
use crate::records::{DateUnit, MaskSpec};

fn mask(spec: &MaskSpec, data_type: &DataType) -> Arc<dyn Mask> {
    build(spec, data_type, &|name| {
        let fill = if name == "other" { 8 } else { 7 };
        Some(Arc::new(MaskKey::new(Zeroizing::new(vec![fill; 32])).expect("long enough")))
    })
    .expect("a mask")
}

fn texts(spec: &MaskSpec, values: &[Option<&str>]) -> Vec<Option<String>> {
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let masked = mask(spec, &DataType::Utf8).apply(&array).expect("masks are total");
    masked.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect()
}

fn token(domain: &str, key: &str) -> MaskSpec {
    MaskSpec::Token { domain: domain.to_owned(), key: key.to_owned() }
}

#[test]
fn null_stays_null_and_layouts_are_kept() {
    for spec in [
        MaskSpec::Constant { value: "x".to_owned() },
        token("d", "k"),
        MaskSpec::ShowLast { n: 2 },
        MaskSpec::OutwardPostcode,
        MaskSpec::Zip3,
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
    assert_eq!(texts(&MaskSpec::Null, &[Some("a"), None]), [None, None]);
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
    let spec = MaskSpec::OutwardPostcode;
    for (raw, shown) in [
        ("SW1A 1AA", "SW1A"),
        ("m1 1ae", "M1"),
        ("EC1A1BB", "EC1A"),
        ("12345", ""),
        ("SW1A", ""),
        ("", ""),
        ("Ward 7, bed 3", ""),
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
        assert_eq!(texts(&MaskSpec::Zip3, &[Some(raw)]), [Some(shown.to_owned())], "{raw}");
    }
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
    assert_eq!(cut(DateUnit::Month)[..4], [Some(-61), Some(0), Some(19_754), None]);
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
    for (spec, data_type) in [
        (MaskSpec::ShowLast { n: 1 }, DataType::Int64),
        (MaskSpec::TruncateDate { to: DateUnit::Year }, DataType::Utf8),
        (token("d", "k"), DataType::Float64),
        (MaskSpec::Constant { value: "x".to_owned() }, DataType::Int64),
        (MaskSpec::Zip3, DataType::Int32),
    ] {
        assert!(
            build(&spec, &data_type, &|_| Some(Arc::new(
                MaskKey::new(Zeroizing::new(vec![1; 32])).expect("key")
            )))
            .is_err(),
            "{spec:?}"
        );
    }
    assert!(MaskKey::new(Zeroizing::new(vec![1; 31])).is_err(), "a short key");
}
