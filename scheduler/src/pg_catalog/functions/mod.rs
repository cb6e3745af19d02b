//! The functions that clients of PostgreSQL call, answered from one principal's view.

mod arrays;
mod describe;
mod names;
mod privileges;
mod session;
mod text;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::cells::{self, Cell};
use super::directory::Directory;
use super::types::{arrow_type, pg_field};
use super::{LazyCatalog, SettingsReader};

pub(in crate::pg_catalog) use arrays::{Comparison, Operation, internal, parse_literal};
pub(in crate::pg_catalog) use text::like_pattern;

/// What a function answers from.
pub(super) struct Environment {
    view: Arc<LazyCatalog>,
    settings: SettingsReader,
}

impl Environment {
    /// What the user may know of, by oid and by name.
    pub(super) fn directory(&self) -> &Directory {
        self.view.directory()
    }

    pub(super) fn setting(&self, name: &str) -> Option<String> {
        (self.settings)(name)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// What an argument is taken as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An integer or oid; text is read as a number.
    Number,
    /// Text.
    Text,
    Bool,
    /// An object's oid or its name.
    Object,
    /// Anything, as it is.
    Any,
}

type Evaluate = fn(&Environment, &[Cell]) -> Result<Cell>;

/// A function over cells.
pub(super) struct Definition {
    name: &'static str,
    arguments: &'static [Kind],
    /// How many of the arguments must be given.
    required: usize,
    /// More arguments of the last kind may follow.
    variadic: bool,
    /// Oid of the result's type.
    result: u32,
    /// NULL for any NULL argument.
    strict: bool,
    evaluate: Evaluate,
}

/// A strict function.
pub(super) const fn strict(
    name: &'static str,
    arguments: &'static [Kind],
    required: usize,
    result: u32,
    evaluate: Evaluate,
) -> Definition {
    Definition { name, arguments, required, variadic: false, result, strict: true, evaluate }
}

/// A function that sees NULL arguments.
pub(super) const fn lenient(
    name: &'static str,
    arguments: &'static [Kind],
    required: usize,
    result: u32,
    evaluate: Evaluate,
) -> Definition {
    Definition { name, arguments, required, variadic: false, result, strict: false, evaluate }
}

/// A function of any number of arguments of one kind, which sees NULLs.
pub(super) const fn variadic(
    name: &'static str,
    arguments: &'static [Kind],
    result: u32,
    evaluate: Evaluate,
) -> Definition {
    Definition { name, arguments, required: 0, variadic: true, result, strict: false, evaluate }
}

/// All functions for one session.
pub(super) fn functions(view: &Arc<LazyCatalog>, settings: SettingsReader) -> Vec<ScalarUDF> {
    let environment = Arc::new(Environment { view: Arc::clone(view), settings });
    let definitions = [
        names::DEFINITIONS,
        describe::DEFINITIONS,
        privileges::DEFINITIONS,
        session::DEFINITIONS,
        text::DEFINITIONS,
    ];
    let mut functions: Vec<ScalarUDF> = definitions
        .into_iter()
        .flatten()
        .map(|definition| {
            ScalarUDF::from(CatalogFunction {
                definition,
                signature: Signature::user_defined(Volatility::Stable),
                environment: Arc::clone(&environment),
            })
        })
        .collect();
    functions.extend(arrays::functions(&environment));
    functions
}

/// Those that answer the same whoever asks.
pub(super) fn plain_functions(view: &Arc<LazyCatalog>) -> Vec<ScalarUDF> {
    let environment = Arc::new(Environment { view: Arc::clone(view), settings: Arc::new(|_| None) });
    let of_text = text::DEFINITIONS.iter().map(|definition| {
        ScalarUDF::from(CatalogFunction {
            definition,
            signature: Signature::user_defined(Volatility::Stable),
            environment: Arc::clone(&environment),
        })
    });
    of_text.chain(arrays::functions(&environment)).collect()
}

struct CatalogFunction {
    definition: &'static Definition,
    signature: Signature,
    environment: Arc<Environment>,
}

impl fmt::Debug for CatalogFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.definition.name)
    }
}

impl PartialEq for CatalogFunction {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name && Arc::ptr_eq(&self.environment, &other.environment)
    }
}
impl Eq for CatalogFunction {}
impl Hash for CatalogFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl CatalogFunction {
    fn kind(&self, index: usize) -> Option<Kind> {
        let arguments = self.definition.arguments;
        match arguments.get(index) {
            Some(kind) => Some(*kind),
            None if self.definition.variadic => arguments.last().copied(),
            None => None,
        }
    }
}

fn is_string(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl ScalarUDFImpl for CatalogFunction {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.len() < self.definition.required {
            return plan_err!(
                "function {}() takes at least {} arguments",
                self.name(),
                self.definition.required
            );
        }
        arg_types
            .iter()
            .enumerate()
            .map(|(index, data_type)| match self.kind(index) {
                None => plan_err!("function {}() takes fewer arguments", self.name()),
                Some(Kind::Text) => Ok(DataType::Utf8),
                Some(Kind::Bool) => Ok(DataType::Boolean),
                Some(Kind::Number | Kind::Object) if is_string(data_type) => Ok(DataType::Utf8),
                Some(Kind::Object) if *data_type == DataType::Null => Ok(DataType::Utf8),
                Some(Kind::Number | Kind::Object) => Ok(DataType::Int64),
                Some(Kind::Any) => Ok(data_type.clone()),
            })
            .collect()
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(arrow_type(self.definition.result))
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(pg_field(self.definition.name, self.definition.result, true))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args
            .args
            .iter()
            .map(|arg| arg.to_array(rows).and_then(|array| cells_of(&array)))
            .collect::<Result<Vec<_>>>()?;
        let mut results = Vec::with_capacity(rows);
        let mut row = Vec::with_capacity(columns.len());
        for index in 0..rows {
            row.clear();
            row.extend(columns.iter().map(|column| column.get(index).cloned().unwrap_or(Cell::Null)));
            let null = self.definition.strict && row.contains(&Cell::Null);
            results.push(if null {
                Cell::Null
            } else {
                (self.definition.evaluate)(&self.environment, &row)?
            });
        }
        let array = cells::array(args.return_field.data_type(), &results.iter().collect::<Vec<_>>())?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// An array's values as cells; what has no cell of its own becomes its text.
fn cells_of(array: &ArrayRef) -> Result<Vec<Cell>> {
    let data_type = array.data_type();
    if *data_type == DataType::Null {
        return Ok(vec![Cell::Null; array.len()]);
    }
    if *data_type == DataType::Boolean {
        return Ok(array.as_boolean().iter().map(Cell::from).collect());
    }
    if data_type.is_integer() {
        let numbers = arrow::compute::cast(array, &DataType::Int64)?;
        return Ok(numbers.as_primitive::<Int64Type>().iter().map(Cell::from).collect());
    }
    if data_type.is_floating() {
        let numbers = arrow::compute::cast(array, &DataType::Float64)?;
        return Ok(numbers
            .as_primitive::<arrow::datatypes::Float64Type>()
            .iter()
            .map(|value| value.map_or(Cell::Null, Cell::Float))
            .collect());
    }
    if let DataType::List(_) = data_type {
        let list = array.as_list::<i32>();
        return (0..list.len())
            .map(|index| {
                if list.is_null(index) {
                    Ok(Cell::Null)
                } else {
                    Ok(Cell::List(cells_of(&list.value(index))?))
                }
            })
            .collect();
    }
    let text = arrow::compute::cast(array, &DataType::Utf8)?;
    Ok(text.as_string::<i32>().iter().map(Cell::from).collect())
}

/// The number in a cell, read from text where it is text.
fn number(cell: Option<&Cell>) -> Option<i64> {
    match cell {
        Some(Cell::Int(value)) => Some(*value),
        Some(Cell::Text(text)) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The oid in a cell.
fn oid(cell: Option<&Cell>) -> Option<u32> {
    number(cell).and_then(|value| u32::try_from(value).ok())
}

/// The text in a cell.
fn text(cell: Option<&Cell>) -> Option<&str> {
    cell.and_then(Cell::text)
}
