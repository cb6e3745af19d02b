//! Object patterns: `schema.table`, each part a glob in which `*` stands for any run of characters.

use std::fmt;
use std::str::FromStr;

/// A `schema.table` pattern as grants, row filters and masks write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectPattern {
    schema: String,
    table: String,
}

impl ObjectPattern {
    /// Whether `schema`.`table` is meant.
    #[must_use]
    pub fn matches(&self, schema: &str, table: &str) -> bool {
        glob(&self.schema, schema) && glob(&self.table, table)
    }

    /// The one table this pattern can name, where it holds no `*`.
    #[must_use]
    pub fn exact(&self) -> Option<(&str, &str)> {
        let literal = !self.schema.contains('*') && !self.table.contains('*');
        literal.then_some((self.schema.as_str(), self.table.as_str()))
    }

    /// The schema this pattern is limited to, where that part holds no `*`.
    #[must_use]
    pub fn exact_schema(&self) -> Option<&str> {
        (!self.schema.contains('*')).then_some(self.schema.as_str())
    }
}

impl fmt::Display for ObjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

impl FromStr for ObjectPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            Some((schema, table)) if !schema.is_empty() && !table.is_empty() => {
                Ok(Self { schema: schema.to_owned(), table: table.to_owned() })
            }
            _ => Err(format!(
                "`{text}` is not an object pattern; expected `schema.table`, where `*` stands for any text"
            )),
        }
    }
}

/// Matches `text` against `pattern` in linear time in practice (one backtrack point, no recursion).
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            resume = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, matched)) = resume {
            p = star + 1;
            t = matched + 1;
            resume = Some((star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_like_a_shell() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "patients", true),
            ("pat*", "patients", true),
            ("*ts", "patients", true),
            ("p*t*s", "patients", true),
            ("p*x", "patients", false),
            ("patients", "patients", true),
            ("patients", "patients2", false),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "aXbYbZc", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} ~ {text}");
        }
    }

    #[test]
    fn a_pattern_needs_a_schema() {
        assert!("patients".parse::<ObjectPattern>().is_err());
        assert!(".patients".parse::<ObjectPattern>().is_err());
        assert!("silver.*".parse::<ObjectPattern>().is_ok_and(|p| p.matches("silver", "patients")));
    }
}
