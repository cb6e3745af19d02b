//! Arrow types as PostgreSQL types: the one place that says which is which.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};

/// Key of a field's metadata that names the PostgreSQL type (its oid, in decimal) where the Arrow type
/// alone would say another: `oid`, `name`, `"char"`, `int2vector`, the `reg…` types.
pub const PG_TYPE_KEY: &str = "lakeward.pg_type";

/// Oids of `pg_type` rows that code refers to by name.
pub mod oid {
    #![allow(missing_docs, reason = "each constant is the type it is named after")]
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT2VECTOR: u32 = 22;
    pub const INT4: u32 = 23;
    pub const REGPROC: u32 = 24;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const XID: u32 = 28;
    pub const OIDVECTOR: u32 = 30;
    pub const JSON: u32 = 114;
    pub const PG_NODE_TREE: u32 = 194;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const INET: u32 = 869;
    pub const ACLITEM_ARRAY: u32 = 1034;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const REGPROCEDURE: u32 = 2202;
    pub const REGOPER: u32 = 2203;
    pub const REGOPERATOR: u32 = 2204;
    pub const REGCLASS: u32 = 2205;
    pub const REGTYPE: u32 = 2206;
    pub const ANYARRAY: u32 = 2277;
    pub const PG_LSN: u32 = 3220;
    pub const REGCONFIG: u32 = 3734;
    pub const REGDICTIONARY: u32 = 3769;
    pub const REGNAMESPACE: u32 = 4089;
    pub const REGROLE: u32 = 4096;
    pub const REGCOLLATION: u32 = 4191;
}

/// What PostgreSQL knows of a column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgTypeInfo {
    /// `pg_type.oid`.
    pub oid: u32,
    /// `pg_type.typname`.
    pub name: &'static str,
    /// `pg_type.typlen`: bytes, or -1 where values differ in length.
    pub len: i16,
    /// `pg_attribute.atttypmod`: -1, or precision and scale of a numeric.
    pub modifier: i32,
}

/// One row of `pg_type`, as PostgreSQL 15 ships it.
#[derive(Debug)]
pub(super) struct TypeRow {
    pub(super) oid: u32,
    pub(super) name: String,
    pub(super) len: i16,
    pub(super) by_value: bool,
    /// b base, p pseudo, r range, m multirange.
    pub(super) kind: String,
    pub(super) category: String,
    pub(super) preferred: bool,
    pub(super) delimiter: String,
    /// Element type of an array, or 0.
    pub(super) element: u32,
    /// Array type over this type, or 0.
    pub(super) array: u32,
    /// Oids of input, output, receive, send, typmod input, typmod output and subscript functions.
    pub(super) functions: [u32; 7],
    pub(super) align: String,
    pub(super) storage: String,
    pub(super) collation: u32,
    /// `format_type(oid, NULL)`.
    pub(super) display: String,
}

/// All types, by oid and by name.
pub(super) struct TypeTable {
    pub(super) rows: Vec<TypeRow>,
    by_oid: HashMap<u32, usize>,
    by_name: HashMap<String, usize>,
}

impl TypeTable {
    pub(super) fn by_oid(&self, oid: u32) -> Option<&TypeRow> {
        self.by_oid.get(&oid).and_then(|index| self.rows.get(*index))
    }

    /// By `typname` (`int4`, `_int4`).
    pub(super) fn by_name(&self, name: &str) -> Option<&TypeRow> {
        self.by_name.get(name).and_then(|index| self.rows.get(*index))
    }

    /// By any spelling that SQL accepts: `integer`, `pg_catalog.int4`, `character varying(20)`, `text[]`.
    pub(super) fn parse(&self, text: &str) -> Option<&TypeRow> {
        let mut name = text.trim().to_string();
        let mut array = false;
        while let Some(rest) = name.strip_suffix("[]") {
            array = true;
            name = rest.trim_end().to_string();
        }
        if let Some(open) = name.find('(') {
            let close = name[open..].find(')')? + open;
            name.replace_range(open..=close, "");
            name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        if name.starts_with('"') {
            // A quoted name is a typname; "char" is the one that differs from its keyword.
            name = name.trim_matches('"').to_string();
        } else {
            name = name.to_lowercase();
            if let Some(rest) = name.strip_prefix("pg_catalog.") {
                name = rest.trim_matches('"').to_string();
            } else {
                name = match name.as_str() {
                    "char" => "bpchar".to_string(),
                    "int" => "int4".to_string(),
                    "decimal" | "dec" => "numeric".to_string(),
                    "float" => "float8".to_string(),
                    _ => name,
                };
            }
        }
        let row = self.by_name(&name).or_else(|| self.rows.iter().find(|row| row.display == name))?;
        if array { self.by_oid(row.array) } else { Some(row) }
    }
}

/// The types of PostgreSQL 15.
pub(super) fn type_table() -> &'static TypeTable {
    static TABLE: OnceLock<TypeTable> = OnceLock::new();
    TABLE.get_or_init(|| {
        let rows: Vec<TypeRow> = include_str!("data/types.tsv").lines().filter_map(parse_row).collect();
        let by_oid = rows.iter().enumerate().map(|(index, row)| (row.oid, index)).collect();
        let by_name = rows.iter().enumerate().map(|(index, row)| (row.name.clone(), index)).collect();
        TypeTable { rows, by_oid, by_name }
    })
}

fn parse_row(line: &str) -> Option<TypeRow> {
    let cells: Vec<&str> = line.split('\t').collect();
    let number = |index: usize| cells.get(index).and_then(|cell| cell.parse::<u32>().ok());
    let text = |index: usize| cells.get(index).map(ToString::to_string);
    let mut functions = [0; 7];
    for (offset, function) in functions.iter_mut().enumerate() {
        *function = number(10 + offset)?;
    }
    Some(TypeRow {
        oid: number(0)?,
        name: text(1)?,
        len: cells.get(2)?.parse().ok()?,
        by_value: *cells.get(3)? == "t",
        kind: text(4)?,
        category: text(5)?,
        preferred: *cells.get(6)? == "t",
        delimiter: text(7)?,
        element: number(8)?,
        array: number(9)?,
        functions,
        align: text(17)?,
        storage: text(18)?,
        collation: number(19)?,
        display: text(20)?,
    })
}

/// A type by its oid; text where it is unknown.
pub(super) fn type_info(oid: u32) -> PgTypeInfo {
    info(oid, -1)
}

fn info(oid: u32, modifier: i32) -> PgTypeInfo {
    match type_table().by_oid(oid) {
        Some(row) => PgTypeInfo { oid, name: &row.name, len: row.len, modifier },
        None => PgTypeInfo { oid: oid::TEXT, name: "text", len: -1, modifier: -1 },
    }
}

/// The PostgreSQL type of a value of an Arrow type.
#[must_use]
pub fn pg_type(data_type: &DataType) -> PgTypeInfo {
    info(type_oid(data_type), modifier(data_type))
}

/// The PostgreSQL type of a column: what its metadata says, else what its Arrow type says.
#[must_use]
pub fn pg_field_type(field: &Field) -> PgTypeInfo {
    match declared_oid(field) {
        Some(oid) => info(oid, -1),
        None => pg_type(field.data_type()),
    }
}

/// The type a field's metadata names.
pub(super) fn declared_oid(field: &Field) -> Option<u32> {
    field.metadata().get(PG_TYPE_KEY).and_then(|oid| oid.parse().ok())
}

fn type_oid(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Boolean => oid::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => oid::INT2,
        DataType::Int32 | DataType::UInt16 => oid::INT4,
        DataType::Int64 | DataType::UInt32 => oid::INT8,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => oid::NUMERIC,
        DataType::Float16 | DataType::Float32 => oid::FLOAT4,
        DataType::Float64 => oid::FLOAT8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            oid::BYTEA
        }
        DataType::Date32 | DataType::Date64 => oid::DATE,
        DataType::Time32(_) | DataType::Time64(_) => oid::TIME,
        DataType::Timestamp(_, None) => oid::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => oid::TIMESTAMPTZ,
        DataType::Interval(_) | DataType::Duration(_) => oid::INTERVAL,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => {
            // A list of anything that has no array type of its own travels as JSON.
            let element = type_oid(item.data_type());
            match type_table().by_oid(element) {
                Some(row) if row.element == 0 && element != oid::JSON && row.array != 0 => row.array,
                _ => oid::JSON,
            }
        }
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => oid::JSON,
        DataType::Dictionary(_, value) => type_oid(value),
        DataType::RunEndEncoded(_, value) => type_oid(value.data_type()),
        _ => oid::TEXT,
    }
}

fn modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            // Eleven bits of signed scale under the precision, as PostgreSQL 15 packs them.
            ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4
        }
        DataType::Dictionary(_, value) => modifier(value),
        DataType::RunEndEncoded(_, value) => modifier(value.data_type()),
        _ => -1,
    }
}

/// The Arrow type that holds a PostgreSQL type in a generated table.
pub(super) fn arrow_type(oid: u32) -> DataType {
    match oid {
        oid::BOOL => DataType::Boolean,
        oid::BYTEA => DataType::Binary,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8 => DataType::Int64,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        oid::NUMERIC => DataType::Decimal128(38, 10),
        oid::DATE => DataType::Date32,
        oid::TIME => DataType::Time64(TimeUnit::Microsecond),
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        oid::OID | oid::XID | 29 => DataType::UInt32,
        _ if is_reg_type(oid) => DataType::UInt32,
        oid::INT2VECTOR => list_of(DataType::Int16),
        oid::OIDVECTOR => list_of(DataType::UInt32),
        oid::ANYARRAY => DataType::Utf8,
        _ => match type_table().by_oid(oid) {
            Some(row) if row.category == "A" && row.element != 0 => list_of(arrow_type(row.element)),
            _ => DataType::Utf8,
        },
    }
}

/// Whether a type is an oid that prints as a name.
pub(super) const fn is_reg_type(oid: u32) -> bool {
    matches!(
        oid,
        oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGCLASS
            | oid::REGTYPE
            | oid::REGCONFIG
            | oid::REGDICTIONARY
            | oid::REGNAMESPACE
            | oid::REGROLE
            | oid::REGCOLLATION
    )
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// A field of a PostgreSQL type, saying so in its metadata where the Arrow type would not.
pub(super) fn pg_field(name: &str, oid: u32, nullable: bool) -> FieldRef {
    let data_type = arrow_type(oid);
    let plain = type_oid(&data_type) == oid;
    let field = Field::new(name, data_type, nullable);
    if plain {
        Arc::new(field)
    } else {
        Arc::new(field.with_metadata(HashMap::from([(PG_TYPE_KEY.to_string(), oid.to_string())])))
    }
}

/// `format_type(oid, typmod)`.
pub(super) fn format_type(oid: u32, modifier: Option<i32>) -> String {
    let Some(row) = type_table().by_oid(oid) else {
        return if oid == 0 { "-".to_string() } else { "???".to_string() };
    };
    let array = row.category == "A" && row.element != 0;
    let base = if array && oid != oid::INT2VECTOR && oid != oid::OIDVECTOR {
        type_table().by_oid(row.element).unwrap_or(row)
    } else {
        row
    };
    let mut text = base.display.clone();
    match (base.oid, modifier) {
        (oid::NUMERIC, Some(modifier)) if modifier >= 4 => {
            let packed = modifier - 4;
            // The scale's eleven bits are signed.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            text = format!("numeric({},{scale})", (packed >> 16) & 0xffff);
        }
        (oid::VARCHAR | oid::BPCHAR, Some(modifier)) if modifier >= 4 => {
            text = format!("{text}({})", modifier - 4);
        }
        (oid::BPCHAR, Some(_)) => text = "bpchar".to_string(),
        _ => {}
    }
    if array && base.oid != row.oid {
        text.push_str("[]");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn types_are_the_real_ones() {
        assert_eq!(pg_type(&DataType::Int64).name, "int8");
        assert_eq!(pg_type(&DataType::UInt64).oid, oid::NUMERIC);
        assert_eq!(pg_type(&list_of(DataType::Utf8)).name, "_text");
        assert_eq!(pg_type(&list_of(list_of(DataType::Utf8))).name, "json");
        assert_eq!(pg_type(&DataType::Null).name, "text");
        assert_eq!(pg_field_type(&pg_field("x", oid::OID, true)).oid, oid::OID);
        assert_eq!(pg_field_type(&pg_field("x", oid::INT2VECTOR, true)).oid, oid::INT2VECTOR);
        assert!(pg_field("x", oid::INT8, true).metadata().is_empty());
    }

    #[test]
    fn types_print_as_postgresql_prints_them() {
        let numeric = pg_type(&DataType::Decimal128(12, 2));
        assert_eq!(format_type(numeric.oid, Some(numeric.modifier)), "numeric(12,2)");
        let negative = pg_type(&DataType::Decimal128(5, -2));
        assert_eq!(format_type(negative.oid, Some(negative.modifier)), "numeric(5,-2)");
        assert_eq!(format_type(1231, Some(-1)), "numeric[]");
        assert_eq!(format_type(oid::CHAR, None), "\"char\"");
        assert_eq!(format_type(oid::INT2VECTOR, None), "int2vector");
        assert_eq!(format_type(1009, None), "text[]");
        assert_eq!(format_type(0, None), "-");
        assert_eq!(format_type(99_999, None), "???");
    }

    #[test]
    fn names_are_found_however_they_are_spelled() {
        let parse = |text: &str| type_table().parse(text).map(|row| row.name.as_str());
        assert_eq!(parse("integer"), Some("int4"));
        assert_eq!(parse("INT"), Some("int4"));
        assert_eq!(parse("pg_catalog.text"), Some("text"));
        assert_eq!(parse("text[]"), Some("_text"));
        assert_eq!(parse("character varying(20)"), Some("varchar"));
        assert_eq!(parse("timestamp(3) with time zone"), Some("timestamptz"));
        assert_eq!(parse("\"char\""), Some("char"));
        assert_eq!(parse("char"), Some("bpchar"));
        assert_eq!(parse("hstore"), None);
    }
}
