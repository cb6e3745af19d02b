//! Which lines of a policy file are which record.
//!
//! Sections are keys at the left margin, records the items of a list below: the way in which people
//! write the file. What is written otherwise (lists in brackets over several lines, a file in braces) is
//! not understood, and then nothing is changed.

use std::ops::Range;

use serde_json::Value;

use super::Stamp;
use super::record::Record;

/// One edit of one record.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    section: &'static str,
    /// Which record; None appends one.
    index: Option<usize>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Put(Record),
    /// With what is said in its place.
    Remove(String),
}

impl Edit {
    pub(super) fn put(section: &'static str, index: Option<usize>, record: Record) -> Self {
        Self { section, index, what: What::Put(record) }
    }

    pub(super) fn remove(section: &'static str, index: usize, note: String) -> Self {
        Self { section, index: Some(index), what: What::Remove(note) }
    }

    /// The same on what the file says; None where there is no such record.
    pub(super) fn on_values(&self, file: &mut Value) -> Option<()> {
        let sections = file.as_object_mut()?;
        let section = sections.entry(self.section).or_insert_with(|| Value::Array(Vec::new()));
        let records = section.as_array_mut()?;
        match (&self.what, self.index) {
            (What::Put(record), Some(index)) => *records.get_mut(index)? = record.value(),
            (What::Put(record), None) => records.push(record.value()),
            (What::Remove(_), Some(index)) if index < records.len() => {
                records.remove(index);
            }
            (What::Remove(_), _) => return None,
        }
        Some(())
    }
}

/// The lines of one section, by number from 0.
struct Section {
    key: usize,
    /// Each from its dash to its last line that says something.
    items: Vec<Range<usize>>,
    indent: usize,
}

/// The text after an edit; None where the file is not written as this module understands it.
pub(super) fn apply(text: &str, edit: &Edit, stamp: &Stamp) -> Option<String> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if let Some(last) = lines.last_mut()
        && !last.ends_with('\n')
    {
        last.push('\n');
    }
    let section = match section(&lines, edit.section) {
        Found::Section(section) => section,
        Found::Nothing => {
            let What::Put(record) = &edit.what else { return None };
            lines.push(format!("\n{}:\n  {}\n{}", edit.section, stamp.0, record.lines(2)));
            return Some(lines.concat());
        }
        Found::SomethingElse => return None,
    };
    let space = " ".repeat(section.indent);
    match (&edit.what, edit.index) {
        (What::Put(record), None) => {
            let new = format!("{space}{}\n{}", stamp.0, record.lines(section.indent));
            let at = section.items.last().map_or(section.key + 1, |item| item.end);
            lines.insert(at, new);
            if section.items.is_empty() {
                let key = lines.get_mut(section.key)?;
                *key = key.replacen(" []", "", 1).replacen("[]", "", 1);
            }
        }
        (What::Put(record), Some(index)) => {
            let item = section.items.get(index)?.clone();
            let new = format!("{space}{}\n{}", stamp.0, record.lines(section.indent));
            let start = without_stamp(&lines, item.start);
            lines.splice(start..item.end, [new]);
        }
        (What::Remove(note), Some(index)) => {
            let item = section.items.get(index)?.clone();
            let start = without_stamp(&lines, item.start);
            lines.splice(start..item.end, [format!("{space}{}: {note}\n", stamp.0)]);
            if section.items.len() == 1 {
                let key = lines.get_mut(section.key)?;
                *key = key.replacen(':', ": []", 1);
            }
        }
        (What::Remove(_), None) => return None,
    }
    Some(lines.concat())
}

/// Where a record with the stamp above it begins.
fn without_stamp(lines: &[String], start: usize) -> usize {
    let above = start.checked_sub(1).and_then(|above| lines.get(above));
    if above.is_some_and(|line| Stamp::is_one(line)) { start - 1 } else { start }
}

enum Found {
    Nothing,
    Section(Section),
    SomethingElse,
}

fn section(lines: &[String], name: &str) -> Found {
    let after_key =
        |line: &str| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')).map(str::to_owned);
    let Some((key, rest)) =
        lines.iter().enumerate().find_map(|(number, line)| Some((number, after_key(line)?)))
    else {
        return Found::Nothing;
    };
    let rest = rest.trim();
    let value = match rest.split_once('#') {
        Some((value, _)) if value.is_empty() || value.ends_with(char::is_whitespace) => value.trim(),
        _ => rest,
    };
    if !matches!(value, "" | "[]") {
        return Found::SomethingElse;
    }
    let mut items: Vec<Range<usize>> = Vec::new();
    let mut indent = None;
    for (number, line) in lines.iter().enumerate().skip(key + 1) {
        let says = line.trim();
        if says.is_empty() || says.starts_with('#') {
            continue;
        }
        let margin = line.len() - line.trim_start_matches(' ').len();
        let dash = says == "-" || says.starts_with("- ");
        if margin == 0 && !dash {
            break;
        }
        if dash && *indent.get_or_insert(margin) == margin {
            items.push(number..number + 1);
        } else if let Some(item) = items.last_mut() {
            item.end = number + 1;
        } else {
            return Found::SomethingElse;
        }
    }
    Found::Section(Section { key, items, indent: indent.unwrap_or(2) })
}
