//! Statements out of text, as PostgreSQL's lexer sees their ends.

/// Takes text piece by piece and gives statements as soon as their semicolon came.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    text: String,
    /// Everything before was looked at.
    seen: usize,
    state: State,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    /// '…'; with backslash escapes after E.
    Text { escapes: bool },
    /// "…"
    Name,
    /// -- …
    LineComment,
    /// /* … */, nested.
    BlockComment(usize),
    /// $tag$ … $tag$
    Dollar(String),
}

impl Splitter {
    /// Adds text; gives the statements that it completes, without their semicolons.
    pub(super) fn push(&mut self, piece: &str) -> Vec<String> {
        self.text.push_str(piece);
        let mut done = Vec::new();
        while let Some(end) = self.scan() {
            let rest = self.text.split_off(end + 1);
            self.text.pop();
            let statement = std::mem::replace(&mut self.text, rest);
            self.seen = 0;
            if !is_blank(&statement) {
                done.push(statement.trim().to_owned());
            }
        }
        done
    }

    /// What is left when the text ends.
    pub(super) fn finish(self) -> Option<String> {
        (!is_blank(&self.text)).then(|| self.text.trim().to_owned())
    }

    /// Whether a statement was begun.
    pub(super) fn is_pending(&self) -> bool {
        self.state != State::Plain || !is_blank(&self.text)
    }

    /// Forgets what was begun.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Looks on to the next semicolon that ends a statement.
    fn scan(&mut self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = self.seen;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let mut step = 1;
            match &mut self.state {
                State::Plain => match rest[0] {
                    b';' => {
                        self.seen = at;
                        return Some(at);
                    }
                    b'\'' => self.state = State::Text { escapes: is_escape_prefix(bytes, at) },
                    b'"' => self.state = State::Name,
                    b'-' if rest.starts_with(b"--") => self.state = State::LineComment,
                    b'/' if rest.starts_with(b"/*") => {
                        self.state = State::BlockComment(1);
                        step = 2;
                    }
                    b'$' if !is_word(bytes, at) => {
                        if let Some(tag) = dollar_tag(rest) {
                            step = tag.len();
                            self.state = State::Dollar(tag);
                        }
                    }
                    _ => {}
                },
                // A doubled quote closes and opens again, which comes to the same.
                State::Text { escapes: true } if rest[0] == b'\\' => step = 2,
                State::Text { .. } if rest[0] == b'\'' => self.state = State::Plain,
                State::Name if rest[0] == b'"' => self.state = State::Plain,
                State::LineComment if rest[0] == b'\n' => self.state = State::Plain,
                State::BlockComment(depth) => {
                    if rest.starts_with(b"/*") {
                        *depth += 1;
                        step = 2;
                    } else if rest.starts_with(b"*/") {
                        *depth -= 1;
                        step = 2;
                        if *depth == 0 {
                            self.state = State::Plain;
                        }
                    }
                }
                State::Dollar(tag) if rest.starts_with(tag.as_bytes()) => {
                    step = tag.len();
                    self.state = State::Plain;
                }
                State::Text { .. } | State::Name | State::LineComment | State::Dollar(_) => {}
            }
            at += step;
        }
        self.seen = at.min(bytes.len());
        None
    }
}

/// Whether the quote at `at` belongs to a literal such as E'…'.
fn is_escape_prefix(bytes: &[u8], at: usize) -> bool {
    at > 0 && matches!(bytes[at - 1], b'e' | b'E') && !is_word(bytes, at - 1)
}

/// Whether the byte before `at` belongs to a word, so that what stands at `at` continues it.
fn is_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || matches!(bytes[at - 1], b'_' | b'$' | 0x80..))
}

/// `$tag$` at the beginning of `rest`; `$1` is a parameter.
fn dollar_tag(rest: &[u8]) -> Option<String> {
    let end = rest.iter().skip(1).position(|byte| *byte == b'$')? + 1;
    let tag = &rest[1..end];
    let is_tag = !tag.first().is_some_and(u8::is_ascii_digit)
        && tag.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | 0x80..));
    is_tag.then(|| String::from_utf8_lossy(&rest[..=end]).into_owned())
}

/// Whether there is nothing to run: white space and comments.
fn is_blank(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
        } else if rest.starts_with("/*") {
            let Some(end) = block_comment_end(rest) else { return false };
            rest = rest[end..].trim_start();
        } else {
            return rest.is_empty();
        }
    }
}

fn block_comment_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut statements = splitter.push(text);
        statements.extend(splitter.finish());
        // Any other cut of the text into pieces gives the same.
        let mut splitter = Splitter::default();
        let mut by_line: Vec<String> =
            text.split_inclusive('\n').flat_map(|line| splitter.push(line)).collect();
        by_line.extend(splitter.finish());
        assert_eq!(statements, by_line);
        statements
    }

    #[test]
    fn semicolons_end_statements_only_outside_quotes_and_comments() {
        assert_eq!(split("SELECT 1; SELECT 2"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(split("SELECT ';''; ' , \";\"\"\" ; x"), ["SELECT ';''; ' , \";\"\"\"", "x"]);
        assert_eq!(split("SELECT E'\\'; ' ; x"), ["SELECT E'\\'; '", "x"]);
        assert_eq!(split("SELECT type'\\' ; x"), ["SELECT type'\\'", "x"]);
        assert_eq!(split("SELECT 1 -- ; '\n + 1; x"), ["SELECT 1 -- ; '\n + 1", "x"]);
        assert_eq!(split("SELECT /* ; /* ' */ ; */ 1; x"), ["SELECT /* ; /* ' */ ; */ 1", "x"]);
        assert_eq!(split("SELECT $$;$$, $a$ $$;\n $a$; x"), ["SELECT $$;$$, $a$ $$;\n $a$", "x"]);
        assert_eq!(split("SELECT $1; SELECT a$b; x"), ["SELECT $1", "SELECT a$b", "x"]);
        assert_eq!(split("SELECT 'é;ü'; é$x;$x"), ["SELECT 'é;ü'", "é$x", "$x"]);
    }

    #[test]
    fn nothing_to_run_is_not_run() {
        assert!(split("  ;;\n -- only a comment\n; /* and /* another */ ; */ ;").is_empty());
        assert_eq!(split("-- before\nSELECT 1;"), ["-- before\nSELECT 1"]);
        assert_eq!(split("SELECT 'open"), ["SELECT 'open"]);
    }

    #[test]
    fn it_knows_when_a_statement_is_unfinished() {
        let mut splitter = Splitter::default();
        assert!(!splitter.is_pending());
        assert!(splitter.push("SELECT '\n").is_empty());
        assert!(splitter.is_pending());
        assert_eq!(splitter.push(";';\n"), ["SELECT '\n;'"]);
        assert!(!splitter.is_pending());
        splitter.push("SELECT (");
        splitter.clear();
        assert_eq!(splitter.push("SELECT 2;"), ["SELECT 2"]);
    }
}
