//! A text that the engine cannot tell from NULL where it is a partition value.
//!
//! It sorts rows into files by the names of folders, and the folder of NULL is named
//! [`NULL_PARTITION_VALUE_DATA_PATH`]: rows whose value is that very text become NULL. So it is refused.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::exec_err;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use deltalake_core::NULL_PARTITION_VALUE_DATA_PATH;
use serde_json::Value;

/// What the error says; it is how it is known.
pub(super) const REFUSED: &str = "no value of a partition column can be";

/// `value`, which becomes that of `column`, checked where the column is one of `partitions` and a text.
pub(super) fn checked(value: Expr, column: &str, partitions: &[String], schema: &Schema) -> Expr {
    static CHECK: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Check::default())));
    let text = schema.field_with_name(column).is_ok_and(|field| field.data_type().is_string());
    if !text || !partitions.iter().any(|partition| partition == column) {
        return value;
    }
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&CHECK), vec![value]))
}

/// Whether a file in the log has the value in question, which another writer gave it.
pub(super) fn has_refused(file: &Value) -> bool {
    let values = file.get("partitionValues").and_then(Value::as_object);
    values.is_some_and(|values| {
        values.values().any(|value| value.as_str() == Some(NULL_PARTITION_VALUE_DATA_PATH))
    })
}

/// Gives its argument back, unless it has the value.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Check {
    signature: Signature,
}

impl Default for Check {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Check {
    fn name(&self) -> &'static str {
        "lakeward_partition_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType, DataFusionError> {
        arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("no argument".to_owned()))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let Some(value) = call.args.into_iter().next() else {
            return Err(DataFusionError::Internal("no argument".to_owned()));
        };
        let values = value.to_array(call.number_rows)?;
        let refused = match values.data_type() {
            DataType::Utf8 => has(values.as_string::<i32>().iter()),
            DataType::LargeUtf8 => has(values.as_string::<i64>().iter()),
            DataType::Utf8View => has(values.as_string_view().iter()),
            DataType::Dictionary(_, _) => {
                has(arrow::compute::cast(&values, &DataType::Utf8)?.as_string::<i32>().iter())
            }
            // Cast to text later: no value of another type is spelled like that.
            _ => false,
        };
        if refused {
            return exec_err!("{REFUSED} {NULL_PARTITION_VALUE_DATA_PATH}, which stands for NULL");
        }
        Ok(value)
    }
}

fn has<'a>(mut texts: impl Iterator<Item = Option<&'a str>>) -> bool {
    texts.any(|text| text == Some(NULL_PARTITION_VALUE_DATA_PATH))
}
