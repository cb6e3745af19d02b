//! Text, sizes and JSON.

use datafusion::common::Result;

use super::super::cells::Cell;
use super::super::error::RewriteError;
use super::super::types::oid as types;
use super::{Definition, Environment, Kind, lenient, number, strict, text, variadic};
use crate::error::SqlState;

const TEXT: &[Kind] = &[Kind::Text];

pub(super) const DEFINITIONS: &[Definition] = &[
    strict("quote_literal", TEXT, 1, types::TEXT, |_, args| Ok(text(args.first()).map(quote_literal).into())),
    lenient("quote_nullable", TEXT, 1, types::TEXT, |_, args| {
        Ok(text(args.first()).map_or_else(|| "NULL".to_string(), quote_literal).into())
    }),
    strict("pg_size_pretty", &[Kind::Number], 1, types::TEXT, |_, args| {
        Ok(number(args.first()).map(size).into())
    }),
    variadic("format", &[Kind::Text, Kind::Any], types::TEXT, format),
    variadic("json_build_object", &[Kind::Any], types::JSON, json_object),
    variadic("jsonb_build_object", &[Kind::Any], types::JSON, json_object),
    // The first byte, which is what the one-byte type keeps.
    strict("__char", TEXT, 1, types::CHAR, |_, args| {
        Ok(text(args.first()).map(|text| text.chars().next().map(String::from).unwrap_or_default()).into())
    }),
    strict("__name", TEXT, 1, types::NAME, |_, args| {
        // Names end after 63 bytes, at a whole letter.
        Ok(text(args.first()).map(|text| text[..text.floor_char_boundary(63)].to_string()).into())
    }),
    strict("__like_pattern", &[Kind::Text, Kind::Text], 2, types::TEXT, |_, args| {
        let escape = text(args.get(1)).and_then(|escape| escape.chars().next());
        Ok(text(args.first()).map(|pattern| like_pattern(pattern, escape)).into())
    }),
];

/// A LIKE pattern with an escape of its own (or none), respelled with backslashes.
pub(in crate::pg_catalog) fn like_pattern(pattern: &str, escape: Option<char>) -> String {
    let mut respelled = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == escape => match letters.next() {
                Some(kept @ ('%' | '_' | '\\')) => respelled.extend(['\\', kept]),
                Some(kept) => respelled.push(kept),
                None => respelled.push(letter),
            },
            '\\' => respelled.push_str("\\\\"),
            letter => respelled.push(letter),
        }
    }
    respelled
}

fn quote_literal(text: &str) -> String {
    let quoted = format!("'{}'", text.replace('\'', "''"));
    if text.contains('\\') { format!("E{}", quoted.replace('\\', "\\\\")) } else { quoted }
}

/// Bytes in the largest unit of which there are at least ten.
fn size(bytes: i64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value.abs() >= 10_240.0 - 0.5 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", value.round() as i64, units.get(unit).copied().unwrap_or("bytes"))
}

fn display(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Bool(value) => if *value { "t" } else { "f" }.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::List(items) => format!("{{{}}}", items.iter().map(display).collect::<Vec<_>>().join(",")),
    }
}

/// PostgreSQL's `format`: `%s`, `%I`, `%L`, `%%`, with `n$` positions.
fn format(_: &Environment, args: &[Cell]) -> Result<Cell> {
    let Some(pattern) = text(args.first()) else { return Ok(Cell::Null) };
    let invalid =
        || RewriteError::new(SqlState::InvalidParameterValue, "unrecognized format() type specifier");
    let mut result = String::new();
    let mut letters = pattern.chars().peekable();
    let mut next = 1;
    while let Some(letter) = letters.next() {
        if letter != '%' {
            result.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            result.push('%');
            continue;
        }
        let mut position = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            position.push(digit);
        }
        if !position.is_empty() {
            if letters.next_if_eq(&'$').is_none() {
                return Err(invalid().into());
            }
            next = position.parse().map_err(|_| invalid())?;
        }
        let Some(argument) = args.get(next) else {
            return Err(
                RewriteError::new(SqlState::InvalidParameterValue, "too few arguments for format()").into()
            );
        };
        next += 1;
        match (letters.next(), argument) {
            (Some('s'), argument) => result.push_str(&display(argument)),
            (Some('I'), Cell::Null) => {
                return Err(RewriteError::new(
                    SqlState::InvalidParameterValue,
                    "null values cannot be formatted as an SQL identifier",
                )
                .into());
            }
            (Some('I'), argument) => result.push_str(&super::names::quote_ident(&display(argument))),
            (Some('L'), Cell::Null) => result.push_str("NULL"),
            (Some('L'), argument) => result.push_str(&quote_literal(&display(argument))),
            _ => return Err(invalid().into()),
        }
    }
    Ok(result.into())
}

fn json(cell: &Cell) -> String {
    match cell {
        Cell::Null => "null".to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        Cell::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
    }
}

fn json_object(_: &Environment, args: &[Cell]) -> Result<Cell> {
    let invalid = |text: &str| RewriteError::new(SqlState::InvalidParameterValue, text.to_string());
    if !args.len().is_multiple_of(2) {
        return Err(invalid("argument list must have even number of elements").into());
    }
    let mut pairs = Vec::new();
    for pair in args.chunks_exact(2) {
        if let [key, value] = pair {
            if *key == Cell::Null {
                return Err(invalid("null value not allowed for object key").into());
            }
            pairs.push(format!("{} : {}", json(&Cell::Text(display(key))), json(value)));
        }
    }
    Ok(format!("{{{}}}", pairs.join(", ")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_postgresql_writes_them() {
        // SELECT pg_size_pretty(n) on PostgreSQL 15.
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(10_239), "10239 bytes");
        assert_eq!(size(10_240), "10 kB");
        assert_eq!(size(123_456_789), "118 MB");
        assert_eq!(size(-20_480), "-20 kB");
    }

    #[test]
    fn literals_are_quoted() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
    }
}
