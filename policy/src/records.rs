//! The policy file as it is written: YAML records with their positions.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::document::{Diagnostic, Diagnostics};

/// One policy file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyFile {
    pub(crate) version: Spanned<u32>,
    #[serde(default)]
    pub(crate) roles: Vec<RoleRecord>,
    #[serde(default)]
    pub(crate) grants: Vec<GrantRecord>,
    #[serde(default)]
    pub(crate) tags: Vec<TagRecord>,
    #[serde(default)]
    pub(crate) row_filters: Vec<RowFilterRecord>,
    #[serde(default)]
    pub(crate) masks: Vec<MaskRecord>,
    #[serde(default)]
    pub(crate) presets: Vec<PresetRecord>,
    #[serde(default)]
    pub(crate) keys: BTreeMap<String, KeyRecord>,
}

/// A role and the roles whose grants it also has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleRecord {
    pub(crate) role: Spanned<String>,
    #[serde(default)]
    pub(crate) inherits: Vec<String>,
}

/// Who may do what to which tables.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantRecord {
    pub(crate) role: Spanned<String>,
    #[serde(default = "any")]
    pub(crate) tenant: String,
    /// A table pattern.
    pub(crate) object: Option<Spanned<String>>,
    /// In its place: tables that carry the tag.
    pub(crate) tag: Option<Spanned<String>>,
    pub(crate) action: Action,
    #[serde(default)]
    pub(crate) effect: Effect,
}

fn any() -> String {
    "*".to_owned()
}

/// What a grant lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Read rows, under row filters and masks.
    Select,
    /// See that the table exists and how it would be read; no rows.
    Describe,
}

impl Action {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Describe => "describe",
        }
    }
}

/// Exact words only: a misspelt `Deny` must not become an allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    #[default]
    Allow,
    Deny,
}

impl Effect {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// How several row filters on one table combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FilterKind {
    /// An obligation: all of them must hold.
    #[default]
    Restrictive,
    /// An alternative: one of them must hold.
    Permissive,
}

impl FilterKind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Restrictive => "restrictive",
            Self::Permissive => "permissive",
        }
    }
}

/// A tag on tables, or on columns of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagRecord {
    pub(crate) tag: Spanned<String>,
    /// A table pattern.
    pub(crate) on: Spanned<String>,
    /// A column, or a glob of columns; without it the tables themselves are tagged.
    pub(crate) column: Option<Spanned<String>>,
}

/// Which rows are seen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowFilterRecord {
    pub(crate) name: Spanned<String>,
    #[serde(default)]
    pub(crate) on: Vec<Spanned<String>>,
    pub(crate) tag: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) kind: FilterKind,
    pub(crate) to: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) except: Vec<String>,
    pub(crate) using: Spanned<String>,
}

/// How a column's values are shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MaskRecord {
    pub(crate) name: Spanned<String>,
    pub(crate) tag: Option<Spanned<String>>,
    pub(crate) on: Option<Spanned<String>>,
    pub(crate) column: Option<Spanned<String>>,
    pub(crate) to: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) except: Vec<String>,
    pub(crate) mask: Spanned<MaskSpec>,
}

/// A set of masks that comes with the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresetRecord {
    pub(crate) name: Spanned<String>,
    pub(crate) to: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) except: Vec<String>,
    /// The key of its tokens and noise, where it makes any.
    pub(crate) key: Option<Spanned<String>>,
}

/// A mask and its arguments. Masks without any have braces, or their unknown keys would not be refused.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum MaskSpec {
    /// Always NULL.
    Null {},
    /// Always the same value; NULL stays NULL.
    Constant {
        /// The value, as text.
        value: String,
    },
    /// A keyed token: equal values give equal tokens within the domain and key.
    Token {
        /// Tokens of one domain can be joined with each other.
        domain: String,
        /// Name of an entry of `keys`.
        key: String,
    },
    /// All but the first `n` characters become `*`.
    ShowFirst {
        /// Characters shown.
        n: usize,
    },
    /// All but the last `n` characters become `*`.
    ShowLast {
        /// Characters shown.
        n: usize,
    },
    /// Letters become `x`, digits `0`; punctuation and white space stay.
    Redact {},
    /// Dates and timestamps are cut to the start of the year, quarter or month.
    TruncateDate {
        /// Unit.
        to: DateUnit,
    },
    /// Ages over 89 become 90; dates become their year, none earlier than 90 years ago.
    AgeCap {},
    /// `SW1A 1AA` becomes `SW1A`.
    OutwardPostcode {},
    /// `60614-1234` becomes `606`, small populations `000`.
    Zip3 {},
    /// Numbers become the lower bound of their bucket.
    Bucket {
        /// Distance from one lower bound to the next, in the column's unit.
        width: f64,
        /// One of the lower bounds, in the column's unit.
        #[serde(default)]
        origin: f64,
    },
    /// A keyed offset is added: equal values give equal results within the domain and key.
    Noise {
        /// Largest offset, in the column's unit; days for dates, seconds for timestamps.
        amount: f64,
        /// Columns of one domain that hold equal values show equal ones.
        domain: String,
        /// Name of an entry of `keys`.
        key: String,
    },
}

impl MaskSpec {
    /// The mask in a few words; a key by its name only.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null {} => "null".to_owned(),
            Self::Constant { value } => format!("constant '{value}'"),
            Self::Token { domain, key } => format!("token of domain {domain} with key {key}"),
            Self::ShowFirst { n } => format!("show first {n}"),
            Self::ShowLast { n } => format!("show last {n}"),
            Self::Redact {} => "redact".to_owned(),
            Self::TruncateDate { to } => format!("truncate date to {}", to.word()),
            Self::AgeCap {} => "age cap".to_owned(),
            Self::OutwardPostcode {} => "outward postcode".to_owned(),
            Self::Zip3 {} => "three-digit ZIP".to_owned(),
            Self::Bucket { width, origin } => format!("bucket of {width} from {origin}"),
            Self::Noise { amount, domain, key } => {
                format!("noise of {amount} of domain {domain} with key {key}")
            }
        }
    }

    /// Name of the key that the mask needs, if it needs one.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Token { key, .. } | Self::Noise { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// What dates are truncated to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DateUnit {
    Year,
    Quarter,
    Month,
}

impl DateUnit {
    const fn word(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
        }
    }
}

/// Where the bytes of a key come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRecord {
    /// `file:PATH` or `env:NAME`.
    pub(crate) from: Spanned<String>,
}

/// Parses one file; every complaint carries its position.
pub(crate) fn parse(path: &Path, text: &str) -> Result<PolicyFile, Diagnostics> {
    let file: PolicyFile = crate::yaml::parse(path, text)?;
    if file.version.value != 1 {
        let message = format!("version {} is not known; expected 1", file.version.value);
        return Err(at(path, &file.version, message).into());
    }
    Ok(file)
}

/// A complaint about the place a value was written at.
pub(crate) fn at<T>(path: &Path, place: &Spanned<T>, message: impl Into<String>) -> Diagnostic {
    crate::yaml::at(path, place.referenced, message)
}
