//! Numbers of every width as masks see them: whole numbers of the column's smallest step, or floats.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, DecimalType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::error::Result;

/// Integers of any width.
pub(super) fn is_integer(data_type: &DataType) -> bool {
    data_type.is_integer()
}

/// Integers, floats of 32 and 64 bits, and 128-bit decimals.
pub(super) fn is_number(data_type: &DataType) -> bool {
    is_integer(data_type)
        || matches!(data_type, DataType::Float32 | DataType::Float64 | DataType::Decimal128(_, _))
}

/// How finely a float of the column can tell values apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precision {
    /// Bits of the significand, the hidden one included: 24 or 53.
    pub(super) significand: i32,
}

impl Precision {
    /// Whether a float of so many steps of `1` is exact to less than a step.
    pub(super) fn resolves(self, steps: f64) -> bool {
        // Written so that NaN and infinities do not.
        steps.abs() < 2_f64.powi(self.significand - 1)
    }
}

/// An argument given in the column's unit, in the column's smallest steps: `0.05` is 5 of a decimal
/// with two digits after the point. `steps` of the column make its unit.
///
/// Errors where it is no whole number of steps, or too large a one.
pub(super) fn whole_steps(argument: f64, steps: f64, raw: &DataType) -> Result<i128, String> {
    let exact = argument * steps;
    let whole = exact.round();
    // A tolerance, because 0.07 * 100 is no whole number in binary.
    if !exact.is_finite() || (exact - whole).abs() > 1e-9 * exact.abs().max(1.0) {
        return Err(format!("`{argument}` is no whole number of the smallest step of {raw}"));
    }
    if whole.abs() > 2_f64.powi(62) {
        return Err(format!("`{argument}` is too large for {raw}"));
    }
    Ok(whole as i128)
}

/// The column's smallest steps in its unit: 100 for a decimal with two digits after the point.
pub(super) fn steps_per_unit(raw: &DataType) -> f64 {
    match raw {
        DataType::Decimal128(_, scale) => 10_f64.powi(i32::from(*scale)),
        _ => 1.0,
    }
}

/// Applies a total function to every value: `whole` to integers and to the unscaled integers of
/// decimals, `float` to floats. What does not fit the column's type becomes NULL.
pub(super) fn map_numbers(
    raw: &ArrayRef,
    whole: impl Fn(i128) -> Option<i128>,
    float: impl Fn(f64, Precision) -> Option<f64>,
) -> Result<ArrayRef> {
    macro_rules! integers {
        ($kind:ty) => {
            Arc::new(raw.as_primitive::<$kind>().unary_opt::<_, $kind>(|value| {
                whole(i128::from(value)).and_then(|value| value.try_into().ok())
            })) as ArrayRef
        };
    }
    Ok(match raw.data_type() {
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Decimal128(precision, _) => {
            let values = raw.as_primitive::<Decimal128Type>().unary_opt::<_, Decimal128Type>(|value| {
                whole(value).filter(|value| Decimal128Type::is_valid_decimal_precision(*value, *precision))
            });
            Arc::new(values.with_data_type(raw.data_type().clone()))
        }
        DataType::Float32 => {
            Arc::new(raw.as_primitive::<Float32Type>().unary_opt::<_, Float32Type>(|value| {
                let shown = float(f64::from(value), Precision { significand: 24 })? as f32;
                shown.is_finite().then_some(shown)
            }))
        }
        DataType::Float64 => {
            Arc::new(raw.as_primitive::<Float64Type>().unary_opt::<_, Float64Type>(|value| {
                float(value, Precision { significand: 53 }).filter(|shown| shown.is_finite())
            }))
        }
        other => return datafusion::common::internal_err!("number mask on {other}"),
    })
}
