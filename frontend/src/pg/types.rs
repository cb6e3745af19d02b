//! The PostgreSQL types the wire speaks, and the Arrow types they stand for.

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::error::{FEATURE_NOT_SUPPORTED, WireError};

/// Arrow's extension key and the one extension that has a PostgreSQL type of its own.
const EXTENSION_NAME: &str = "ARROW:extension:name";
const UUID_EXTENSION: &str = "arrow.uuid";

/// A type that is not an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scalar {
    Bool,
    Bytea,
    Char,
    Name,
    Int2,
    Int4,
    Int8,
    Text,
    Oid,
    Json,
    Float4,
    Float8,
    Unknown,
    Bpchar,
    Varchar,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Numeric,
    Uuid,
    Jsonb,
}

/// `(type, its oid, its array's oid, bytes in memory as pg_type.typlen says)`
const SCALARS: [(Scalar, u32, u32, i16); 23] = [
    (Scalar::Bool, 16, 1000, 1),
    (Scalar::Bytea, 17, 1001, -1),
    (Scalar::Char, 18, 1002, 1),
    (Scalar::Name, 19, 1003, 64),
    (Scalar::Int8, 20, 1016, 8),
    (Scalar::Int2, 21, 1005, 2),
    (Scalar::Int4, 23, 1007, 4),
    (Scalar::Text, 25, 1009, -1),
    (Scalar::Oid, 26, 1028, 4),
    (Scalar::Json, 114, 199, -1),
    (Scalar::Float4, 700, 1021, 4),
    (Scalar::Float8, 701, 1022, 8),
    (Scalar::Unknown, 705, 1009, -2),
    (Scalar::Bpchar, 1042, 1014, -1),
    (Scalar::Varchar, 1043, 1015, -1),
    (Scalar::Date, 1082, 1182, 4),
    (Scalar::Time, 1083, 1183, 8),
    (Scalar::Timestamp, 1114, 1115, 8),
    (Scalar::Timestamptz, 1184, 1185, 8),
    (Scalar::Interval, 1186, 1187, 16),
    (Scalar::Numeric, 1700, 1231, -1),
    (Scalar::Uuid, 2950, 2951, 16),
    (Scalar::Jsonb, 3802, 3807, -1),
];

impl Scalar {
    fn row(self) -> (Scalar, u32, u32, i16) {
        // The table is complete (a test walks it), so the fallback is never taken.
        SCALARS.iter().copied().find(|row| row.0 == self).unwrap_or((self, 25, 1009, -1))
    }

    /// The type's oid.
    pub(super) fn oid(self) -> u32 {
        self.row().1
    }

    /// PostgreSQL's name, as its own messages spell it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Bytea => "bytea",
            Self::Char => "\"char\"",
            Self::Name => "name",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Text => "text",
            Self::Oid => "oid",
            Self::Json => "json",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Unknown => "unknown",
            Self::Bpchar => "character",
            Self::Varchar => "character varying",
            Self::Date => "date",
            Self::Time => "time without time zone",
            Self::Timestamp => "timestamp without time zone",
            Self::Timestamptz => "timestamp with time zone",
            Self::Interval => "interval",
            Self::Numeric => "numeric",
            Self::Uuid => "uuid",
            Self::Jsonb => "jsonb",
        }
    }

    /// The Arrow type a parameter declared so is planned as; None where the value decides.
    pub(super) fn arrow(self) -> Option<DataType> {
        Some(match self {
            Self::Bool => DataType::Boolean,
            Self::Bytea => DataType::Binary,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 | Self::Oid => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric => DataType::Decimal128(38, 10),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Self::Interval => DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
            Self::Char
            | Self::Name
            | Self::Text
            | Self::Json
            | Self::Jsonb
            | Self::Bpchar
            | Self::Varchar
            | Self::Uuid => DataType::Utf8,
            Self::Unknown => return None,
        })
    }
}

/// The zone of every timestamptz on this wire.
pub(super) const UTC: &str = "UTC";

/// A type with an oid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PgType {
    Scalar(Scalar),
    Array(Scalar),
}

impl PgType {
    /// The type's oid.
    pub(super) fn oid(self) -> u32 {
        match self {
            Self::Scalar(scalar) => scalar.row().1,
            Self::Array(element) => element.row().2,
        }
    }

    /// `pg_type.typlen`.
    pub(super) fn len(self) -> i16 {
        match self {
            Self::Scalar(scalar) => scalar.row().3,
            Self::Array(_) => -1,
        }
    }

    /// The type with this oid, where the wire speaks it.
    pub(super) fn from_oid(oid: u32) -> Option<Self> {
        SCALARS.iter().find_map(|&(scalar, own, array, _)| {
            if own == oid {
                Some(Self::Scalar(scalar))
            } else if array == oid && scalar != Scalar::Unknown {
                Some(Self::Array(scalar))
            } else {
                None
            }
        })
    }

    /// The Arrow type a parameter declared so is planned as; None where the value decides.
    pub(super) fn arrow(self) -> Option<DataType> {
        match self {
            Self::Scalar(scalar) => scalar.arrow(),
            Self::Array(element) => {
                let element = element.arrow()?;
                Some(DataType::List(Field::new_list_field(element, true).into()))
            }
        }
    }
}

/// The scalar a value of an Arrow type is sent as; None where it is an array, or nothing we can send.
fn scalar(data_type: &DataType) -> Option<Scalar> {
    Some(match data_type {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Scalar::Text,
        DataType::Boolean => Scalar::Bool,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => Scalar::Int2,
        DataType::Int32 | DataType::UInt16 => Scalar::Int4,
        DataType::Int64 | DataType::UInt32 => Scalar::Int8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Scalar::Numeric,
        DataType::Float16 | DataType::Float32 => Scalar::Float4,
        DataType::Float64 => Scalar::Float8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Scalar::Bytea
        }
        DataType::Date32 | DataType::Date64 => Scalar::Date,
        DataType::Time32(_) | DataType::Time64(_) => Scalar::Time,
        DataType::Timestamp(_, None) => Scalar::Timestamp,
        DataType::Timestamp(_, Some(_)) => Scalar::Timestamptz,
        DataType::Interval(_) | DataType::Duration(_) => Scalar::Interval,
        DataType::Dictionary(_, values) => return scalar(values),
        DataType::RunEndEncoded(_, values) => return scalar(values.data_type()),
        _ => return None,
    })
}

/// The element of a list, whatever its layout.
fn element(data_type: &DataType) -> Option<&Field> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => Some(field),
        _ => None,
    }
}

/// Whether everything in a nested value can be written as JSON.
fn json(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().all(|field| json(field.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            // A key has to become a JSON string, so it must itself be a scalar.
            DataType::Struct(fields) => {
                fields.first().is_some_and(|key| scalar(key.data_type()).is_some())
                    && fields.get(1).is_some_and(|value| json(value.data_type()))
            }
            _ => false,
        },
        other => match element(other) {
            Some(element) => json(element.data_type()),
            None => scalar(other).is_some(),
        },
    }
}

/// What a result column is sent as. Scalars have their PostgreSQL type, lists of scalars are arrays, and
/// everything deeper (structs, maps, lists of lists) is one JSON document.
pub(super) fn result_type(field: &Field) -> Result<PgType, WireError> {
    let data_type = match field.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        DataType::RunEndEncoded(_, values) => values.data_type(),
        other => other,
    };
    if matches!(data_type, DataType::FixedSizeBinary(16))
        && field.metadata().get(EXTENSION_NAME).is_some_and(|name| name == UUID_EXTENSION)
    {
        return Ok(PgType::Scalar(Scalar::Uuid));
    }
    if let Some(scalar) = scalar(data_type) {
        return Ok(PgType::Scalar(scalar));
    }
    if let Some(element) = element(data_type).and_then(|element| scalar(element.data_type())) {
        return Ok(PgType::Array(element));
    }
    if json(data_type) {
        return Ok(PgType::Scalar(Scalar::Json));
    }
    Err(WireError::error(
        FEATURE_NOT_SUPPORTED,
        format!("column \"{}\" has a type that the PostgreSQL protocol cannot carry", field.name()),
    )
    .with_hint("Cast it to text, or leave the column out."))
}

/// `pg_attribute.atttypmod` for a column: precision and scale of a numeric, -1 for the rest.
pub(super) fn type_modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            // Eleven bits of scale, signed, as PostgreSQL 15 packs them.
            ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4
        }
        DataType::Dictionary(_, values) => type_modifier(values),
        DataType::RunEndEncoded(_, values) => type_modifier(values.data_type()),
        _ => -1,
    }
}

/// What a client is told that a parameter of this planned type is, and decoded as.
pub(super) fn parameter_type(data_type: &DataType) -> PgType {
    match data_type {
        // Clients have no 64-bit unsigned integer; a numeric would be the odder thing to ask for.
        DataType::UInt64 => PgType::Scalar(Scalar::Int8),
        other => scalar(other)
            .map(PgType::Scalar)
            .or_else(|| element(other).and_then(|e| scalar(e.data_type())).map(PgType::Array))
            .unwrap_or(PgType::Scalar(Scalar::Text)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_scalar_has_its_row() {
        for (scalar, oid, array, len) in SCALARS {
            assert_eq!(scalar.row(), (scalar, oid, array, len));
            assert_eq!(PgType::from_oid(oid), Some(PgType::Scalar(scalar)));
            if scalar != Scalar::Unknown {
                assert_eq!(PgType::from_oid(array), Some(PgType::Array(scalar)));
            }
        }
        assert_eq!(PgType::from_oid(0), None);
        assert_eq!(PgType::from_oid(600), None);
    }

    #[test]
    fn decimals_carry_precision_and_scale() {
        // SELECT atttypmod FROM pg_attribute for numeric(12,2) and numeric(5,-2) on PostgreSQL 15.
        assert_eq!(type_modifier(&DataType::Decimal128(12, 2)), 786_438);
        assert_eq!(type_modifier(&DataType::Decimal128(5, -2)), 329_730);
        assert_eq!(type_modifier(&DataType::Int32), -1);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_name() {
        let union = DataType::Union(
            [(0, Field::new("a", DataType::Int32, true).into())].into_iter().collect(),
            arrow::datatypes::UnionMode::Sparse,
        );
        let error = result_type(&Field::new("odd", union, true)).unwrap_err();
        assert_eq!(error.code, FEATURE_NOT_SUPPORTED);
        assert!(error.message.contains("\"odd\""));
    }

    #[test]
    fn nested_values_are_arrays_or_json() {
        let ints = DataType::List(Field::new_list_field(DataType::Int64, true).into());
        let nested = DataType::List(Field::new_list_field(ints.clone(), true).into());
        let record = DataType::Struct(vec![Field::new("a", ints.clone(), true)].into());
        assert_eq!(result_type(&Field::new("c", ints, true)).unwrap(), PgType::Array(Scalar::Int8));
        assert_eq!(result_type(&Field::new("c", nested, true)).unwrap(), PgType::Scalar(Scalar::Json));
        assert_eq!(result_type(&Field::new("c", record, true)).unwrap(), PgType::Scalar(Scalar::Json));
    }
}
