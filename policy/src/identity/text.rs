//! Changes to the text of a users file that leave every other line as people wrote it.

use super::directory::{EntryPlaces, PlaceOfValue, UserRecord};

/// The text with an entry appended to the `users:` list, or None where the list is not written in
/// block form (one entry per `-`).
pub(super) fn append(text: &str, user: &UserRecord) -> Option<String> {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let header = lines.iter().position(|line| line.starts_with("users:"))?;
    let inline = strip_comment(&lines[header]["users:".len()..]);
    if !inline.is_empty() && inline != "[]" {
        return None;
    }
    let mut last_content = header;
    let mut indent = None;
    for (index, line) in lines.iter().enumerate().skip(header + 1) {
        let content = line.trim_start();
        if content.trim_end().is_empty() || content.starts_with('#') {
            continue;
        }
        let is_item = content.starts_with("- ") || content.trim_end() == "-";
        let width = line.len() - content.len();
        if width == 0 && !is_item {
            break;
        }
        if is_item && indent.is_none() {
            indent = Some(width);
        }
        last_content = index;
    }
    if inline == "[]" && indent.is_some() {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 256);
    for (index, line) in lines.iter().enumerate() {
        if index == header && inline == "[]" {
            out.push_str(&line.replacen("[]", "", 1));
        } else {
            out.push_str(line);
        }
        if index == last_content {
            if !line.ends_with('\n') {
                out.push_str(newline);
            }
            let pad = " ".repeat(indent.unwrap_or(2));
            for part in entry(user) {
                out.push_str(&pad);
                out.push_str(&part);
                out.push_str(newline);
            }
        }
    }
    Some(out)
}

/// A whole file with no users in it.
pub(super) fn empty_file() -> &'static str {
    "# Users of Lakeward. Passwords are SCRAM-SHA-256 verifiers: `lakeward user add` makes them.\n\
     version: 1\n\
     users:\n"
}

/// The text with the entry's `enabled` set.
pub(super) fn set_enabled(text: &str, places: &EntryPlaces, enabled: bool) -> Option<String> {
    if let Some(place) = places.enabled {
        return replace(text, place, &enabled.to_string());
    }
    // A new line below the name, at the name key's column; only where the entry is in block form.
    let before = text.get(..places.name.start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let key = before.get(line_start..)?.trim_start_matches([' ', '-']);
    if key.trim_end() != "name:" {
        return None;
    }
    let column = before.len() - line_start - key.len();
    let line_end = places.name.end + text.get(places.name.end..)?.find('\n').map_or(0, |at| at + 1);
    let mut out = String::with_capacity(text.len() + 32);
    if line_end == places.name.end {
        return None;
    }
    out.push_str(text.get(..line_end)?);
    out.push_str(&" ".repeat(column));
    out.push_str(&format!("enabled: {enabled}\n"));
    out.push_str(text.get(line_end..)?);
    Some(out)
}

/// The text with the entry's verifier replaced.
pub(super) fn set_verifier(text: &str, places: &EntryPlaces, verifier: &str) -> Option<String> {
    replace(text, places.scram, &quote(verifier))
}

fn replace(text: &str, place: PlaceOfValue, value: &str) -> Option<String> {
    let (before, after) = (text.get(..place.start)?, text.get(place.end..)?);
    Some([before, value, after].concat())
}

/// The lines of one entry, without indentation of the list.
fn entry(user: &UserRecord) -> Vec<String> {
    let mut lines = vec![
        format!("- name: {}", scalar(&user.name)),
        format!("  scram: {}", quote(&user.verifier.to_string())),
    ];
    if let Some(tenant) = &user.tenant {
        lines.push(format!("  tenant: {}", scalar(tenant)));
    }
    let roles: Vec<String> = user.roles.iter().map(|role| scalar(role)).collect();
    lines.push(format!("  roles: [{}]", roles.join(", ")));
    if !user.attributes.is_empty() {
        let pairs: Vec<String> =
            user.attributes.iter().map(|(key, value)| format!("{key}: {}", scalar(value))).collect();
        lines.push(format!("  attributes: {{ {} }}", pairs.join(", ")));
    }
    if !user.enabled {
        lines.push("  enabled: false".to_owned());
    }
    if let Some(expires) = user.expires {
        lines.push(format!("  expires: {}", expires.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)));
    }
    lines
}

/// A YAML scalar that every reader takes for this string: bare where that is beyond doubt.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let keyword = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    if plain && !keyword { text.to_owned() } else { quote(text) }
}

/// Double quotes; names and attribute values hold no control characters.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn strip_comment(rest: &str) -> &str {
    let rest = rest.trim();
    if rest.starts_with('#') { "" } else { rest.split(" #").next().unwrap_or(rest).trim_end() }
}
