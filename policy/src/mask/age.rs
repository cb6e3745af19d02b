//! Ages over 89, and the dates that reveal them, as one category: 45 CFR 164.514(b)(2)(i)(C).

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

use super::date::{is_date, map_days};
use super::number::{is_integer, map_numbers};
use super::{Mask, wrong_type};

/// The age that stands for itself and every higher one.
const CAP: i32 = 90;

/// Ages in years: over 89 becomes 90, which reads "90 or older"; below 0 is no age and becomes NULL.
#[derive(Debug)]
struct AgeCap;

/// Dates become the first day of their year; none is earlier than `first`.
///
/// Whoever was born in the year of `first` or before is 90 or older, or will be before the year is
/// out: the whole year belongs to the category, else its last months would tell 89 from 90.
#[derive(Debug)]
struct BirthYearCap {
    first: NaiveDate,
}

/// `year`: the calendar year at which people's ages are reckoned.
pub(super) fn build(raw: &DataType, year: i32) -> Result<Arc<dyn Mask>, String> {
    if is_integer(raw) {
        return Ok(Arc::new(AgeCap));
    }
    if !is_date(raw) {
        return Err(wrong_type("age_cap", "integer, date and timestamp", raw));
    }
    let first = NaiveDate::from_ymd_opt(year.saturating_sub(CAP), 1, 1)
        .ok_or_else(|| format!("mask `age_cap`: the service's clock says it is the year {year}"))?;
    Ok(Arc::new(BirthYearCap { first }))
}

impl Mask for AgeCap {
    fn name(&self) -> &'static str {
        "age_cap"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        map_numbers(raw, |age| (age >= 0).then(|| age.min(i128::from(CAP))), |_, _| None)
    }
}

impl Mask for BirthYearCap {
    fn name(&self) -> &'static str {
        "age_cap"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        map_days(raw, |date| Some(NaiveDate::from_ymd_opt(date.year(), 1, 1)?.max(self.first)))
    }
}
