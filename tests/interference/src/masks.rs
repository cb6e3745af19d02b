//! The masks, written a second time and without the product's code: what the physical copy holds in place of
//! raw values.

use aws_lc_rs::hmac;
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};

use crate::cells::{Cell, Column, Kind, text};

/// The key of the tokens; the policies name the file that it is written to.
pub const KEY: &[u8; 40] = b"a key for tests, of forty bytes in all..";

/// What becomes of a column for the analyst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masking {
    /// Always NULL.
    Null,
    /// What the text says, for all that is not NULL.
    Constant(&'static str),
    /// Stars but for the first characters.
    ShowFirst(usize),
    /// Stars but for the last characters.
    ShowLast(usize),
    /// Letters as `x`, digits as `0`.
    Redact,
    /// The first day of the year.
    Year,
    /// The first day of the quarter.
    Quarter,
    /// The first day of the month.
    Month,
    /// Ages up to 90, dates as years that do not tell older ones apart.
    AgeCap,
    /// HMAC-SHA-256 in a domain, 128 bits of it.
    Token(&'static str),
    /// The first half of a British postcode.
    Outward,
    /// The first three digits of a ZIP code.
    Zip3,
    /// The lower bound of a bucket, of this width and from this origin.
    Bucket(i32, i32),
    /// An offset of at most so many units (days, seconds), drawn from the value in a domain.
    Noise(i32, &'static str),
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
    /// The masked column: tokens of numbers and dates are texts.
    #[must_use]
    pub fn column(self, column: Column) -> Column {
        if matches!(self, Self::Token(_)) && column.kind != Kind::Texts {
            Column { kind: Kind::Text, ..column }
        } else {
            column
        }
    }

    /// The mask as a policy file says it; `key` names the key.
    #[must_use]
    pub fn record(self, key: &str) -> String {
        match self {
            Self::Null => "{ type: \"null\" }".to_owned(),
            Self::Constant(value) => format!("{{ type: constant, value: \"{value}\" }}"),
            Self::ShowFirst(n) => format!("{{ type: show_first, n: {n} }}"),
            Self::ShowLast(n) => format!("{{ type: show_last, n: {n} }}"),
            Self::Redact => "{ type: redact }".to_owned(),
            Self::Year => "{ type: truncate_date, to: year }".to_owned(),
            Self::Quarter => "{ type: truncate_date, to: quarter }".to_owned(),
            Self::Month => "{ type: truncate_date, to: month }".to_owned(),
            Self::AgeCap => "{ type: age_cap }".to_owned(),
            Self::Token(domain) => format!("{{ type: token, domain: {domain}, key: {key} }}"),
            Self::Outward => "{ type: outward_postcode }".to_owned(),
            Self::Zip3 => "{ type: zip3 }".to_owned(),
            Self::Bucket(width, origin) => format!("{{ type: bucket, width: {width}, origin: {origin} }}"),
            Self::Noise(amount, domain) => {
                format!("{{ type: noise, amount: {amount}, domain: {domain}, key: {key} }}")
            }
        }
    }

    /// The masked value. Of a list every element is masked, unless all of it is gone.
    #[must_use]
    pub fn apply(self, cell: &Cell) -> Cell {
        match (self, cell) {
            (Self::Null, _) | (_, Cell::Null) => Cell::Null,
            (_, Cell::Texts(elements)) => Cell::Texts(
                elements
                    .iter()
                    .filter_map(|element| match self.apply(&text(element)) {
                        Cell::Text(masked) => Some(masked),
                        _ => None,
                    })
                    .collect(),
            ),
            (Self::Constant(shown), raw) => constant(shown, raw),
            (Self::ShowFirst(_) | Self::ShowLast(_) | Self::Redact | Self::Outward | Self::Zip3, raw) => {
                match raw {
                    Cell::Text(value) => text(self.of_text(value)),
                    other => other.clone(),
                }
            }
            (Self::Year, raw) => of_date(raw, |date| NaiveDate::from_ymd_opt(date.year(), 1, 1)),
            (Self::Quarter, raw) => {
                of_date(raw, |date| NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1))
            }
            (Self::Month, raw) => of_date(raw, |date| date.with_day(1)),
            (Self::AgeCap, Cell::Date(_) | Cell::Instant(_)) => {
                let oldest = NaiveDate::from_ymd_opt(Utc::now().year() - 90, 1, 1);
                of_date(cell, |date| NaiveDate::from_ymd_opt(date.year(), 1, 1).max(oldest))
            }
            (Self::AgeCap, Cell::Double(age)) => {
                if *age >= 0.0 && age.is_finite() {
                    Cell::Double(age.floor().min(90.0))
                } else {
                    Cell::Null
                }
            }
            (Self::AgeCap, raw) => {
                of_number(raw, |age, unit| (age >= 0).then(|| (age / unit).min(90) * unit))
            }
            (Self::Bucket(width, origin), Cell::Double(value)) => {
                let (width, origin) = (f64::from(width), f64::from(origin));
                Cell::Double(((value - origin) / width).floor() * width + origin)
            }
            (Self::Bucket(width, origin), raw) => of_number(raw, |value, unit| {
                let (width, origin) = (i128::from(width) * unit, i128::from(origin) * unit);
                Some((value - origin).div_euclid(width) * width + origin)
            }),
            (Self::Noise(amount, domain), raw) => of_number(raw, |value, unit| {
                let amount = i128::from(amount) * unit;
                let drawn = tag(Some(u64::MAX), domain, &value.to_string()).into_iter().take(16);
                let drawn = drawn.fold(0_u128, |bits, byte| (bits << 8) | u128::from(byte));
                Some(value + i128::try_from(drawn % (amount.unsigned_abs() * 2 + 1)).ok()? - amount)
            }),
            (Self::Token(domain), raw) => match spelled(raw) {
                Some(value) => token(domain, &value),
                None => raw.clone(),
            },
        }
    }

    fn of_text(self, value: &str) -> String {
        let length = value.chars().count();
        let stars = |shown: usize| if length > shown { length - shown } else { length };
        match self {
            Self::ShowFirst(shown) => {
                let hidden = stars(shown);
                value
                    .chars()
                    .take(length - hidden)
                    .chain(std::iter::repeat_n('*', hidden))
                    .collect::<String>()
            }
            Self::ShowLast(shown) => {
                let hidden = stars(shown);
                "*".repeat(hidden) + value.chars().skip(hidden).collect::<String>().as_str()
            }
            Self::Redact => value
                .chars()
                .map(|c| match c {
                    '0'..='9' => '0',
                    // The suite's own texts have no other space, and no punctuation beyond ASCII.
                    ' ' => c,
                    _ if c.is_ascii_punctuation() => c,
                    _ => 'x',
                })
                .collect(),
            // The suite's own postcodes have one space; what has none is none.
            Self::Outward => value.split_once(' ').map_or("", |(outward, _)| outward).to_owned(),
            Self::Zip3 => match value.get(..3) {
                Some("036") => "000".to_owned(),
                Some(area) if value.len() == 5 && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                    area.to_owned()
                }
                _ => String::new(),
            },
            _ => value.to_owned(),
        }
    }
}

/// `shown` as a value of the raw one's type.
fn constant(shown: &str, raw: &Cell) -> Cell {
    let value = match raw {
        Cell::Long(_) => shown.parse().ok().map(Cell::Long),
        Cell::Double(_) => shown.parse().ok().map(Cell::Double),
        Cell::Bool(_) => shown.parse().ok().map(Cell::Bool),
        Cell::Decimal(_) => shown.parse::<i128>().ok().map(|whole| Cell::Decimal(whole * 100)),
        Cell::Date(_) => shown.parse().ok().and_then(day_of).map(Cell::Date),
        _ => Some(text(shown)),
    };
    value.unwrap_or(Cell::Null)
}

fn day_of(date: NaiveDate) -> Option<i32> {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn date_of(day: i32) -> Option<NaiveDate> {
    let epoch = NaiveDate::default();
    match u64::try_from(day) {
        Ok(after) => epoch.checked_add_days(Days::new(after)),
        Err(_) => epoch.checked_sub_days(Days::new(u64::from(day.unsigned_abs()))),
    }
}

/// What `change` makes of the day; of an instant midnight of that day.
fn of_date(raw: &Cell, change: impl Fn(NaiveDate) -> Option<NaiveDate>) -> Cell {
    match raw {
        Cell::Date(day) => date_of(*day).and_then(change).and_then(day_of).map_or(Cell::Null, Cell::Date),
        Cell::Instant(instant) => {
            let date = DateTime::from_timestamp_micros(*instant).map(|instant| instant.date_naive());
            let day = date.and_then(change).and_then(day_of);
            day.map_or(Cell::Null, |day| Cell::Instant(i64::from(day) * 86_400_000_000))
        }
        other => other.clone(),
    }
}

/// What `change` makes of a number in the column's smallest steps, of which so many make a unit.
fn of_number(raw: &Cell, change: impl Fn(i128, i128) -> Option<i128>) -> Cell {
    let masked = match raw {
        Cell::Long(value) => {
            change(i128::from(*value), 1).and_then(|value| value.try_into().ok()).map(Cell::Long)
        }
        Cell::Date(day) => change(i128::from(*day), 1).and_then(|day| day.try_into().ok()).map(Cell::Date),
        Cell::Instant(instant) => change(i128::from(*instant), 1_000_000)
            .and_then(|instant| instant.try_into().ok())
            .map(Cell::Instant),
        Cell::Decimal(value) => {
            change(*value, 100).filter(|value| value.abs() < 1_000_000_000_000).map(Cell::Decimal)
        }
        other => return other.clone(),
    };
    masked.unwrap_or(Cell::Null)
}

/// The text whose token a value has.
fn spelled(raw: &Cell) -> Option<String> {
    match raw {
        Cell::Text(value) => Some(value.clone()),
        Cell::Long(value) => Some(value.to_string()),
        Cell::Date(day) => date_of(*day).map(|date| date.to_string()),
        _ => None,
    }
}

/// HMAC of domain and value; what is no token has a length before its domain that no domain has.
fn tag(mark: Option<u64>, domain: &str, value: &str) -> Vec<u8> {
    let mut message = mark.map(u64::to_le_bytes).into_iter().flatten().collect::<Vec<_>>();
    message.extend(u64::try_from(domain.len()).unwrap_or(0).to_le_bytes());
    message.extend(domain.bytes().chain(value.bytes()));
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), &message).as_ref().to_vec()
}

fn token(domain: &str, value: &str) -> Cell {
    text(tag(None, domain, value).iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>())
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
        assert_eq!(Masking::ShowFirst(2).apply(&text("abcd")), text("ab**"));
        assert_eq!(Masking::Redact.apply(&text("Ward 12, bed 3")), text("xxxx 00, xxx 0"));
        assert_eq!(Masking::Quarter.apply(&Cell::Date(-1)), Cell::Date(-92));
        assert_eq!(Masking::AgeCap.apply(&Cell::Long(97)), Cell::Long(90));
        assert_eq!(Masking::AgeCap.apply(&Cell::Long(-1)), Cell::Null);
        assert_eq!(Masking::Bucket(10, 5).apply(&Cell::Long(24)), Cell::Long(15));
        assert_eq!(Masking::Bucket(10, 0).apply(&Cell::Decimal(-1)), Cell::Decimal(-1_000));
        assert_eq!(
            Masking::Year.apply(&Cell::Instant(400 * 86_400_000_001)),
            Cell::Instant(365 * 86_400_000_000)
        );
    }
}
