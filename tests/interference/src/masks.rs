//! The masks of `policies/`, written a second time and without the product's code: what the physical
//! copy holds in place of raw values.

use aws_lc_rs::hmac;
use chrono::{Datelike, Days, NaiveDate};

use crate::cells::{Cell, Column, Kind, text};

/// The key of the tokens; the policies name the file that it is written to.
pub const KEY: &[u8; 40] = b"a key for tests, of forty bytes in all..";

/// What becomes of a column for the analyst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masking {
    /// Always NULL.
    Null,
    /// A text for all that is not NULL.
    Constant(&'static str),
    /// Stars but for the last characters.
    ShowLast(usize),
    /// The first day of the year.
    Year,
    /// The first day of the month.
    Month,
    /// HMAC-SHA-256 in a domain, 128 bits of it.
    Token(&'static str),
    /// The first half of a British postcode.
    Outward,
    /// The first three digits of a ZIP code.
    Zip3,
}

/// What `policies/masks.yaml` says of a column.
#[must_use]
pub fn masking(table: &str, column: &str) -> Option<Masking> {
    Some(match (table, column) {
        ("silver.patients", "name") => Masking::Constant("somebody"),
        ("silver.patients", "nhs_number") => Masking::ShowLast(4),
        ("silver.patients", "mrn" | "account") | ("silver.claims", "policy_no") => Masking::Token("patient"),
        ("silver.patients", "birth_date") => Masking::Year,
        ("silver.patients", "postcode") => Masking::Outward,
        ("silver.patients", "zip") => Masking::Zip3,
        ("silver.patients", "phone") | ("silver.documents", "address") => Masking::Null,
        ("silver.encounters", "reason") | ("silver.documents", "body") => Masking::Constant("withheld"),
        ("silver.observations", "taken") => Masking::Month,
        _ => return None,
    })
}

impl Masking {
    /// The masked column: tokens of numbers are texts.
    #[must_use]
    pub fn column(self, column: Column) -> Column {
        if matches!(self, Self::Token(_)) { Column { kind: Kind::Text, ..column } } else { column }
    }

    /// The masked value.
    #[must_use]
    pub fn apply(self, cell: &Cell) -> Cell {
        match (self, cell) {
            (Self::Null, _) | (_, Cell::Null) => Cell::Null,
            (Self::Constant(shown), _) => text(shown),
            (Self::ShowLast(shown), Cell::Text(value)) => {
                let length = value.chars().count();
                let hidden = if length > shown { length - shown } else { length };
                text("*".repeat(hidden) + value.chars().skip(hidden).collect::<String>().as_str())
            }
            (Self::Year, Cell::Date(day)) => {
                first_day(*day, |date| NaiveDate::from_ymd_opt(date.year(), 1, 1))
            }
            (Self::Month, Cell::Date(day)) => first_day(*day, |date| date.with_day(1)),
            (Self::Token(domain), Cell::Text(value)) => token(domain, value),
            (Self::Token(domain), Cell::Long(value)) => token(domain, &value.to_string()),
            // The suite's own postcodes have one space; what has none is none.
            (Self::Outward, Cell::Text(value)) => {
                text(value.split_once(' ').map_or("", |(outward, _)| outward))
            }
            (Self::Zip3, Cell::Text(value)) => match value.get(..3) {
                Some("036") => text("000"),
                Some(area) if value.len() == 5 && area.bytes().all(|byte| byte.is_ascii_digit()) => {
                    text(area)
                }
                _ => text(""),
            },
            (_, other) => other.clone(),
        }
    }
}

fn first_day(day: i32, start: impl Fn(NaiveDate) -> Option<NaiveDate>) -> Cell {
    let epoch = NaiveDate::default();
    let date = match u64::try_from(day) {
        Ok(after) => epoch.checked_add_days(Days::new(after)),
        Err(_) => epoch.checked_sub_days(Days::new(u64::from(day.unsigned_abs()))),
    };
    let days = date.and_then(start).map(|date| date.signed_duration_since(epoch).num_days());
    days.and_then(|days| i32::try_from(days).ok()).map_or(Cell::Null, Cell::Date)
}

fn token(domain: &str, value: &str) -> Cell {
    let mut message = u64::try_from(domain.len()).unwrap_or(0).to_le_bytes().to_vec();
    message.extend(domain.bytes().chain(value.bytes()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), &message);
    text(tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_do_what_the_documentation_says() {
        assert_eq!(Masking::ShowLast(4).apply(&text("9990001234")), text("******1234"));
        assert_eq!(Masking::ShowLast(4).apply(&text("1234")), text("****"));
        assert_eq!(Masking::Year.apply(&Cell::Date(400)), Cell::Date(365));
        assert_eq!(Masking::Month.apply(&Cell::Date(-1)), Cell::Date(-31));
        assert_eq!(Masking::Outward.apply(&text("LS6 2AB")), text("LS6"));
        assert_eq!(Masking::Zip3.apply(&text("03601")), text("000"));
        assert_eq!(Masking::Zip3.apply(&text("53202")), text("532"));
        assert_eq!(Masking::Null.apply(&text("x")), Cell::Null);
        assert_eq!(Masking::Constant("x").apply(&Cell::Null), Cell::Null);
    }
}
