//! What masks make of numbers, ages and dates of birth.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Date64Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    UInt8Array, UInt64Array,
};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampNanosecondType, UInt8Type, UInt64Type,
};

use super::masks::{masked, texts, token, try_mask};
use crate::records::MaskSpec;

fn bucket(width: f64, origin: f64) -> MaskSpec {
    MaskSpec::Bucket { width, origin }
}

fn noise(amount: f64, domain: &str, key: &str) -> MaskSpec {
    MaskSpec::Noise { amount, domain: domain.to_owned(), key: key.to_owned() }
}

#[test]
fn integers_fall_to_the_lower_bound_of_their_bucket() {
    let raw: ArrayRef = Arc::new(Int32Array::from(vec![
        Some(0),
        Some(9),
        Some(10),
        Some(-1),
        None,
        Some(i32::MAX),
        Some(i32::MIN),
    ]));
    let shown = masked(&bucket(10.0, 0.0), &raw);
    let shown: Vec<_> = shown.as_primitive::<Int32Type>().iter().collect();
    // The bucket of the smallest integer begins below it: NULL, not the value.
    assert_eq!(shown, [Some(0), Some(0), Some(10), Some(-10), None, Some(2_147_483_640), None]);
    let shown = masked(&bucket(10.0, 5.0), &raw);
    let shown: Vec<_> = shown.as_primitive::<Int32Type>().iter().take(4).collect();
    assert_eq!(shown, [Some(-5), Some(5), Some(5), Some(-5)]);
    let raw: ArrayRef = Arc::new(UInt64Array::from(vec![Some(3), Some(u64::MAX), None]));
    let shown = masked(&bucket(100.0, 50.0), &raw);
    let shown: Vec<_> = shown.as_primitive::<UInt64Type>().iter().collect();
    assert_eq!(shown, [None, Some(18_446_744_073_709_551_550), None]);
}

#[test]
fn decimals_are_bucketed_in_their_unit() {
    let decimals = |values: Vec<Option<i128>>| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(5, 2).expect("fits"))
    };
    let raw = decimals(vec![Some(1_274), Some(-1), None, Some(-99_999)]);
    let shown = masked(&bucket(0.5, 0.0), &raw);
    assert_eq!(shown.data_type(), raw.data_type());
    let shown: Vec<_> = shown.as_primitive::<Decimal128Type>().iter().collect();
    // -1000.00 has more digits than the column.
    assert_eq!(shown, [Some(1_250), Some(-50), None, None]);
    assert!(try_mask(&bucket(0.125, 0.0), raw.data_type()).is_err(), "finer than the column");
}

#[test]
fn floats_without_a_bucket_are_hidden() {
    let raw: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(12.7),
        Some(-0.1),
        None,
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        // Neighbours of this one are 2^969 away: its bucket is itself.
        Some(1e308),
        Some(f64::MIN_POSITIVE),
    ]));
    let shown = masked(&bucket(2.5, 0.0), &raw);
    let shown: Vec<_> = shown.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(shown, [Some(12.5), Some(-2.5), None, None, None, None, None, Some(0.0)]);
    let raw: ArrayRef = Arc::new(Float32Array::from(vec![12.7_f32, 20_000_000.0, f32::MAX]));
    let shown = masked(&bucket(1.0, 0.0), &raw);
    let shown: Vec<_> = shown.as_primitive::<Float32Type>().iter().collect();
    assert_eq!(shown, [Some(12.0), None, None]);
    // With its origin far away a bucket has a small index and bounds that 24 bits cannot tell.
    let raw: ArrayRef = Arc::new(Float32Array::from(vec![1e10_f32]));
    let shown = masked(&bucket(1.0, 1e10), &raw);
    assert!(shown.is_null(0), "{shown:?}");
}

#[test]
fn arguments_that_hide_nothing_or_make_no_sense_are_refused() {
    let decimal = DataType::Decimal128(10, 2);
    for (spec, data_type, words) in [
        (bucket(0.0, 0.0), DataType::Int64, "above zero"),
        (bucket(-1.0, 0.0), DataType::Float64, "above zero"),
        (bucket(f64::NAN, 0.0), DataType::Float64, "above zero"),
        (bucket(1.0, f64::INFINITY), DataType::Float64, "finite"),
        (bucket(1.0, 0.0), DataType::Int64, "hides nothing"),
        (bucket(0.01, 0.0), decimal.clone(), "hides nothing"),
        (bucket(2.5, 0.0), DataType::Int64, "no whole number of the smallest step of Int64"),
        (bucket(10.0, 0.5), DataType::Int64, "no whole number"),
        (bucket(1e300, 0.0), DataType::Int64, "too large"),
        (bucket(10.0, 0.0), DataType::Utf8, "is defined for integer, float and decimal (128 bits) columns"),
        (bucket(10.0, 0.0), DataType::Decimal256(40, 2), "is defined for"),
        (bucket(10.0, 0.0), DataType::Float16, "is defined for"),
        (noise(0.0, "d", "k"), DataType::Int64, "above zero"),
        (noise(-3.0, "d", "k"), DataType::Date32, "above zero"),
        (noise(f64::INFINITY, "d", "k"), DataType::Float64, "above zero"),
        (noise(1e-31, "d", "k"), DataType::Float64, "1e-30"),
        (noise(0.5, "d", "k"), DataType::Date32, "no whole number"),
        (noise(1e-12, "d", "k"), DataType::Int64, "less than the smallest step"),
        (noise(0.001, "d", "k"), decimal, "no whole number"),
        (noise(1.0, "", "k"), DataType::Int64, "`noise` needs a domain"),
        (noise(1.0, "d", "missing"), DataType::Int64, "key `missing` is not declared"),
        (noise(1.0, "d", "k"), DataType::Boolean, "is defined for integer, float, decimal"),
    ] {
        let why = try_mask(&spec, &data_type).expect_err("refused");
        assert!(why.contains(words), "{spec:?} on {data_type}: {why}");
    }
}

#[test]
fn ages_over_89_are_90() {
    let raw: ArrayRef = Arc::new(Int8Array::from(vec![
        Some(0),
        Some(89),
        Some(90),
        Some(91),
        Some(i8::MAX),
        None,
        Some(-1),
        Some(i8::MIN),
    ]));
    let shown = masked(&MaskSpec::AgeCap {}, &raw);
    let shown: Vec<_> = shown.as_primitive::<Int8Type>().iter().collect();
    assert_eq!(shown, [Some(0), Some(89), Some(90), Some(90), Some(90), None, None, None]);
    // Completed years: a fraction would tell the month of birth.
    let raw: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(34.7),
        Some(89.9),
        Some(90.0),
        Some(1e300),
        None,
        Some(-0.5),
        Some(f64::NAN),
        Some(f64::INFINITY),
    ]));
    let shown = masked(&MaskSpec::AgeCap {}, &raw);
    let shown: Vec<_> = shown.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(shown, [Some(34.0), Some(89.0), Some(90.0), Some(90.0), None, None, None, None]);
    let raw: ArrayRef = Arc::new(
        Decimal128Array::from(vec![Some(347), Some(899), Some(1_021), Some(-1), None])
            .with_precision_and_scale(4, 1)
            .expect("fits"),
    );
    let shown = masked(&MaskSpec::AgeCap {}, &raw);
    let shown: Vec<_> = shown.as_primitive::<Decimal128Type>().iter().collect();
    assert_eq!(shown, [Some(340), Some(890), Some(900), None, None]);
    let raw: ArrayRef = Arc::new(UInt8Array::from(vec![255, 90, 12]));
    assert_eq!(masked(&MaskSpec::AgeCap {}, &raw).as_primitive::<UInt8Type>().values()[..], [90, 90, 12]);
}

/// Days from 1970-01-01 to the first of January of `year`.
fn new_year(year: i32) -> i32 {
    let date = chrono::NaiveDate::from_ymd_opt(year, 1, 1).expect("a date");
    i32::try_from(date.signed_duration_since(chrono::NaiveDate::default()).num_days()).expect("in range")
}

#[test]
fn dates_of_birth_are_years_and_the_oldest_are_one() {
    // In 2026, who was born in 1936 becomes 90 in the course of the year.
    let raw: ArrayRef = Arc::new(Date32Array::from(vec![
        Some(new_year(1937) + 17),
        Some(new_year(1937)),
        Some(new_year(1937) - 1),
        Some(new_year(1936)),
        Some(new_year(1936) - 1),
        Some(new_year(1880) + 100),
        None,
        Some(new_year(2026) + 300),
        Some(i32::MIN),
        Some(i32::MAX),
    ]));
    let shown = masked(&MaskSpec::AgeCap {}, &raw);
    let shown: Vec<_> = shown.as_primitive::<Date32Type>().iter().collect();
    let (first, young) = (Some(new_year(1936)), Some(new_year(1937)));
    assert_eq!(shown, [young, young, first, first, first, first, None, Some(new_year(2026)), None, None]);
    let micros = i64::from(new_year(1937)) * 86_400_000_000;
    let raw: ArrayRef = Arc::new(
        TimestampMicrosecondArray::from(vec![Some(micros - 1), Some(micros + 1), Some(i64::MIN), None])
            .with_timezone("UTC"),
    );
    let shown = masked(&MaskSpec::AgeCap {}, &raw);
    assert_eq!(shown.data_type(), raw.data_type());
    let shown: Vec<_> = shown.as_primitive::<TimestampMicrosecondType>().iter().collect();
    let first = i64::from(new_year(1936)) * 86_400_000_000;
    // The smallest instant lies beyond the calendar.
    assert_eq!(shown, [Some(first), Some(micros), None, None]);
    let raw: ArrayRef =
        Arc::new(Date64Array::from(vec![i64::from(new_year(1900)) * 86_400_000 + 5, i64::MAX]));
    let shown = masked(&MaskSpec::AgeCap {}, &raw);
    let shown: Vec<_> = shown.as_primitive::<Date64Type>().iter().collect();
    assert_eq!(shown, [Some(i64::from(new_year(1936)) * 86_400_000), None]);
}

#[test]
fn noise_is_drawn_from_the_whole_range_and_no_further() {
    let raw: ArrayRef = Arc::new(Int64Array::from_iter_values(0..2_000));
    let shown = masked(&noise(3.0, "d", "k"), &raw);
    let mut counts = std::collections::BTreeMap::new();
    for (raw, shown) in (0..).zip(shown.as_primitive::<Int64Type>().values()) {
        *counts.entry(shown - raw).or_insert(0) += 1;
    }
    assert_eq!(counts.keys().copied().collect::<Vec<i64>>(), [-3, -2, -1, 0, 1, 2, 3]);
    // 2,000 draws of 7: a share of 286, a deviation of 16.
    assert!(counts.values().all(|count| (200..370).contains(count)), "{counts:?}");
}

#[test]
fn noise_depends_on_value_domain_and_key_only() {
    let raw: ArrayRef = Arc::new(Int64Array::from(vec![7, 8, 7, 1_000_000]));
    let shown = |spec: &MaskSpec| masked(spec, &raw).as_primitive::<Int64Type>().values().to_vec();
    let a = shown(&noise(1e9, "d", "k"));
    assert_eq!(a, shown(&noise(1e9, "d", "k")));
    assert_eq!(a[0], a[2]);
    assert_ne!(a[0] - 7, a[1] - 8);
    assert_ne!(a, shown(&noise(1e9, "e", "k")));
    assert_ne!(a, shown(&noise(1e9, "d", "other")));
    // The width of the column changes nothing.
    let narrow: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    let narrow = masked(&noise(1e9, "d", "k"), &narrow);
    assert_eq!(i64::from(narrow.as_primitive::<Int32Type>().value(0)), a[0]);
}

/// The token of a value is 16 bytes of an HMAC; the noise must not be computable from them.
#[test]
fn a_token_says_nothing_of_the_noise() {
    let token = texts(&token("d", "k"), &[Some("7")])[0].clone().expect("a token");
    let bits = u128::from_str_radix(&token, 16).expect("hexadecimal");
    let raw: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let amount = 1_000_000_000_i64;
    let shown = masked(&noise(1e9, "d", "k"), &raw).as_primitive::<Int64Type>().value(0);
    let guessed = i64::try_from(bits % (2 * amount.unsigned_abs() as u128 + 1)).expect("fits") - amount;
    assert_ne!(shown - 7, guessed);
}

/// Computed by another implementation: Python's hmac over 8 bytes of 0xff, the length-prefixed
/// domain and the decimal text.
#[test]
fn noise_follows_the_published_construction() {
    let raw: ArrayRef = Arc::new(Int64Array::from(vec![7, -7]));
    let shown = masked(&noise(1000.0, "cost", "k"), &raw);
    assert_eq!(shown.as_primitive::<Int64Type>().values()[..], [244, -101]);
}

#[test]
fn noise_that_leaves_the_type_is_null() {
    let raw: ArrayRef = Arc::new(Int64Array::from_iter_values((0..64).map(|n| i64::MAX - n)));
    let shown = masked(&noise(1e6, "d", "k"), &raw);
    let nulls = shown.null_count();
    assert!((10..54).contains(&nulls), "about half of them: {nulls}");
    let raw: ArrayRef = Arc::new(UInt8Array::from_iter_values((0..255).rev()));
    let shown = masked(&noise(300.0, "d", "k"), &raw);
    assert!(shown.null_count() > 0);
    let decimals: ArrayRef =
        Arc::new(Decimal128Array::from(vec![99_999; 1]).with_precision_and_scale(5, 2).expect("fits"));
    let shown = masked(&noise(1e6, "d", "k"), &decimals);
    assert!(shown.is_null(0), "far more digits than the column has");
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values((0..64).map(|n| i32::MIN + n)));
    assert!((10..54).contains(&masked(&noise(1e6, "d", "k"), &days).null_count()));
}

#[test]
fn dates_move_by_days_and_instants_by_less_than_a_second() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(100), None, Some(20_000)]));
    let shown = masked(&noise(30.0, "d", "k"), &days);
    let shown = shown.as_primitive::<Date32Type>();
    assert!((70..=130).contains(&shown.value(0)) && shown.is_null(1), "{shown:?}");
    // Both kinds of date are the same days; what a Date64 has beside them is dropped.
    let longer: ArrayRef = Arc::new(Date64Array::from(vec![100 * 86_400_000 + 77]));
    let longer = masked(&noise(30.0, "d", "k"), &longer);
    assert_eq!(longer.as_primitive::<Date64Type>().value(0), i64::from(shown.value(0)) * 86_400_000);
    let instants: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(
        (0..64).map(|n| n * 1_000_000_000 + 123_456_789),
    ));
    let shown = masked(&noise(60.0, "d", "k"), &instants);
    let raw = instants.as_primitive::<TimestampNanosecondType>();
    let (mut fractions, mut furthest) = (0, 0);
    for (raw, shown) in raw.values().iter().zip(shown.as_primitive::<TimestampNanosecondType>().values()) {
        assert!((shown - raw).abs() <= 60_000_000_000);
        furthest = furthest.max((shown - raw).abs());
        fractions += usize::from(shown.rem_euclid(1_000_000_000) == 123_456_789);
    }
    assert_eq!(fractions, 0, "the fraction of the second is hidden, too");
    assert!(furthest > 50_000_000_000, "the amount is in seconds: {furthest}");
}

#[test]
fn noise_on_floats_hides_their_low_bits() {
    // 0.1 has a bit pattern that a sum with a coarse offset would give away.
    let raw: Vec<f64> = (0..500).map(|n| f64::from(n) * 0.1).collect();
    let array: ArrayRef = Arc::new(Float64Array::from(raw.clone()));
    let shown = masked(&noise(2.5, "d", "k"), &array);
    let shown = shown.as_primitive::<Float64Type>();
    let grid = 2_f64.powi(-9);
    for (raw, shown) in raw.iter().zip(shown.values()) {
        assert!((shown - raw).abs() <= 2.5, "{raw} {shown}");
        assert_eq!((shown / grid).fract(), 0.0, "{shown} is on the grid");
    }
    let spread = raw.iter().zip(shown.values()).map(|(raw, shown)| shown - raw).fold(0.0, f64::max);
    assert!(spread > 2.3, "{spread}");
    let odd: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(1e300),
        Some(f64::MAX),
        None,
    ]));
    assert_eq!(masked(&noise(2.5, "d", "k"), &odd).null_count(), 5);
    let zeros: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0]));
    let zeros = masked(&noise(2.5, "d", "k"), &zeros);
    assert_eq!(zeros.as_primitive::<Float64Type>().value(0), zeros.as_primitive::<Float64Type>().value(1));
    let narrow: ArrayRef = Arc::new(Float32Array::from(vec![12.5_f32, 3e38, f32::NAN, 40_000_000.0]));
    let shown = masked(&noise(2.5, "d", "k"), &narrow);
    let shown = shown.as_primitive::<Float32Type>();
    assert!((shown.value(0) - 12.5).abs() <= 2.5);
    assert!(shown.is_null(1) && shown.is_null(2) && shown.is_null(3), "{shown:?}");
}

#[test]
fn text_is_no_number() {
    let array: ArrayRef = Arc::new(StringArray::from(vec!["7"]));
    assert!(try_mask(&noise(1.0, "d", "k"), array.data_type()).is_err());
}
