//! The tables that statements are drawn over, and the values that their rows are made of.

use crate::cells::{Cell, Column, Kind, Row, text};
use crate::generated::tape::Dice;
use crate::masks::Masking;

/// A table that policies are drawn for.
pub struct Subject {
    /// `schema.table`.
    pub name: &'static str,
    /// Columns; the tag of each is its alone.
    pub columns: &'static [Column],
}

const fn column(name: &'static str, kind: Kind, tags: &'static str) -> Column {
    Column { name, kind, tags }
}

/// Every one of them; `codes` is for everybody.
pub const SUBJECTS: [Subject; 4] = [
    Subject {
        name: "silver.people",
        columns: &[
            column("id", Kind::Long, "people.id"),
            column("tenant_id", Kind::Text, "people.tenant"),
            column("name", Kind::Text, "people.name"),
            column("mrn", Kind::Text, "people.mrn"),
            column("age", Kind::Long, "people.age"),
            column("born", Kind::Date, "people.born"),
            column("zip", Kind::Text, "people.zip"),
            column("postcode", Kind::Text, "people.postcode"),
            column("height", Kind::Double, "people.height"),
        ],
    },
    Subject {
        name: "silver.visits",
        columns: &[
            column("id", Kind::Long, "visits.id"),
            column("tenant_id", Kind::Text, "visits.tenant"),
            column("person", Kind::Long, "visits.person"),
            column("kind", Kind::Text, "visits.kind"),
            column("score", Kind::Long, "visits.score"),
            column("cost", Kind::Decimal, "visits.cost"),
            column("day", Kind::Date, "visits.day"),
            column("began", Kind::Instant, "visits.began"),
            column("open", Kind::Bool, "visits.open"),
            column("remark", Kind::Text, "visits.remark"),
        ],
    },
    Subject {
        name: "silver.notes",
        columns: &[
            column("id", Kind::Long, "notes.id"),
            column("tenant_id", Kind::Text, "notes.tenant"),
            column("visit", Kind::Long, "notes.visit"),
            column("author", Kind::Person, "notes.author"),
            column("labels", Kind::Texts, "notes.labels"),
            column("rating", Kind::Double, "notes.rating"),
            column("words", Kind::Long, "notes.words"),
        ],
    },
    Subject {
        name: "silver.codes",
        columns: &[
            column("id", Kind::Long, "codes.id"),
            column("label", Kind::Text, "codes.label"),
            column("weight", Kind::Long, "codes.weight"),
        ],
    },
];

/// Texts that break what is put together from texts, and casts.
const HOSTILE: [&str; 8] =
    ["x'y", "", "not a number", "9223372036854775808", "\"quoted\"", "Hidden", "%_", "1e999"];

fn person(name: &str, age: i64) -> Cell {
    Cell::Person(Some(name.to_owned()), Some(age))
}

/// A value as most rows have it. No statement that is drawn fails on one for two different reasons: which of
/// two failures is reported may depend on where batches end, and so on how many hidden rows lie between shown ones.
pub fn usual(table: &str, name: &str, index: i64, dice: &mut Dice) -> Cell {
    if name != "id" && name != "tenant_id" && dice.chance(6) {
        return Cell::Null;
    }
    match (table, name) {
        (_, "id") => Cell::Long(index * 10),
        (_, "tenant_id") => text(dice.one_of(&["a", "a", "a", "b", "c"])),
        (_, "name") => text(format!("Person {}", dice.between(0, 40))),
        (_, "mrn") => text(format!("MRN{:05}", dice.between(0, 60))),
        (_, "age") => Cell::Long(dice.between(0, 105)),
        (_, "born") => Cell::Date(i32::try_from(dice.between(-14_000, 15_000)).unwrap_or(0)),
        (_, "zip") => text(dice.one_of(&["53201", "53299", "03601", "10001", "abc"])),
        (_, "postcode") => text(dice.one_of(&["LS6 1AA", "LS6 2BB", "SW1A 1AA", "M1 7XY", "nonsense"])),
        // Quarters add up without rounding, whatever their order.
        (_, "height" | "rating") => Cell::Double(dice.between(0, 80) as f64 / 4.0),
        (_, "person" | "visit") => Cell::Long(dice.between(1, 60) * 10),
        (_, "kind") => text(dice.one_of(&["pulse", "weight", "glucose", "x-ray"])),
        (_, "score" | "weight") => Cell::Long(dice.between(-3, 9)),
        (_, "cost") => Cell::Decimal(i128::from(dice.between(0, 4_000) * 25)),
        (_, "day") => Cell::Date(i32::try_from(dice.between(18_000, 18_800)).unwrap_or(0)),
        (_, "began") => Cell::Instant(dice.between(0, 40_000) * 3_600_000_000 + 1_500_000_000_000_000),
        (_, "open") => Cell::Bool(dice.chance(50)),
        (_, "remark") => text(match dice.between(0, 12) {
            0 => "not a number".to_owned(),
            _ => dice.between(0, 50).to_string(),
        }),
        (_, "author") => person(dice.one_of(&["Dr Ash", "Dr Elm", "Dr Oak"]), dice.between(25, 95)),
        (_, "labels") => {
            let labels = ["letter", "urgent", "routine", "draft"];
            Cell::Texts((0..dice.between(0, 4)).map(|_| dice.one_of(&labels).to_owned()).collect())
        }
        (_, "words") => Cell::Long(dice.between(0, 900)),
        (_, "label") => text(format!("code {}", dice.between(0, 50))),
        _ => Cell::Null,
    }
}

/// A value that only hidden rows and raw values have, and that careless plans fail on.
pub fn hostile(kind: Kind, index: i64, dice: &mut Dice) -> Cell {
    match kind {
        Kind::Long => Cell::Long(dice.one_of(&[i64::MAX, i64::MIN, 0, -1, 5, index * 10 + 5])),
        Kind::Double => {
            Cell::Double(dice.one_of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 0.1]))
        }
        Kind::Text => text(dice.one_of(&HOSTILE)),
        Kind::Bool => Cell::Bool(dice.chance(50)),
        Kind::Date => Cell::Date(dice.one_of(&[i32::MAX, i32::MIN, -719_162, 2_932_896, 0])),
        Kind::Instant => Cell::Instant(dice.between(0, 1 << 50)),
        Kind::Decimal => Cell::Decimal(dice.one_of(&[999_999_999_999, -999_999_999_999, 0, 1])),
        Kind::Person => person(dice.one_of(&HOSTILE), dice.one_of(&[i64::MAX, i64::MIN, 0])),
        Kind::Texts => Cell::Texts(vec!["secret".to_owned(), dice.one_of(&HOSTILE).to_owned()]),
    }
}

/// Part of a value that a mask is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The field `name` of a person.
    Name,
    /// The field `age` of a person.
    Age,
}

/// What `masking` makes of the part of a value.
#[must_use]
pub fn masked(masking: Masking, part: Part, cell: &Cell) -> Cell {
    let name = |name: &Option<String>| match masking.apply(&name.clone().map_or(Cell::Null, Cell::Text)) {
        Cell::Text(name) => Some(name),
        _ => None,
    };
    let age = |age: &Option<i64>| match masking.apply(&age.map_or(Cell::Null, Cell::Long)) {
        Cell::Long(age) => Some(age),
        _ => None,
    };
    match (part, cell) {
        (Part::Name, Cell::Person(raw, other)) => Cell::Person(name(raw), *other),
        (Part::Age, Cell::Person(other, raw)) => Cell::Person(other.clone(), age(raw)),
        (_, cell) => masking.apply(cell),
    }
}

/// A raw value that may look the same under the mask; the caller looks.
pub fn sibling(masking: Masking, part: Part, cell: &Cell, kind: Kind, dice: &mut Dice) -> Cell {
    let letters = |value: &str, dice: &mut Dice| -> String {
        value
            .chars()
            .map(|c| match c {
                '0'..='9' => dice.one_of(&['0', '3', '8']),
                'a'..='z' | 'A'..='Z' => dice.one_of(&['q', 'Z', '\u{e9}']),
                other => other,
            })
            .collect()
    };
    match (masking, cell, part) {
        (Masking::Null | Masking::Constant(_), _, Part::Whole) => hostile(kind, 0, dice),
        (_, Cell::Person(name, age), Part::Name) => {
            Cell::Person(name.as_ref().map(|name| letters(name, dice)), *age)
        }
        (_, Cell::Person(name, age), Part::Age) => {
            Cell::Person(name.clone(), age.map(|age| age + dice.between(-9, 40)))
        }
        (Masking::ShowFirst(n), Cell::Text(value), _) => {
            let (kept, rest): (String, String) =
                (value.chars().take(n).collect(), value.chars().skip(n).collect());
            text(kept + letters(&rest, dice).as_str())
        }
        (Masking::ShowLast(n), Cell::Text(value), _) => {
            let hidden = value.chars().count().saturating_sub(n);
            let (rest, kept): (String, String) =
                (value.chars().take(hidden).collect(), value.chars().skip(hidden).collect());
            text(letters(&rest, dice) + kept.as_str())
        }
        (Masking::Outward, Cell::Text(value), _) => match value.split_once(' ') {
            Some((outward, _)) => text(format!("{outward} 9ZZ")),
            None => text(dice.one_of(&["none", "", "%_"])),
        },
        (Masking::Zip3, Cell::Text(value), _) => match value.get(..3) {
            Some(area) if value.len() == 5 => text(format!("{area}{:02}", dice.between(0, 100))),
            _ => text(dice.one_of(&HOSTILE)),
        },
        (_, Cell::Text(value), _) => text(letters(value, dice)),
        (_, Cell::Texts(values), _) => Cell::Texts(values.iter().map(|value| letters(value, dice)).collect()),
        (_, Cell::Long(value), _) => Cell::Long(value.saturating_add(dice.between(-12, 30))),
        (_, Cell::Date(day), _) => {
            Cell::Date(day.saturating_add(i32::try_from(dice.between(-40, 40)).unwrap_or(0)))
        }
        (_, Cell::Instant(value), _) => Cell::Instant(value + dice.between(-30, 30) * 86_400_000_000),
        (_, Cell::Double(value), _) => Cell::Double(value + dice.between(-12, 30) as f64 / 8.0),
        (_, Cell::Decimal(value), _) => Cell::Decimal(value + i128::from(dice.between(-900, 900))),
        _ => cell.clone(),
    }
}

/// A row of usual values.
pub fn usual_row(subject: &Subject, index: i64, dice: &mut Dice) -> Row {
    subject.columns.iter().map(|column| usual(subject.name, column.name, index, dice)).collect()
}

/// A row with many hostile values.
pub fn hostile_row(subject: &Subject, index: i64, dice: &mut Dice) -> Row {
    let value = |column: &Column| match column.name {
        "id" if index > 5 => Cell::Long(index * 10 + 5),
        "tenant_id" => text(dice.one_of(&["a", "b", "c", "A", "a ", "x'y"])),
        _ if dice.chance(50) => hostile(column.kind, index, dice),
        name => usual(subject.name, name, index, dice),
    };
    subject.columns.iter().map(value).collect()
}
