//! YAML as a tree that remembers where everything stands.
//!
//! Settings are read from this tree instead of through serde, so that a file with five mistakes
//! gets five complaints, each with line and column.

use std::path::Path;
use std::sync::Arc;

use lakeward_policy::document::{Diagnostic, Diagnostics};
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span};

/// Deeper nesting than any setting has; keeps composition off the end of the stack.
const MAX_DEPTH: usize = 32;

/// Where a value was written: a place in a file, or an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    source: Arc<Path>,
    line: usize,
    column: usize,
}

impl Origin {
    /// A place in `file`; line and column from 1.
    #[must_use]
    pub fn new(file: &Arc<Path>, line: usize, column: usize) -> Self {
        Self { source: Arc::clone(file), line, column }
    }

    /// The environment variable `name`.
    #[must_use]
    pub fn variable(name: &str) -> Self {
        Self { source: Arc::from(Path::new(name)), line: 0, column: 0 }
    }

    /// A complaint about what stands here.
    #[must_use]
    pub fn complain(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            file: self.source.to_path_buf(),
            line: self.line,
            column: self.column,
            message: message.into(),
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it starts.
    pub(crate) origin: Origin,
    /// What it is.
    pub(crate) content: Content,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Nothing: an empty value, `null` or `~`.
    Null,
    /// Text. `plain` where it was written without quotes and so may be a number or a truth value.
    Scalar {
        /// The text, escapes resolved.
        text: String,
        /// Written without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// Key and value pairs in file order, keys unique.
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) origin: Origin,
    /// Its value.
    pub(crate) value: Node,
}

impl Node {
    /// An unquoted scalar, as environment variables give it; empty text is null.
    #[must_use]
    pub(crate) fn plain(text: &str, origin: Origin) -> Self {
        let content = if is_null(text) {
            Content::Null
        } else {
            Content::Scalar { text: text.to_owned(), plain: true }
        };
        Self { origin, content }
    }

    /// What a complaint calls this value.
    #[must_use]
    pub(crate) fn describe(&self) -> String {
        match &self.content {
            Content::Null => "nothing".to_owned(),
            Content::Scalar { text, .. } => format!("`{text}`"),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map of keys".to_owned(),
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Composes the one document in `text`. An empty file is an empty map.
///
/// Every value's origin is in `file`, unless `fixed` says that all of it comes from one place
/// (an environment variable, a built-in default).
pub(crate) fn compose(text: &str, file: &Arc<Path>, fixed: Option<&Origin>) -> Result<Node, Diagnostics> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut composer = Composer {
        events: Parser::new_from_str_with_options(text, options),
        file,
        fixed,
        problems: Vec::new(),
    };
    match composer.document() {
        Ok(node) if composer.problems.is_empty() => Ok(node),
        Ok(_) => Err(Diagnostics(composer.problems)),
        Err(fatal) => {
            composer.problems.push(fatal);
            Err(Diagnostics(composer.problems))
        }
    }
}

struct Composer<'a, P> {
    events: P,
    file: &'a Arc<Path>,
    fixed: Option<&'a Origin>,
    problems: Vec<Diagnostic>,
}

type ParserItem<'a> = Result<(Event<'a>, Span), serde_saphyr::granit_parser::ScanError>;

impl<'a, P: Iterator<Item = ParserItem<'a>>> Composer<'a, P> {
    fn origin(&self, span: Span) -> Origin {
        self.fixed.cloned().unwrap_or_else(|| Origin::new(self.file, span.start.line(), span.start.col() + 1))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let mark = error.marker();
                let origin = self
                    .fixed
                    .cloned()
                    .unwrap_or_else(|| Origin::new(self.file, mark.line(), mark.col() + 1));
                Err(origin.complain(format!("not valid YAML: {}", error.info())))
            }
            None => Err(Origin::new(self.file, 0, 0).complain("not valid YAML: the file ends too early")),
        }
    }

    fn document(&mut self) -> Result<Node, Diagnostic> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                Event::DocumentStart(..) => {
                    if root.is_some() {
                        return Err(self
                            .origin(span)
                            .complain("expected one YAML document, found a second one"));
                    }
                    let (first, first_span) = self.next()?;
                    root = Some(self.node(first, first_span, 0)?);
                }
                _ => {}
            }
        }
        Ok(root.unwrap_or_else(|| Node {
            origin: self.fixed.cloned().unwrap_or_else(|| Origin::new(self.file, 1, 1)),
            content: Content::Null,
        }))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        let origin = self.origin(span);
        if depth > MAX_DEPTH {
            return Err(origin.complain("nested too deeply"));
        }
        let (content, tag) = match event {
            Event::Scalar(text, style, _, tag) => {
                let plain = style == ScalarStyle::Plain;
                let content = if plain && is_null(&text) {
                    Content::Null
                } else {
                    Content::Scalar { text: text.into_owned(), plain }
                };
                (content, tag)
            }
            Event::SequenceStart(_, _, tag) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    items.push(self.node(event, span, depth + 1)?);
                }
                (Content::List(items), tag)
            }
            Event::MappingStart(_, _, tag) => (Content::Map(self.entries(depth)?), tag),
            Event::Alias(_) => return Err(origin.complain("YAML aliases (`*name`) are not supported here")),
            _ => return Err(origin.complain("expected a value")),
        };
        if tag.is_some() {
            self.problems.push(origin.complain("YAML tags (`!name`) are not supported here"));
        }
        Ok(Node { origin, content })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Diagnostic> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let origin = self.origin(span);
            let Event::Scalar(key, ..) = event else {
                return Err(origin.complain("expected a key: one word before a colon"));
            };
            let key = key.into_owned();
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let line = first.origin.line;
                let place = if line > 0 { format!(", first given in line {line}") } else { String::new() };
                self.problems.push(origin.complain(format!("duplicate key `{key}`{place}")));
                continue;
            }
            entries.push(Entry { key, origin, value });
        }
    }
}
