//! Functions whose result type follows their arguments: arrays, quantifiers, text of anything.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StructArray, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::super::cells::Cell;
use super::super::error::RewriteError;
use super::super::types::{declared_oid, format_type, is_reg_type, oid as types};
use super::{Environment, cells_of, names, number};
use crate::error::SqlState;

/// What an array function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::pg_catalog) enum Operation {
    /// `(list)`: the list, empty where it is NULL.
    List,
    /// `(list)`: its one element; NULL of an empty or NULL list, an error for more than one.
    Only,
    /// `(list[, dimension])`: the positions as a list, from 1; from 0 for a vector whose dimension is asked for.
    Subscripts,
    /// `array_lower(list, dimension)`.
    Lower,
    /// `array_upper(list, dimension)`.
    Upper,
    /// `(list)`: a list of `(x, n)`: element and position.
    Expand,
    /// `(example, text)`: an array literal read as the example's type; text that is no array stays text.
    Literal,
    /// `(value, list)`: `value op ANY (list)`.
    Any(Comparison),
    /// `(value, list)`: `value op ALL (list)`.
    All(Comparison),
    /// `(anything)`: its text, as PostgreSQL writes it.
    Text,
}

/// The operator of a quantified comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::pg_catalog) enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl Comparison {
    const ALL: [Self; 6] = [Self::Eq, Self::NotEq, Self::Lt, Self::LtEq, Self::Gt, Self::GtEq];

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::NotEq => ordering.is_ne(),
            Self::Lt => ordering.is_lt(),
            Self::LtEq => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::GtEq => ordering.is_ge(),
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::NotEq => "ne",
            Self::Lt => "lt",
            Self::LtEq => "le",
            Self::Gt => "gt",
            Self::GtEq => "ge",
        }
    }
}

/// One of these functions where no session is at hand: plans are rebuilt with it. The metadata is that of
/// its result.
pub(in crate::pg_catalog) fn internal(
    operation: Operation,
    metadata: &HashMap<String, String>,
) -> Arc<ScalarUDF> {
    let mut function = ArrayFunction::new(operation, None);
    function.metadata = metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Arc::new(ScalarUDF::from(function))
}

/// All of them, for a session.
pub(super) fn functions(environment: &Arc<Environment>) -> Vec<ScalarUDF> {
    let mut operations = vec![
        Operation::List,
        Operation::Only,
        Operation::Subscripts,
        Operation::Lower,
        Operation::Upper,
        Operation::Expand,
        Operation::Literal,
        Operation::Text,
    ];
    for comparison in Comparison::ALL {
        operations.push(Operation::Any(comparison));
        operations.push(Operation::All(comparison));
    }
    operations
        .into_iter()
        .map(|operation| ScalarUDF::from(ArrayFunction::new(operation, Some(Arc::clone(environment)))))
        .collect()
}

struct ArrayFunction {
    operation: Operation,
    name: String,
    signature: Signature,
    /// For names behind oids.
    environment: Option<Arc<Environment>>,
    /// Of the result, where the argument does not bring it.
    metadata: BTreeMap<String, String>,
}

impl ArrayFunction {
    fn new(operation: Operation, environment: Option<Arc<Environment>>) -> Self {
        let name = match operation {
            Operation::List => "__list".to_string(),
            Operation::Only => "__only".to_string(),
            Operation::Subscripts => "__subscripts".to_string(),
            Operation::Lower => "array_lower".to_string(),
            Operation::Upper => "array_upper".to_string(),
            Operation::Expand => "__expand".to_string(),
            Operation::Literal => "__array_literal".to_string(),
            Operation::Text => "__text".to_string(),
            Operation::Any(comparison) => format!("__any_{}", comparison.suffix()),
            Operation::All(comparison) => format!("__all_{}", comparison.suffix()),
        };
        Self {
            operation,
            name,
            signature: Signature::user_defined(Volatility::Immutable),
            environment,
            metadata: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for ArrayFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
impl PartialEq for ArrayFunction {
    fn eq(&self, other: &Self) -> bool {
        self.operation == other.operation && self.metadata == other.metadata
    }
}
impl Eq for ArrayFunction {}
impl Hash for ArrayFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operation.hash(state);
        self.metadata.hash(state);
    }
}

/// A list type with the offsets used here; other layouts are cast to it.
fn as_list(data_type: &DataType) -> Option<FieldRef> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(Arc::clone(item)),
        _ => None,
    }
}

fn pair_fields(item: &FieldRef) -> Fields {
    Fields::from(vec![
        Field::new("x", item.data_type().clone(), true),
        Field::new("n", DataType::Int32, true),
    ])
}

impl ScalarUDFImpl for ArrayFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let list = |data_type: &DataType| match as_list(data_type) {
            Some(item) => Ok(DataType::List(item)),
            None if *data_type == DataType::Null => {
                Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))
            }
            None => plan_err!("an array is needed, not {data_type}"),
        };
        match (self.operation, arg_types) {
            (Operation::List | Operation::Only | Operation::Expand | Operation::Subscripts, [array]) => {
                Ok(vec![list(array)?])
            }
            (Operation::Subscripts | Operation::Lower | Operation::Upper, [array, _]) => {
                Ok(vec![list(array)?, DataType::Int64])
            }
            (Operation::Literal, [example, _]) => Ok(vec![example.clone(), DataType::Utf8]),
            (Operation::Text, [any]) => Ok(vec![any.clone()]),
            (Operation::Any(_) | Operation::All(_), [value, array]) => {
                let DataType::List(item) = list(array)? else { return plan_err!("an array is needed") };
                // The array decides, unless it holds nothing that decides.
                let common = if *value == DataType::Null {
                    Some(item.data_type().clone())
                } else {
                    datafusion::logical_expr::type_coercion::binary::comparison_coercion(
                        value,
                        item.data_type(),
                    )
                };
                match common {
                    Some(common) => Ok(vec![
                        common.clone(),
                        DataType::List(Arc::new(Field::new_list_field(common, true))),
                    ]),
                    None => plan_err!("{value} and {} cannot be compared", item.data_type()),
                }
            }
            _ => plan_err!("wrong number of arguments for {}()", self.name),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let item = || match arg_types.first().and_then(as_list) {
            Some(item) => Ok(item),
            None => plan_err!("an array is needed"),
        };
        Ok(match self.operation {
            Operation::List => DataType::List(item()?),
            Operation::Only => item()?.data_type().clone(),
            Operation::Subscripts => DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))),
            Operation::Lower | Operation::Upper => DataType::Int32,
            Operation::Expand => {
                DataType::List(Arc::new(Field::new_list_field(DataType::Struct(pair_fields(&item()?)), true)))
            }
            Operation::Literal => match arg_types.first() {
                Some(example) if as_list(example).is_some() => example.clone(),
                _ => DataType::Utf8,
            },
            Operation::Any(_) | Operation::All(_) => DataType::Boolean,
            Operation::Text => DataType::Utf8,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let field = Field::new(self.name(), self.return_type(&types)?, true);
        // An element keeps what its list's item said of its type; a literal is of its example's type.
        let metadata = match self.operation {
            _ if !self.metadata.is_empty() => Some(self.metadata.clone().into_iter().collect()),
            Operation::Only => args
                .arg_fields
                .first()
                .and_then(|field| as_list(field.data_type()))
                .map(|item| item.metadata().clone()),
            Operation::Literal => args.arg_fields.first().map(|field| field.metadata().clone()),
            _ => None,
        };
        Ok(Arc::new(field.with_metadata(metadata.unwrap_or_default())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = self.evaluate(&arrays, &args)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

impl ArrayFunction {
    fn evaluate(&self, arrays: &[ArrayRef], args: &ScalarFunctionArgs) -> Result<ArrayRef> {
        let Some(first) = arrays.first() else { return plan_err!("{}() needs an argument", self.name) };
        match self.operation {
            Operation::List => not_null(first.as_list::<i32>()),
            Operation::Only => only(first.as_list::<i32>()),
            Operation::Subscripts => {
                let list = lowered(first, arrays.get(1))?;
                subscripts(list.as_list::<i32>(), if arrays.len() == 2 && is_vector(args) { 0 } else { 1 })
            }
            Operation::Lower | Operation::Upper => {
                let list = lowered(first, arrays.get(1))?;
                let base = i32::from(!is_vector(args));
                let bounds: Int32Array = lengths(list.as_list::<i32>())
                    .into_iter()
                    .map(|length| match (length, self.operation) {
                        (0, _) => None,
                        (_, Operation::Lower) => Some(base),
                        (length, _) => i32::try_from(length).ok().map(|length| base + length - 1),
                    })
                    .collect();
                Ok(Arc::new(bounds))
            }
            Operation::Expand => expand(first.as_list::<i32>()),
            Operation::Literal => {
                let Some(text) = arrays.get(1) else {
                    return plan_err!("{}() needs two arguments", self.name);
                };
                literal(args.return_field.data_type(), text)
            }
            Operation::Any(comparison) => quantified(arrays, comparison, true),
            Operation::All(comparison) => quantified(arrays, comparison, false),
            Operation::Text => {
                let declared = args.arg_fields.first().and_then(|field| declared_oid(field));
                self.text(first, declared)
            }
        }
    }

    /// Oids that print as names become those; arrays and booleans are written as PostgreSQL writes them.
    fn text(&self, array: &ArrayRef, declared: Option<u32>) -> Result<ArrayRef> {
        let cells = cells_of(array)?;
        let name = |cell: &Cell| -> Option<String> {
            let oid = u32::try_from(number(Some(cell))?).ok()?;
            if oid == 0 {
                return Some("-".to_string());
            }
            match declared? {
                types::REGTYPE => Some(format_type(oid, None)),
                types::REGCLASS => self.environment.as_ref().and_then(|env| names::class_name(env, oid)),
                types::REGNAMESPACE => {
                    let environment = self.environment.as_ref()?;
                    environment
                        .directory()
                        .namespace(oid)
                        .map(|namespace| names::quote_ident(&namespace.name))
                }
                types::REGROLE => {
                    let environment = self.environment.as_ref()?;
                    environment.directory().role(oid).map(|role| names::quote_ident(&role.name))
                }
                types::REGPROC => names::function_name(oid),
                _ => None,
            }
        };
        let reg = declared.is_some_and(is_reg_type);
        let vector = matches!(declared, Some(types::INT2VECTOR | types::OIDVECTOR));
        let texts: arrow::array::StringArray = cells
            .iter()
            .map(|cell| match cell {
                Cell::Null => None,
                cell if reg => Some(name(cell).unwrap_or_else(|| write(cell, false))),
                Cell::List(items) if vector => {
                    Some(items.iter().map(|item| write(item, false)).collect::<Vec<_>>().join(" "))
                }
                cell => Some(write(cell, false)),
            })
            .collect();
        Ok(Arc::new(texts))
    }
}

/// A value's text; inside an array quoted where it must be.
fn write(cell: &Cell, inside: bool) -> String {
    match cell {
        Cell::Null => "NULL".to_string(),
        Cell::Bool(value) if inside => if *value { "t" } else { "f" }.to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Text(text) if inside => {
            let plain = !text.is_empty()
                && !text.eq_ignore_ascii_case("null")
                && !text.contains(|letter: char| {
                    letter.is_whitespace() || matches!(letter, ',' | '{' | '}' | '"' | '\\')
                });
            if plain {
                text.clone()
            } else {
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
        }
        Cell::Text(text) => text.clone(),
        Cell::List(items) => {
            format!("{{{}}}", items.iter().map(|item| write(item, true)).collect::<Vec<_>>().join(","))
        }
    }
}

fn not_null(list: &ListArray) -> Result<ArrayRef> {
    let lengths = lengths(list);
    let DataType::List(item) = list.data_type() else { return plan_err!("an array is needed") };
    let parts: Vec<ArrayRef> =
        (0..list.len()).filter(|index| list.is_valid(*index)).map(|index| list.value(index)).collect();
    let values = if parts.is_empty() {
        new_empty_array(item.data_type())
    } else {
        arrow::compute::concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?
    };
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), values, None)?))
}

fn only(list: &ListArray) -> Result<ArrayRef> {
    let mut indices = Vec::with_capacity(list.len());
    for index in 0..list.len() {
        let length = if list.is_null(index) { 0 } else { list.value_length(index) };
        match length {
            0 => indices.push(None),
            1 => indices.push(list.value_offsets().get(index).copied()),
            _ => {
                return Err(RewriteError::new(
                    SqlState::CardinalityViolation,
                    "more than one row returned by a subquery used as an expression",
                )
                .into());
            }
        }
    }
    Ok(arrow::compute::take(list.values(), &Int32Array::from(indices), None)?)
}

fn lengths(list: &ListArray) -> Vec<usize> {
    (0..list.len())
        .map(
            |index| {
                if list.is_null(index) { 0 } else { usize::try_from(list.value_length(index)).unwrap_or(0) }
            },
        )
        .collect()
}

fn positions(lengths: &[usize], first: i32) -> Int32Array {
    lengths
        .iter()
        .flat_map(|length| (0..i32::try_from(*length).unwrap_or(i32::MAX)).map(move |index| index + first))
        .collect::<Vec<_>>()
        .into()
}

/// Whether the first argument is one of the vectors of pg_catalog, which count from 0.
fn is_vector(args: &ScalarFunctionArgs) -> bool {
    let declared = args.arg_fields.first().and_then(|field| declared_oid(field));
    matches!(declared, Some(types::INT2VECTOR | types::OIDVECTOR))
}

/// The lists with those left out that have no such dimension. Only the first is known.
fn lowered(list: &ArrayRef, dimensions: Option<&ArrayRef>) -> Result<ArrayRef> {
    let Some(dimensions) = dimensions else { return Ok(Arc::clone(list)) };
    let other: arrow::array::BooleanArray =
        cells_of(dimensions)?.iter().map(|dimension| Some(*dimension != Cell::Int(1))).collect();
    Ok(arrow::compute::nullif(list, &other)?)
}

fn subscripts(list: &ListArray, first: i32) -> Result<ArrayRef> {
    let lengths = lengths(list);
    let item = Arc::new(Field::new_list_field(DataType::Int32, true));
    let values = positions(&lengths, first);
    Ok(Arc::new(ListArray::try_new(
        item,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(values),
        list.nulls().cloned(),
    )?))
}

fn expand(list: &ListArray) -> Result<ArrayRef> {
    let DataType::List(item) = list.data_type() else { return plan_err!("an array is needed") };
    let lengths = lengths(list);
    let parts: Vec<ArrayRef> = (0..list.len())
        .filter(|index| lengths.get(*index).is_some_and(|length| *length > 0))
        .map(|index| list.value(index))
        .collect();
    let values = if parts.is_empty() {
        new_empty_array(item.data_type())
    } else {
        arrow::compute::concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?
    };
    let fields = pair_fields(item);
    let pairs = StructArray::try_new(fields.clone(), vec![values, Arc::new(positions(&lengths, 1))], None)?;
    let pair = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
    Ok(Arc::new(ListArray::try_new(
        pair,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(pairs),
        list.nulls().cloned(),
    )?))
}

/// Elements of a one-dimensional array literal; None where the text is none.
pub(in crate::pg_catalog) fn parse_literal(text: &str) -> Option<Vec<Option<String>>> {
    let body = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    if body.trim().is_empty() {
        return Some(items);
    }
    let mut letters = body.chars().peekable();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let mut item = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next()? {
                    '"' => break,
                    '\\' => item.push(letters.next()?),
                    letter => item.push(letter),
                }
            }
            items.push(Some(item));
            while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != ',') {
                match letter {
                    '\\' => item.push(letters.next()?),
                    '{' | '}' | '"' => return None,
                    letter => item.push(letter),
                }
            }
            let item = item.trim_end();
            if item.is_empty() {
                return None;
            }
            items.push((!item.eq_ignore_ascii_case("null")).then(|| item.to_string()));
        }
        match letters.next() {
            None => return Some(items),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

fn literal(target: &DataType, text: &ArrayRef) -> Result<ArrayRef> {
    let Some(item) = as_list(target) else { return Ok(Arc::clone(text)) };
    let texts = text.as_string::<i32>();
    let mut values = Vec::new();
    let mut lengths = Vec::new();
    let mut valid = Vec::new();
    for text in texts {
        let parsed = match text {
            None => None,
            Some(text) => Some(parse_literal(text).ok_or_else(|| {
                RewriteError::new(
                    SqlState::InvalidTextRepresentation,
                    format!("malformed array literal: \"{text}\""),
                )
            })?),
        };
        valid.push(parsed.is_some());
        let parsed = parsed.unwrap_or_default();
        lengths.push(parsed.len());
        values.extend(parsed);
    }
    let strings: ArrayRef = Arc::new(arrow::array::StringArray::from(values));
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let elements = arrow::compute::cast_with_options(&strings, item.data_type(), &options)
        .map_err(|_| RewriteError::new(SqlState::InvalidTextRepresentation, "malformed array literal"))?;
    let list: ArrayRef = Arc::new(ListArray::try_new(
        item,
        OffsetBuffer::from_lengths(lengths),
        elements,
        Some(NullBuffer::from(valid)),
    )?);
    Ok(if list.data_type() == target { list } else { arrow::compute::cast(&list, target)? })
}

/// SQL's three-valued quantified comparison.
fn quantified(arrays: &[ArrayRef], comparison: Comparison, any: bool) -> Result<ArrayRef> {
    let [values, lists] = arrays else { return plan_err!("a quantified comparison has two sides") };
    let lists = lists.as_list::<i32>();
    let mut results = Vec::with_capacity(lists.len());
    for index in 0..lists.len() {
        if lists.is_null(index) {
            results.push(None);
            continue;
        }
        let items = lists.value(index);
        if items.is_empty() {
            results.push(Some(!any));
            continue;
        }
        let value = ScalarValue::try_from_array(values, index)?;
        let mut unknown = false;
        let mut decided = None;
        for position in 0..items.len() {
            let item = ScalarValue::try_from_array(&items, position)?;
            let ordering = if value.is_null() || item.is_null() { None } else { value.partial_cmp(&item) };
            match ordering {
                None => unknown = true,
                Some(ordering) if comparison.holds(ordering) == any => {
                    decided = Some(any);
                    break;
                }
                Some(_) => {}
            }
        }
        results.push(match decided {
            Some(decided) => Some(decided),
            None if unknown => None,
            None => Some(!any),
        });
    }
    Ok(Arc::new(arrow::array::BooleanArray::from(results)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn array_literals_are_read() {
        let read = |text: &str| parse_literal(text);
        assert_eq!(read("{}"), Some(vec![]));
        assert_eq!(read("{a, b}"), Some(vec![Some("a".into()), Some("b".into())]));
        assert_eq!(
            read("{\"a,b\",NULL,\"NULL\"}"),
            Some(vec![Some("a,b".into()), None, Some("NULL".into())])
        );
        assert_eq!(read("a"), None);
        assert_eq!(read("{a,}"), None);
    }
}
