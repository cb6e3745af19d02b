//! Truncation of dates and instants to the start of their year, quarter or month (UTC).

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::error::Result;

use super::{Mask, wrong_type};
use crate::records::DateUnit;

/// Milliseconds of a day, the step of a Date64.
pub(super) const DAY_MILLISECONDS: i64 = 86_400_000;

#[derive(Debug)]
struct TruncateDate(DateUnit);

pub(super) fn build(unit: DateUnit, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    if is_date(raw) {
        Ok(Arc::new(TruncateDate(unit)))
    } else {
        Err(wrong_type("truncate_date", "date and timestamp", raw))
    }
}

/// Dates and timestamps of any unit.
pub(super) fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _))
}

/// Steps of a timestamp in a second.
pub(super) const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The calendar day that is `day` days after 1970-01-01; None beyond the calendar that chrono covers.
pub(super) fn calendar_day(day: i64) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(1970, 1, 1)?.checked_add_signed(TimeDelta::try_days(day)?)
}

/// Days from 1970-01-01 to `date`.
fn day_number(date: NaiveDate) -> Option<i64> {
    Some(date.signed_duration_since(NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days())
}

/// Applies `map` to the day (UTC) of every value; the time of day is dropped. What lies beyond the
/// calendar, or comes to lie beyond the type, becomes NULL: showing it raw would undo the mask.
pub(super) fn map_days(raw: &ArrayRef, map: impl Fn(NaiveDate) -> Option<NaiveDate>) -> Result<ArrayRef> {
    let mapped = |day: i64| day_number(map(calendar_day(day)?)?);
    macro_rules! instants {
        ($kind:ty, $unit:expr) => {{
            let per_second = per_second($unit);
            let values = raw.as_primitive::<$kind>().unary_opt::<_, $kind>(|value| {
                let date = DateTime::from_timestamp(value.div_euclid(per_second), 0)?.date_naive();
                mapped(day_number(date)?)?.checked_mul(86_400)?.checked_mul(per_second)
            });
            Arc::new(values.with_data_type(raw.data_type().clone())) as ArrayRef
        }};
    }
    Ok(match raw.data_type() {
        DataType::Date32 => Arc::new(raw.as_primitive::<Date32Type>().unary_opt::<_, Date32Type>(|day| {
            mapped(i64::from(day)).and_then(|day| i32::try_from(day).ok())
        })),
        DataType::Date64 => Arc::new(raw.as_primitive::<Date64Type>().unary_opt::<_, Date64Type>(|value| {
            mapped(value.div_euclid(DAY_MILLISECONDS)).and_then(|day| day.checked_mul(DAY_MILLISECONDS))
        })),
        DataType::Timestamp(unit @ TimeUnit::Second, _) => instants!(TimestampSecondType, *unit),
        DataType::Timestamp(unit @ TimeUnit::Millisecond, _) => instants!(TimestampMillisecondType, *unit),
        DataType::Timestamp(unit @ TimeUnit::Microsecond, _) => instants!(TimestampMicrosecondType, *unit),
        DataType::Timestamp(unit @ TimeUnit::Nanosecond, _) => instants!(TimestampNanosecondType, *unit),
        other => return datafusion::common::internal_err!("date mask on {other}"),
    })
}

impl Mask for TruncateDate {
    fn name(&self) -> &'static str {
        "truncate_date"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        map_days(raw, |date| {
            let month = match self.0 {
                DateUnit::Year => 1,
                DateUnit::Quarter => date.month0() / 3 * 3 + 1,
                DateUnit::Month => date.month(),
            };
            NaiveDate::from_ymd_opt(date.year(), month, 1)
        })
    }
}
