//! Records as YAML: every text in double quotes, so that none can be anything but a text.

use serde_json::{Map, Number, Value};

use super::{GrantKey, MaskCall, RuleClauses, RuleTarget, Scalar};

/// A record: its keys and values, in the order in which they are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record(Vec<(String, Value)>);

/// Keys in the order in which people write them; others follow.
const ORDER: [&str; 13] = [
    "name", "role", "tenant", "object", "action", "effect", "on", "tag", "column", "kind", "to", "except",
    "using",
];

impl Record {
    pub(super) fn grant(grant: &GrantKey, deny: bool) -> Self {
        let mut record = Self(Vec::new());
        record.set("role", text(&grant.role));
        if let Some(tenant) = &grant.tenant {
            record.set("tenant", text(tenant));
        }
        record.set("object", text(&grant.object));
        record.set("action", text(grant.privilege.word()));
        if deny {
            record.set("effect", text("deny"));
        }
        record
    }

    pub(super) fn rule(name: &str, clauses: &RuleClauses) -> Self {
        let mut record = Self(Vec::new());
        record.set("name", text(name));
        record.take(clauses);
        record.ordered()
    }

    /// `known` with other clauses; its keys that no clause means stay. None where it is no record.
    pub(super) fn altered(known: &Value, clauses: &RuleClauses) -> Option<Self> {
        let known = known.as_object()?;
        let mut record = Self(known.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
        record.take(clauses);
        Some(record.ordered())
    }

    fn take(&mut self, clauses: &RuleClauses) {
        if let Some(target) = &clauses.target {
            self.0.retain(|(key, _)| !matches!(key.as_str(), "on" | "tag" | "column"));
            match target {
                RuleTarget::Tables(patterns) => self.set("on", texts(patterns)),
                RuleTarget::Column { on, column } => {
                    self.set("on", text(on));
                    self.set("column", text(column));
                }
                RuleTarget::Tag(tag) => self.set("tag", text(tag)),
            }
        }
        if let Some(permissive) = clauses.permissive {
            self.set("kind", text(if permissive { "permissive" } else { "restrictive" }));
        }
        match &clauses.to {
            Some(Some(roles)) => self.set("to", texts(roles)),
            Some(None) => self.0.retain(|(key, _)| key != "to"),
            None => {}
        }
        match &clauses.except {
            Some(roles) if roles.is_empty() => self.0.retain(|(key, _)| key != "except"),
            Some(roles) => self.set("except", texts(roles)),
            None => {}
        }
        if let Some(using) = &clauses.using {
            self.set("using", text(using));
        }
        if let Some(mask) = &clauses.mask {
            self.set("mask", call(mask));
        }
    }

    fn set(&mut self, key: &str, value: Value) {
        self.0.retain(|(known, _)| known != key);
        self.0.push((key.to_owned(), value));
    }

    fn ordered(mut self) -> Self {
        let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
        self.0.sort_by_key(|(key, _)| place(key));
        self
    }

    /// What it is to a reader of the file.
    pub(super) fn value(&self) -> Value {
        Value::Object(self.0.iter().cloned().collect::<Map<_, _>>())
    }

    /// Its lines as an item of a list that is indented by `indent`.
    pub(super) fn lines(&self, indent: usize) -> String {
        let space = " ".repeat(indent);
        let is_grant = self.0.iter().any(|(key, _)| key == "object");
        if is_grant {
            return format!("{space}- {}\n", flow(&self.value_in_order()));
        }
        let mut lines = String::new();
        for (index, (key, value)) in self.0.iter().enumerate() {
            let start = if index == 0 { "- " } else { "  " };
            lines.push_str(&format!("{space}{start}{}: {}\n", key_text(key), flow_value(value)));
        }
        lines
    }

    fn value_in_order(&self) -> Vec<(&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value)).collect()
    }
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn texts(values: &[String]) -> Value {
    Value::Array(values.iter().map(|value| text(value)).collect())
}

fn call(mask: &MaskCall) -> Value {
    let arguments = mask.arguments.iter().map(|(name, value)| {
        let value = match value {
            Scalar::Text(value) => text(value),
            Scalar::Integer(value) => Value::Number((*value).into()),
            Scalar::Number(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        };
        (name.clone(), value)
    });
    let kind = ("type".to_owned(), text(&mask.function));
    Value::Object(std::iter::once(kind).chain(arguments).collect())
}

fn flow(members: &[(&str, &Value)]) -> String {
    let members: Vec<_> =
        members.iter().map(|(key, value)| format!("{}: {}", key_text(key), flow_value(value))).collect();
    format!("{{ {} }}", members.join(", "))
}

fn flow_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => quoted(value),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(flow_value).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            // `type` says what the others mean.
            let (first, rest): (Vec<_>, Vec<_>) =
                members.iter().map(|(key, value)| (key.as_str(), value)).partition(|(key, _)| *key == "type");
            flow(&first.into_iter().chain(rest).collect::<Vec<_>>())
        }
    }
}

/// Keys of ours are words; any other is quoted.
fn key_text(key: &str) -> String {
    let word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if word && !matches!(key, "null" | "true" | "false") { key.to_owned() } else { quoted(key) }
}

/// Whether a character stands for itself between double quotes and in comments, in every version of YAML.
pub(super) fn is_plain(c: char) -> bool {
    let breaks_or_marks = matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    let no_character = matches!(c as u32 & 0xffff, 0xfffe | 0xffff);
    !c.is_control() && !breaks_or_marks && !no_character
}

/// A text in double quotes.
pub(super) fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_plain(c) => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    quoted.push('"');
    quoted
}
