#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, TimeUnit};
use datafusion::common::ScalarValue;
use proptest::prelude::*;

use super::super::encode::Format;
use super::super::types::{PgType, Scalar};
use super::parameter;

const KINDS: [Scalar; 23] = [
    Scalar::Bool,
    Scalar::Bytea,
    Scalar::Char,
    Scalar::Name,
    Scalar::Int2,
    Scalar::Int4,
    Scalar::Int8,
    Scalar::Text,
    Scalar::Oid,
    Scalar::Json,
    Scalar::Float4,
    Scalar::Float8,
    Scalar::Unknown,
    Scalar::Bpchar,
    Scalar::Varchar,
    Scalar::Date,
    Scalar::Time,
    Scalar::Timestamp,
    Scalar::Timestamptz,
    Scalar::Interval,
    Scalar::Numeric,
    Scalar::Uuid,
    Scalar::Jsonb,
];

fn text(kind: Scalar, value: &str) -> Result<ScalarValue, &'static str> {
    parameter(PgType::Scalar(kind), Format::Text, Some(value.as_bytes()), &DataType::Null)
        .map_err(|error| error.code)
}

fn binary(kind: Scalar, value: &[u8]) -> Result<ScalarValue, &'static str> {
    parameter(PgType::Scalar(kind), Format::Binary, Some(value), &DataType::Null).map_err(|error| error.code)
}

#[test]
fn numbers_in_text() {
    assert_eq!(text(Scalar::Int4, " 42 "), Ok(ScalarValue::Int32(Some(42))));
    assert_eq!(text(Scalar::Int4, "+5"), Ok(ScalarValue::Int32(Some(5))));
    assert_eq!(text(Scalar::Int2, "99999"), Err("22003"));
    assert_eq!(text(Scalar::Int4, "1_000"), Err("22P02"));
    assert_eq!(text(Scalar::Int8, ""), Err("22P02"));
    assert_eq!(text(Scalar::Oid, "4294967295"), Ok(ScalarValue::Int64(Some(4_294_967_295))));
    assert_eq!(text(Scalar::Float8, "1e400"), Err("22003"));
    assert_eq!(text(Scalar::Float8, "-Infinity"), Ok(ScalarValue::Float64(Some(f64::NEG_INFINITY))));
    assert_eq!(text(Scalar::Float4, "abc"), Err("22P02"));
    assert_eq!(text(Scalar::Bool, "tr"), Ok(ScalarValue::Boolean(Some(true))));
    assert_eq!(text(Scalar::Bool, " OF "), Ok(ScalarValue::Boolean(Some(false))));
    assert_eq!(text(Scalar::Bool, "o"), Err("22P02"));
}

#[test]
fn numerics_are_exact() {
    let decimal = |value, precision, scale| Ok(ScalarValue::Decimal128(Some(value), precision, scale));
    assert_eq!(text(Scalar::Numeric, "10.005"), decimal(10_005, 5, 3));
    assert_eq!(text(Scalar::Numeric, "1e3"), decimal(1_000, 4, 0));
    assert_eq!(text(Scalar::Numeric, ".5"), decimal(5, 1, 1));
    assert_eq!(text(Scalar::Numeric, "5."), decimal(5, 1, 0));
    assert_eq!(text(Scalar::Numeric, "-1.50e-2"), decimal(-150, 4, 4));
    assert_eq!(text(Scalar::Numeric, "0.00"), decimal(0, 2, 2));
    assert_eq!(text(Scalar::Numeric, "NaN"), Err("22003"));
    assert_eq!(text(Scalar::Numeric, "1e2000000000"), Err("22003"));
    assert_eq!(text(Scalar::Numeric, "1e-2000000000"), Err("22003"));
    assert_eq!(text(Scalar::Numeric, "-"), Err("22P02"));
    assert_eq!(text(Scalar::Numeric, "1.2.3"), Err("22P02"));
    assert!(matches!(text(Scalar::Numeric, &"9".repeat(50)), Ok(ScalarValue::Decimal256(Some(_), 50, 0))));
    assert_eq!(text(Scalar::Numeric, &"9".repeat(77)), Err("22003"));

    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    for (hex, expected) in [
        ("0000000000000000", decimal(0, 1, 0)),
        ("0000000000000002", decimal(0, 2, 2)),
        ("0003000140000003000109291a7c", decimal(-12_345_678, 8, 3)),
        ("0001fffe0000000804d2", decimal(1_234, 8, 8)),
        ("00010001000000000001", decimal(10_000, 5, 0)),
        ("0002000000000002000103e8", decimal(110, 3, 2)),
        ("000200000000000400011388", decimal(15_000, 5, 4)),
        ("00000000c0000000", Err("22003")),
        ("0001000000000000", Err("22P03")),
        ("00010000000000002710", Err("22P03")),
        ("00017fff000000000001", Err("22003")),
        ("00", Err("22P03")),
    ] {
        assert_eq!(binary(Scalar::Numeric, &bytes(hex)), expected, "{hex}");
    }
}

#[test]
fn dates_times_and_zones() {
    let instant = |text_value| match text(Scalar::Timestamptz, text_value) {
        Ok(ScalarValue::TimestampMicrosecond(Some(micros), Some(_))) => Ok(micros),
        Ok(other) => panic!("{other:?}"),
        Err(code) => Err(code),
    };
    let noon = 1_709_210_096_000_000; // 2024-02-29 12:34:56 UTC
    let hour = 3_600_000_000;
    assert_eq!(instant("2024-02-29T12:34:56+02"), Ok(noon - 2 * hour));
    assert_eq!(instant("2024-02-29 12:34:56 -0530"), Ok(noon + 5 * hour + hour / 2));
    assert_eq!(instant("2024-02-29 12:34:56+01:30:15"), Ok(noon - hour - hour / 2 - 15_000_000));
    assert_eq!(instant("2024-02-29 12:34:56.789"), Ok(noon + 789_000));
    assert_eq!(instant("2024-02-29 12:34:56 Europe/London"), Err("22007"));
    assert_eq!(
        text(Scalar::Timestamp, "2024-02-29 12:34:56+05"),
        Ok(ScalarValue::TimestampMicrosecond(Some(noon), None))
    );
    assert_eq!(text(Scalar::Timestamp, "2024-01-01 25:00"), Err("22008"));
    assert_eq!(text(Scalar::Timestamp, "infinity"), Err("22007"));
    assert_eq!(text(Scalar::Date, "2024-02-29"), Ok(ScalarValue::Date32(Some(19_782))));
    assert_eq!(text(Scalar::Date, "0044-03-15 BC"), Ok(ScalarValue::Date32(Some(-735_160))));
    assert_eq!(text(Scalar::Date, "2024-13-01"), Err("22008"));
    assert_eq!(text(Scalar::Date, "2024-02-30"), Err("22008"));
    assert_eq!(text(Scalar::Date, "yesterday"), Err("22007"));
    assert_eq!(
        text(Scalar::Time, "12:34:56.7899999"),
        Ok(ScalarValue::Time64Microsecond(Some(45_296_790_000)))
    );
    assert_eq!(text(Scalar::Time, "24:00:00"), Ok(ScalarValue::Time64Microsecond(Some(86_400_000_000))));
    assert_eq!(text(Scalar::Time, "24:00:01"), Err("22008"));
    assert_eq!(binary(Scalar::Date, &i32::MAX.to_be_bytes()), Err("22008"));
    assert_eq!(binary(Scalar::Date, &8_825_i32.to_be_bytes()), Ok(ScalarValue::Date32(Some(19_782))));
    assert_eq!(binary(Scalar::Timestamp, &i64::MAX.to_be_bytes()), Err("22008"));
}

#[test]
fn intervals_in_text() {
    let interval = |value| match text(Scalar::Interval, value) {
        Ok(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds }))) => {
            Ok((months, days, nanoseconds / 1_000_000))
        }
        Ok(other) => panic!("{other:?}"),
        Err(code) => Err(code),
    };
    // Months, days, milliseconds: as PostgreSQL reads them.
    let hour = 3_600_000;
    for (value, expected) in [
        ("1 year 2 mons -3 days 04:05:06.7", (14, -3, 14_706_700)),
        ("1.5 days", (0, 1, 12 * hour)),
        ("1.5 mons", (1, 15, 0)),
        ("1.5 years", (18, 0, 0)),
        ("P1Y2M3W4DT5H6M7.5S", (14, 25, 18_367_500)),
        ("90", (0, 0, 90_000)),
        ("1 day ago", (0, -1, 0)),
        ("@ 1 minute", (0, 0, 60_000)),
        ("2.5 weeks", (0, 17, 12 * hour)),
        ("-1:30", (0, 0, -hour - hour / 2)),
        ("1.25 year", (15, 0, 0)),
        ("0.1 mon", (0, 3, 0)),
        ("1 decade", (120, 0, 0)),
        ("1 day 2 hours 3 min", (0, 1, 2 * hour + 180_000)),
        ("-1 year -2 mons +3 days -04:00:00", (-14, 3, -4 * hour)),
        ("PT0S", (0, 0, 0)),
        ("1 month 1", (1, 0, 1_000)),
        ("-1 day, 23:00:00", (0, -1, 23 * hour)),
    ] {
        assert_eq!(interval(value), Ok(expected), "{value}");
    }
    for value in ["P", "1 foo", "", "1:2:3:4", "P1X", "--1 day"] {
        assert_eq!(interval(value), Err("22007"), "{value}");
    }
    assert_eq!(interval("999999999999999 years"), Err("22008"));
}

#[test]
fn bytes_uuids_and_json() {
    assert_eq!(text(Scalar::Bytea, "\\x DE ad"), Ok(ScalarValue::Binary(Some(vec![0xde, 0xad]))));
    assert_eq!(text(Scalar::Bytea, "a\\\\b\\001"), Ok(ScalarValue::Binary(Some(b"a\\b\x01".to_vec()))));
    assert_eq!(text(Scalar::Bytea, "\\xd"), Err("22P02"));
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    for spelling in [uuid, "A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}"] {
        assert_eq!(text(Scalar::Uuid, spelling), Ok(ScalarValue::Utf8(Some(uuid.to_owned()))));
    }
    assert_eq!(text(Scalar::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"), Err("22P02"));
    assert_eq!(binary(Scalar::Jsonb, b"\x01{}"), Ok(ScalarValue::Utf8(Some("{}".to_owned()))));
    assert_eq!(binary(Scalar::Jsonb, b"{}"), Err("22P03"));
    assert_eq!(text(Scalar::Text, "a\0b"), Err("22021"));
    assert_eq!(binary(Scalar::Text, b"\xff"), Err("22021"));
}

fn list(element: DataType) -> DataType {
    DataType::List(Field::new_list_field(element, true).into())
}

#[test]
fn arrays() {
    let array = |element, bytes: &[u8], format, target: &DataType| {
        parameter(PgType::Array(element), format, Some(bytes), target)
            .map(|value| value.to_string())
            .map_err(|error| error.code)
    };
    let texts = list(DataType::Utf8);
    let from_text = |value: &str| array(Scalar::Text, value.as_bytes(), Format::Text, &texts);
    assert_eq!(from_text(r#"{a,"b, c",NULL,"NULL", x y ,\,z}"#).unwrap(), "[a, b, c, , NULL, x y, ,z]");
    assert_eq!(from_text("{}").unwrap(), "[]");
    for broken in ["", "{", "{a,}", "{a b\"c\"}", "{\"a}", "a,b", "{a}}"] {
        assert_eq!(from_text(broken), Err("22P02"), "{broken}");
    }
    assert_eq!(from_text("{{a},{b}}"), Err("0A000"));
    assert_eq!(
        array(Scalar::Numeric, b"{1.5,100,NULL}", Format::Text, &DataType::Null).unwrap(),
        "[1.5, 100.0, ]"
    );
    let sent = b"\0\0\0\x01\0\0\0\x01\0\0\0\x17\0\0\0\x03\0\0\0\x01\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff\0\0\0\x04\0\0\0\x03";
    assert_eq!(array(Scalar::Int4, sent, Format::Binary, &list(DataType::Int64)).unwrap(), "[1, , 3]");
    assert_eq!(array(Scalar::Int8, sent, Format::Binary, &DataType::Null), Err("22P03"));
    assert_eq!(array(Scalar::Int4, &sent[..30], Format::Binary, &DataType::Null), Err("22P03"));
}

#[test]
fn values_take_the_planned_type_only_where_nothing_is_lost() {
    let fit = |kind, value: &str, target: &DataType| {
        parameter(PgType::Scalar(kind), Format::Text, Some(value.as_bytes()), target).unwrap().data_type()
    };
    let money = DataType::Decimal128(12, 2);
    assert_eq!(fit(Scalar::Numeric, "10.5", &money), money);
    assert_eq!(fit(Scalar::Numeric, "10.005", &money), DataType::Decimal128(5, 3));
    assert_eq!(fit(Scalar::Int8, "7", &DataType::UInt64), DataType::UInt64);
    assert_eq!(fit(Scalar::Int8, "-7", &DataType::UInt64), DataType::Int64);
    assert_eq!(fit(Scalar::Float8, "0.1", &DataType::Float32), DataType::Float64);
    assert_eq!(fit(Scalar::Text, "x", &DataType::Utf8View), DataType::Utf8View);
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    assert_eq!(fit(Scalar::Timestamp, "2024-01-01", &nanos), nanos);
    let null = parameter(PgType::Scalar(Scalar::Text), Format::Text, None, &DataType::Date32).unwrap();
    assert_eq!(null, ScalarValue::Date32(None));
    let bytes = parameter(
        PgType::Scalar(Scalar::Uuid),
        Format::Text,
        Some(b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        &DataType::FixedSizeBinary(16),
    );
    assert_eq!(bytes.unwrap().data_type(), DataType::FixedSizeBinary(16));
}

#[test]
fn messages_never_repeat_values() {
    for kind in KINDS {
        for format in [Format::Text, Format::Binary] {
            if let Err(error) =
                parameter(PgType::Scalar(kind), format, Some(b"secret-9434765919"), &DataType::Null)
            {
                assert!(!error.message.contains("secret"), "{}", error.message);
            }
        }
    }
}

fn any_kind() -> impl Strategy<Value = PgType> {
    let scalar = prop::sample::select(KINDS.to_vec());
    (scalar, any::<bool>()).prop_map(
        |(scalar, array)| {
            if array { PgType::Array(scalar) } else { PgType::Scalar(scalar) }
        },
    )
}

fn targets() -> Vec<DataType> {
    vec![
        DataType::Null,
        DataType::Int32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Utf8View,
        DataType::Decimal128(12, 2),
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::from("UTC"))),
        DataType::FixedSizeBinary(16),
        list(DataType::Int64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(
        kind in any_kind(),
        binary in any::<bool>(),
        target in prop::sample::select(targets()),
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let format = if binary { Format::Binary } else { Format::Text };
        let _ = parameter(kind, format, Some(&bytes), &target);
    }

    #[test]
    fn no_plausible_text_makes_it_panic(
        kind in any_kind(),
        target in prop::sample::select(targets()),
        text in "[-+0-9:.eETPZYMDHS {}\",\\\\a-z]{0,32}",
    ) {
        let _ = parameter(kind, Format::Text, Some(text.as_bytes()), &target);
    }
}
