//! Policy files become a snapshot: read twice, checked against the tables there are.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::check;
use crate::document::{Diagnostic, Diagnostics};
use crate::filter_rules;
use crate::grants::{Grant, GrantTarget, Grants};
use crate::key::read_secret;
use crate::known::KnownTables;
use crate::mask::MaskKey;
use crate::mask_rules;
use crate::pattern::ObjectPattern;
use crate::presets;
use crate::records::{GrantRecord, PolicyFile, RoleRecord, at, parse};
use crate::securable::Securable;
use crate::snapshot::PolicySnapshot;
use crate::tags::Tags;

impl PolicySnapshot {
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

    /// Whether it was loaded from exactly these texts.
    pub(crate) fn is_of(&self, texts: &[(&Path, String)]) -> bool {
        self.texts == texts_digest(texts)
    }

    /// The same from texts already read.
    pub(crate) fn from_texts(
        texts: &[(&Path, String)],
        tables: &[Securable],
        epoch: u64,
    ) -> Result<Self, Diagnostics> {
        let mut problems = Vec::new();
        let mut files: Vec<(&Path, PolicyFile)> = Vec::new();
        for (path, text) in texts {
            match parse(path, text) {
                Ok(file) => files.push((path, file)),
                Err(found) => problems.extend(found.0),
            }
        }
        // Rules of any file may name the tags of any other.
        let mut tags = Tags::default();
        let named = KnownTables::new(tables);
        for (path, file) in &mut files {
            tags.read(path, std::mem::take(&mut file.tags), &named, &mut problems);
        }
        let tables: Vec<Securable> = tables.iter().map(|table| tags.apply(table).into_owned()).collect();
        let known = KnownTables::new(&tables);

        let mut snapshot = Self { tags, ..Self::deny_all(epoch) };
        let (mut names, mut declared, mut presets) = (HashSet::new(), HashSet::new(), Vec::new());
        let (mut grants, mut roles): (Vec<Grant>, Vec<RoleRecord>) = (Vec::new(), Vec::new());
        for (path, file) in files {
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
                problems.extend(bad_role(path, &record.role));
                if !declared.insert(record.role.value.clone()) {
                    let why = format!("role `{}` is declared twice", record.role.value);
                    problems.push(at(path, &record.role, why));
                }
                roles.push(record);
            }
            for record in file.grants {
                problems.extend(bad_role(path, &record.role));
                match grant(path, record, &known, &mut problems) {
                    Ok(grant) => grants.push(grant),
                    Err(problem) => problems.push(problem),
                }
            }
            let filters = filter_rules::read(path, file.row_filters, &known, &mut names, &mut problems);
            snapshot.row_filters.extend(filters);
            snapshot.masks.extend(mask_rules::read(path, file.masks, &known, &mut names, &mut problems));
            presets.extend(file.presets.into_iter().map(|record| (path, record)));
        }
        snapshot.grants = Grants::new(grants, &roles);
        // Only now are the keys of all files known.
        for (path, record) in &presets {
            match presets::expand(path, record, &snapshot.keys) {
                Ok(rules) => snapshot.masks.extend(rules),
                Err(found) => problems.extend(found),
            }
        }
        snapshot.filter_index = filter_rules::index(&snapshot.row_filters);
        snapshot.mask_index = mask_rules::index(&snapshot.masks);
        // A key that changed is a change of policy, though no file says anything else; so is a preset
        // that another release of the service says otherwise.
        let own = texts.iter().map(|(_, text)| text.as_str());
        let named = presets.iter().filter_map(|(_, record)| presets::text(&record.name.value));
        let keys = snapshot.keys.values().map(|key| key.fingerprint());
        snapshot.digest = digest(own.chain(named), keys);
        snapshot.texts = texts_digest(texts);
        problems.extend(check::unknown_roles(&snapshot, &roles));
        problems.extend(check::tables(&snapshot, &tables));
        // The rules of one preset have one place and may have one mistake in common.
        let mut said = HashSet::new();
        problems.retain(|problem| said.insert(problem.to_string()));
        if problems.is_empty() { Ok(snapshot) } else { Err(Diagnostics(problems)) }
    }
}

fn bad_role(path: &Path, role: &serde_saphyr::Spanned<String>) -> Option<Diagnostic> {
    (role.value.contains(':') || role.value.is_empty())
        .then(|| at(path, role, "a role's name is not empty and holds no colon"))
}

fn grant(
    path: &Path,
    record: GrantRecord,
    tables: &KnownTables<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Result<Grant, Diagnostic> {
    let (target, place) = match (&record.object, &record.tag) {
        (Some(object), None) => {
            let pattern = object.value.parse::<ObjectPattern>().map_err(|why| at(path, object, why))?;
            problems.extend(tables.unknown(&pattern).map(|why| at(path, object, why)));
            (GrantTarget::Tables(pattern), object)
        }
        (None, Some(tag)) => {
            if !tables.table_tags.contains(&tag.value) {
                problems.push(at(path, tag, format!("no table carries the tag `{}`", tag.value)));
            }
            (GrantTarget::Tag(tag.value.clone()), tag)
        }
        _ => return Err(at(path, &record.role, "expected either `object` or `tag`")),
    };
    Ok(Grant {
        target,
        place: at(path, place, ""),
        role: record.role.value,
        tenant: record.tenant,
        action: record.action,
        effect: record.effect,
    })
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

pub(crate) fn digest<'a>(
    texts: impl Iterator<Item = &'a str>,
    keys: impl Iterator<Item = [u8; 32]>,
) -> String {
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
