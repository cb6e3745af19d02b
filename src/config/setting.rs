//! How a setting is declared, and how it is read from the file.
//!
//! [`settings!`] declares a section once: each key's type, default and documentation. From that one
//! declaration come the struct, the reader, the names of the environment variables and the text
//! of `lakeward config reference`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lakeward_policy::document::{Diagnostic, Diagnostics};

use super::node::{self, Content, Entry, Node, Origin};

/// A key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    /// Name in the file.
    pub(crate) name: &'static str,
    /// What it does, one string per line.
    pub(crate) doc: &'static [&'static str],
    /// What holds when the key is absent.
    pub(crate) presence: Presence,
    /// What its value looks like.
    pub(crate) shape: fn() -> Shape,
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Presence {
    /// This YAML text is used.
    Default(&'static str),
    /// The file is refused; the text is an example.
    Required(&'static str),
    /// The setting is off; the text is an example.
    Optional(&'static str),
    /// A section: its keys have presences of their own.
    Section,
    /// A section that may be absent as a whole.
    OptionalSection,
}

/// What a value looks like, as far as environment variables and the reference need to know.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// One word, number or text.
    Scalar,
    /// A list.
    List,
    /// Free names with values of one shape.
    Map(fn() -> Shape),
    /// Fixed keys.
    Section(&'static [Key]),
}

/// A type that can be read from the file.
pub(crate) trait Setting: Sized {
    /// What its values look like.
    fn shape() -> Shape;

    /// Reads a value; where it cannot, complains to `reader` and returns None.
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;
}

/// Collects complaints while a file is read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    /// The configuration file.
    file: &'a Arc<Path>,
    /// Keys from the root to what is being read.
    path: Vec<String>,
    problems: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    /// A reader of `file`.
    #[must_use]
    pub(crate) fn new(file: &'a Arc<Path>) -> Self {
        Self { file, path: Vec::new(), problems: Vec::new() }
    }

    /// The directory that relative paths start from.
    #[must_use]
    pub(crate) fn base(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The result, or everything that was wrong.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Diagnostics> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ if self.problems.is_empty() => {
                Err(Diagnostics::file(self.file.to_path_buf(), "cannot be read"))
            }
            _ => Err(Diagnostics(self.problems)),
        }
    }

    /// Complains at `origin`, naming the key being read.
    pub(crate) fn complain(&mut self, origin: &Origin, message: impl std::fmt::Display) {
        let message = if self.path.is_empty() {
            message.to_string()
        } else {
            format!("`{}`: {message}", self.path.join("."))
        };
        self.problems.push(origin.complain(message));
    }

    /// Complains that `node` is not what was expected.
    pub(crate) fn expected<T>(&mut self, node: &Node, what: impl std::fmt::Display) -> Option<T> {
        self.complain(&node.origin, format!("expected {what}, found {}", node.describe()));
        None
    }

    /// The text of a scalar, quoted or not.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, what: impl std::fmt::Display) -> Option<&'n str> {
        match &node.content {
            Content::Scalar { text, .. } => Some(text),
            _ => self.expected(node, what),
        }
    }

    /// The entries of a section, after complaining about unknown keys.
    pub(crate) fn section<'n>(&mut self, node: &'n Node, keys: &[Key]) -> Option<&'n [Entry]> {
        let entries: &[Entry] = match &node.content {
            Content::Map(entries) => entries,
            Content::Null => &[],
            _ => {
                let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                return self.expected(node, format!("a map with the keys {}", names.join(", ")));
            }
        };
        for entry in entries {
            if !keys.iter().any(|key| key.name == entry.key) {
                let hint = match nearest(&entry.key, keys.iter().map(|key| key.name)) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => {
                        let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                        format!("expected one of {}", names.join(", "))
                    }
                };
                self.complain(&entry.origin, format!("unknown key `{}`; {hint}", entry.key));
            }
        }
        Some(entries)
    }

    /// Reads one key of a section, or what holds in its absence.
    pub(crate) fn key<T: Setting>(&mut self, entries: &[Entry], section: &Node, key: &Key) -> Option<T> {
        self.path.push(key.name.to_owned());
        let value = match entries.iter().find(|entry| entry.key == key.name) {
            Some(entry) => T::read(&entry.value, self),
            None => self.absent(section, key),
        };
        self.path.pop();
        value
    }

    fn absent<T: Setting>(&mut self, section: &Node, key: &Key) -> Option<T> {
        match key.presence {
            Presence::Default(text) => {
                match node::compose(text, self.file, Some(&Origin::new(self.file, 0, 0))) {
                    Ok(node) => T::read(&node, self),
                    Err(Diagnostics(problems)) => {
                        self.problems.extend(problems);
                        None
                    }
                }
            }
            Presence::Required(example) => {
                let example = example.lines().next().unwrap_or_default();
                self.complain(
                    &section.origin,
                    format!("missing; expected for example `{}: {example}`", key.name),
                );
                None
            }
            Presence::Optional(_) | Presence::OptionalSection | Presence::Section => {
                T::read(&Node { origin: section.origin.clone(), content: Content::Null }, self)
            }
        }
    }

    fn within<T>(&mut self, name: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name);
        let value = read(self);
        self.path.pop();
        value
    }
}

/// The candidate that was probably meant, if any is close.
pub(crate) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

impl<T: Setting> Setting for Option<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.content {
            Content::Null => Some(None),
            _ => T::read(node, reader).map(Some),
        }
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn shape() -> Shape {
        Shape::List
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::List(items) = &node.content else {
            return reader.expected(node, "a list");
        };
        // Every item is read before the first failure counts, so that all are complained about.
        let values: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| reader.within(format!("{index}"), |reader| T::read(item, reader)))
            .collect();
        values.into_iter().collect()
    }
}

impl<T: Setting> Setting for BTreeMap<String, T> {
    fn shape() -> Shape {
        Shape::Map(T::shape)
    }

    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            return reader.expected(node, "a map of names and values");
        };
        let values: Vec<Option<(String, T)>> = entries
            .iter()
            .map(|entry| {
                reader.within(entry.key.clone(), |reader| {
                    T::read(&entry.value, reader).map(|value| (entry.key.clone(), value))
                })
            })
            .collect();
        values.into_iter().collect()
    }
}

/// Declares a section: a struct, its reader and its documentation in one.
///
/// Each key is `/// doc`, `name: Type = presence text;` where presence is
/// `default "yaml"`, `required "example"`, `optional "example"` (an `Option`), `section` or
/// `optional_section` (an `Option`).
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $section:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $ty:ty = $presence:ident $($text:literal)?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $section {
            $( $(#[doc = $doc])+ pub $name: $ty, )*
        }

        impl $section {
            /// The keys of this section, in the order of the reference.
            pub(crate) const KEYS: &'static [$crate::config::setting::Key] = &[
                $( $crate::config::setting::Key {
                    name: stringify!($name),
                    doc: &[$($doc),+],
                    presence: $crate::config::setting::settings!(@presence $presence $($text)?),
                    shape: <$ty as $crate::config::setting::Setting>::shape,
                }, )*
            ];
        }

        impl $crate::config::setting::Setting for $section {
            fn shape() -> $crate::config::setting::Shape {
                $crate::config::setting::Shape::Section(Self::KEYS)
            }

            fn read(
                node: &$crate::config::node::Node,
                reader: &mut $crate::config::setting::Reader<'_>,
            ) -> Option<Self> {
                let entries = reader.section(node, Self::KEYS)?;
                let mut keys = Self::KEYS.iter();
                $( let $name: Option<$ty> = keys.next().and_then(|key| reader.key(entries, node, key)); )*
                Some(Self { $( $name: $name?, )* })
            }
        }
    };
    (@presence default $text:literal) => { $crate::config::setting::Presence::Default($text) };
    (@presence required $text:literal) => { $crate::config::setting::Presence::Required($text) };
    (@presence optional $text:literal) => { $crate::config::setting::Presence::Optional($text) };
    (@presence section) => { $crate::config::setting::Presence::Section };
    (@presence optional_section) => { $crate::config::setting::Presence::OptionalSection };
}

pub(crate) use settings;
