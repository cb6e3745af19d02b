//! One consistent set of policies: loaded whole, checked whole, never changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Datelike;
use sha2::{Digest, Sha256};

use crate::Principal;
use crate::audience::Audience;
use crate::document::{Diagnostic, Diagnostics};
use crate::explain::place_of;
use crate::grants::GrantMap;
use crate::key::read_secret;
use crate::mask::{self, MaskKey, Surroundings};
use crate::mask_rules::{self, MaskRule, MaskedPart};
use crate::pattern::{ObjectPattern, unknown};
use crate::presets;
use crate::records::{Effect, FilterKind, GrantRecord, RoleRecord, at, parse};
use crate::resolved::Resolved;
use crate::row_filter::RowFilterTemplate;
use crate::securable::Securable;

/// A row filter, ready to be bound.
#[derive(Debug)]
pub(crate) struct RowFilter {
    pub(crate) name: String,
    on: Vec<ObjectPattern>,
    tag: Option<String>,
    pub(crate) kind: FilterKind,
    pub(crate) audience: Audience,
    pub(crate) template: RowFilterTemplate,
    /// For complaints about tables that appear later.
    pub(crate) place: Diagnostic,
}

/// All policies in force at one epoch.
#[derive(Debug)]
pub struct PolicySnapshot {
    epoch: u64,
    digest: String,
    /// Digest of the files alone, without keys and presets.
    texts: String,
    roles: Vec<RoleRecord>,
    pub(crate) grants: Vec<GrantRecord>,
    /// Where each grant is written: file, line, column.
    pub(crate) grant_places: Vec<String>,
    pub(crate) row_filters: Vec<RowFilter>,
    pub(crate) masks: Vec<MaskRule>,
    keys: BTreeMap<String, Arc<MaskKey>>,
}

impl RowFilter {
    pub(crate) fn concerns(&self, table: &Securable) -> bool {
        self.tag.as_ref().is_some_and(|tag| table.tags.contains(tag))
            || self.on.iter().any(|pattern| pattern.matches(&table.schema, &table.table))
    }
}

impl PolicySnapshot {
    /// No policies: nothing is visible to anyone.
    #[must_use]
    pub fn deny_all(epoch: u64) -> Self {
        Self {
            epoch,
            digest: digest(std::iter::empty(), std::iter::empty()),
            texts: digest(std::iter::empty(), std::iter::empty()),
            roles: Vec::new(),
            grants: Vec::new(),
            grant_places: Vec::new(),
            row_filters: Vec::new(),
            masks: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    /// Loads and checks policy files against the tables there are. Reads files: not for async tasks.
    /// Files without grants, and no files, deny everything to everyone.
    pub fn load(paths: &[PathBuf], tables: &[Securable], epoch: u64) -> Result<Self, Diagnostics> {
        Self::from_texts(&Self::read(paths)?, tables, epoch)
    }

    /// The texts of policy files that stay as they are.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<(&Path, String)>, Diagnostics> {
        let texts = read(paths)?;
        // A new file beside an old one may say what neither set does: grants without their filters.
        if read(paths)? != texts {
            let file = paths.first().map_or(Path::new("policies"), PathBuf::as_path);
            return Err(Diagnostics::file(
                file,
                "the policy files are being written; read again when they stay",
            ));
        }
        Ok(texts)
    }

    /// The same from texts already read.
    pub(crate) fn from_texts(
        texts: &[(&Path, String)],
        tables: &[Securable],
        epoch: u64,
    ) -> Result<Self, Diagnostics> {
        let mut problems = Vec::new();
        let mut snapshot = Self::deny_all(epoch);
        let (mut names, mut presets) = (BTreeSet::new(), Vec::new());
        for (path, text) in texts {
            let file = match parse(path, text) {
                Ok(file) => file,
                Err(found) => {
                    problems.extend(found.0);
                    continue;
                }
            };
            let base = path.parent().unwrap_or_else(|| Path::new("."));
            for (name, record) in file.keys {
                let key = read_secret(&record.from.value, base).and_then(MaskKey::new);
                match key {
                    Ok(key) => {
                        if snapshot.keys.insert(name.clone(), Arc::new(key)).is_some() {
                            problems.push(at(path, &record.from, format!("key `{name}` is declared twice")));
                        }
                    }
                    Err(why) => problems.push(at(path, &record.from, why)),
                }
            }
            for record in file.roles {
                if record.role.value.contains(':') || record.role.value.is_empty() {
                    problems.push(at(path, &record.role, "a role's name is not empty and holds no colon"));
                }
                if snapshot.roles.iter().any(|known| known.role.value == record.role.value) {
                    problems.push(at(
                        path,
                        &record.role,
                        format!("role `{}` is declared twice", record.role.value),
                    ));
                }
                snapshot.roles.push(record);
            }
            for record in file.grants {
                if record.role.value.contains(':') || record.role.value.is_empty() {
                    problems.push(at(path, &record.role, "a role's name is not empty and holds no colon"));
                }
                match record.object.value.parse::<ObjectPattern>() {
                    Ok(pattern) => {
                        problems.extend(unknown(&pattern, tables).map(|why| at(path, &record.object, why)))
                    }
                    Err(why) => problems.push(at(path, &record.object, why)),
                }
                snapshot.grant_places.push(place_of(&at(path, &record.object, "")));
                snapshot.grants.push(record);
            }
            for record in file.row_filters {
                if !names.insert(record.name.value.clone()) {
                    problems.push(at(
                        path,
                        &record.name,
                        format!("the name `{}` is used twice", record.name.value),
                    ));
                }
                if record.on.is_empty() && record.tag.is_none() {
                    problems.push(at(
                        path,
                        &record.name,
                        "expected `on` (a list of table patterns) or `tag`",
                    ));
                }
                let mut on = Vec::new();
                for place in &record.on {
                    match place.value.parse::<ObjectPattern>() {
                        Ok(pattern) => {
                            problems.extend(unknown(&pattern, tables).map(|why| at(path, place, why)));
                            on.push(pattern);
                        }
                        Err(why) => problems.push(at(path, place, why)),
                    }
                }
                if let Some(tag) = &record.tag
                    && !tables.iter().any(|table| table.tags.contains(&tag.value))
                {
                    problems.push(at(path, tag, format!("no table carries the tag `{}`", tag.value)));
                }
                match RowFilterTemplate::parse(&record.using.value) {
                    Ok(template) => snapshot.row_filters.push(RowFilter {
                        name: record.name.value.clone(),
                        on,
                        tag: record.tag.map(|tag| tag.value),
                        kind: record.kind,
                        audience: Audience::new(record.to.as_deref(), &record.except),
                        template,
                        place: at(path, &record.using, ""),
                    }),
                    Err(why) => problems.push(at(path, &record.using, why)),
                }
            }
            snapshot.masks.extend(mask_rules::read(path, file.masks, tables, &mut names, &mut problems));
            presets.extend(file.presets.into_iter().map(|record| (*path, record)));
        }
        // Only now are the keys of all files known.
        for (path, record) in &presets {
            match presets::expand(path, record, &snapshot.keys) {
                Ok(rules) => snapshot.masks.extend(rules),
                Err(found) => problems.extend(found),
            }
        }
        // A key that changed is a change of policy, though no file says anything else; so is a preset
        // that another release of the service says otherwise.
        let own = texts.iter().map(|(_, text)| text.as_str());
        let named = presets.iter().filter_map(|(_, record)| presets::text(&record.name.value));
        let keys = snapshot.keys.values().map(|key| key.fingerprint());
        snapshot.digest = digest(own.chain(named), keys);
        snapshot.texts = texts_digest(texts);
        problems.extend(snapshot.unknown_roles());
        problems.extend(tables.iter().flat_map(|table| snapshot.check(table)));
        // The rules of one preset have one place and may have one mistake in common.
        let mut said = BTreeSet::new();
        problems.retain(|problem| said.insert(problem.to_string()));
        if problems.is_empty() { Ok(snapshot) } else { Err(Diagnostics(problems)) }
    }

    /// A rule for a role that nothing grants anything to is a misspelt role.
    fn unknown_roles(&self) -> Vec<Diagnostic> {
        let known: BTreeSet<&String> = self
            .grants
            .iter()
            .map(|grant| &grant.role.value)
            .chain(self.roles.iter().map(|record| &record.role.value))
            .chain(self.roles.iter().flat_map(|record| &record.inherits))
            .collect();
        let rules = self
            .row_filters
            .iter()
            .map(|f| (&f.audience, &f.place))
            .chain(self.masks.iter().map(|m| (&m.audience, &m.place)));
        rules
            .flat_map(|(audience, place)| {
                audience.roles().filter(|role| !known.contains(role)).map(|role| Diagnostic {
                    message: format!("role `{role}` is neither declared under `roles` nor named by a grant"),
                    ..place.clone()
                })
            })
            .collect()
    }

    /// What is wrong with the rules as far as `table` is concerned.
    fn check(&self, table: &Securable) -> Vec<Diagnostic> {
        let Some(schema) = &table.columns else { return Vec::new() };
        let mut problems = Vec::new();
        let complain = |place: &Diagnostic, why: String| Diagnostic { message: why, ..place.clone() };
        for filter in self.row_filters.iter().filter(|filter| filter.concerns(table)) {
            if let Err(why) = filter.template.check(schema) {
                problems.push(complain(&filter.place, format!("{}: {why}", table.full_name())));
            }
        }
        let surroundings = self.surroundings(this_year());
        let mut masked: Vec<(&MaskRule, MaskedPart)> = Vec::new();
        for rule in &self.masks {
            let parts = match rule.parts(table, schema) {
                Ok(parts) => parts,
                Err(why) => {
                    problems.push(complain(&rule.place, format!("{}: {why}", table.full_name())));
                    continue;
                }
            };
            for part in parts {
                let name = format!("{}.{}", table.full_name(), part.name(schema));
                let raw = schema.field(part.column).data_type();
                if let Err(why) = mask::build_part(&rule.spec, raw, &part.fields, &surroundings) {
                    problems.push(complain(&rule.place, format!("{name}: {why}")));
                }
                for (other, other_part) in &masked {
                    if part.overlaps(other_part) && rule.audience.overlaps(&other.audience) {
                        let why = format!(
                            "masks `{}` and `{}` can both apply to {name}; separate them by `to` and `except`",
                            other.name, rule.name,
                        );
                        problems.push(complain(&rule.place, why));
                    }
                }
                masked.push((rule, part));
            }
        }
        problems
    }

    pub(crate) fn surroundings(&self, year: i32) -> Surroundings<'_> {
        Surroundings { keys: &self.keys, year }
    }

    /// Counts up with every change; part of every cache key.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// SHA-256 of the files, hexadecimal; part of every audit record.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether anybody may see anything.
    #[must_use]
    pub fn grants_anything(&self) -> bool {
        self.grants.iter().any(|grant| grant.effect == Effect::Allow)
    }

    /// Whether it was loaded from exactly these texts.
    pub(crate) fn is_of(&self, texts: &[(&Path, String)]) -> bool {
        self.texts == texts_digest(texts)
    }

    /// One line per rule, for operators: kind, name or role, object, what it does.
    #[must_use]
    pub fn describe(&self) -> Vec<RuleDescription> {
        self.describe_some(None)
    }

    /// Those of the rules that concern `table`, whoever asks.
    #[must_use]
    pub fn describe_on(&self, table: &Securable) -> Vec<RuleDescription> {
        self.describe_some(Some(table))
    }

    fn describe_some(&self, table: Option<&Securable>) -> Vec<RuleDescription> {
        let mut rules = Vec::new();
        for (grant, place) in self.grants.iter().zip(&self.grant_places) {
            let concerns = |table: &Securable| {
                let pattern = grant.object.value.parse::<ObjectPattern>();
                pattern.is_ok_and(|pattern| pattern.matches(&table.schema, &table.table))
            };
            if !table.is_none_or(concerns) {
                continue;
            }
            rules.push(RuleDescription {
                kind: "grant",
                name: grant.role.value.clone(),
                object: grant.object.value.clone(),
                audience: format!("to {}", grant.role.value),
                definition: format!(
                    "{} {} in tenant {}",
                    grant.effect.word(),
                    grant.action.word(),
                    grant.tenant
                ),
                place: place.clone(),
            });
        }
        let concerned = |filter: &&RowFilter| table.is_none_or(|table| filter.concerns(table));
        for filter in self.row_filters.iter().filter(concerned) {
            let object = filter
                .on
                .iter()
                .map(ToString::to_string)
                .chain(filter.tag.iter().map(|tag| format!("tag {tag}")));
            rules.push(RuleDescription {
                kind: "row filter",
                name: filter.name.clone(),
                object: object.collect::<Vec<_>>().join(", "),
                audience: filter.audience.describe(),
                definition: format!("{}: {}", filter.kind.word(), filter.template.text()),
                place: place_of(&filter.place),
            });
        }
        let concerned = |mask: &&MaskRule| {
            table.is_none_or(|table| match &table.columns {
                // What cannot be located concerns the table all the more: it shows no rows.
                Some(columns) => !mask.parts(table, columns).is_ok_and(|parts| parts.is_empty()),
                None => true,
            })
        };
        for mask in self.masks.iter().filter(concerned) {
            rules.push(RuleDescription {
                kind: "mask",
                name: mask.name.clone(),
                object: mask.target.to_string(),
                audience: mask.audience.describe(),
                definition: mask.spec.describe(),
                place: place_of(&mask.place),
            });
        }
        rules
    }

    /// Compiles what concerns one principal.
    pub async fn resolve(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
    ) -> Result<Arc<Resolved>, casbin::Error> {
        let grants = GrantMap::compile(principal, &self.roles, &self.grants).await?;
        Ok(Arc::new(Resolved::new(Arc::clone(self), Arc::clone(principal), grants)))
    }
}

/// A rule as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDescription {
    /// `grant`, `row filter` or `mask`.
    pub kind: &'static str,
    /// Name of the rule, or the role of a grant.
    pub name: String,
    /// What it applies to.
    pub object: String,
    /// Whom it concerns, in words.
    pub audience: String,
    /// What it does.
    pub definition: String,
    /// Where it is written: `file:line:column`.
    pub place: String,
}

/// The calendar year, UTC.
pub(crate) fn this_year() -> i32 {
    chrono::Utc::now().year()
}

fn read(paths: &[PathBuf]) -> Result<Vec<(&Path, String)>, Diagnostics> {
    paths
        .iter()
        .map(|path| match std::fs::read_to_string(path) {
            Ok(text) => Ok((path.as_path(), text)),
            Err(error) => Err(Diagnostics::file(path, format!("cannot be read: {error}"))),
        })
        .collect()
}

fn texts_digest(texts: &[(&Path, String)]) -> String {
    digest(texts.iter().map(|(_, text)| text.as_str()), std::iter::empty())
}

fn digest<'a>(texts: impl Iterator<Item = &'a str>, keys: impl Iterator<Item = [u8; 32]>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    for key in keys {
        hash.update(key);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
