//! The users file, read strictly.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};

use super::names::{NameError, check_attribute_key, check_attribute_value, check_name};
use super::scram::ScramVerifier;
use crate::Principal;
use crate::document::{Diagnostic, Diagnostics};
use crate::yaml;

/// The one version of the file format so far.
const VERSION: u32 = 1;
/// A file far larger than any real one is a mistake, not a directory.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Login name, case-sensitive.
    pub name: String,
    /// What passwords are checked against.
    pub verifier: ScramVerifier,
    /// Tenant the user belongs to.
    pub tenant: Option<String>,
    /// Roles as assigned, before inheritance.
    pub roles: BTreeSet<String>,
    /// Free attributes that row filters may ask for.
    pub attributes: BTreeMap<String, String>,
    /// A disabled account cannot log in.
    pub enabled: bool,
    /// From this instant on the account cannot log in.
    pub expires: Option<DateTime<Utc>>,
    /// Whether it acts on behalf of end users.
    pub end_users: ActsFor,
}

/// Whether an account may or must name the end user that it acts on behalf of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActsFor {
    /// It acts for itself only.
    #[default]
    Nobody,
    /// For itself until it names an end user.
    Optional,
    /// It sees nothing until it names an end user.
    Required,
}

impl UserRecord {
    /// What a session of this user acts as.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            user: self.name.clone(),
            tenant: self.tenant.clone(),
            roles: self.roles.clone(),
            attributes: self.attributes.clone(),
            expires_at: self.expires,
        }
    }
}

/// All accounts of one users file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserDirectory {
    users: BTreeMap<String, UserRecord>,
    digest: [u8; 32],
}

impl UserDirectory {
    /// Reads and checks a users file. Blocking.
    ///
    /// # Errors
    /// Every complaint that could be found, with its position.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Diagnostics> {
        let path = path.as_ref();
        let text = read(path)?;
        Self::parse(path, &text)
    }

    /// Checks the text of a users file; `file` only names it in complaints.
    ///
    /// # Errors
    /// Every complaint that could be found, with its position.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostics> {
        parse_with_places(file, text).map(|(directory, _)| directory)
    }

    /// A user's account.
    #[must_use]
    pub fn get(&self, user: &str) -> Option<&UserRecord> {
        self.users.get(user)
    }

    /// All accounts by name.
    pub fn users(&self) -> impl Iterator<Item = &UserRecord> {
        self.users.values()
    }

    /// How many accounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// SHA-256 of the file's bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether both hold the same accounts, whatever their text looks like.
    pub(super) fn same_users(&self, users: &BTreeMap<String, UserRecord>) -> bool {
        self.users == *users
    }

    pub(super) fn clone_users(&self) -> BTreeMap<String, UserRecord> {
        self.users.clone()
    }
}

/// Where the parts of an entry that commands change are written: byte ranges of the text.
#[derive(Debug, Clone)]
pub(super) struct EntryPlaces {
    pub(super) name: PlaceOfValue,
    pub(super) scram: PlaceOfValue,
    pub(super) enabled: Option<PlaceOfValue>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceOfValue {
    pub(super) start: usize,
    pub(super) end: usize,
}

pub(super) fn read(path: &Path) -> Result<String, Diagnostics> {
    let complain = |error: std::io::Error| Diagnostics::file(path, format!("cannot be read: {error}"));
    let size = fs::metadata(path).map_err(complain)?.len();
    if size > MAX_FILE_BYTES {
        return Err(Diagnostics::file(path, "is larger than 64 MiB: not a users file"));
    }
    let bytes = fs::read(path).map_err(complain)?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        Diagnostic { file: path.to_path_buf(), line, column: 0, message: "is not UTF-8 text".to_owned() }
            .into()
    })
}

pub(super) fn parse_with_places(
    file: &Path,
    text: &str,
) -> Result<(UserDirectory, BTreeMap<String, EntryPlaces>), Diagnostics> {
    let raw: RawFile = yaml::parse(file, text)?;
    let mut check = Check { file, complaints: Vec::new() };
    if raw.version.value != VERSION {
        check.complain(&raw.version, format!("unknown version {}, expected {VERSION}", raw.version.value));
    }
    let mut users = BTreeMap::new();
    let mut places = BTreeMap::new();
    let mut first_lines = BTreeMap::new();
    for entry in raw.users.unwrap_or_default() {
        let name = entry.name.value.clone();
        let line = entry.name.referenced.line();
        if let Some(first) = first_lines.get(&name) {
            check.complain(&entry.name, format!("user `{name}` is given twice, first in line {first}"));
        } else {
            first_lines.insert(name.clone(), line);
        }
        if let Some(entry_places) = entry_places(&entry) {
            places.insert(name.clone(), entry_places);
        }
        if let Some(record) = check.entry(entry)
            && let Entry::Vacant(vacant) = users.entry(name)
        {
            vacant.insert(record);
        }
    }
    if check.complaints.is_empty() {
        let digest = Sha256::digest(text.as_bytes()).into();
        Ok((UserDirectory { users, digest }, places))
    } else {
        check.complaints.sort_by_key(|complaint| (complaint.line, complaint.column));
        Err(Diagnostics(check.complaints))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    version: Spanned<u32>,
    users: Option<Vec<RawUser>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    name: Spanned<String>,
    scram: Spanned<String>,
    tenant: Option<Spanned<String>>,
    #[serde(default)]
    roles: Vec<Spanned<String>>,
    #[serde(default)]
    attributes: HashMap<Spanned<String>, Spanned<String>>,
    enabled: Option<Spanned<bool>>,
    expires: Option<Spanned<String>>,
    #[serde(default)]
    end_users: ActsFor,
}

struct Check<'a> {
    file: &'a Path,
    complaints: Vec<Diagnostic>,
}

impl Check<'_> {
    fn complain<T>(&mut self, place: &Spanned<T>, message: impl Into<String>) {
        self.complaints.push(yaml::at(self.file, place.referenced, message));
    }

    fn name(&mut self, what: &str, text: &Spanned<String>, verdict: Result<(), NameError>) -> bool {
        match verdict {
            Ok(()) => true,
            Err(error) => {
                self.complain(text, format!("{what} is not acceptable: {error}"));
                false
            }
        }
    }

    /// The account, or None after at least one complaint.
    fn entry(&mut self, raw: RawUser) -> Option<UserRecord> {
        let mut good = self.name("user name", &raw.name, check_name(&raw.name.value));
        let verifier = match raw.scram.value.parse::<ScramVerifier>() {
            Ok(verifier) => Some(verifier),
            Err(error) => {
                self.complain(&raw.scram, format!("not a password verifier: {error}"));
                None
            }
        };
        if let Some(tenant) = &raw.tenant {
            good &= self.name("tenant", tenant, check_name(&tenant.value));
        }
        let mut roles = BTreeSet::new();
        for role in raw.roles {
            good &= self.name("role", &role, check_name(&role.value));
            if roles.contains(&role.value) {
                self.complain(&role, format!("role `{}` is given twice", role.value));
                good = false;
            }
            roles.insert(role.value);
        }
        let mut attributes = BTreeMap::new();
        for (key, value) in raw.attributes {
            good &= self.name("attribute", &key, check_attribute_key(&key.value));
            good &= self.name("attribute", &value, check_attribute_value(&value.value));
            attributes.insert(key.value, value.value);
        }
        let expires = match &raw.expires {
            None => None,
            Some(text) => match DateTime::parse_from_rfc3339(&text.value) {
                Ok(instant) => Some(instant.with_timezone(&Utc)),
                Err(_) => {
                    self.complain(text, "not a time: expected RFC 3339, such as 2027-01-31T00:00:00Z");
                    good = false;
                    None
                }
            },
        };
        let verifier = verifier.filter(|_| good)?;
        Some(UserRecord {
            name: raw.name.value,
            verifier,
            tenant: raw.tenant.map(|tenant| tenant.value),
            roles,
            attributes,
            enabled: raw.enabled.is_none_or(|enabled| enabled.value),
            expires,
            end_users: raw.end_users,
        })
    }
}

fn entry_places(entry: &RawUser) -> Option<EntryPlaces> {
    let enabled = match &entry.enabled {
        Some(value) => Some(place_of(value)?),
        None => None,
    };
    Some(EntryPlaces { name: place_of(&entry.name)?, scram: place_of(&entry.scram)?, enabled })
}

fn place_of<T>(value: &Spanned<T>) -> Option<PlaceOfValue> {
    let span = value.referenced.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    Some(PlaceOfValue { start, end: start + length })
}
