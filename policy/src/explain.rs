//! Why somebody sees of a table what they see.

use std::fmt;

use crate::access::Access;
use crate::mask_rules::{Columns, MaskTarget};
use crate::records::{Action, Effect};
use crate::resolved::Resolved;
use crate::securable::Securable;

/// What one principal may do with one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// For them it does not exist.
    Invisible,
    /// It cannot be shown as it is now, so they see no rows.
    Unresolved,
    /// They see its columns and no rows.
    Describe,
    /// They read rows.
    Select,
}

/// A rule that applies, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedRule {
    /// Name; of a grant, its role.
    pub name: String,
    /// `file:line:column`.
    pub place: String,
    /// What it says, with the principal's own values in it.
    pub says: String,
}

/// A mask that applies to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMask {
    /// The column.
    pub column: String,
    /// The mask in a few words.
    pub mask: String,
    /// The rule it comes from.
    pub rule: AppliedRule,
}

/// The decision on one table for one principal, with its reasons in the order they were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// `schema.table`.
    pub table: String,
    /// User name.
    pub user: String,
    /// What came of it.
    pub right: Right,
    /// Why, in a sentence.
    pub because: String,
    /// The user's roles, inherited ones included.
    pub roles: Vec<String>,
    /// Grants and denials that concern user and table.
    pub grants: Vec<AppliedRule>,
    /// Row filters that apply.
    pub row_filters: Vec<AppliedRule>,
    /// No row at all is shown: a filter asks for something that the user does not have.
    pub no_rows: bool,
    /// Masks that apply, in the order of columns.
    pub masks: Vec<AppliedMask>,
    /// The table as the user sees it, as a query. Words in angle brackets stand for masks.
    pub sql: Option<String>,
}

impl Resolved {
    /// Why the principal sees of `table` what they see. For operators: it holds rules and attributes.
    #[must_use]
    pub fn explain(&self, table: &Securable) -> Explanation {
        let access = self.access(table);
        let tagged = self.snapshot().tagged(table);
        let table = tagged.as_ref();
        let grants = self.grants_on(table);
        let (right, because) = match &access {
            Access::Select(_) => (Right::Select, "a grant allows select and none denies it".to_owned()),
            Access::Describe(_) => {
                (Right::Describe, "grants allow describe; none allows select, or one denies it".to_owned())
            }
            Access::Unresolved(why) => (Right::Unresolved, format!("the policies cannot be applied: {why}")),
            Access::Invisible => (Right::Invisible, self.invisible_because(&grants)),
        };
        let mut explanation = Explanation {
            table: table.full_name(),
            user: self.principal().user.clone(),
            right,
            because,
            roles: self.roles().iter().cloned().collect(),
            grants: grants.into_iter().map(|(_, _, rule)| rule).collect(),
            row_filters: Vec::new(),
            no_rows: false,
            masks: Vec::new(),
            sql: None,
        };
        if let Access::Select(policy) | Access::Describe(policy) = &access {
            explanation.row_filters = self.filters_on(table);
            explanation.masks = self.masks_on(table);
            explanation.no_rows = policy.nothing;
            explanation.sql = Some(self.as_query(table, &explanation));
        }
        explanation
    }

    fn grants_on(&self, table: &Securable) -> Vec<(Action, Effect, AppliedRule)> {
        let tenant = self.principal().tenant.as_deref();
        let snapshot = self.snapshot();
        let concerned = snapshot.grants.all.iter().filter(|grant| {
            self.roles().contains(&grant.role)
                && grant.is_for_tenant(tenant)
                && grant.names(&table.schema, &table.table, &table.tags)
        });
        concerned
            .map(|grant| {
                let rule = AppliedRule {
                    name: grant.role.clone(),
                    place: place_of(&grant.place),
                    says: format!("{} {} on {}", grant.effect.word(), grant.action.word(), grant.target),
                };
                (grant.action, grant.effect, rule)
            })
            .collect()
    }

    fn invisible_because(&self, grants: &[(Action, Effect, AppliedRule)]) -> String {
        let denial = grants.iter().find(|(_, effect, _)| *effect == Effect::Deny);
        match denial {
            Some((_, _, rule)) => format!("{} denies it", rule.place),
            None if self.roles().is_empty() => "the user has no role".to_owned(),
            None => {
                let roles: Vec<_> = self.roles().iter().map(String::as_str).collect();
                let tenant = match &self.principal().tenant {
                    Some(tenant) => format!("tenant {tenant}"),
                    None => "no tenant".to_owned(),
                };
                format!("no grant names it for {} with {tenant}", roles.join(", "))
            }
        }
    }

    fn filters_on(&self, table: &Securable) -> Vec<AppliedRule> {
        self.snapshot()
            .filters_on(table)
            .filter(|filter| filter.audience.includes(self.roles()))
            .map(|filter| AppliedRule {
                name: filter.name.clone(),
                place: place_of(&filter.place),
                says: match filter.template.text_for(self.principal()) {
                    Some(text) => format!("{}: {text}", filter.kind.word()),
                    None => format!(
                        "{}: {} (no row: the user lacks what it asks for)",
                        filter.kind.word(),
                        filter.template.text()
                    ),
                },
            })
            .collect()
    }

    fn masks_on(&self, table: &Securable) -> Vec<AppliedMask> {
        let Some(columns) = &table.columns else { return Vec::new() };
        let by_name = Columns::of(table, columns);
        let rules = self.snapshot().masks_on(table).filter(|rule| rule.audience.includes(self.roles()));
        let mut masks: Vec<_> = rules
            .flat_map(|rule| {
                // What cannot be located shows no rows: the table is unresolved then.
                let parts = rule.parts(table, &by_name).unwrap_or_default();
                parts.into_iter().map(move |part| (part, rule))
            })
            .map(|(part, rule)| {
                let applied = AppliedMask {
                    column: part.name(columns),
                    mask: rule.spec.describe(),
                    rule: AppliedRule {
                        name: rule.name.clone(),
                        place: place_of(&rule.place),
                        says: match &rule.target {
                            MaskTarget::Tag(tag) => format!("columns tagged {tag}"),
                            MaskTarget::Column { on, column } => format!("{on}.{column}"),
                        },
                    },
                };
                (part.column, applied)
            })
            .collect();
        masks.sort_by_key(|(column, _)| *column);
        masks.into_iter().map(|(_, mask)| mask).collect()
    }

    fn as_query(&self, table: &Securable, explanation: &Explanation) -> String {
        let names =
            table.columns.iter().flat_map(|columns| columns.fields().iter().map(|field| field.name()));
        let columns: Vec<String> = names
            .map(|name| {
                let whole = explanation.masks.iter().find(|mask| mask.column == *name);
                let fields: Vec<_> = explanation
                    .masks
                    .iter()
                    .filter(|mask| mask.column.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
                    .map(|mask| format!("{}: {}", mask.column, mask.mask))
                    .collect();
                match whole {
                    Some(mask) => format!("<{}> AS {name}", mask.mask),
                    None if fields.is_empty() => name.clone(),
                    None => format!("<{}> AS {name}", fields.join(", ")),
                }
            })
            .collect();
        let mut sql = format!("SELECT {}\nFROM {}", columns.join(", "), explanation.table);
        if explanation.no_rows {
            sql.push_str("\nWHERE false");
            return sql;
        }
        let bound = |kind: crate::records::FilterKind| {
            let filters = self
                .snapshot()
                .filters_on(table)
                .filter(move |filter| filter.kind == kind && filter.audience.includes(self.roles()));
            filters.filter_map(|filter| filter.template.text_for(self.principal())).collect::<Vec<_>>()
        };
        let mut all = bound(crate::records::FilterKind::Restrictive);
        let any = bound(crate::records::FilterKind::Permissive);
        if !any.is_empty() {
            all.push(any.join(" OR "));
        }
        if !all.is_empty() {
            let all: Vec<String> = all.into_iter().map(|filter| format!("({filter})")).collect();
            sql.push_str(&format!("\nWHERE {}", all.join("\n  AND ")));
        }
        sql
    }
}

/// Where a rule is written.
pub(crate) fn place_of(at: &crate::document::Diagnostic) -> String {
    format!("{}:{}:{}", at.file.display(), at.line, at.column)
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invisible => "invisible",
            Self::Unresolved => "no rows",
            Self::Describe => "describe only",
            Self::Select => "select",
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on {}: {}", self.user, self.table, self.right)?;
        writeln!(f, "  because {}", self.because)?;
        writeln!(
            f,
            "  roles: {}",
            if self.roles.is_empty() { "none".to_owned() } else { self.roles.join(", ") }
        )?;
        let mut list = |title: &str, rules: &mut dyn Iterator<Item = String>| -> fmt::Result {
            let mut rules = rules.peekable();
            if rules.peek().is_some() {
                writeln!(f, "  {title}:")?;
            }
            rules.try_for_each(|rule| writeln!(f, "    {rule}"))
        };
        let line = |rule: &AppliedRule| format!("{} {}  ({})", rule.name, rule.says, rule.place);
        list("grants", &mut self.grants.iter().map(line))?;
        list("row filters", &mut self.row_filters.iter().map(line))?;
        let masked = |mask: &AppliedMask| {
            format!(
                "{}: {}, by {} on {}  ({})",
                mask.column, mask.mask, mask.rule.name, mask.rule.says, mask.rule.place
            )
        };
        list("masks", &mut self.masks.iter().map(masked))?;
        if let Some(sql) = &self.sql {
            writeln!(f, "  as a query:")?;
            sql.lines().try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        Ok(())
    }
}
