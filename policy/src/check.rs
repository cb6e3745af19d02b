//! What is wrong with rules as far as the tables there are concerned.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::document::Diagnostic;
use crate::mask;
use crate::mask_rules::{Columns, MaskRule, MaskedPart};
use crate::records::RoleRecord;
use crate::row_filter::Signature;
use crate::securable::Securable;
use crate::snapshot::{PolicySnapshot, this_year};

fn complain(place: &Diagnostic, why: String) -> Diagnostic {
    Diagnostic { message: why, ..place.clone() }
}

/// A rule for a role that nothing grants anything to is a misspelt role.
pub(crate) fn unknown_roles(snapshot: &PolicySnapshot, roles: &[RoleRecord]) -> Vec<Diagnostic> {
    let known: BTreeSet<&String> = snapshot
        .grants
        .all
        .iter()
        .map(|grant| &grant.role)
        .chain(roles.iter().map(|record| &record.role.value))
        .chain(roles.iter().flat_map(|record| &record.inherits))
        .collect();
    let rules = snapshot
        .row_filters
        .iter()
        .map(|f| (&f.audience, &f.place))
        .chain(snapshot.masks.iter().map(|m| (&m.audience, &m.place)));
    rules
        .flat_map(|(audience, place)| {
            audience.roles().filter(|role| !known.contains(role)).map(|role| {
                let why = format!("role `{role}` is neither declared under `roles` nor named by a grant");
                complain(place, why)
            })
        })
        .collect()
}

/// What is wrong with the rules as far as `tables`, which carry all their tags, are concerned.
pub(crate) fn tables(snapshot: &PolicySnapshot, tables: &[Securable]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    // Filters that are sound over columns of these types: most tables have the columns that filters ask
    // for in one type, and most filters say the same.
    let mut sound = HashSet::new();
    for table in tables {
        row_filters(snapshot, table, &mut sound, &mut problems);
        masks(snapshot, table, &mut problems);
    }
    problems
}

fn row_filters<'a>(
    snapshot: &'a PolicySnapshot,
    table: &Securable,
    sound: &mut HashSet<(&'a str, Signature)>,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(schema) = &table.columns else { return };
    for filter in snapshot.filters_on(table) {
        let known = filter.template.signature(schema).map(|signature| (filter.template.text(), signature));
        if known.as_ref().is_some_and(|known| sound.contains(known)) {
            continue;
        }
        match filter.template.check(schema) {
            Ok(()) => sound.extend(known),
            Err(why) => problems.push(complain(&filter.place, format!("{}: {why}", table.full_name()))),
        }
    }
}

fn masks(snapshot: &PolicySnapshot, table: &Securable, problems: &mut Vec<Diagnostic>) {
    let Some(schema) = &table.columns else { return };
    let mut rules = snapshot.masks_on(table).peekable();
    if rules.peek().is_none() {
        return;
    }
    let columns = Columns::of(table, schema);
    let surroundings = snapshot.surroundings(this_year());
    let mut masked: HashMap<usize, Vec<(&MaskRule, MaskedPart)>> = HashMap::new();
    for rule in rules {
        let parts = match rule.parts(table, &columns) {
            Ok(parts) => parts,
            Err(why) => {
                problems.push(complain(&rule.place, format!("{}: {why}", table.full_name())));
                continue;
            }
        };
        for part in parts {
            let name = || format!("{}.{}", table.full_name(), part.name(schema));
            let raw = schema.field(part.column).data_type();
            if let Err(why) = mask::build_part(&rule.spec, raw, &part.fields, &surroundings) {
                problems.push(complain(&rule.place, format!("{}: {why}", name())));
            }
            let others = masked.entry(part.column).or_default();
            for (other, other_part) in others.iter() {
                if part.overlaps(other_part) && rule.audience.overlaps(&other.audience) {
                    let why = format!(
                        "masks `{}` and `{}` can both apply to {}; separate them by `to` and `except`",
                        other.name,
                        rule.name,
                        name(),
                    );
                    problems.push(complain(&rule.place, why));
                }
            }
            others.push((rule, part));
        }
    }
}
