//! Numbers as the lower bound of the bucket that they fall into.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;

use super::number::{is_number, map_numbers, steps_per_unit, whole_steps};
use super::{Mask, wrong_type};

/// Buckets `[origin + k * width, origin + (k + 1) * width)` for whole numbers k.
#[derive(Debug)]
enum Bucket {
    /// In the column's smallest steps.
    Whole { width: i128, origin: i128 },
    /// In the column's unit.
    Float { width: f64, origin: f64 },
}

pub(super) fn build(width: f64, origin: f64, raw: &DataType) -> Result<Arc<dyn Mask>, String> {
    if !is_number(raw) {
        return Err(wrong_type("bucket", "integer, float and decimal (128 bits)", raw));
    }
    if !width.is_finite() || width <= 0.0 || !origin.is_finite() {
        return Err("mask `bucket` needs a `width` above zero and a finite `origin`".to_owned());
    }
    if raw.is_floating() {
        return Ok(Arc::new(Bucket::Float { width, origin }));
    }
    let steps = |argument| {
        whole_steps(argument, steps_per_unit(raw), raw).map_err(|why| format!("mask `bucket`: {why}"))
    };
    let (width, origin) = (steps(width)?, steps(origin)?);
    if width < 2 {
        // A bucket of one step shows every value as it is.
        return Err(format!("mask `bucket`: a width of one smallest step of {raw} hides nothing"));
    }
    Ok(Arc::new(Bucket::Whole { width, origin }))
}

impl Mask for Bucket {
    fn name(&self) -> &'static str {
        "bucket"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        raw.clone()
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        map_numbers(
            raw,
            |value| match self {
                Self::Whole { width, origin } => {
                    value.checked_sub(*origin)?.div_euclid(*width).checked_mul(*width)?.checked_add(*origin)
                }
                Self::Float { .. } => None,
            },
            |value, precision| match self {
                Self::Float { width, origin } => {
                    let index = ((value - origin) / width).floor();
                    // Where floats lie wider apart than buckets, the lower bound would be the value.
                    let resolved = precision.resolves(value / width) && precision.resolves(index);
                    resolved.then(|| index.mul_add(*width, *origin))
                }
                Self::Whole { .. } => None,
            },
        )
    }
}
