//! The words of a message, each with its place.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{QueryError, SqlState};

/// Words without which a message holds no statement of ours: most are told by a look.
const MARKS: [&str; 5] = ["polic", "grant", "deny", "revoke", "masking"];

/// A token that is no space, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) token: Token,
    /// Bytes from the start of the message.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// One statement of a message.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    /// The message.
    pub(super) message: &'a str,
    pub(super) tokens: Vec<Located>,
    /// Bytes of the message that are this statement.
    range: std::ops::Range<usize>,
}

impl<'a> Piece<'a> {
    /// The statement as it was written.
    pub(crate) fn text(&self) -> &'a str {
        self.message.get(self.range.clone()).unwrap_or_default().trim()
    }

    /// Whether it is a statement about policies, by its first words.
    pub(crate) fn is_about_policies(&self) -> bool {
        let mut words = self.words();
        match words.next().as_deref() {
            Some("GRANT" | "DENY" | "REVOKE") => true,
            Some("SHOW") => words.next().as_deref() == Some("POLICIES"),
            Some("EXPLAIN") => words.next().as_deref() == Some("POLICY"),
            Some("CREATE" | "ALTER" | "DROP") => {
                let mut next = words.next();
                if next.as_deref() == Some("OR") && words.next().as_deref() == Some("REPLACE") {
                    next = words.next();
                }
                match next.as_deref() {
                    Some("POLICY") => true,
                    Some("ROW" | "MASKING") => words.next().as_deref() == Some("POLICY"),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn words(&self) -> impl Iterator<Item = String> + '_ {
        self.tokens.iter().map_while(|located| match &located.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
            _ => None,
        })
    }

    /// An error of this statement alone as one of the message.
    pub(crate) fn placed(&self, mut error: QueryError) -> QueryError {
        let statement = self.message.get(self.range.clone()).unwrap_or_default();
        let start = self.range.start + (statement.len() - statement.trim_start().len());
        let before = self.message.get(..start).map_or(0, |before| before.chars().count());
        error.position = error.position.map(|position| position + before);
        error
    }

    /// A syntax error at a byte of the message.
    pub(super) fn error_at(&self, place: Option<&Located>, form: &str) -> QueryError {
        let message = match place.and_then(|at| self.message.get(at.start..at.end)) {
            Some(found) => format!("syntax error at or near \"{found}\""),
            None => "syntax error at end of input".to_owned(),
        };
        let mut error =
            QueryError::new(SqlState::SyntaxError, message).with_hint(format!("The form is: {form}"));
        let byte = place.map_or(self.range.end, |at| at.start);
        error.position = self.message.get(..byte).map(|before| before.chars().count() + 1);
        error
    }
}

/// The statements of a message that holds one about policies; None: it holds none, or is no SQL.
pub(crate) fn pieces(message: &str) -> Option<Vec<Piece<'_>>> {
    let lower = message.to_ascii_lowercase();
    if !MARKS.iter().any(|mark| lower.contains(mark)) {
        return None;
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, message).tokenize_with_location().ok()?;
    let mut places = Places { message, line: 1, column: 1, byte: 0 };
    let starts: Vec<usize> = tokens
        .iter()
        .map(|token| places.byte_of(token.span.start.line, token.span.start.column))
        .collect::<Option<_>>()?;
    let mut pieces = vec![Piece { message, tokens: Vec::new(), range: 0..message.len() }];
    for (index, token) in tokens.into_iter().enumerate() {
        let (start, end) = (starts[index], starts.get(index + 1).copied().unwrap_or(message.len()));
        let Some(piece) = pieces.last_mut() else { continue };
        match token.token {
            Token::EOF | Token::Whitespace(_) => {}
            Token::SemiColon => {
                piece.range.end = start;
                pieces.push(Piece { message, tokens: Vec::new(), range: end..message.len() });
            }
            token => piece.tokens.push(Located { token, start, end }),
        }
    }
    pieces.retain(|piece| !piece.tokens.is_empty());
    pieces.iter().any(Piece::is_about_policies).then_some(pieces)
}

/// From lines and columns, which only grow, to bytes.
struct Places<'a> {
    message: &'a str,
    line: u64,
    column: u64,
    byte: usize,
}

impl Places<'_> {
    fn byte_of(&mut self, line: u64, column: u64) -> Option<usize> {
        let rest = self.message.get(self.byte..)?;
        for (offset, c) in rest.char_indices() {
            if (self.line, self.column) == (line, column) {
                self.byte += offset;
                return Some(self.byte);
            }
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.byte = self.message.len();
        Some(self.byte)
    }
}
