//! The text of `lakeward config reference`: a loadable file that explains every setting.

use std::fmt::Write;

use super::keys::Config;
use super::setting::{Key, Presence, Shape};

const HEADER: &str = "\
# Lakeward: every setting with its default.
#
# Relative paths start where this file is. Each setting can also be given as an environment
# variable: LAKEWARD_SECTION__KEY, for example LAKEWARD_LISTEN__POSTGRES=127.0.0.1:5433.
# Settings without a default carry an example; optional ones without a value are commented out.
";

/// The reference, as YAML with comments.
#[must_use]
pub fn reference() -> String {
    let mut text = HEADER.to_owned();
    for key in Config::KEYS {
        text.push('\n');
        write_key(&mut text, key, 0, false);
    }
    text
}

fn write_key(text: &mut String, key: &Key, depth: usize, commented: bool) {
    let indent = "  ".repeat(depth);
    for line in key.doc {
        let _ = writeln!(text, "{indent}#{line}");
    }
    match key.presence {
        Presence::Required(_) => {
            let _ = writeln!(text, "{indent}# Required; this is an example.");
        }
        Presence::Optional(_) | Presence::OptionalSection => {
            let _ = writeln!(text, "{indent}# Optional, not set by default.");
        }
        Presence::Default(_) | Presence::Section => {}
    }
    let off = commented || matches!(key.presence, Presence::Optional(_) | Presence::OptionalSection);
    let mark = if off { "# " } else { "" };
    match key.presence {
        Presence::Default(value) | Presence::Required(value) | Presence::Optional(value) => {
            let _ = writeln!(text, "{indent}{mark}{}: {value}", key.name);
            if let Shape::Map(inner) = (key.shape)()
                && let Shape::Section(keys) = inner()
            {
                write_example(text, keys, &indent);
            }
        }
        Presence::Section | Presence::OptionalSection => {
            let _ = writeln!(text, "{indent}{mark}{}:", key.name);
            if let Shape::Section(keys) = (key.shape)() {
                for inner in keys {
                    write_key(text, inner, depth + 1, off);
                }
            }
        }
    }
}

/// One entry of a map of sections, commented out as a whole.
fn write_example(text: &mut String, keys: &[Key], indent: &str) {
    let mut example = "  name:\n".to_owned();
    for key in keys {
        write_key(&mut example, key, 2, false);
    }
    for line in example.lines() {
        let _ = writeln!(text, "{indent}# {line}");
    }
}
