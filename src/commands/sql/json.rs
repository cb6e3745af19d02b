//! One JSON object per row, typed by the result's columns.

use std::collections::HashSet;

use serde::de::IgnoredAny;
use tokio_postgres::types::{Kind, Type};

use super::run::{Column, Rows};

/// JSON lines.
#[derive(Debug, Default)]
pub(super) struct Json {
    /// `"name":` of every column, and its type.
    columns: Vec<(String, Option<Type>)>,
}

impl Rows for Json {
    fn begin(&mut self, columns: &[Column], _out: &mut Vec<u8>) {
        let mut taken: HashSet<String> = HashSet::new();
        self.columns = columns
            .iter()
            .map(|column| {
                // An object has each key once: a second `count` is `count_2`.
                let mut name = column.name.clone();
                let mut number = 2;
                while !taken.insert(name.clone()) {
                    name = format!("{}_{number}", column.name);
                    number += 1;
                }
                let mut key = quoted(&name);
                key.push(':');
                (key, column.kind.clone())
            })
            .collect();
    }

    fn row(&mut self, values: &[Option<&str>], out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, ((key, kind), value)) in self.columns.iter().zip(values).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(json(kind.as_ref(), *value).as_bytes());
        }
        out.extend_from_slice(b"}\n");
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn json(kind: Option<&Type>, value: Option<&str>) -> String {
    let Some(text) = value else { return "null".to_owned() };
    let Some(kind) = kind else { return quoted(text) };
    if let Kind::Array(element) = kind.kind() {
        return array(element, text).unwrap_or_else(|| quoted(text));
    }
    match *kind {
        Type::BOOL if text == "t" => "true".to_owned(),
        Type::BOOL if text == "f" => "false".to_owned(),
        // NaN and the infinities are no JSON numbers.
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC
            if is_number(text) =>
        {
            text.to_owned()
        }
        // Line feeds inside strings are escaped there, so those left are between tokens.
        Type::JSON | Type::JSONB if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            text.replace(['\n', '\r'], " ")
        }
        _ => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether the text is a JSON number as it stands; its digits are kept, all of them.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
        && text.ends_with(|c: char| c.is_ascii_digit())
}

/// PostgreSQL's text form of an array: `{1,NULL,"a,b",{…}}`.
fn array(element: &Type, text: &str) -> Option<String> {
    // Bounds other than 1 are written in front: `[0:1]={1,2}`.
    let text = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let mut parser = ArrayParser { rest: text, element };
    let json = parser.list(0)?;
    parser.rest.is_empty().then_some(json)
}

struct ArrayParser<'a> {
    rest: &'a str,
    element: &'a Type,
}

impl ArrayParser<'_> {
    fn list(&mut self, depth: usize) -> Option<String> {
        // PostgreSQL has no more dimensions.
        if depth > 6 {
            return None;
        }
        self.rest = self.rest.strip_prefix('{')?;
        let mut out = String::from("[");
        if let Some(rest) = self.rest.strip_prefix('}') {
            self.rest = rest;
            out.push(']');
            return Some(out);
        }
        loop {
            out.push_str(&self.item(depth)?);
            let delimiter = self.rest.chars().next()?;
            self.rest = &self.rest[delimiter.len_utf8()..];
            match delimiter {
                ',' => out.push(','),
                '}' => {
                    out.push(']');
                    return Some(out);
                }
                _ => return None,
            }
        }
    }

    fn item(&mut self, depth: usize) -> Option<String> {
        if self.rest.starts_with('{') {
            return self.list(depth + 1);
        }
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let mut value = String::new();
            let mut characters = quoted.char_indices();
            while let Some((at, character)) = characters.next() {
                match character {
                    '"' => {
                        self.rest = &quoted[at + 1..];
                        return Some(json(Some(self.element), Some(&value)));
                    }
                    '\\' => value.push(characters.next()?.1),
                    _ => value.push(character),
                }
            }
            return None;
        }
        let end = self.rest.find([',', '}'])?;
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        let value = (!value.eq_ignore_ascii_case("null")).then_some(value);
        Some(json(Some(self.element), value))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn one(kind: Type, text: &str) -> String {
        let json = json(Some(&kind), Some(text));
        assert!(serde_json::from_str::<IgnoredAny>(&json).is_ok(), "{json}");
        json
    }

    #[test]
    fn values_have_their_types() {
        assert_eq!(one(Type::BOOL, "t"), "true");
        assert_eq!(one(Type::BOOL, "f"), "false");
        assert_eq!(one(Type::INT8, "-9223372036854775808"), "-9223372036854775808");
        assert_eq!(one(Type::FLOAT8, "1e+20"), "1e+20");
        assert_eq!(one(Type::FLOAT8, "NaN"), "\"NaN\"");
        assert_eq!(one(Type::FLOAT4, "-Infinity"), "\"-Infinity\"");
        let exact = "12345678901234567890.123456789012345678900";
        assert_eq!(one(Type::NUMERIC, exact), exact);
        assert_eq!(one(Type::TEXT, "1"), "\"1\"");
        assert_eq!(one(Type::TEXT, "a\"\n\u{1}é"), "\"a\\\"\\n\\u0001é\"");
        assert_eq!(one(Type::DATE, "2026-01-31"), "\"2026-01-31\"");
        assert_eq!(one(Type::BYTEA, "\\x00ff"), "\"\\\\x00ff\"");
        assert_eq!(one(Type::JSON, "{\"b\": 1,\n \"a\": \"x\\ny\"}"), "{\"b\": 1,  \"a\": \"x\\ny\"}");
        assert_eq!(one(Type::JSONB, "not json"), "\"not json\"");
        assert_eq!(json(None, Some("1")), "\"1\"");
        assert_eq!(json(Some(&Type::INT4), None), "null");
    }

    #[test]
    fn arrays_become_arrays() {
        assert_eq!(one(Type::INT4_ARRAY, "{1,NULL,-3}"), "[1,null,-3]");
        assert_eq!(one(Type::INT4_ARRAY, "{{1,2},{3,4}}"), "[[1,2],[3,4]]");
        assert_eq!(one(Type::INT4_ARRAY, "[0:1]={1,2}"), "[1,2]");
        assert_eq!(one(Type::TEXT_ARRAY, "{}"), "[]");
        assert_eq!(
            one(Type::TEXT_ARRAY, "{a,\"b,}\",\"NULL\",NULL,\"\",\"q\\\"\\\\\"}"),
            "[\"a\",\"b,}\",\"NULL\",null,\"\",\"q\\\"\\\\\"]"
        );
        assert_eq!(one(Type::BOOL_ARRAY, "{t,f}"), "[true,false]");
        for broken in ["{1", "1}", "{1}}", "{\"a", "{1;2}x"] {
            assert_eq!(one(Type::TEXT_ARRAY, broken), quoted(broken), "{broken}");
        }
    }

    #[test]
    fn every_key_is_there_once() {
        let mut out = Vec::new();
        let mut lines = Json::default();
        let column = |name: &str| Column { name: name.to_owned(), kind: Some(Type::INT8) };
        lines.begin(&[column("count"), column("count"), column("count_2")], &mut out);
        lines.row(&[Some("1"), None, Some("3")], &mut out);
        lines.end(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "{\"count\":1,\"count_2\":null,\"count_2_2\":3}\n");
    }
}
