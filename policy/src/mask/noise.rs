//! Keyed noise: an offset that is drawn from HMAC-SHA-256 of the value, so that a value is shown
//! alike wherever it stands and asking again averages nothing out.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::error::Result;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::date::{DAY_MILLISECONDS, is_date, per_second};
use super::number::{Precision, is_number, map_numbers, steps_per_unit, whole_steps};
use super::token::{MaskKey, Purpose, keyed};
use super::{Mask, wrong_type};

/// Amounts that floats take, so that neither they nor their fractions leave the range of 32 bits.
const FLOAT_AMOUNTS: std::ops::RangeInclusive<f64> = 1e-30..=1e30;

/// Adds an offset between `-amount` and `amount`; what then does not fit the type becomes NULL.
struct Noise {
    mac: Hmac<Sha256>,
    amount: Amount,
}

enum Amount {
    /// In the column's smallest steps; of a Date64 in days.
    Whole(i128),
    /// In the column's unit.
    Float(f64),
}

impl fmt::Debug for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Noise(…)")
    }
}

pub(super) fn build(
    amount: f64,
    domain: &str,
    key: &MaskKey,
    raw: &DataType,
) -> Result<Arc<dyn Mask>, String> {
    if !is_number(raw) && !is_date(raw) {
        let defined = "integer, float, decimal (128 bits), date and timestamp";
        return Err(wrong_type("noise", defined, raw));
    }
    if !amount.is_finite() || amount <= 0.0 {
        return Err("mask `noise` needs an `amount` above zero".to_owned());
    }
    let amount = if raw.is_floating() {
        if !FLOAT_AMOUNTS.contains(&amount) {
            return Err("mask `noise` on floats takes amounts from 1e-30 to 1e30".to_owned());
        }
        Amount::Float(amount)
    } else {
        let steps = match raw {
            DataType::Timestamp(unit, _) => per_second(*unit) as f64,
            other => steps_per_unit(other),
        };
        let whole = whole_steps(amount, steps, raw).map_err(|why| format!("mask `noise`: {why}"))?;
        if whole == 0 {
            return Err(format!("mask `noise`: `{amount}` is less than the smallest step of {raw}"));
        }
        Amount::Whole(whole)
    };
    Ok(Arc::new(Noise { mac: keyed(Purpose::Noise, domain, key)?, amount }))
}

impl Noise {
    /// 128 bits that depend on key, domain and `value` only.
    fn draw(&self, value: &[u8]) -> u128 {
        let mut mac = self.mac.clone();
        mac.update(value);
        mac.finalize().into_bytes().iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte))
    }

    /// A whole number from `-amount` to `amount`, each as likely as the others (to 2^-64).
    fn offset(&self, value: &[u8], amount: i128) -> Option<i128> {
        let choices = amount.unsigned_abs().checked_mul(2)?.checked_add(1)?;
        i128::try_from(self.draw(value) % choices).ok()?.checked_sub(amount)
    }

    fn whole(&self, value: i128) -> Option<i128> {
        match self.amount {
            Amount::Whole(amount) => value.checked_add(self.offset(value.to_string().as_bytes(), amount)?),
            Amount::Float(_) => None,
        }
    }

    /// Value and offset are whole numbers of one grid: else the low bits of the sum, which no offset
    /// reaches, would be those of the raw value.
    fn float(&self, value: f64, precision: Precision) -> Option<f64> {
        let Amount::Float(amount) = self.amount else { return None };
        // 24 bits leave less room between the grid and the largest value that is shown.
        let fineness = if precision.significand < 53 { 6 } else { 10 };
        let grid = 2_f64.powi(amount.log2().floor() as i32 - fineness);
        let base = (value / grid).round();
        if !precision.resolves(base) {
            return None;
        }
        // One step less than fits, because rounding to the grid moves the value by up to half a one.
        let reach = (amount / grid).floor() as i128 - 1;
        // Zero has two signs and is one value.
        let offset = self.offset(&(value + 0.0).to_bits().to_le_bytes(), reach)?;
        Some((base + offset as f64) * grid)
    }
}

impl Mask for Noise {
    fn name(&self) -> &'static str {
        "noise"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        macro_rules! instants {
            ($kind:ty) => {{
                let values = raw
                    .as_primitive::<$kind>()
                    .unary_opt::<_, $kind>(|value| i64::try_from(self.whole(i128::from(value))?).ok());
                Ok(Arc::new(values.with_data_type(raw.data_type().clone())))
            }};
        }
        match raw.data_type() {
            DataType::Date32 => Ok(Arc::new(
                raw.as_primitive::<Date32Type>()
                    .unary_opt::<_, Date32Type>(|day| i32::try_from(self.whole(i128::from(day))?).ok()),
            )),
            DataType::Date64 => {
                Ok(Arc::new(raw.as_primitive::<Date64Type>().unary_opt::<_, Date64Type>(|value| {
                    let day = self.whole(i128::from(value.div_euclid(DAY_MILLISECONDS)))?;
                    i64::try_from(day).ok()?.checked_mul(DAY_MILLISECONDS)
                })))
            }
            DataType::Timestamp(TimeUnit::Second, _) => instants!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => instants!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => instants!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => instants!(TimestampNanosecondType),
            _ => map_numbers(raw, |value| self.whole(value), |value, precision| self.float(value, precision)),
        }
    }
}
