//! RFC 4180.

use super::run::{Column, Rows};

/// Comma-separated values with a header.
#[derive(Debug, Default)]
pub(super) struct Csv;

impl Rows for Csv {
    fn begin(&mut self, columns: &[Column], out: &mut Vec<u8>) {
        let names = columns.iter().map(|column| Some(column.name.as_str()));
        line(names, out);
    }

    fn row(&mut self, values: &[Option<&str>], out: &mut Vec<u8>) {
        line(values.iter().copied(), out);
    }

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

fn line<'a>(values: impl Iterator<Item = Option<&'a str>>, out: &mut Vec<u8>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match value {
            None => {}
            Some(text) if needs_quotes(text) => {
                out.push(b'"');
                out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                out.push(b'"');
            }
            Some(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
    out.push(b'\n');
}

/// An empty text is quoted, so that it is not taken for NULL.
fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.starts_with(' ') || text.ends_with(' ') || text.contains([',', '"', '\n', '\r'])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn values_survive() {
        let mut out = Vec::new();
        let mut csv = Csv;
        csv.begin(&[Column::untyped("a"), Column::untyped("b,c")], &mut out);
        csv.row(&[None, Some("")], &mut out);
        csv.row(&[Some("x\"y"), Some("1\n2")], &mut out);
        csv.row(&[Some("é"), Some(" pad")], &mut out);
        csv.end(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a,\"b,c\"\n,\"\"\n\"x\"\"y\",\"1\n2\"\né,\" pad\"\n");
    }
}
