//! The tables of the lakes: what everybody shows in both lakes, and what is hidden in each.
//!
//! Two lakes show the analyst the same rows. They differ in raw values under masks (whose masked form is
//! the same) and in the hidden rows: few and harmless in A, fifty times as many in B, with values that
//! make careless plans fail.

use crate::cells::{Cell, Column, Kind, Row, text};
use crate::masks::masking;

/// Which of the two lakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Few hidden rows, harmless ones.
    A,
    /// Many, and hostile.
    B,
}

/// A table before it is written.
#[derive(Debug, Clone)]
pub struct Table {
    /// `schema.table`.
    pub name: &'static str,
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows that the analyst sees.
    pub shown: Vec<Row>,
    /// Rows that they do not.
    pub hidden: Vec<Row>,
    /// What partitions it where the path asks for partitions.
    pub partition: Option<&'static str>,
    /// Hidden rows come in commits of their own, too.
    pub own_commits: bool,
}

impl Table {
    /// The table that a physical copy holds: no hidden row, masks applied.
    #[must_use]
    pub fn copy(&self) -> Self {
        let masks: Vec<_> = self.columns.iter().map(|column| masking(self.name, column.name)).collect();
        let columns = self.columns.iter().zip(&masks);
        let mask = |(cell, mask): (&Cell, &Option<_>)| match mask {
            Some(mask) => crate::masks::Masking::apply(*mask, cell),
            None => cell.clone(),
        };
        Self {
            name: self.name,
            columns: columns
                .map(|(column, mask)| mask.map_or(*column, |mask| mask.column(*column)))
                .collect(),
            shown: self.shown.iter().map(|row| row.iter().zip(&masks).map(mask).collect()).collect(),
            hidden: Vec::new(),
            partition: None,
            own_commits: false,
        }
    }
}

impl Variant {
    /// `few` in A; fifty times as many in B.
    fn hidden(self, few: i64) -> std::ops::Range<i64> {
        0..if self == Self::A { few } else { few * 50 }
    }

    fn pick<T>(self, a: T, b: T) -> T {
        if self == Self::A { a } else { b }
    }
}

fn columns(list: &[(&'static str, Kind, &'static str)]) -> Vec<Column> {
    list.iter().map(|&(name, kind, tags)| Column { name, kind, tags }).collect()
}

fn unless(null: bool, cell: Cell) -> Cell {
    if null { Cell::Null } else { cell }
}

fn one_of<T: Copy>(values: &[T], index: i64) -> T {
    values[usize::try_from(index.rem_euclid(values.len() as i64)).unwrap_or(0)]
}

/// Texts that break what is put together from texts, and casts.
const HOSTILE: [&str; 8] =
    ["x'y", "", "not a number", "9223372036854775808", "\"quoted\"", "Hidden \u{2603}", "%_\\", "1e999"];
/// Beside ids that shown rows have, and at the ends of the type.
fn hidden_id(index: i64) -> i64 {
    match index {
        0 => 5,
        1 => i64::MAX,
        2 => i64::MIN,
        3 => -1,
        4 => 0,
        _ => index * 10 + 5,
    }
}
const DATES: [i32; 5] = [i32::MAX, i32::MIN, -719_162, 2_932_896, 0];
const DOUBLES: [f64; 6] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MAX];
const DAY: i64 = 86_400_000_000;

/// Every table of the lake.
#[must_use]
pub fn all(variant: Variant) -> Vec<Table> {
    vec![
        patients(variant),
        encounters(variant),
        observations(variant),
        claims(variant),
        documents(variant),
        appointments(variant),
        forbidden("silver.staff", variant),
        forbidden("bronze.raw", variant),
        codes(),
        clinics(),
    ]
}

fn patients(variant: Variant) -> Table {
    let shown = (1..=300_i64).map(|i| {
        let born = (i % 80) * 365 - 14_000;
        // Any day of the same year: the first in A, one of its last in B.
        let year = i32::try_from(born).unwrap_or(0).div_euclid(366) * 366;
        vec![
            Cell::Long(i * 10),
            text("a"),
            unless(i % 17 == 0, text(variant.pick(format!("Person {i}"), one_of(&HOSTILE, i).to_owned()))),
            unless(i % 23 == 0, text(format!("{}{:04}", variant.pick("999000", "x'\"\u{e9} 7"), i % 50))),
            text(format!("MRN{:05}", i / 2)),
            unless(i % 29 == 0, Cell::Long(i % 97)),
            unless(i % 31 == 0, Cell::Date(raw_day(year, variant))),
            text(match i % 19 {
                0 => variant.pick("nonsense", "LS62AB1XYZ").to_owned(),
                _ => format!("{} {}", one_of(&["LS6", "SW1A", "M1", "B33"], i), variant.pick("1AA", "9ZZ")),
            }),
            text(match i % 13 {
                0 => variant.pick("abc", "").to_owned(),
                _ => format!("{}{:02}", one_of(&["532", "036", "100"], i), variant.pick(1, 98)),
            }),
            unless(i % variant.pick(7, 2) == 0, text(variant.pick("0113 4960000", "none of yours"))),
            unless(i % 13 == 0, Cell::Long(i % 6)),
            Cell::Double(50.0 + (i % 40) as f64 * 0.5),
            text(one_of(&["active", "inactive", "pending"], i)),
            text((i % 90).to_string()),
        ]
    });
    let hidden = variant.hidden(60).map(|i| {
        vec![
            Cell::Long(hidden_id(i)),
            unless(i % 41 == 40, text(one_of(&["b", "c", "A", "a "], i))),
            text(variant.pick("Hidden Harmless", one_of(&HOSTILE, i))),
            text(variant.pick("9990009999", one_of(&HOSTILE, i + 3))),
            text(format!("MRN{:05}", i % 200)),
            Cell::Long(variant.pick(i % 97, one_of(&[i64::MAX, i64::MIN, 0], i))),
            Cell::Date(variant.pick(3_650, one_of(&DATES, i))),
            text(variant.pick("LS6 3AB", one_of(&HOSTILE, i))),
            text(variant.pick("53201", one_of(&HOSTILE, i))),
            text(variant.pick("0", one_of(&HOSTILE, i))),
            Cell::Long(variant.pick(i % 6, one_of(&[7, i64::MAX, i64::MIN, 0, 3_000], i))),
            Cell::Double(variant.pick(70.0, one_of(&DOUBLES, i))),
            text(variant.pick("active", one_of(&["secret", "active", ""], i))),
            text(variant.pick("12", one_of(&HOSTILE, i))),
        ]
    });
    Table {
        name: "silver.patients",
        columns: columns(&[
            ("id", Kind::Long, ""),
            ("tenant_id", Kind::Text, ""),
            ("name", Kind::Text, "pii.name"),
            ("nhs_number", Kind::Text, "pii.id"),
            ("mrn", Kind::Text, "pii.link"),
            ("account", Kind::Long, "pii.link"),
            ("birth_date", Kind::Date, "pii.date"),
            ("postcode", Kind::Text, ""),
            ("zip", Kind::Text, ""),
            ("phone", Kind::Text, "pii.contact"),
            ("score", Kind::Long, ""),
            ("weight", Kind::Double, ""),
            ("status", Kind::Text, ""),
            ("remark", Kind::Text, ""),
        ]),
        shown: shown.collect(),
        hidden: hidden.collect(),
        partition: None,
        own_commits: false,
    }
}

/// A day of the year that `near` lies in: the second of its days, or one of its last.
fn raw_day(near: i32, variant: Variant) -> i32 {
    use chrono::{Datelike, Duration, NaiveDate};
    let epoch = NaiveDate::default();
    let date = epoch + Duration::days(i64::from(near));
    let (month, day) = variant.pick((1, 2), (12, 30));
    let chosen = NaiveDate::from_ymd_opt(date.year(), month, day).unwrap_or(date);
    i32::try_from(chosen.signed_duration_since(epoch).num_days()).unwrap_or(near)
}

fn encounters(variant: Variant) -> Table {
    let row = |id: Cell, patient: i64, tenant: &str, clinic: &str, public: Cell, i: i64, days: i64| {
        vec![
            id,
            Cell::Long(patient),
            text(tenant),
            text(clinic),
            public,
            Cell::Instant(1_600_000_000_000_000 + i * DAY / 3),
            Cell::Long(days),
            text(variant.pick(format!("seen for {i}"), one_of(&HOSTILE, i).to_owned())),
        ]
    };
    let shown = (1..=600_i64).map(|i| {
        let (clinic, public) = match i % 4 {
            0 => ("south", Cell::Bool(true)),
            1 => ("north", Cell::Null),
            _ => ("north", Cell::Bool(i % 3 == 0)),
        };
        row(Cell::Long(i * 10), i % 300 * 10 + 10, "a", clinic, public, i, i % 9 + 1)
    });
    let hidden = variant.hidden(100).map(|i| {
        let (tenant, clinic, public) = match i % 3 {
            0 => ("a", "south", unless(i % 2 == 0, Cell::Bool(false))),
            1 => ("b", "north", Cell::Bool(true)),
            _ => ("b", variant.pick("north", "x'y"), Cell::Null),
        };
        let days = variant.pick(2, one_of(&[0, i64::MAX, i64::MIN, -1], i));
        row(Cell::Long(hidden_id(i)), variant.pick(i, i % 300 * 10), tenant, clinic, public, i, days)
    });
    Table {
        name: "silver.encounters",
        columns: columns(&[
            ("id", Kind::Long, ""),
            ("patient_id", Kind::Long, ""),
            ("tenant_id", Kind::Text, ""),
            ("clinic", Kind::Text, ""),
            ("public", Kind::Bool, ""),
            ("started", Kind::Instant, ""),
            ("days", Kind::Long, ""),
            ("reason", Kind::Text, ""),
        ]),
        shown: shown.collect(),
        hidden: hidden.collect(),
        partition: Some("clinic"),
        own_commits: false,
    }
}

fn observations(variant: Variant) -> Table {
    let shown = (1..=800_i64).map(|i| {
        vec![
            Cell::Long(i * 10),
            Cell::Long(i % 600 * 10 + 10),
            text("a"),
            text(one_of(&["pulse", "weight", "glucose"], i)),
            unless(i % 37 == 0, Cell::Double(60.0 + (i % 50) as f64 / 4.0)),
            // A day of the month of its own in each lake.
            Cell::Date(18_262 + variant.pick(3, 20)),
            Cell::Long(i % 5 + 1),
            Cell::Bool(true),
        ]
    });
    let hidden = variant.hidden(80).map(|i| {
        vec![
            Cell::Long(hidden_id(i)),
            Cell::Long(i * 10),
            text(if i % 3 == 0 { "a" } else { "b" }),
            text(variant.pick("pulse", one_of(&["secret", "pulse"], i))),
            Cell::Double(variant.pick(61.0, one_of(&DOUBLES, i))),
            Cell::Date(variant.pick(18_265, one_of(&DATES, i))),
            Cell::Long(variant.pick(1, 0)),
            unless(i % 2 == 0, Cell::Bool(i % 3 != 0)),
        ]
    });
    Table {
        name: "silver.observations",
        columns: columns(&[
            ("id", Kind::Long, ""),
            ("encounter_id", Kind::Long, ""),
            ("tenant_id", Kind::Text, ""),
            ("kind", Kind::Text, ""),
            ("value", Kind::Double, ""),
            ("taken", Kind::Date, "pii.date"),
            ("flag", Kind::Long, ""),
            ("consented", Kind::Bool, ""),
        ]),
        shown: shown.collect(),
        hidden: hidden.collect(),
        partition: None,
        own_commits: true,
    }
}

fn claims(variant: Variant) -> Table {
    let row =
        |id: i64, patient: i64, tenant: &str, amount: i128, quantity: i64, policy: String, state: &str| {
            vec![
                Cell::Long(id),
                Cell::Long(patient),
                text(tenant),
                Cell::Decimal(amount),
                Cell::Long(quantity),
                text(policy),
                text(state),
            ]
        };
    let shown = (1..=250_i64).map(|i| {
        let state = one_of(&["paid", "open"], i / 3);
        row(
            i * 10,
            i % 200 * 10 + 10,
            "a",
            i128::from(i) * 125,
            i % 4 + 4,
            format!("MRN{:05}", i % 120),
            state,
        )
    });
    let hidden = variant.hidden(50).map(|i| {
        let tenant = one_of(&["b", "c", "d"], i);
        let amount = variant.pick(500, one_of(&[9_999_999_999, -9_999_999_999, 0], i));
        let quantity = variant.pick(5, one_of(&[3, i64::MAX, 0], i));
        row(
            hidden_id(i),
            i * 10,
            tenant,
            amount,
            quantity,
            format!("MRN{:05}", i % 300),
            variant.pick("paid", "secret"),
        )
    });
    Table {
        name: "silver.claims",
        columns: columns(&[
            ("id", Kind::Long, ""),
            ("patient_id", Kind::Long, ""),
            ("tenant_id", Kind::Text, ""),
            ("amount", Kind::Decimal, ""),
            ("quantity", Kind::Long, ""),
            ("policy_no", Kind::Text, "pii.link"),
            ("state", Kind::Text, ""),
        ]),
        shown: shown.collect(),
        hidden: hidden.collect(),
        partition: Some("tenant_id"),
        own_commits: false,
    }
}

fn documents(variant: Variant) -> Table {
    let row = |id: i64, tenant: &str, author: Cell, labels: Cell, address: Cell, body: &str| {
        vec![Cell::Long(id), text(tenant), author, labels, address, text(body)]
    };
    let person = |name: &str, age: i64| Cell::Person(Some(name.to_owned()), Some(age));
    let labels = |list: &[&str]| Cell::Texts(list.iter().map(|label| (*label).to_owned()).collect());
    let shown = (1..=80_i64).map(|i| {
        let author = unless(i % 11 == 0, person(one_of(&["Dr Ash", "Dr Elm"], i), 30 + i % 20));
        let tags = unless(i % 9 == 0, labels(&["letter", one_of(&["urgent", "routine", "draft"], i)]));
        let address = variant.pick(person("1 High Street", 1), Cell::Person(None, Some(i)));
        row(i * 10, "a", author, tags, address, variant.pick("Dear Sir", one_of(&HOSTILE, i)))
    });
    let hidden = variant.hidden(40).map(|i| {
        let author = variant.pick(person("Dr Ash", 40), person(one_of(&HOSTILE, i), i64::MAX));
        let tags = variant.pick(labels(&["letter"]), labels(&["secret", one_of(&HOSTILE, i)]));
        row(hidden_id(i), "b", author, tags, person("nowhere", i), "hidden")
    });
    Table {
        name: "silver.documents",
        columns: columns(&[
            ("id", Kind::Long, ""),
            ("tenant_id", Kind::Text, ""),
            ("author", Kind::Person, ""),
            ("labels", Kind::Texts, ""),
            ("address", Kind::Person, "pii.address"),
            ("body", Kind::Text, ""),
        ]),
        shown: shown.collect(),
        hidden: hidden.collect(),
        partition: None,
        own_commits: false,
    }
}

/// Its filter shows this century; hidden days lie beyond the calendar.
fn appointments(variant: Variant) -> Table {
    let row = |id: i64, day: i32| vec![Cell::Long(id), Cell::Date(day)];
    let shown = (1..=40_i64).map(|i| row(i * 10, 18_300 + i32::try_from(i).unwrap_or(0)));
    let hidden = variant.hidden(10).map(|i| row(hidden_id(i), variant.pick(-1_000, one_of(&DATES[..2], i))));
    Table {
        name: "silver.appointments",
        columns: columns(&[("id", Kind::Long, ""), ("day", Kind::Date, "")]),
        shown: shown.collect(),
        hidden: hidden.collect(),
        partition: None,
        own_commits: false,
    }
}

/// Nobody here may see it; a copy does not have it.
fn forbidden(name: &'static str, variant: Variant) -> Table {
    let hidden = variant.hidden(3).map(|i| vec![Cell::Long(hidden_id(i)), text(variant.pick("x", "'"))]);
    Table {
        name,
        columns: columns(&[("id", Kind::Long, ""), ("name", Kind::Text, "")]),
        shown: Vec::new(),
        hidden: hidden.collect(),
        partition: None,
        own_commits: false,
    }
}

/// A reference table that everybody reads whole. Larger than the tables of A and smaller than those of B.
fn codes() -> Table {
    let shown = (0..1_000_i64).map(|i| {
        vec![Cell::Long(i * 10), text(format!("code {i}")), Cell::Long(i % 11), text(format!("MRN{i:05}"))]
    });
    Table {
        name: "silver.codes",
        columns: columns(&[
            ("id", Kind::Long, ""),
            ("label", Kind::Text, ""),
            ("weight", Kind::Long, ""),
            ("guess", Kind::Text, ""),
        ]),
        shown: shown.collect(),
        hidden: Vec::new(),
        partition: None,
        own_commits: false,
    }
}

fn clinics() -> Table {
    let shown = ["north", "south", "west"].into_iter().map(|clinic| vec![text(clinic), text("a clinic")]);
    Table {
        name: "gold.clinics",
        columns: columns(&[("clinic", Kind::Text, ""), ("title", Kind::Text, "")]),
        shown: shown.collect(),
        hidden: Vec::new(),
        partition: None,
        own_commits: false,
    }
}
