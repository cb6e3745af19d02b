//! What a session may SET: a list, each with its check. Nothing here changes what may be seen:
//! `lakeward.end_user` is shown here and decided in [`crate::acting`].

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{QueryError, SqlState};

/// Values of a session's settings, by lower-case name.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    defaults: BTreeMap<&'static str, String>,
    changed: BTreeMap<&'static str, String>,
    /// Counts changes that planning depends on.
    generation: u64,
}

/// How a value is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Shown, not settable.
    ReadOnly,
    /// Any text up to 256 bytes without control characters.
    Text,
    /// A boolean word.
    Boolean,
    /// Accepted only with this value: what the service does anyway.
    Only(&'static str),
    /// A time zone name or offset.
    TimeZone,
    /// Milliseconds, or a number with a unit.
    Duration,
    /// A whole number.
    Integer,
    /// Comma-separated schema names.
    SearchPath,
    /// One of the words.
    OneOf(&'static [&'static str]),
}

/// Name, default, rule, and whether clients are told of changes (PostgreSQL's GUC_REPORT).
const KNOWN: &[(&str, &str, Rule, bool)] = &[
    ("application_name", "", Rule::Text, true),
    ("bytea_output", "hex", Rule::Only("hex"), false),
    ("client_encoding", "UTF8", Rule::OneOf(&["UTF8", "UTF-8", "unicode"]), true),
    (
        "client_min_messages",
        "notice",
        Rule::OneOf(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "info", "warning", "error",
        ]),
        false,
    ),
    ("datestyle", "ISO, MDY", Rule::OneOf(&["iso", "iso, mdy", "iso, dmy", "iso, ymd"]), true),
    ("default_transaction_isolation", "repeatable read", Rule::Text, false),
    ("default_transaction_read_only", "on", Rule::Boolean, true),
    ("extra_float_digits", "1", Rule::Integer, false),
    ("idle_in_transaction_session_timeout", "0", Rule::Duration, false),
    ("in_hot_standby", "off", Rule::ReadOnly, true),
    ("integer_datetimes", "on", Rule::ReadOnly, true),
    ("intervalstyle", "postgres", Rule::Only("postgres"), true),
    ("is_superuser", "off", Rule::ReadOnly, true),
    ("jit", "off", Rule::Boolean, false),
    ("lakeward.end_user", "", Rule::ReadOnly, false),
    ("lakeward.read_latest", "off", Rule::Boolean, false),
    ("lakeward.route", "auto", Rule::OneOf(&["auto", "local"]), false),
    ("lock_timeout", "0", Rule::Duration, false),
    ("max_identifier_length", "63", Rule::ReadOnly, false),
    ("row_security", "on", Rule::Only("on"), false),
    ("search_path", "", Rule::SearchPath, false),
    ("server_encoding", "UTF8", Rule::ReadOnly, true),
    ("server_version", "", Rule::ReadOnly, true),
    ("server_version_num", "", Rule::ReadOnly, false),
    ("session_authorization", "", Rule::ReadOnly, true),
    ("standard_conforming_strings", "on", Rule::Only("on"), true),
    ("statement_timeout", "0", Rule::Duration, false),
    ("timezone", "UTC", Rule::TimeZone, true),
    ("transaction_isolation", "repeatable read", Rule::Text, false),
    ("transaction_read_only", "on", Rule::ReadOnly, false),
    ("xmloption", "content", Rule::Text, false),
];

/// The PostgreSQL release whose behaviour clients may expect.
pub(crate) const SERVER_VERSION: &str = "15.0";

impl Settings {
    pub(crate) fn new(user: &str, search_path: &[String], timeout: Option<Duration>) -> Self {
        let mut defaults: BTreeMap<&'static str, String> =
            KNOWN.iter().map(|(name, default, ..)| (*name, (*default).to_owned())).collect();
        defaults
            .insert("server_version", format!("{SERVER_VERSION} (Lakeward {})", env!("CARGO_PKG_VERSION")));
        defaults.insert("server_version_num", "150000".to_owned());
        defaults.insert("session_authorization", user.to_owned());
        defaults.insert("search_path", search_path.join(", "));
        defaults.insert(
            "statement_timeout",
            timeout.map_or_else(|| "0".to_owned(), |t| format!("{}ms", t.as_millis())),
        );
        Self { defaults, changed: BTreeMap::new(), generation: 0 }
    }

    /// The value in force.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.changed.get(name).or_else(|| self.defaults.get(name)).map(String::as_str)
    }

    /// All values, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KNOWN.iter().map(|(name, ..)| (*name, self.get(name).unwrap_or_default()))
    }

    /// Changes with every change that planning depends on.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// What clients are told when they connect, in PostgreSQL's spelling.
    pub(crate) fn reported(&self) -> Vec<(String, String)> {
        KNOWN
            .iter()
            .filter(|(_, _, _, report)| *report)
            .map(|(name, ..)| (display_name(name).to_owned(), self.get(name).unwrap_or_default().to_owned()))
            .collect()
    }

    /// Sets (or with None resets) one setting; answers what the client must be told.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<Vec<(String, String)>, QueryError> {
        let Some((known, _, rule, report)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
            return Err(QueryError::new(
                SqlState::UndefinedObject,
                format!("unrecognized configuration parameter \"{name}\""),
            ));
        };
        if *rule == Rule::ReadOnly {
            return Err(QueryError::new(
                SqlState::InvalidParameterValue,
                format!("parameter \"{name}\" cannot be changed"),
            ));
        }
        match value {
            None => {
                self.changed.remove(known);
            }
            Some(value) => {
                let value = accept(name, *rule, value)?;
                self.changed.insert(known, value);
            }
        }
        if matches!(*known, "timezone" | "search_path") {
            self.generation += 1;
        }
        let told = self.get(known).unwrap_or_default().to_owned();
        Ok(if *report { vec![(display_name(known).to_owned(), told)] } else { Vec::new() })
    }

    /// The session acts for `end_user` now (empty: for its account), who may search in `path`.
    pub(crate) fn act_for(&mut self, end_user: &str, path: &[String]) {
        self.defaults.insert("lakeward.end_user", end_user.to_owned());
        self.defaults.insert("search_path", path.join(", "));
        self.generation += 1;
    }

    /// Forgets every change; answers what the client must be told.
    pub(crate) fn reset_all(&mut self) -> Vec<(String, String)> {
        self.changed.clear();
        self.generation += 1;
        self.reported()
    }

    /// Schemas searched for unqualified names.
    pub(crate) fn search_path(&self) -> Vec<String> {
        split_names(self.get("search_path").unwrap_or_default())
    }

    /// Statement time-out; None means none beyond the service's own.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        let value = parse_duration(self.get("statement_timeout").unwrap_or_default())?;
        (!value.is_zero()).then_some(value)
    }
}

/// PostgreSQL reports some names in mixed case.
fn display_name(name: &str) -> &str {
    match name {
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        "timezone" => "TimeZone",
        other => other,
    }
}

fn accept(name: &str, rule: Rule, value: &str) -> Result<String, QueryError> {
    let refuse = || {
        Err(QueryError::new(
            SqlState::InvalidParameterValue,
            format!("invalid value for parameter \"{name}\": \"{value}\""),
        ))
    };
    let lower = value.trim().to_ascii_lowercase();
    match rule {
        Rule::ReadOnly => refuse(),
        Rule::Text if value.len() <= 256 && !value.chars().any(char::is_control) => Ok(value.to_owned()),
        Rule::Boolean => match lower.as_str() {
            "on" | "true" | "yes" | "1" => Ok("on".to_owned()),
            "off" | "false" | "no" | "0" => Ok("off".to_owned()),
            _ => refuse(),
        },
        Rule::Only(expected) if lower == expected => Ok(expected.to_owned()),
        Rule::OneOf(words) if words.iter().any(|word| word.eq_ignore_ascii_case(&lower)) => Ok(match name {
            "client_encoding" => "UTF8".to_owned(),
            "datestyle" if lower == "iso" => "ISO, MDY".to_owned(),
            "datestyle" => lower.to_ascii_uppercase(),
            _ => lower,
        }),
        Rule::TimeZone => time_zone(value).map_or_else(refuse, Ok),
        Rule::Duration if parse_duration(value).is_some() => Ok(value.to_owned()),
        Rule::Integer if lower.parse::<i64>().is_ok() => Ok(lower),
        Rule::SearchPath if value.len() <= 1024 => Ok(split_names(value).join(", ")),
        _ => refuse(),
    }
}

/// An IANA name or an offset, in the form the engine takes.
fn time_zone(value: &str) -> Option<String> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("utc")
        || value.eq_ignore_ascii_case("gmt")
        || value.eq_ignore_ascii_case("z")
    {
        return Some("UTC".to_owned());
    }
    value.parse::<arrow::array::timezone::Tz>().ok().map(|_| value.to_owned())
}

fn split_names(list: &str) -> Vec<String> {
    list.split(',')
        .map(|name| name.trim().trim_matches(|c| c == '"' || c == '\''))
        .filter(|name| !name.is_empty() && *name != "$user")
        .map(str::to_owned)
        .collect()
}

/// PostgreSQL's forms: a number is milliseconds; units us, ms, s, min, h, d.
pub(crate) fn parse_duration(value: &str) -> Option<Duration> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let number: u64 = value[..digits].parse().ok()?;
    let millis = match value[digits..].trim() {
        "us" => return Some(Duration::from_micros(number)),
        "" | "ms" => number,
        "s" => number.checked_mul(1_000)?,
        "min" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        "d" => number.checked_mul(86_400_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("alice", &["silver".to_owned()], None)
    }

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        let mut settings = settings();
        assert_eq!(settings.set("lakeward.policy", Some("off")).unwrap_err().state.code(), "42704");
        assert_eq!(settings.set("row_security", Some("off")).unwrap_err().state.code(), "22023");
        assert_eq!(settings.set("session_authorization", Some("stella")).unwrap_err().state.code(), "22023");
        assert_eq!(
            settings.set("datafusion.explain.show_statistics", Some("true")).unwrap_err().state.code(),
            "42704"
        );
    }

    #[test]
    fn values_are_checked_and_reported() {
        let mut settings = settings();
        assert_eq!(
            settings.set("timezone", Some("Europe/London")).unwrap(),
            [("TimeZone".to_owned(), "Europe/London".to_owned())]
        );
        assert!(settings.set("timezone", Some("Mars/Base")).is_err());
        assert!(settings.set("statement_timeout", Some("soon")).is_err());
        settings.set("statement_timeout", Some("2s")).unwrap();
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(2)));
        settings.set("statement_timeout", Some("0")).unwrap();
        assert_eq!(settings.statement_timeout(), None);
    }

    #[test]
    fn resetting_restores_the_defaults() {
        let mut settings = settings();
        settings.set("search_path", Some("gold, \"bronze\"")).unwrap();
        assert_eq!(settings.search_path(), ["gold", "bronze"]);
        settings.reset_all();
        assert_eq!(settings.search_path(), ["silver"]);
    }
}
