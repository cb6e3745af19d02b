//! Functions whose result is as large as an argument says: bounded before they allocate.
//!
//! What a function allocates is not counted by the engine's memory pool until it returns, so
//! `range(1, 2000000000)` alone could take the process down.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::error::{QueryError, SqlState};

/// Elements or characters that one call may make in one batch of rows.
const LIMIT: i64 = 16 << 20;

/// How a function's arguments tell the size of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// `f(stop)`, `f(start, stop)`, `f(start, stop, step)`: elements of a series.
    Series,
    /// The size is the argument at this index, for every row.
    Argument(usize),
}

/// Name, and how it grows.
const FUNCTIONS: [(&str, Growth); 7] = [
    ("range", Growth::Series),
    ("generate_series", Growth::Series),
    ("repeat", Growth::Argument(1)),
    ("lpad", Growth::Argument(1)),
    ("rpad", Growth::Argument(1)),
    ("array_repeat", Growth::Argument(1)),
    ("array_resize", Growth::Argument(1)),
];

/// Puts the bounded forms in place of the engine's functions, under all their names.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, growth) in FUNCTIONS {
        if let Ok(inner) = registry.udf(name) {
            registry.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, growth })))?;
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let total = match self.growth {
            Growth::Series => series(&arrays),
            // A constant argument counts once per row all the same.
            Growth::Argument(index) => arrays.get(index).and_then(|sizes| {
                let rows = if arrays.iter().all(|a| a.len() == 1) { 1 } else { args.number_rows };
                let sizes = numbers(sizes)?;
                let sum = (0..sizes.len())
                    .filter(|i| sizes.is_valid(*i))
                    .fold(0_i64, |sum, i| sum.saturating_add(sizes.value(i).max(0)));
                Some(if sizes.len() == 1 {
                    sum.saturating_mul(i64::try_from(rows).unwrap_or(i64::MAX))
                } else {
                    sum
                })
            }),
        };
        // What cannot be told beforehand is refused when it is not a plain number: dates with intervals
        // are for FROM, where series are streamed.
        match total {
            Some(total) if total <= LIMIT => self.inner.invoke_with_args(args),
            _ => Err(DataFusionError::External(Box::new(too_large(self.name())))),
        }
    }
}

fn too_large(name: &str) -> QueryError {
    QueryError::new(SqlState::ProgramLimitExceeded, format!("the result of {name} would be too large"))
        .with_hint("For a long series write it in FROM: SELECT n FROM generate_series(1, 1000000000) AS n.")
}

fn numbers(array: &ArrayRef) -> Option<arrow::array::Int64Array> {
    if !(array.data_type().is_integer() || array.data_type().is_null()) {
        return None;
    }
    cast(array, &DataType::Int64).ok().map(|array| array.as_primitive::<Int64Type>().clone())
}

/// Elements of all series of a batch.
fn series(arguments: &[ArrayRef]) -> Option<i64> {
    let columns: Vec<_> = arguments.iter().map(numbers).collect::<Option<_>>()?;
    let rows = columns.iter().map(arrow::array::Array::len).max()?;
    let at = |column: &arrow::array::Int64Array, row: usize| {
        let row = if column.len() == 1 { 0 } else { row };
        column.is_valid(row).then(|| column.value(row))
    };
    let mut total = 0_i64;
    for row in 0..rows {
        let (start, stop, step) = match columns.as_slice() {
            [stop] => (Some(0), at(stop, row), Some(1)),
            [start, stop] => (at(start, row), at(stop, row), Some(1)),
            [start, stop, step, ..] => (at(start, row), at(stop, row), at(step, row)),
            [] => return None,
        };
        if let (Some(start), Some(stop), Some(step)) = (start, stop, step) {
            let length =
                i128::from(stop).abs_diff(i128::from(start)) / u128::from(step.unsigned_abs().max(1)) + 1;
            total = total.saturating_add(i64::try_from(length).unwrap_or(i64::MAX));
        }
    }
    Some(total)
}
