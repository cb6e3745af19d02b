//! Policies drawn at random, and the three lakes that belong to them.

use std::fmt::Write as _;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};

use crate::cells::{Cell, Column, Kind, Row, text};
use crate::delta::Layout;
use crate::doors::Door;
use crate::generated::filter::{Draw, Filter};
use crate::generated::lake::{Part, SUBJECTS, Subject, hostile_row, masked, sibling, usual_row};
use crate::generated::statement::Relation;
use crate::generated::tape::{Dice, Tape};
use crate::lakes::{Lake, NO_VIEWS};
use crate::masks::Masking;
use crate::service::Tuning;
use crate::tables::Table;

/// Numbers that a scenario is made of, one list for each thing that can be left out.
#[derive(Debug, Clone)]
pub struct Numbers {
    /// Of the rows.
    pub seed: u16,
    /// Of the sizes and the path.
    pub path: Vec<u32>,
    /// Of what is granted: a list for each table.
    pub grants: Vec<Vec<u32>>,
    /// Of row filters.
    pub filters: Vec<Vec<u32>>,
    /// Of masks.
    pub masks: Vec<Vec<u32>>,
}

fn numbers(count: Range<usize>) -> impl Strategy<Value = Vec<u32>> {
    vec(0..1_000_000_u32, count)
}

/// Draws numbers for [`Scenario::new`].
pub fn strategy() -> impl Strategy<Value = Numbers> {
    let filters = vec(numbers(20..40), 1..7);
    let masks = vec(numbers(8..9), 2..16);
    (any::<u16>(), numbers(8..9), vec(numbers(3..4), 3..4), filters, masks)
        .prop_map(|(seed, path, grants, filters, masks)| Numbers { seed, path, grants, filters, masks })
}

/// Whom a rule concerns.
#[derive(Debug, Clone)]
struct Audience {
    to: Option<&'static str>,
    except: Option<&'static str>,
}

/// The analyst's own role, one that it inherits, and two that are other people's.
const ROLES: [&str; 4] = ["analyst", "reader", "clerk", "steward"];

impl Audience {
    fn draw(tape: &Tape<'_>) -> Self {
        let to = tape.one_of(&[None, Some("analyst"), Some("reader"), None, Some("analyst"), Some("clerk")]);
        let except = tape.one_of(&[None, None, None, Some("steward"), Some("clerk"), Some("reader")]);
        Self { to, except }
    }

    fn concerns_the_analyst(&self) -> bool {
        let theirs = |role: &str| ROLES[..2].contains(&role);
        self.to.is_none_or(theirs) && !self.except.is_some_and(theirs)
    }

    fn yaml(&self) -> String {
        let list = |key, role: Option<&str>| role.map_or(String::new(), |role| format!(", {key}: [{role}]"));
        list("to", self.to) + list("except", self.except).as_str()
    }
}

#[derive(Debug, Clone)]
struct FilterRule {
    subject: usize,
    permissive: bool,
    audience: Audience,
    filter: Filter,
}

#[derive(Debug, Clone)]
struct MaskRule {
    subject: usize,
    column: usize,
    part: Part,
    masking: Masking,
    audience: Audience,
    by_tag: bool,
}

/// What the analyst may do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Read it.
    Select,
    /// See its columns.
    Describe,
    /// Not know of it.
    Nothing,
}

/// Policies, rows, and a path from them to the analyst.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How tables lie in their files.
    pub layout: Layout,
    /// The way in.
    pub door: Door,
    /// How plans are made.
    pub tuning: Tuning,
    seed: u16,
    shown: usize,
    hidden: usize,
    partitioned: bool,
    own_commits: bool,
    grants: Vec<(Grant, String)>,
    filters: Vec<FilterRule>,
    masks: Vec<MaskRule>,
}

fn grant(name: &str, tape: &Tape<'_>) -> (Grant, String) {
    let rule = |role: &str, object: &str, action: &str, more: &str| {
        format!("  - {{ role: {role}, object: {object}, action: {action}{more} }}\n")
    };
    let deny = ", effect: deny";
    // Every second pattern; `silver.p*` and the like fit one table only.
    let wild = format!("{}*", &name[..8]);
    let object = if tape.chance(50) { wild.as_str() } else { name };
    let select = rule(tape.one_of(&["analyst", "reader"]), object, "select", "");
    match tape.below(20) {
        0..=10 => (Grant::Select, select),
        11 => (Grant::Select, rule("analyst", object, "select", ", tenant: a")),
        12 => (Grant::Select, select + rule("clerk", name, "select", deny).as_str()),
        13 => (Grant::Select, select + rule("analyst", name, "select", ", tenant: b, effect: deny").as_str()),
        14 => (Grant::Select, select + rule("analyst", name, "describe", "").as_str()),
        15 => (Grant::Describe, rule("analyst", object, "describe", "")),
        16 => (Grant::Describe, select + rule("reader", name, "select", deny).as_str()),
        17 => (Grant::Nothing, rule("analyst", object, "select", ", tenant: b")),
        18 => {
            let denied = rule("analyst", name, "describe", deny);
            (Grant::Nothing, select + rule("analyst", name, "select", deny).as_str() + denied.as_str())
        }
        _ => (Grant::Nothing, String::new()),
    }
}

/// Masks that fit a column, by its values.
fn fitting(column: Column) -> Vec<Masking> {
    use Masking::{
        AgeCap, Bucket, Constant, Month, Noise, Null, Outward, Quarter, Redact, ShowFirst, ShowLast, Token,
        Year, Zip3,
    };
    match (column.kind, column.name) {
        (Kind::Text, "postcode") => vec![Outward, Null, Redact, ShowFirst(2), Token("places")],
        (Kind::Text, "zip") => vec![Zip3, Null, ShowFirst(2), Redact],
        (Kind::Text, _) => {
            vec![Constant("somebody"), Token("people"), ShowLast(2), ShowFirst(3), Redact, Null]
        }
        (Kind::Long, "age") => vec![AgeCap, Bucket(10, 5), Noise(3, "ages"), Null, Constant("40")],
        (Kind::Long, _) => vec![Token("people"), Bucket(20, 0), Null, Constant("7"), Noise(5, "numbers")],
        (Kind::Double, _) => vec![Bucket(2, 1), AgeCap, Null, Constant("1.5")],
        (Kind::Bool, _) => vec![Null, Constant("true")],
        (Kind::Date, _) => {
            vec![Year, Month, Quarter, AgeCap, Noise(20, "days"), Token("days"), Null, Constant("2001-02-03")]
        }
        (Kind::Instant, _) => vec![Month, Year, Quarter, AgeCap, Noise(90, "instants"), Null],
        (Kind::Decimal, _) => vec![Bucket(50, 0), Noise(10, "money"), Null, AgeCap, Constant("3")],
        (Kind::Person, _) => vec![Null],
        (Kind::Texts, _) => vec![Constant("x"), ShowFirst(2), Redact, Token("labels"), Null],
    }
}

fn mask_rule(tape: &Tape<'_>) -> MaskRule {
    let subject = tape.below(3);
    let columns = SUBJECTS[subject].columns;
    let column = tape.below(columns.len());
    let (part, choices) = match (columns[column].kind, tape.below(3)) {
        (Kind::Person, 1) => (Part::Name, vec![Masking::ShowFirst(4), Masking::Redact, Masking::Null]),
        (Kind::Person, 2) => (Part::Age, vec![Masking::AgeCap, Masking::Bucket(10, 0), Masking::Null]),
        _ => (Part::Whole, fitting(columns[column])),
    };
    let masking = tape.one_of(&choices);
    let by_tag = part == Part::Whole && tape.chance(40);
    MaskRule { subject, column, part, masking, audience: Audience::draw(tape), by_tag }
}

fn filter_rule(tape: &Tape<'_>) -> FilterRule {
    let subject = tape.below(3);
    let permissive = tape.chance(35);
    let audience = Audience::draw(tape);
    let filter = Draw { subject: &SUBJECTS[subject], tape }.filter(2);
    FilterRule { subject, permissive, audience, filter }
}

impl Scenario {
    /// What `numbers` stand for.
    #[must_use]
    pub fn new(numbers: &Numbers) -> Self {
        let tape = &Tape::new(&numbers.path);
        let shown = 5 + tape.below(110);
        let hidden = 10 + tape.below(20);
        let layout = tape.one_of(&[Layout::Plain, Layout::Vectors]);
        let door = tape.one_of(&[Door::Inside, Door::Inside, Door::Extended, Door::Simple]);
        let tuning = Tuning { partitions: tape.one_of(&[1, 4]), pushdown_filters: tape.chance(50) };
        let (partitioned, own_commits) = (tape.chance(50), tape.chance(50));
        let grants = (0..3)
            .map(|table| {
                let own = numbers.grants.get(table).map_or(&[] as &[u32], Vec::as_slice);
                grant(SUBJECTS[table].name, &Tape::new(own))
            })
            .collect();
        let filters = numbers.filters.iter().map(|own| filter_rule(&Tape::new(own))).collect();
        // Two masks on one column are refused at load.
        let mut masks: Vec<MaskRule> = Vec::new();
        for rule in numbers.masks.iter().map(|own| mask_rule(&Tape::new(own))) {
            let overlap = |other: &MaskRule| {
                (other.subject, other.column) == (rule.subject, rule.column)
                    && (other.part == rule.part || other.part == Part::Whole || rule.part == Part::Whole)
            };
            if !masks.iter().any(overlap) {
                masks.push(rule);
            }
        }
        let seed = numbers.seed;
        Self { layout, door, tuning, seed, shown, hidden, partitioned, own_commits, grants, filters, masks }
    }

    /// The policy file of the lakes A and B.
    #[must_use]
    pub fn policies(&self) -> String {
        let mut text = "version: 1\nroles:\n  - role: analyst\n    inherits: [reader]\n  - role: clerk\n  - role: steward\ngrants:\n".to_owned();
        text.push_str("  - { role: analyst, object: silver.codes, action: select }\n");
        self.grants.iter().for_each(|(_, rules)| text.push_str(rules));
        text.push_str("row_filters:\n");
        for (index, rule) in self.filters.iter().enumerate() {
            let subject = &SUBJECTS[rule.subject];
            let kind = if rule.permissive { ", kind: permissive" } else { "" };
            let using = rule.filter.sql(subject.columns);
            let (on, audience) = (subject.name, rule.audience.yaml());
            let _ = writeln!(text, "  - {{ name: f{index}, on: [{on}]{kind}{audience}, using: {using:?} }}");
        }
        text.push_str("masks:\n");
        for (index, rule) in self.masks.iter().enumerate() {
            let subject = &SUBJECTS[rule.subject];
            let column = subject.columns[rule.column];
            let target = match rule.part {
                Part::Whole if rule.by_tag => format!("tag: {}", column.tags),
                Part::Whole => format!("on: {}, column: {}", subject.name, column.name),
                Part::Name => format!("on: {}, column: {}.name", subject.name, column.name),
                Part::Age => format!("on: {}, column: {}.age", subject.name, column.name),
            };
            let (audience, mask) = (rule.audience.yaml(), rule.masking.record("own"));
            let _ = writeln!(text, "  - {{ name: m{index}, {target}{audience}, mask: {mask} }}");
        }
        text.push_str("keys:\n  own: { from: \"file:mask.key\" }\n");
        text.replace("row_filters:\nmasks:", "row_filters: []\nmasks:")
            .replace("masks:\nkeys:", "masks: []\nkeys:")
    }

    fn copy_policies(&self) -> String {
        let mut text = "version: 1\ngrants:\n".to_owned();
        text.push_str("  - { role: analyst, object: silver.codes, action: select }\n");
        for ((grant, _), subject) in self.grants.iter().zip(&SUBJECTS) {
            let action = match grant {
                Grant::Select => "select",
                Grant::Describe => "describe",
                Grant::Nothing => continue,
            };
            let _ = writeln!(text, "  - {{ role: analyst, object: {}, action: {action} }}", subject.name);
        }
        text
    }

    /// What is granted on a table.
    #[must_use]
    pub fn grant(&self, subject: usize) -> Grant {
        self.grants.get(subject).map_or(Grant::Select, |(grant, _)| *grant)
    }

    fn is_shown(&self, subject: usize, row: &Row) -> bool {
        let rules = || {
            self.filters.iter().filter(|rule| rule.subject == subject && rule.audience.concerns_the_analyst())
        };
        let holds = |rule: &&FilterRule| !rule.filter.lacks() && rule.filter.of(row) == Some(true);
        let permissive = || rules().filter(|rule| rule.permissive);
        rules().filter(|rule| !rule.permissive).all(|rule| holds(&rule))
            && (permissive().next().is_none() || permissive().any(|rule| holds(&rule)))
    }

    fn masks_on(&self, subject: usize, column: usize) -> impl Iterator<Item = &MaskRule> {
        self.masks.iter().filter(move |rule| {
            (rule.subject, rule.column) == (subject, column) && rule.audience.concerns_the_analyst()
        })
    }

    fn masked(&self, subject: usize, column: usize, cell: &Cell) -> Cell {
        self.masks_on(subject, column).fold(cell.clone(), |cell, rule| masked(rule.masking, rule.part, &cell))
    }

    /// The row with other raw values that look the same, where there are any.
    fn disguised(&self, subject: usize, row: &Row, dice: &mut Dice) -> Row {
        let mut other = row.clone();
        for (column, definition) in SUBJECTS[subject].columns.iter().enumerate() {
            for rule in self.masks_on(subject, column) {
                for _ in 0..4 {
                    let raw = sibling(rule.masking, rule.part, &other[column], definition.kind, dice);
                    let before = std::mem::replace(&mut other[column], raw);
                    let same = self.masked(subject, column, &other[column])
                        == self.masked(subject, column, &row[column]);
                    // Delta has no empty text as a partition: it is NULL.
                    let named = !self.partitioned || other[column] != text("");
                    if same && named && self.is_shown(subject, &other) {
                        break;
                    }
                    other[column] = before;
                }
            }
        }
        other
    }

    /// Columns as the analyst sees them.
    fn columns(&self, subject: usize) -> Vec<Column> {
        let shown = |(index, column): (usize, &Column)| {
            self.masks_on(subject, index).fold(*column, |column, rule| match rule.part {
                Part::Whole => rule.masking.column(column),
                Part::Name | Part::Age => column,
            })
        };
        SUBJECTS[subject].columns.iter().enumerate().map(shown).collect()
    }

    /// What statements are drawn over, with whether it may be read.
    #[must_use]
    pub fn relations(&self) -> Vec<(Relation, Grant)> {
        let relation = |(index, subject): (usize, &Subject)| {
            let columns = self.columns(index).iter().map(|column| (column.name, column.kind)).collect();
            (Relation { name: subject.name, columns }, self.grant(index))
        };
        SUBJECTS.iter().enumerate().map(relation).collect()
    }

    /// Lake A, lake B and the physical copy.
    #[must_use]
    pub fn lakes(&self) -> [Lake; 3] {
        let (mut a, mut b, mut copy) = (Vec::new(), Vec::new(), Vec::new());
        for (index, subject) in SUBJECTS.iter().enumerate() {
            let dice = &mut Dice::new(u64::from(self.seed) * 16 + index as u64);
            let (mut shown, mut few) = (Vec::new(), Vec::new());
            for row in 0..2_000 {
                let row = usual_row(subject, row, dice);
                match self.is_shown(index, &row) {
                    true if shown.len() < self.shown => shown.push(row),
                    false if few.len() < self.hidden => few.push(row),
                    _ => {}
                }
            }
            let many: Vec<Row> = (0..2_500)
                .map(|row| hostile_row(subject, row, dice))
                .filter(|row| !self.is_shown(index, row))
                .take(self.hidden * 50)
                .collect();
            let disguised = shown.iter().map(|row| self.disguised(index, row, dice)).collect();
            let masked = |row: &Row| {
                row.iter().enumerate().map(|(column, cell)| self.masked(index, column, cell)).collect()
            };
            let copied = shown.iter().map(masked).collect();
            let table = |columns: Vec<Column>, shown: Vec<Row>, hidden: Vec<Row>| Table {
                name: subject.name,
                columns,
                shown,
                hidden,
                partition: self.partitioned.then_some("tenant_id"),
                own_commits: self.own_commits,
            };
            if self.grant(index) != Grant::Nothing {
                copy.push(Table { partition: None, ..table(self.columns(index), copied, Vec::new()) });
            }
            a.push(table(subject.columns.to_vec(), shown, few));
            b.push(table(subject.columns.to_vec(), disguised, many));
        }
        let lake = |tables| Lake { policies: self.policies(), tables, views: NO_VIEWS, layout: self.layout };
        let copy =
            Lake { policies: self.copy_policies(), tables: copy, views: NO_VIEWS, layout: Layout::Plain };
        [lake(a), lake(b), copy]
    }
}
