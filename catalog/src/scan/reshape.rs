//! From a column as a file has it to the column that the table promises.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::adapter::unfit;
use super::variant;
use crate::shape::{FieldShape, MatchBy, Shape};

/// What turns a column of a file into a column of the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Reshape {
    Keep,
    Cast(DataType),
    /// A variant into JSON of this text type.
    Variant(DataType),
    Struct(Fields, Vec<Child>),
    List(FieldRef, Box<Reshape>),
    /// Of the keys and of the values.
    Map(FieldRef, Box<(Reshape, Reshape)>),
}

/// A field of a struct: where the file has it, or nulls where it was added later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Child {
    At(usize, Reshape),
    Missing,
}

impl Reshape {
    /// How to get `to` from `from`. The error says why it cannot be had without loss; it holds types
    /// and no values.
    pub(super) fn between(
        shape: &Shape,
        to: &DataType,
        from: &DataType,
        match_by: MatchBy,
    ) -> Result<Self, String> {
        match (shape, to, from) {
            (Shape::Variant, to, DataType::Struct(_)) => Ok(Self::Variant(to.clone())),
            (Shape::Struct(shapes), DataType::Struct(wanted), DataType::Struct(fields)) => {
                let children = shapes
                    .iter()
                    .zip(wanted)
                    .map(|(shape, wanted)| Child::of(shape, wanted, fields, match_by))
                    .collect::<Result<Vec<_>, _>>()?;
                let same = wanted == fields
                    && children.iter().enumerate().all(|(n, child)| *child == Child::At(n, Self::Keep));
                Ok(if same { Self::Keep } else { Self::Struct(wanted.clone(), children) })
            }
            (Shape::List(shape), DataType::List(wanted), DataType::List(element)) => {
                let inner = Self::between(shape, wanted.data_type(), element.data_type(), match_by)?;
                let same = wanted == element && inner == Self::Keep;
                Ok(if same { Self::Keep } else { Self::List(Arc::clone(wanted), Box::new(inner)) })
            }
            (Shape::Map(key, value), DataType::Map(wanted, _), DataType::Map(entries, _)) => {
                let (wanted_key, wanted_value) = pair(wanted).ok_or("a map without entries")?;
                let (from_key, from_value) = pair(entries).ok_or("a map without entries")?;
                let key = Self::between(key, wanted_key.data_type(), from_key.data_type(), match_by)?;
                let value = Self::between(value, wanted_value.data_type(), from_value.data_type(), match_by)?;
                let same = to == from && key == Self::Keep && value == Self::Keep;
                Ok(if same { Self::Keep } else { Self::Map(Arc::clone(wanted), Box::new((key, value))) })
            }
            (Shape::Primitive, to, from) if to == from => Ok(Self::Keep),
            (Shape::Primitive, to, from) if is_allowed(from, to) => Ok(Self::Cast(to.clone())),
            _ => Err(format!("a column of type {from} where the table has {to}")),
        }
    }

    pub(super) fn apply(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Keep => Ok(Arc::clone(array)),
            // Not the lenient cast, which would turn what it cannot hold into null.
            Self::Cast(to) => {
                cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
            }
            Self::Variant(to) => variant::json(array, to),
            Self::Struct(fields, children) => {
                let array = array.as_struct();
                let children = children
                    .iter()
                    .zip(fields)
                    .map(|(child, field)| match child {
                        Child::At(position, reshape) => reshape.apply(array.column(*position)),
                        Child::Missing => Ok(new_null_array(field.data_type(), array.len())),
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                let shaped = StructArray::try_new_with_length(
                    fields.clone(),
                    children,
                    array.nulls().cloned(),
                    array.len(),
                );
                Ok(Arc::new(shaped?))
            }
            Self::List(element, inner) => {
                let (_, offsets, values, nulls) = array.as_list::<i32>().clone().into_parts();
                let values = inner.apply(&values)?;
                Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets, values, nulls)?))
            }
            Self::Map(entries, inner) => {
                let (_, offsets, pairs, nulls, sorted) = array.as_map().clone().into_parts();
                let (_, columns, pair_nulls) = pairs.into_parts();
                let [key, value] = &columns[..] else {
                    return Err(ArrowError::SchemaError("a map without entries".to_owned()));
                };
                let columns = vec![inner.0.apply(key)?, inner.1.apply(value)?];
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(ArrowError::SchemaError("a map without entries".to_owned()));
                };
                let pairs = StructArray::try_new(fields.clone(), columns, pair_nulls)?;
                Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, sorted)?))
            }
        }
    }
}

impl Child {
    fn of(shape: &FieldShape, wanted: &Field, fields: &Fields, match_by: MatchBy) -> Result<Self, String> {
        let found = fields.iter().position(|field| match match_by {
            MatchBy::Name => *field.name() == shape.physical_name,
            MatchBy::Id => shape.id.is_some_and(|id| field_id(field) == Some(id)),
        });
        let Some(position) = found else { return Ok(Self::Missing) };
        let from = fields[position].data_type();
        Ok(Self::At(position, Reshape::between(&shape.shape, wanted.data_type(), from, match_by)?))
    }
}

fn pair(entries: &FieldRef) -> Option<(&FieldRef, &FieldRef)> {
    match entries.data_type() {
        DataType::Struct(fields) => match &fields[..] {
            [key, value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}

/// The Parquet field id of a file's column.
pub(super) fn field_id(field: &Field) -> Option<i64> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// Whether every value of `from` has its like in `to`. Besides the widenings of the protocol these
/// are other spellings of one type.
pub(super) fn is_infallible(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (T::Null, _) => true,
        (T::Int8, T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64)
        | (T::Int16, T::Int32 | T::Int64 | T::Float32 | T::Float64)
        | (T::Int32, T::Int64 | T::Float64)
        | (T::UInt8, T::Int16 | T::Int32 | T::Int64)
        | (T::UInt16, T::Int32 | T::Int64)
        | (T::UInt32, T::Int64)
        | (T::Float16, T::Float32 | T::Float64)
        | (T::Float32, T::Float64) => true,
        (T::Int8 | T::Int16 | T::Int32 | T::Int64, T::Decimal128(precision, scale)) => {
            let digits = match from {
                T::Int8 => 3,
                T::Int16 => 5,
                T::Int32 => 10,
                _ => 19,
            };
            i16::from(*precision) - i16::from(*scale) >= digits && *scale >= 0
        }
        (
            T::Decimal32(from_precision, from_scale)
            | T::Decimal64(from_precision, from_scale)
            | T::Decimal128(from_precision, from_scale),
            T::Decimal128(precision, scale),
        ) => {
            let more = i16::from(*scale) - i16::from(*from_scale);
            more >= 0 && i16::from(*precision) - i16::from(*from_precision) >= more
        }
        // Dates of the calendar that Delta knows.
        (T::Date32, T::Timestamp(TimeUnit::Microsecond, None)) => true,
        // Finer units lose what the type never had.
        (T::Timestamp(unit, _), T::Timestamp(TimeUnit::Microsecond, _)) => {
            matches!(unit, TimeUnit::Microsecond | TimeUnit::Nanosecond)
        }
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, T::Utf8 | T::Utf8View)
        | (T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_), T::Binary | T::BinaryView) => {
            true
        }
        (T::Dictionary(_, value), to) => value.as_ref() == to || is_infallible(value, to),
        _ => false,
    }
}

/// Whether a file may hold `from` where the table has `to`: the cast then fails for values that are
/// not of the table's type, and never changes one.
fn is_allowed(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    is_infallible(from, to)
        || matches!(
            (from, to),
            // Out of the range of microseconds.
            (T::Timestamp(..), T::Timestamp(TimeUnit::Microsecond, _))
            // Old writers leave out that a byte array is text.
            | (T::Binary | T::LargeBinary | T::BinaryView, T::Utf8 | T::Utf8View)
        )
}

/// Evaluates a [`Reshape`] over a column of the file.
#[derive(Debug)]
pub(super) struct ReshapeExpr {
    /// `schema.table`, for errors.
    table: Arc<str>,
    column: Arc<dyn PhysicalExpr>,
    reshape: Reshape,
    to: DataType,
}

impl ReshapeExpr {
    pub(super) fn new(
        table: Arc<str>,
        column: Arc<dyn PhysicalExpr>,
        reshape: Reshape,
        to: DataType,
    ) -> Self {
        Self { table, column, reshape, to }
    }
}

impl PartialEq for ReshapeExpr {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.reshape == other.reshape && self.to == other.to
    }
}

impl Eq for ReshapeExpr {}

impl Hash for ReshapeExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.reshape.hash(state);
        self.to.hash(state);
    }
}

impl std::fmt::Display for ReshapeExpr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "reshape({})", self.column)
    }
}

impl PhysicalExpr for ReshapeExpr {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        let shaped = self.reshape.apply(&column);
        // What arrow says of a value that does not fit quotes the value.
        let shaped = shaped.map_err(|_| unfit(&self.table, "a value that is not of the table's type"))?;
        Ok(ColumnarValue::Array(shaped))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [column] = <[_; 1]>::try_from(children).map_err(|_| {
            datafusion::error::DataFusionError::Internal("a reshaped column has one child".to_owned())
        })?;
        Ok(Arc::new(Self {
            table: Arc::clone(&self.table),
            column,
            reshape: self.reshape.clone(),
            to: self.to.clone(),
        }))
    }

    fn fmt_sql(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.column.fmt_sql(f)
    }
}
