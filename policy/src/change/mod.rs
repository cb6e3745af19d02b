//! Changes of policy records that are asked for one by one, as SQL does, and stored in the file that
//! people write: everything else in it, comments included, stays as it is.
//!
//! [`layout`] finds the lines of a record, [`record`] writes one, [`replace`] puts a new file in the
//! place of the old. That an edit of text did what was meant is not believed but compared: read again,
//! the file must say what it said but for the one record.

mod layout;
mod mask;
mod record;
mod replace;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::layout::Edit;
pub use self::mask::{MaskCall, Scalar, mask_functions, mask_parameters};
use self::record::Record;
pub(crate) use self::replace::Replacement;
use crate::document::Diagnostics;
use crate::records::{Action, Effect, PolicyFile, parse};

/// A change of one record.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyChange {
    /// A new rule; or, with `replace`, one in the place of that of the same name.
    Create {
        /// Row filter or mask.
        kind: RuleKind,
        /// Name, unique among all rules of all files.
        name: String,
        /// Whether a rule of that name is replaced.
        replace: bool,
        /// What it says.
        clauses: RuleClauses,
    },
    /// Other clauses for a rule; those that are not given stay.
    Alter {
        /// Row filter or mask.
        kind: RuleKind,
        /// Name.
        name: String,
        /// What it says now.
        clauses: RuleClauses,
    },
    /// No such rule any more.
    Drop {
        /// Row filter or mask.
        kind: RuleKind,
        /// Name.
        name: String,
        /// Whether it is no error that there is none.
        if_exists: bool,
    },
    /// A grant or a denial, in the place of its contrary if there is one.
    Grant {
        /// What it is about.
        grant: GrantKey,
        /// Whether it denies.
        deny: bool,
    },
    /// Neither grant nor denial any more.
    Revoke(GrantKey),
}

/// What a grant or a denial is about: there is one record for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantKey {
    /// What may be done.
    pub privilege: Privilege,
    /// `schema.table` pattern.
    pub object: String,
    /// Role.
    pub role: String,
    /// Only for users of this tenant; None: for all.
    pub tenant: Option<String>,
}

/// What a grant lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privilege {
    /// Read rows, under row filters and masks.
    Select,
    /// See that the table exists and how it would be read.
    Describe,
}

/// Kinds of named rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleKind {
    /// A row filter.
    RowPolicy,
    /// A mask.
    MaskingPolicy,
}

impl RuleKind {
    const fn section(self) -> &'static str {
        match self {
            Self::RowPolicy => "row_filters",
            Self::MaskingPolicy => "masks",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::RowPolicy => Self::MaskingPolicy,
            Self::MaskingPolicy => Self::RowPolicy,
        }
    }
}

impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RowPolicy => "row policy",
            Self::MaskingPolicy => "masking policy",
        })
    }
}

/// What a rule says; None is what the statement did not say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleClauses {
    /// What it applies to.
    pub target: Option<RuleTarget>,
    /// For row filters: whether it is an alternative, not an obligation.
    pub permissive: Option<bool>,
    /// Roles it is for; `Some(None)`: everyone.
    pub to: Option<Option<Vec<String>>>,
    /// Roles it is not for.
    pub except: Option<Vec<String>>,
    /// For row filters: the condition.
    pub using: Option<String>,
    /// For masks: the mask.
    pub mask: Option<MaskCall>,
}

/// What a rule applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleTarget {
    /// Table patterns.
    Tables(Vec<String>),
    /// A column of the tables of a pattern.
    Column {
        /// Table pattern.
        on: String,
        /// Column, or a field in it.
        column: String,
    },
    /// Whatever carries a tag.
    Tag(String),
}

/// Why policies were not changed. Files and what is in force are as they were.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// No file was named for it.
    #[error("no policy file is managed")]
    NotManaged,
    /// Files and policies in force differ: somebody changed them, or they are refused.
    #[error("the policy files changed on disk")]
    ChangedOnDisk,
    /// There is a rule of that name.
    #[error("{kind} \"{name}\" already exists")]
    Exists {
        /// What there is.
        kind: RuleKind,
        /// Its name.
        name: String,
    },
    /// There is no rule of that name.
    #[error("{kind} \"{name}\" does not exist")]
    Missing {
        /// What was looked for.
        kind: RuleKind,
        /// Its name.
        name: String,
    },
    /// There is neither grant nor denial.
    #[error("nothing removed: there is neither a grant nor a denial of exactly that")]
    NothingRemoved,
    /// It is there, but in another file.
    #[error("it is written in {0}, which is not the managed file")]
    Elsewhere(PathBuf),
    /// The file is written in a way that cannot be changed without touching what people wrote.
    #[error("{0} is written in a way that cannot be changed here; change it by hand")]
    Layout(PathBuf),
    /// The policies would be refused as a whole.
    #[error("{0}")]
    Refused(Diagnostics),
    /// The file could not be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Digest of the policies before.
    pub old_digest: String,
    /// Digest of those in force now.
    pub new_digest: String,
    /// What the one who asked should know.
    pub notices: Vec<String>,
}

/// Who changes policies, and when: what is written above a record.
#[derive(Debug, Clone)]
pub(crate) struct Stamp(String);

impl Stamp {
    pub(crate) fn new(who: &str, when: chrono::DateTime<chrono::Utc>) -> Self {
        // A name that breaks the line would end the comment.
        let who: String = who.chars().map(|c| if record::is_plain(c) { c } else { '?' }).collect();
        Self(format!("# {who}, {}", when.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))
    }

    /// Whether a line is one that [`Stamp::new`] makes.
    fn is_one(line: &str) -> bool {
        let time = line.trim().strip_prefix("# ").and_then(|rest| rest.rsplit_once(", "));
        time.is_some_and(|(_, time)| {
            time.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(time).is_ok()
        })
    }
}

/// The managed file's text with `changes` made, one after the other.
///
/// `others` are the files beside it. Nothing is checked here but that the text says what was meant.
pub(crate) fn apply(
    managed: (&Path, &str),
    others: &[(&Path, &str)],
    changes: &[PolicyChange],
    stamp: &Stamp,
    notices: &mut Vec<String>,
) -> Result<String, ChangeError> {
    let (path, text) = managed;
    let others = others
        .iter()
        .map(|(path, text)| Ok((*path, parse(path, text)?)))
        .collect::<Result<Vec<_>, Diagnostics>>()
        .map_err(ChangeError::Refused)?;
    let mut text = text.to_owned();
    for change in changes {
        let file = parse(path, &text).map_err(ChangeError::Refused)?;
        for edit in edits(change, path, &text, &file, &others, notices)? {
            text = edited(path, &text, &edit, stamp)?;
        }
        if let PolicyChange::Alter { kind, name, clauses } = change {
            let now = parse(path, &text).map_err(ChangeError::Refused)?;
            if !rest_is_the_same(*kind, name, clauses, &file, &now) {
                return Err(ChangeError::Layout(path.to_path_buf()));
            }
        }
    }
    Ok(text)
}

/// The text after one edit, read again and compared.
fn edited(path: &Path, text: &str, edit: &Edit, stamp: &Stamp) -> Result<String, ChangeError> {
    let layout = || ChangeError::Layout(path.to_path_buf());
    let changed = layout::apply(text, edit, stamp).ok_or_else(layout)?;
    let mut wanted = values(path, text).map_err(ChangeError::Refused)?;
    edit.on_values(&mut wanted).ok_or_else(layout)?;
    match values(path, &changed) {
        Ok(is) if is == wanted => Ok(changed),
        _ => Err(layout()),
    }
}

/// What a file says, whatever its keys mean.
fn values(path: &Path, text: &str) -> Result<Value, Diagnostics> {
    crate::yaml::parse(path, text)
}

/// Whether what an ALTER did not mean is what it was, to the reader that knows what each key holds:
/// `value: 007` is a text to it, and a number to one that does not.
fn rest_is_the_same(
    kind: RuleKind,
    name: &str,
    clauses: &RuleClauses,
    was: &PolicyFile,
    is: &PolicyFile,
) -> bool {
    let (Some(before), Some(after)) = (position(was, kind, name), position(is, kind, name)) else {
        return false;
    };
    let plain = |places: &[serde_saphyr::Spanned<String>]| -> Vec<String> {
        places.iter().map(|place| place.value.clone()).collect()
    };
    let one = |place: &Option<serde_saphyr::Spanned<String>>| place.as_ref().map(|place| place.value.clone());
    match kind {
        RuleKind::RowPolicy => {
            let (Some(was), Some(is)) = (was.row_filters.get(before), is.row_filters.get(after)) else {
                return false;
            };
            (clauses.target.is_some() || (plain(&was.on), one(&was.tag)) == (plain(&is.on), one(&is.tag)))
                && (clauses.permissive.is_some() || was.kind == is.kind)
                && (clauses.to.is_some() || was.to == is.to)
                && (clauses.except.is_some() || was.except == is.except)
                && (clauses.using.is_some() || was.using.value == is.using.value)
        }
        RuleKind::MaskingPolicy => {
            let (Some(was), Some(is)) = (was.masks.get(before), is.masks.get(after)) else { return false };
            let target = |record: &crate::records::MaskRecord| {
                (one(&record.on), one(&record.column), one(&record.tag))
            };
            (clauses.target.is_some() || target(was) == target(is))
                && (clauses.to.is_some() || was.to == is.to)
                && (clauses.except.is_some() || was.except == is.except)
                && (clauses.mask.is_some() || was.mask.value == is.mask.value)
        }
    }
}

type Parsed<'a> = (&'a Path, PolicyFile);

/// What is to be done to the text; in this order, each on the text that the one before left.
fn edits(
    change: &PolicyChange,
    path: &Path,
    text: &str,
    file: &PolicyFile,
    others: &[Parsed<'_>],
    notices: &mut Vec<String>,
) -> Result<Vec<Edit>, ChangeError> {
    let missing = |kind: RuleKind, name: &str| match elsewhere(kind, name, others) {
        Some(path) => ChangeError::Elsewhere(path),
        None => ChangeError::Missing { kind, name: name.to_owned() },
    };
    match change {
        PolicyChange::Create { kind, name, replace, clauses } => {
            let record = Record::rule(name, clauses);
            let existing = position(file, *kind, name);
            let taken = |kind: RuleKind| ChangeError::Exists { kind, name: name.clone() };
            if position(file, kind.other(), name).is_some() {
                return Err(taken(kind.other()));
            }
            if let Some(path) =
                elsewhere(*kind, name, others).or_else(|| elsewhere(kind.other(), name, others))
            {
                return Err(if *replace { ChangeError::Elsewhere(path) } else { taken(*kind) });
            }
            match existing {
                Some(_) if !replace => Err(taken(*kind)),
                Some(index) => Ok(vec![Edit::put(kind.section(), Some(index), record)]),
                None => Ok(vec![Edit::put(kind.section(), None, record)]),
            }
        }
        PolicyChange::Alter { kind, name, clauses } => {
            let index = position(file, *kind, name).ok_or_else(|| missing(*kind, name))?;
            let known = values(path, text).map_err(ChangeError::Refused)?;
            let known = known.get(kind.section()).and_then(|section| section.get(index));
            let record = known
                .and_then(|known| Record::altered(known, clauses))
                .ok_or_else(|| ChangeError::Layout(path.to_path_buf()))?;
            Ok(vec![Edit::put(kind.section(), Some(index), record)])
        }
        PolicyChange::Drop { kind, name, if_exists } => match position(file, *kind, name) {
            Some(index) => Ok(vec![Edit::remove(
                kind.section(),
                index,
                format!("dropped {kind} {}", record::quoted(name)),
            )]),
            None if *if_exists && elsewhere(*kind, name, others).is_none() => {
                notices.push(format!("{kind} \"{name}\" does not exist, skipping"));
                Ok(Vec::new())
            }
            None => Err(missing(*kind, name)),
        },
        PolicyChange::Grant { grant, deny } => {
            let effect = if *deny { Effect::Deny } else { Effect::Allow };
            let contrary = others
                .iter()
                .find(|(_, file)| file.grants.iter().any(|known| grant.is(known) && known.effect != effect));
            if let Some((path, _)) = contrary {
                notices.push(format!(
                    "{} holds {} of the same; denials win",
                    path.display(),
                    if *deny { "a grant" } else { "a denial" }
                ));
            }
            let same: Vec<usize> = positions(file, grant);
            let says = |index: usize| file.grants.get(index).map(|known| known.effect);
            match same.split_last() {
                // The first stays or is replaced; a second one of the same would be the contrary or no use.
                None => Ok(vec![Edit::put("grants", None, Record::grant(grant, *deny))]),
                Some(_) if same.iter().all(|index| says(*index) == Some(effect)) => {
                    notices.push("it was written already; nothing changed".to_owned());
                    Ok(Vec::new())
                }
                Some(_) => {
                    let (first, rest) =
                        same.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
                    let mut edits: Vec<_> = rest
                        .iter()
                        .rev()
                        .map(|index| Edit::remove("grants", *index, grant.removed()))
                        .collect();
                    edits.push(Edit::put("grants", Some(first), Record::grant(grant, *deny)));
                    Ok(edits)
                }
            }
        }
        PolicyChange::Revoke(grant) => {
            let same = positions(file, grant);
            if same.is_empty() {
                let elsewhere =
                    others.iter().find(|(_, file)| file.grants.iter().any(|known| grant.is(known)));
                return Err(match elsewhere {
                    Some((path, _)) => ChangeError::Elsewhere(path.to_path_buf()),
                    None => ChangeError::NothingRemoved,
                });
            }
            // From the last on, so that the places of those before stay.
            Ok(same.into_iter().rev().map(|index| Edit::remove("grants", index, grant.removed())).collect())
        }
    }
}

fn position(file: &PolicyFile, kind: RuleKind, name: &str) -> Option<usize> {
    match kind {
        RuleKind::RowPolicy => file.row_filters.iter().position(|known| known.name.value == name),
        RuleKind::MaskingPolicy => file.masks.iter().position(|known| known.name.value == name),
    }
}

fn positions(file: &PolicyFile, grant: &GrantKey) -> Vec<usize> {
    let same = file.grants.iter().enumerate().filter(|(_, known)| grant.is(known));
    same.map(|(index, _)| index).collect()
}

fn elsewhere(kind: RuleKind, name: &str, others: &[Parsed<'_>]) -> Option<PathBuf> {
    let found = others.iter().find(|(_, file)| position(file, kind, name).is_some());
    found.map(|(path, _)| path.to_path_buf())
}

impl GrantKey {
    fn is(&self, known: &crate::records::GrantRecord) -> bool {
        let privilege = match known.action {
            Action::Select => Privilege::Select,
            Action::Describe => Privilege::Describe,
        };
        known.role.value == self.role
            && known.object.as_ref().is_some_and(|object| object.value == self.object)
            && privilege == self.privilege
            && known.tenant == self.tenant.as_deref().unwrap_or("*")
    }

    fn removed(&self) -> String {
        let tenant = self.tenant.as_ref().map(|tenant| format!(" in tenant {}", record::quoted(tenant)));
        format!(
            "revoked {} on {} from {}{}",
            self.privilege.word(),
            record::quoted(&self.object),
            record::quoted(&self.role),
            tenant.unwrap_or_default()
        )
    }
}

impl Privilege {
    const fn word(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Describe => "describe",
        }
    }
}
