//! Smallest and largest values in the statistics of new files: what the engine gets wrong is left out.
//!
//! Of floating-point columns its bounds leave out NaN, so that a file of 1 and NaN looks like one of 1
//! alone; large decimals it rounds, or cuts to 64 bits. Readers believe what the log says: some skip files
//! by it, and some take a column whose bounds are equal for a constant. No bounds are always right.

use delta_kernel::schema::{DataType, PrimitiveType, StructType};
use serde_json::{Map, Value};

/// Digits that go through a floating-point number unharmed.
const EXACT_DIGITS: u8 = 15;

/// `stats` of a file of a table with `schema` without such bounds; None when they are no statistics.
pub(super) fn exact(stats: &str, schema: &StructType) -> Option<String> {
    let mut stats: Map<String, Value> = serde_json::from_str(stats).ok()?;
    for bounds in ["minValues", "maxValues"] {
        if let Some(Value::Object(bounds)) = stats.get_mut(bounds) {
            remove_loose(bounds, schema);
        }
    }
    serde_json::to_string(&stats).ok()
}

fn remove_loose(bounds: &mut Map<String, Value>, schema: &StructType) {
    for field in schema.fields() {
        match field.data_type() {
            DataType::Primitive(kind) if is_loose(kind) => {
                bounds.remove(field.name());
            }
            DataType::Struct(fields) => {
                if let Some(Value::Object(bounds)) = bounds.get_mut(field.name()) {
                    remove_loose(bounds, fields);
                }
            }
            _ => {}
        }
    }
}

fn is_loose(kind: &PrimitiveType) -> bool {
    match kind {
        PrimitiveType::Float | PrimitiveType::Double => true,
        PrimitiveType::Decimal(decimal) => decimal.precision() > EXACT_DIGITS,
        _ => false,
    }
}
