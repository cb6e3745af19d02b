//! Casts to types that PostgreSQL has and the engine has not.

use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, Expr, SelectItem, SetExpr, Statement,
    TimezoneInfo, Value,
};

use super::super::error::RewriteError;
use super::expressions::{call, called, literal};

/// What a cast is to.
enum Target {
    /// A function of ours takes its place.
    Call(&'static str),
    /// Text in any spelling without a length.
    Text,
    /// The same type in the engine's spelling.
    Type(DataType),
    /// A vector: `'1 2'`.
    Vector(DataType),
    /// An array of what the engine knows.
    Array(DataType),
    /// Not ours.
    Other,
}

/// Whether a function gives the oid of a name.
pub(super) fn is_reg_in(name: &str) -> bool {
    name.starts_with("__reg") && name.ends_with("_in")
}

/// Where an oid with a name is wanted as text: the name.
pub(super) fn name_of(expr: &mut Expr) {
    if called(expr).is_some_and(|(name, _)| is_reg_in(&name)) {
        *expr = call("__text", vec![expr.clone()]);
    }
}

/// A literal, or a parameter, whose type comes from the cast itself.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(inner) => is_value(inner),
        _ => false,
    }
}

pub(super) fn rewrite(expr: &mut Expr, system: bool) -> Result<(), RewriteError> {
    let Expr::Cast { expr: inner, data_type, .. } = expr else { return Ok(()) };
    match target(data_type)? {
        Target::Call(function) => *expr = call(function, vec![(**inner).clone()]),
        Target::Text if system && !is_value(inner) => *expr = call("__text", vec![(**inner).clone()]),
        Target::Text => *data_type = DataType::Text,
        Target::Type(known) => *data_type = known,
        Target::Vector(element) => {
            if let Some(text) = literal(inner) {
                let text = format!("{{{}}}", text.split_whitespace().collect::<Vec<_>>().join(","));
                *expr = array_literal(element, &text);
            } else {
                *expr = (**inner).clone();
            }
        }
        Target::Array(element) => {
            if let Some(text) = literal(inner) {
                *expr = array_literal(element, text);
            } else {
                *data_type = array_of(element);
            }
        }
        Target::Other => {}
    }
    Ok(())
}

fn array_of(element: DataType) -> DataType {
    DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None))
}

fn array_literal(element: DataType, text: &str) -> Expr {
    let example = Expr::Cast {
        kind: sqlparser::ast::CastKind::Cast,
        expr: Box::new(Expr::Value(Value::Null.into())),
        data_type: array_of(element),
        array: false,
        format: None,
    };
    call("__array_literal", vec![example, super::expressions::string(text)])
}

fn target(data_type: &DataType) -> Result<Target, RewriteError> {
    Ok(match data_type {
        DataType::Regclass => Target::Call("__regclass_in"),
        DataType::Text
        | DataType::Varchar(None)
        | DataType::CharacterVarying(None)
        | DataType::CharVarying(None) => Target::Text,
        DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            Target::Type(DataType::Varchar(*length))
        }
        DataType::Character(length) => Target::Type(DataType::Char(*length)),
        DataType::JSON | DataType::JSONB => Target::Type(DataType::Text),
        DataType::Dec(info) => Target::Type(DataType::Decimal(*info)),
        DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => match target(inner)? {
            Target::Call(
                "__oid" | "__regclass_in" | "__regtype_in" | "__regproc_in" | "__regnamespace_in"
                | "__regrole_in",
            ) => Target::Array(DataType::IntUnsigned(None)),
            Target::Call(_) | Target::Text => Target::Array(DataType::Text),
            Target::Type(known) => Target::Array(known),
            Target::Vector(_) | Target::Array(_) => {
                return Err(RewriteError::unsupported("an array of arrays"));
            }
            Target::Other => Target::Array((**inner).clone()),
        },
        DataType::Custom(name, modifiers) => custom(name, modifiers)?,
        _ => Target::Other,
    })
}

/// Types by name, with or without `pg_catalog`.
fn custom(name: &sqlparser::ast::ObjectName, modifiers: &[String]) -> Result<Target, RewriteError> {
    let quoted =
        name.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| ident.quote_style.is_some());
    let Some(parts) = super::relations::parts(name) else { return Ok(Target::Other) };
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name.as_str()),
        [schema, name] => (Some(schema.as_str()), name.as_str()),
        _ => return Ok(Target::Other),
    };
    if schema == Some("information_schema") {
        return Ok(match name {
            "cardinal_number" => Target::Type(DataType::Integer(None)),
            "character_data" | "sql_identifier" | "yes_or_no" => Target::Text,
            _ => Target::Other,
        });
    }
    if schema.is_some_and(|schema| schema != "pg_catalog") {
        return Ok(Target::Other);
    }
    let number = |index: usize| modifiers.get(index).and_then(|modifier| modifier.parse::<u64>().ok());
    let length = number(0).map(|length| CharacterLength::IntegerLength { length, unit: None });
    let with_zone = |zone| Target::Type(DataType::Timestamp(number(0), zone));
    Ok(match name {
        "regclass" => Target::Call("__regclass_in"),
        "regtype" => Target::Call("__regtype_in"),
        "regproc" | "regprocedure" => Target::Call("__regproc_in"),
        "regnamespace" => Target::Call("__regnamespace_in"),
        "regrole" => Target::Call("__regrole_in"),
        "regoper" | "regoperator" | "regconfig" | "regdictionary" | "regcollation" => {
            return Err(RewriteError::unsupported(format!("type {name}")));
        }
        "oid" | "xid" | "cid" => Target::Call("__oid"),
        "name" => Target::Call("__name"),
        // Quoted, or under its catalogue's name, it is the one-byte type; else the padded one.
        "char" if quoted || schema.is_some() => Target::Call("__char"),
        "int2vector" => Target::Vector(DataType::SmallInt(None)),
        "oidvector" => Target::Vector(DataType::IntUnsigned(None)),
        "text" | "json" | "jsonb" | "aclitem" | "pg_node_tree" | "inet" | "cstring" | "xid8" => Target::Text,
        "varchar" => length.map_or(Target::Text, |length| Target::Type(DataType::Varchar(Some(length)))),
        "bpchar" => Target::Type(DataType::Char(length)),
        "bool" => Target::Type(DataType::Boolean),
        "int2" => Target::Type(DataType::SmallInt(None)),
        "int4" | "int" | "integer" => Target::Type(DataType::Integer(None)),
        "int8" | "bigint" => Target::Type(DataType::BigInt(None)),
        "float4" => Target::Type(DataType::Real),
        "float8" => Target::Type(DataType::DoublePrecision),
        "numeric" => Target::Type(DataType::Numeric(match (number(0), number(1)) {
            (Some(precision), Some(scale)) => {
                ExactNumberInfo::PrecisionAndScale(precision, i64::try_from(scale).unwrap_or(0))
            }
            (Some(precision), None) => ExactNumberInfo::Precision(precision),
            _ => ExactNumberInfo::None,
        })),
        "date" => Target::Type(DataType::Date),
        "time" => Target::Type(DataType::Time(None, TimezoneInfo::None)),
        "timestamp" => with_zone(TimezoneInfo::None),
        "timestamptz" => with_zone(TimezoneInfo::WithTimeZone),
        "interval" => Target::Type(DataType::Interval { fields: None, precision: None }),
        "bytea" => Target::Type(DataType::Bytea),
        _ => Target::Other,
    })
}

/// What the statement itself shows of an oid with a name is the name.
pub(super) fn show_names(statement: &mut Statement) {
    match statement {
        Statement::Query(query) => show_in(&mut query.body),
        Statement::Explain { statement, .. } => show_names(statement),
        _ => {}
    }
}

fn show_in(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                    name_of(expr);
                }
            }
        }
        SetExpr::Query(query) => show_in(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            show_in(left);
            show_in(right);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_the_functions_that_read_names_are_taken_for_them() {
        assert!(super::is_reg_in("__regclass_in"));
        assert!(!super::is_reg_in("__regclass_out"));
        assert!(!super::is_reg_in("regexp_instr_in"));
    }
}
