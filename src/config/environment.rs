//! `LAKEWARD_SECTION__KEY` variables: the same settings, checked as strictly as the file.

use std::path::Path;
use std::sync::Arc;

use lakeward_policy::document::{Diagnostic, Diagnostics};

use super::node::{self, Content, Entry, Node, Origin};
use super::setting::{Key, Shape, nearest};

const PREFIX: &str = "LAKEWARD_";

/// Puts the overrides among `variables` into `root`; complains about those that are no setting.
///
/// Variables without a double underscore are left alone unless they name a setting at the top:
/// `LAKEWARD_CONFIG` and the like belong to commands.
pub(super) fn apply(
    root: &mut Node,
    keys: &'static [Key],
    file: &Arc<Path>,
    variables: impl Iterator<Item = (String, String)>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    // The environment has no order; complaints and overrides should have one.
    variables.sort();
    for (name, value) in variables {
        let segments: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        let origin = Origin::variable(&name);
        match find(keys, &segments) {
            Some(shape) => match value_node(shape, &value, file, &origin) {
                Ok(node) => put(root, &segments, node),
                Err(Diagnostics(found)) => problems.extend(found),
            },
            None if segments.len() == 1 => {}
            None => {
                let names = names(keys);
                let message = match nearest(&name, names.iter().map(String::as_str)) {
                    Some(near) => format!("not a setting; did you mean {near}?"),
                    None => "not a setting; `lakeward config reference` lists them".to_owned(),
                };
                problems.push(origin.complain(message));
            }
        }
    }
    problems
}

/// The variable of every setting that has one of its own.
fn names(keys: &'static [Key]) -> Vec<String> {
    let mut names = Vec::new();
    for key in keys {
        let name = format!("{PREFIX}{}", key.name.to_ascii_uppercase());
        match (key.shape)() {
            Shape::Section(inner) => {
                let prefix = format!("{name}__");
                names.extend(self::names(inner).into_iter().map(|inner| inner.replacen(PREFIX, &prefix, 1)));
            }
            _ => names.push(name),
        }
    }
    names
}

/// The shape of the setting at `segments`; None where there is none, or only a section.
fn find(keys: &'static [Key], segments: &[String]) -> Option<Shape> {
    let (first, mut rest) = segments.split_first()?;
    let mut shape = (keys.iter().find(|key| key.name == first)?.shape)();
    loop {
        match (shape, rest) {
            (Shape::Section(inner), rest) => return find(inner, rest),
            (shape, []) => return Some(shape),
            (Shape::Map(inner), [_, tail @ ..]) => {
                shape = inner();
                rest = tail;
            }
            (Shape::Scalar | Shape::List, _) => return None,
        }
    }
}

/// Scalars are taken as they are (a path may hold any character); lists and maps are YAML.
fn value_node(shape: Shape, value: &str, file: &Arc<Path>, origin: &Origin) -> Result<Node, Diagnostics> {
    match shape {
        Shape::Scalar => Ok(Node::plain(value, origin.clone())),
        Shape::List | Shape::Map(_) | Shape::Section(_) => node::compose(value, file, Some(origin)),
    }
}

fn put(node: &mut Node, segments: &[String], value: Node) {
    let Some((first, rest)) = segments.split_first() else {
        *node = value;
        return;
    };
    if matches!(node.content, Content::Null) {
        node.content = Content::Map(Vec::new());
    }
    // A list or text where a section belongs stays, and is complained about when it is read.
    let Content::Map(entries) = &mut node.content else { return };
    let index = match entries.iter().position(|entry| entry.key == *first) {
        Some(index) => index,
        None => {
            let origin = value.origin.clone();
            let empty = Node { origin: origin.clone(), content: Content::Null };
            entries.push(Entry { key: first.clone(), origin, value: empty });
            entries.len() - 1
        }
    };
    if let Some(entry) = entries.get_mut(index) {
        put(&mut entry.value, rest, value);
    }
}
