//! Truncation of dates and instants to the start of their year or month (UTC).

use std::sync::Arc;

use chrono::{DateTime, Datelike, Days, NaiveDate};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::error::Result;

use super::{Mask, wrong_type};
use crate::records::DateUnit;

#[derive(Debug)]
struct TruncateDate(DateUnit);

pub(super) fn build(unit: DateUnit, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    match raw {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => Ok(Arc::new(TruncateDate(unit))),
        other => Err(wrong_type("truncate_date", "date and timestamp", other)),
    }
}

impl TruncateDate {
    /// Days since the epoch, truncated; None beyond the calendar that chrono covers.
    fn day(&self, day: i64) -> Option<i64> {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
        let date = if day >= 0 {
            epoch.checked_add_days(Days::new(day.unsigned_abs()))?
        } else {
            epoch.checked_sub_days(Days::new(day.unsigned_abs()))?
        };
        let month = match self.0 {
            DateUnit::Year => 1,
            DateUnit::Month => date.month(),
        };
        let start = NaiveDate::from_ymd_opt(date.year(), month, 1)?;
        Some(start.signed_duration_since(epoch).num_days())
    }

    /// A count of `per_second` units since the epoch, truncated.
    fn instant(&self, value: i64, per_second: i64) -> Option<i64> {
        let date = DateTime::from_timestamp(value.div_euclid(per_second), 0)?.date_naive();
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
        let day = self.day(date.signed_duration_since(epoch).num_days())?;
        day.checked_mul(86_400)?.checked_mul(per_second)
    }
}

impl Mask for TruncateDate {
    fn name(&self) -> &'static str {
        "truncate_date"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        // What lies beyond the calendar becomes NULL: showing it raw would undo the mask.
        macro_rules! instants {
            ($kind:ty, $per_second:expr, $zone:expr) => {{
                let values = raw.as_primitive::<$kind>();
                let truncated = values.unary_opt::<_, $kind>(|v| self.instant(v, $per_second));
                Arc::new(truncated.with_timezone_opt($zone.clone())) as ArrayRef
            }};
        }
        Ok(match raw.data_type() {
            DataType::Date32 => {
                Arc::new(raw.as_primitive::<Date32Type>().unary_opt::<_, Date32Type>(|day| {
                    self.day(i64::from(day)).and_then(|d| i32::try_from(d).ok())
                }))
            }
            DataType::Date64 => Arc::new(raw.as_primitive::<Date64Type>().unary_opt::<_, Date64Type>(|ms| {
                self.day(ms.div_euclid(86_400_000)).and_then(|d| d.checked_mul(86_400_000))
            })),
            DataType::Timestamp(TimeUnit::Second, zone) => instants!(TimestampSecondType, 1, zone),
            DataType::Timestamp(TimeUnit::Millisecond, zone) => {
                instants!(TimestampMillisecondType, 1_000, zone)
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                instants!(TimestampMicrosecondType, 1_000_000, zone)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                instants!(TimestampNanosecondType, 1_000_000_000, zone)
            }
            other => return datafusion::common::internal_err!("date mask on {other}"),
        })
    }
}
