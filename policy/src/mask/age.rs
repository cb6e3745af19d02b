//! Ages over 89, and the dates that reveal them, as one category: 45 CFR 164.514(b)(2)(i)(C).

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

use super::date::{is_date, map_days};
use super::number::{is_number, map_numbers, steps_per_unit, whole_steps};
use super::{Mask, wrong_type};

/// The age that stands for itself and every higher one.
const CAP: i32 = 90;

/// Ages in years, the completed ones: 90 and over becomes 90, which reads "90 or older". What is below
/// 0, or not finite, is no age and becomes NULL.
#[derive(Debug)]
struct AgeCap {
    /// The column's smallest steps in a year: 100 of a decimal with two digits after the point.
    steps: i128,
}

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
    if is_number(raw) {
        // An age in tenths of a year would tell the month of birth: whole years are shown only.
        let steps =
            whole_steps(1.0, steps_per_unit(raw), raw).map_err(|why| format!("mask `age_cap`: {why}"))?;
        return Ok(Arc::new(AgeCap { steps: steps.max(1) }));
    }
    if !is_date(raw) {
        let defined = "integer, float, decimal (128 bits), date and timestamp";
        return Err(wrong_type("age_cap", defined, raw));
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
        map_numbers(
            raw,
            |age| (age >= 0).then(|| age.div_euclid(self.steps).min(i128::from(CAP)) * self.steps),
            |age, _| (age >= 0.0 && age.is_finite()).then(|| age.floor().min(f64::from(CAP))),
        )
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
