//! One consistent set of policies: loaded whole, checked whole, never changed.

mod explain;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dashmap::DashMap;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use sha2::{Digest, Sha256};

pub use self::explain::{AppliedMask, AppliedRule, Explanation, Right};
use crate::Principal;
use crate::access::{Access, TablePolicy};
use crate::audience::Audience;
use crate::document::{Diagnostic, Diagnostics};
use crate::grants::GrantMap;
use crate::key::read_secret;
use crate::mask::{self, MaskKey};
use crate::pattern::ObjectPattern;
use crate::records::{Action, FilterKind, GrantRecord, MaskSpec, RoleRecord, at, parse};
use crate::row_filter::{BoundFilter, RowFilterTemplate, is_always_true};
use crate::securable::Securable;

/// A row filter, ready to be bound.
#[derive(Debug)]
struct RowFilter {
    name: String,
    on: Vec<ObjectPattern>,
    tag: Option<String>,
    kind: FilterKind,
    audience: Audience,
    template: RowFilterTemplate,
    /// For complaints about tables that appear later.
    place: Diagnostic,
}

/// A mask, ready to be applied to columns.
#[derive(Debug)]
struct ColumnMask {
    name: String,
    target: MaskTarget,
    audience: Audience,
    spec: MaskSpec,
    place: Diagnostic,
}

#[derive(Debug)]
enum MaskTarget {
    Tag(String),
    Column { on: ObjectPattern, column: String },
}

/// All policies in force at one epoch.
#[derive(Debug)]
pub struct PolicySnapshot {
    epoch: u64,
    digest: String,
    roles: Vec<RoleRecord>,
    grants: Vec<GrantRecord>,
    /// Where each grant is written: file, line, column.
    grant_places: Vec<String>,
    row_filters: Vec<RowFilter>,
    masks: Vec<ColumnMask>,
    keys: BTreeMap<String, Arc<MaskKey>>,
}

impl RowFilter {
    fn concerns(&self, table: &Securable) -> bool {
        self.tag.as_ref().is_some_and(|tag| table.tags.contains(tag))
            || self.on.iter().any(|pattern| pattern.matches(&table.schema, &table.table))
    }
}

impl ColumnMask {
    fn concerns(&self, table: &Securable, column: &str) -> bool {
        match &self.target {
            MaskTarget::Tag(tag) => table.column_has_tag(column, tag),
            MaskTarget::Column { on, column: masked } => {
                masked == column && on.matches(&table.schema, &table.table)
            }
        }
    }
}

impl PolicySnapshot {
    /// No policies: nothing is visible to anyone.
    #[must_use]
    pub fn deny_all(epoch: u64) -> Self {
        Self {
            epoch,
            digest: digest(&[], std::iter::empty()),
            roles: Vec::new(),
            grants: Vec::new(),
            grant_places: Vec::new(),
            row_filters: Vec::new(),
            masks: Vec::new(),
            keys: BTreeMap::new(),
        }
    }

    /// Loads and checks policy files against the tables there are. Reads files: not for async tasks.
    pub fn load(paths: &[PathBuf], tables: &[Securable], epoch: u64) -> Result<Self, Diagnostics> {
        let texts = read(paths)?;
        // A new file beside an old one may say what neither set does: grants without their filters.
        if read(paths)? != texts {
            let file = paths.first().map_or(Path::new("policies"), PathBuf::as_path);
            return Err(Diagnostics::file(
                file,
                "the policy files are being written; read again when they stay",
            ));
        }
        Self::from_texts(&texts, tables, epoch)
    }

    /// The same from texts already read.
    fn from_texts(texts: &[(&Path, String)], tables: &[Securable], epoch: u64) -> Result<Self, Diagnostics> {
        let mut problems = Vec::new();
        let mut snapshot = Self::deny_all(epoch);
        let mut names = BTreeSet::new();
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
                snapshot.grant_places.push(explain::place(&at(path, &record.object, "")));
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
            for record in file.masks {
                if !names.insert(record.name.value.clone()) {
                    problems.push(at(
                        path,
                        &record.name,
                        format!("the name `{}` is used twice", record.name.value),
                    ));
                }
                let target = match (&record.tag, &record.on, &record.column) {
                    (Some(tag), None, None) => {
                        let carried = tables
                            .iter()
                            .any(|t| t.column_tags.values().flatten().any(|own| *own == tag.value));
                        if !carried {
                            problems.push(at(
                                path,
                                tag,
                                format!("no column carries the tag `{}`", tag.value),
                            ));
                        }
                        MaskTarget::Tag(tag.value.clone())
                    }
                    (None, Some(on), Some(column)) => match on.value.parse::<ObjectPattern>() {
                        Ok(pattern) => {
                            problems.extend(unknown(&pattern, tables).map(|why| at(path, on, why)));
                            let known =
                                tables.iter().filter(|t| pattern.matches(&t.schema, &t.table)).any(|t| {
                                    t.columns
                                        .as_ref()
                                        .is_none_or(|schema| schema.index_of(&column.value).is_ok())
                                });
                            if !known {
                                problems.push(at(
                                    path,
                                    column,
                                    format!("no table of `{pattern}` has a column `{}`", column.value),
                                ));
                            }
                            MaskTarget::Column { on: pattern, column: column.value.clone() }
                        }
                        Err(why) => {
                            problems.push(at(path, on, why));
                            continue;
                        }
                    },
                    _ => {
                        problems.push(at(path, &record.name, "expected either `tag`, or `on` with `column`"));
                        continue;
                    }
                };
                snapshot.masks.push(ColumnMask {
                    name: record.name.value.clone(),
                    target,
                    audience: Audience::new(record.to.as_deref(), &record.except),
                    place: at(path, &record.mask, ""),
                    spec: record.mask.value,
                });
            }
        }
        // A key that changed is a change of policy, though no file says anything else.
        snapshot.digest = digest(texts, snapshot.keys.values().map(|key| key.fingerprint()));
        problems.extend(snapshot.unknown_roles());
        problems.extend(tables.iter().flat_map(|table| snapshot.check(table)));
        if problems.is_empty() && snapshot.grants.is_empty() {
            let file = texts.first().map_or(Path::new("policies"), |(path, _)| path);
            problems.extend(
                Diagnostics::file(file, "no grants at all: nobody would see anything; expected `grants`").0,
            );
        }
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
        for field in schema.fields() {
            let concerned: Vec<_> =
                self.masks.iter().filter(|mask| mask.concerns(table, field.name())).collect();
            for (index, mask) in concerned.iter().enumerate() {
                if let Err(why) =
                    mask::build(&mask.spec, field.data_type(), &|name| self.keys.get(name).cloned())
                {
                    problems.push(complain(
                        &mask.place,
                        format!("{}.{}: {why}", table.full_name(), field.name()),
                    ));
                }
                for other in &concerned[..index] {
                    if mask.audience.overlaps(&other.audience) {
                        problems.push(complain(
                            &mask.place,
                            format!(
                                "masks `{}` and `{}` can both apply to {}.{}; separate them by `to` and `except`",
                                other.name,
                                mask.name,
                                table.full_name(),
                                field.name()
                            ),
                        ));
                    }
                }
            }
        }
        problems
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

    /// One line per rule, for operators: kind, name or role, object, what it does.
    #[must_use]
    pub fn describe(&self) -> Vec<RuleDescription> {
        let mut rules = Vec::new();
        for grant in &self.grants {
            rules.push(RuleDescription {
                kind: "grant",
                name: grant.role.value.clone(),
                object: grant.object.value.clone(),
                definition: format!(
                    "{} {} in tenant {}",
                    grant.effect.word(),
                    grant.action.word(),
                    grant.tenant
                ),
            });
        }
        for filter in &self.row_filters {
            let object = filter
                .on
                .iter()
                .map(ToString::to_string)
                .chain(filter.tag.iter().map(|tag| format!("tag {tag}")));
            rules.push(RuleDescription {
                kind: "row filter",
                name: filter.name.clone(),
                object: object.collect::<Vec<_>>().join(", "),
                definition: format!("{}: {}", filter.kind.word(), filter.template.text()),
            });
        }
        for mask in &self.masks {
            let object = match &mask.target {
                MaskTarget::Tag(tag) => format!("tag {tag}"),
                MaskTarget::Column { on, column } => format!("{on}.{column}"),
            };
            rules.push(RuleDescription {
                kind: "mask",
                name: mask.name.clone(),
                object,
                definition: mask.spec.describe(),
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
        Ok(Arc::new(Resolved {
            snapshot: Arc::clone(self),
            principal: Arc::clone(principal),
            grants,
            decisions: DashMap::new(),
        }))
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
    /// What it does.
    pub definition: String,
}

/// The policies of one epoch as they concern one principal; decisions are made once per table.
#[derive(Debug)]
pub struct Resolved {
    snapshot: Arc<PolicySnapshot>,
    principal: Arc<Principal>,
    grants: GrantMap,
    /// By table name and the address-independent identity of its columns: a schema change decides anew.
    decisions: DashMap<String, (SchemaRef, Vec<String>, Access)>,
}

impl Resolved {
    /// The snapshot behind it.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<PolicySnapshot> {
        &self.snapshot
    }

    /// Whose it is.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The principal's roles with the inherited ones.
    #[must_use]
    pub fn roles(&self) -> &BTreeSet<String> {
        &self.grants.roles
    }

    /// Whether the principal may describe (or read) `schema.table`, whatever its columns are.
    #[must_use]
    pub fn may_see(&self, schema: &str, table: &str) -> bool {
        self.grants.allows(schema, table, Action::Describe)
    }

    /// Whether the principal may read `schema.table`, whatever its columns are.
    #[must_use]
    pub fn may_read(&self, schema: &str, table: &str) -> bool {
        self.may_see(schema, table) && self.grants.allows(schema, table, Action::Select)
    }

    /// The decision on one table.
    #[must_use]
    pub fn access(&self, table: &Securable) -> Access {
        let Some(columns) = &table.columns else {
            return if self.may_see(&table.schema, &table.table) {
                Access::Unresolved(Arc::from("the table is unavailable"))
            } else {
                Access::Invisible
            };
        };
        let name = table.full_name();
        let tags: Vec<String> = table
            .tags
            .iter()
            .cloned()
            .chain(table.column_tags.iter().map(|(column, tags)| format!("{column}:{}", tags.join(","))))
            .collect();
        if let Some(known) = self.decisions.get(&name)
            && known.0 == *columns
            && known.1 == tags
        {
            return known.2.clone();
        }
        let access = self.decide(table, columns);
        self.decisions.insert(name, (Arc::clone(columns), tags, access.clone()));
        access
    }

    fn decide(&self, table: &Securable, columns: &SchemaRef) -> Access {
        let describe = self.grants.allows(&table.schema, &table.table, Action::Describe);
        let select = self.grants.allows(&table.schema, &table.table, Action::Select);
        if !describe {
            return Access::Invisible;
        }
        match self.table_policy(table, columns) {
            Ok(policy) if select => Access::Select(Arc::new(policy)),
            Ok(policy) => Access::Describe(Arc::new(policy)),
            Err(why) => {
                tracing::error!(
                    table = table.full_name(),
                    reason = why,
                    "policies cannot be applied to a table; it shows no rows"
                );
                Access::Unresolved(Arc::from(why))
            }
        }
    }

    fn table_policy(&self, table: &Securable, columns: &SchemaRef) -> Result<TablePolicy, String> {
        let mut rules = Vec::new();
        let (mut all, mut any, mut nothing) = (Vec::new(), Vec::new(), false);
        let mut alternatives = false;
        let concerned = |f: &&RowFilter| f.concerns(table) && f.audience.includes(self.roles());
        for filter in self.snapshot.row_filters.iter().filter(concerned) {
            rules.push(format!("row filter {}", filter.name));
            let bound = filter.template.bind(&self.principal, columns)?;
            match (filter.kind, bound) {
                (FilterKind::Restrictive, BoundFilter::Nothing) => nothing = true,
                (FilterKind::Restrictive, BoundFilter::Where(expr)) => all.push(expr),
                (FilterKind::Permissive, BoundFilter::Nothing) => alternatives = true,
                (FilterKind::Permissive, BoundFilter::Where(expr)) => {
                    alternatives = true;
                    any.push(expr);
                }
            }
        }
        if alternatives {
            match disjunction(any) {
                Some(expr) => all.push(expr),
                None => nothing = true,
            }
        }
        all.retain(|expr| !is_always_true(expr));
        let (mut masks, mut recipe) = (BTreeMap::new(), Vec::new());
        for (index, field) in columns.fields().iter().enumerate() {
            for rule in self
                .snapshot
                .masks
                .iter()
                .filter(|m| m.concerns(table, field.name()) && m.audience.includes(self.roles()))
            {
                let mask = mask::build(&rule.spec, field.data_type(), &|name| {
                    self.snapshot.keys.get(name).cloned()
                })?;
                recipe.push(format!("{} {}", field.name(), rule.spec.describe()));
                rules.push(format!("mask {} on {}", rule.name, field.name()));
                if masks.insert(index, mask).is_some() {
                    return Err(format!("two masks apply to column {}", field.name()));
                }
            }
        }
        let name = Arc::from(table.full_name());
        Ok(TablePolicy::new(name, columns, conjunction(all), nothing, masks, recipe, rules))
    }
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

/// Why an exact pattern, or one limited to a schema, names nothing there is.
fn unknown(pattern: &ObjectPattern, tables: &[Securable]) -> Option<String> {
    if tables.iter().any(|t| pattern.matches(&t.schema, &t.table)) || pattern.exact_schema() == Some("system")
    {
        return None;
    }
    match (pattern.exact(), pattern.exact_schema()) {
        (Some((schema, table)), _) => Some(format!("there is no table `{schema}.{table}`")),
        (None, Some(schema)) if !tables.iter().any(|t| t.schema == schema) => {
            Some(format!("there is no schema `{schema}` with tables in it"))
        }
        _ => None,
    }
}

fn digest(texts: &[(&Path, String)], keys: impl Iterator<Item = [u8; 32]>) -> String {
    let mut hash = Sha256::new();
    for (_, text) in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    for key in keys {
        hash.update(key);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
