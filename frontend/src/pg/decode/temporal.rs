//! Dates, times and intervals in text. The session's zone is UTC.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::ScalarValue;

use super::super::calendar::{DAY_MICROS, days, is_date, is_timestamp};
use super::super::error::{DATETIME_FIELD_OVERFLOW, INVALID_DATETIME_FORMAT, WireError};
use super::super::types::Scalar;

fn malformed(kind: Scalar) -> WireError {
    WireError::error(INVALID_DATETIME_FORMAT, format!("invalid input syntax for type {}", kind.name()))
}

/// 22008 for a type.
pub(super) fn out_of_range(kind: Scalar) -> WireError {
    WireError::error(DATETIME_FIELD_OVERFLOW, format!("value is out of range for type {}", kind.name()))
}

/// `YYYY-MM-DD[ BC]`; a time behind it is ignored, as PostgreSQL does.
pub(super) fn date(text: &str) -> Result<i32, WireError> {
    let (date, _) = split(text);
    let days = date_days(date, before_christ(text).1).map_err(|error| error.of(Scalar::Date))?;
    i32::try_from(days).map_err(|_| out_of_range(Scalar::Date))
}

/// `HH:MM[:SS[.ffffff]]`, microseconds from midnight.
pub(super) fn time(text: &str) -> Result<i64, WireError> {
    let (time, _zone) = split_zone(text);
    time_micros(time).map_err(|error| error.of(Scalar::Time))
}

/// `YYYY-MM-DD[( |T)HH:MM[:SS[.ffffff]][zone]][ BC]`, microseconds from 1970-01-01. Without `zoned` a zone
/// is read and ignored, as PostgreSQL does.
pub(super) fn timestamp(text: &str, zoned: bool) -> Result<i64, WireError> {
    let kind = if zoned { Scalar::Timestamptz } else { Scalar::Timestamp };
    let (date, rest) = split(before_christ(text).0);
    let days = date_days(date, before_christ(text).1).map_err(|error| error.of(kind))?;
    let (time, zone) = split_zone(rest);
    let micros = if time.is_empty() { Ok(0) } else { time_micros(time) }.map_err(|error| error.of(kind))?;
    let offset = zone_micros(zone).ok_or_else(|| malformed(kind))?;
    days.checked_mul(DAY_MICROS)
        .and_then(|start| start.checked_add(micros))
        .and_then(|local| if zoned { local.checked_sub(offset) } else { Some(local) })
        .filter(|&micros| is_timestamp(micros))
        .ok_or_else(|| out_of_range(kind))
}

/// What is wrong with a field, before the type is known.
enum Wrong {
    Syntax,
    Range,
}

impl Wrong {
    fn of(self, kind: Scalar) -> WireError {
        match self {
            Self::Syntax => malformed(kind),
            Self::Range => out_of_range(kind),
        }
    }
}

fn before_christ(text: &str) -> (&str, bool) {
    match text.len().checked_sub(3).and_then(|at| text.split_at_checked(at)) {
        Some((rest, era)) if era.eq_ignore_ascii_case(" bc") => (rest.trim_end(), true),
        _ => (text, false),
    }
}

/// The date, and what follows a space or a T.
fn split(text: &str) -> (&str, &str) {
    match text.find([' ', 'T', 't']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    }
}

/// The time, and what follows it.
fn split_zone(text: &str) -> (&str, &str) {
    match text.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))) {
        Some(at) => (&text[..at], text[at..].trim()),
        None => (text, ""),
    }
}

/// Digits only: Rust's own parser also takes a sign.
fn digits(text: &str, most: usize) -> Option<u32> {
    if text.is_empty() || text.len() > most || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn date_days(text: &str, before_christ: bool) -> Result<i64, Wrong> {
    let mut parts = text.split('-');
    let mut field = |most| parts.next().and_then(|part| digits(part, most)).ok_or(Wrong::Syntax);
    let (year, month, day) = (field(7)?, field(2)?, field(2)?);
    if parts.next().is_some() {
        return Err(Wrong::Syntax);
    }
    if year == 0 {
        return Err(Wrong::Range);
    }
    let year = if before_christ { 1 - i64::from(year) } else { i64::from(year) };
    days(year, month, day).filter(|&days| is_date(days)).ok_or(Wrong::Range)
}

fn time_micros(text: &str) -> Result<i64, Wrong> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let mut field = || parts.next().map(|part| digits(part, 2).ok_or(Wrong::Syntax)).transpose();
    let (Some(hours), Some(minutes)) = (field()?, field()?) else { return Err(Wrong::Syntax) };
    let seconds = field()?;
    if parts.next().is_some() || (seconds.is_none() && !fraction.is_empty()) {
        return Err(Wrong::Syntax);
    }
    let seconds = seconds.unwrap_or(0);
    // A leap second is taken as the next minute's first one, as PostgreSQL does.
    if hours > 24 || minutes > 59 || seconds > 60 {
        return Err(Wrong::Range);
    }
    let whole = (i64::from(hours) * 60 + i64::from(minutes)) * 60 + i64::from(seconds);
    let micros = whole * 1_000_000 + fraction_micros(fraction).ok_or(Wrong::Syntax)?;
    if micros > DAY_MICROS { Err(Wrong::Range) } else { Ok(micros) }
}

/// Microseconds of a decimal fraction, rounded.
fn fraction_micros(fraction: &str) -> Option<i64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut places = fraction.bytes().map(|byte| i64::from(byte - b'0')).chain(std::iter::repeat(0));
    let micros = places.by_ref().take(6).fold(0, |sum, digit| sum * 10 + digit);
    Some(micros + i64::from(places.next().is_some_and(|digit| digit >= 5)))
}

/// Microseconds east of UTC; nothing is UTC.
fn zone_micros(zone: &str) -> Option<i64> {
    if matches!(zone.to_ascii_lowercase().as_str(), "" | "z" | "utc" | "gmt" | "zulu") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes, seconds) = if rest.contains(':') {
        let mut parts = rest.split(':');
        let hours = digits(parts.next()?, 2)?;
        let minutes = digits(parts.next()?, 2)?;
        let seconds = parts.next().map_or(Some(0), |part| digits(part, 2))?;
        if parts.next().is_some() {
            return None;
        }
        (hours, minutes, seconds)
    } else if rest.len() == 4 {
        let both = digits(rest, 4)?;
        (both / 100, both % 100, 0)
    } else {
        (digits(rest, 2)?, 0, 0)
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some(sign * ((i64::from(hours) * 60 + i64::from(minutes)) * 60 + i64::from(seconds)) * 1_000_000)
}

/// `1 year 2 mons -3 days 04:05:06.7 [ago]`, or ISO 8601 `P1Y2M3DT4H5M6.7S`.
pub(super) fn interval(text: &str) -> Result<ScalarValue, WireError> {
    let sum = Sum::parse(text).ok_or_else(|| malformed(Scalar::Interval))?;
    let in_range = || {
        Some(IntervalMonthDayNano {
            months: i32::try_from(sum.months).ok()?,
            days: i32::try_from(sum.days).ok()?,
            nanoseconds: i64::try_from(sum.micros).ok()?.checked_mul(1_000)?,
        })
    };
    let value = in_range().ok_or_else(|| out_of_range(Scalar::Interval))?;
    Ok(ScalarValue::IntervalMonthDayNano(Some(value)))
}

/// Fields added up, wide enough that nothing overflows before the end.
#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    micros: i128,
}

impl Sum {
    fn parse(text: &str) -> Option<Self> {
        if let Some(iso) = text.strip_prefix('P') {
            return Self::parse_iso(iso);
        }
        let mut sum = Self::default();
        // Python writes `1 day, 2:03:04`.
        let skip = |c: char| c.is_ascii_whitespace() || c == ',';
        let mut rest = text.strip_prefix('@').unwrap_or(text).trim_start_matches(skip);
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            if rest.eq_ignore_ascii_case("ago") {
                return Some(Self { months: -sum.months, days: -sum.days, micros: -sum.micros });
            }
            let number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ':');
            let (field, tail) = rest.split_at(rest.find(|c| !number(c)).unwrap_or(rest.len()));
            if field.contains(':') {
                sum.add_time(field)?;
                rest = tail.trim_start_matches(skip);
                continue;
            }
            let tail = tail.trim_start();
            let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            // A number alone means seconds.
            sum.add(field, if unit.is_empty() { "s" } else { unit })?;
            rest = tail.trim_start_matches(skip);
        }
        Some(sum)
    }

    fn parse_iso(text: &str) -> Option<Self> {
        let mut sum = Self::default();
        let (date, time) = text.split_once('T').unwrap_or((text, ""));
        let mut empty = true;
        for (part, units) in [(date, "YMWD"), (time, "HMS")] {
            let mut rest = part;
            while !rest.is_empty() {
                let at = rest.find(|c: char| c.is_ascii_alphabetic())?;
                let (number, tail) = rest.split_at(at);
                let unit = tail.chars().next().filter(|&unit| units.contains(unit))?;
                let name = match (unit, units) {
                    ('Y', _) => "year",
                    ('M', "YMWD") => "mon",
                    ('W', _) => "week",
                    ('D', _) => "day",
                    ('H', _) => "hour",
                    ('M', _) => "min",
                    _ => "s",
                };
                sum.add(number, name)?;
                rest = &tail[1..];
                empty = false;
            }
        }
        (!empty).then_some(sum)
    }

    /// `[+-]HH:MM[:SS[.f]]`, of any number of hours.
    fn add_time(&mut self, field: &str) -> Option<()> {
        let (sign, unsigned) = sign(field);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let mut parts = whole.split(':');
        let hours = digits(parts.next()?, 9)?;
        let minutes = digits(parts.next()?, 2).filter(|&minutes| minutes < 60)?;
        let seconds = match parts.next() {
            Some(part) => digits(part, 2).filter(|&seconds| seconds <= 60)?,
            None if fraction.is_empty() => 0,
            None => return None,
        };
        if parts.next().is_some() {
            return None;
        }
        let whole = (i128::from(hours) * 60 + i128::from(minutes)) * 60 + i128::from(seconds);
        self.micros += sign * (whole * 1_000_000 + i128::from(fraction_micros(fraction)?));
        Some(())
    }

    fn add(&mut self, number: &str, unit: &str) -> Option<()> {
        let (sign, unsigned) = sign(number);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole = if whole.is_empty() { 0 } else { i128::from(digits_wide(whole)?) } * sign;
        // Millionths of the unit.
        let part = i128::from(fraction_micros(fraction)?) * sign;
        let unit = unit.to_ascii_lowercase();
        let mut time = |micros_per_unit: i128| {
            self.micros += whole * micros_per_unit + part * micros_per_unit / 1_000_000;
        };
        match unit.as_str() {
            "us" | "usec" | "usecs" | "microsecond" | "microseconds" => time(1),
            "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => time(1_000),
            "s" | "sec" | "secs" | "second" | "seconds" => time(1_000_000),
            "m" | "min" | "mins" | "minute" | "minutes" => time(60_000_000),
            "h" | "hr" | "hrs" | "hour" | "hours" => time(3_600_000_000),
            "d" | "day" | "days" => self.add_days(whole * 1_000_000 + part),
            "w" | "week" | "weeks" => self.add_days((whole * 1_000_000 + part) * 7),
            "mon" | "mons" | "month" | "months" => {
                self.months += whole;
                // A part of a month counts in days of a month of thirty.
                self.add_days(part * 30);
            }
            "y" | "yr" | "yrs" | "year" | "years" => self.add_months(whole, part, 12),
            "decade" | "decades" => self.add_months(whole, part, 120),
            "century" | "centuries" => self.add_months(whole, part, 1_200),
            "millennium" | "millennia" => self.add_months(whole, part, 12_000),
            _ => return None,
        }
        Some(())
    }

    /// Months of a unit; a part of a unit counts in whole months.
    fn add_months(&mut self, whole: i128, millionths: i128, months: i128) {
        let part = millionths * months;
        self.months += whole * months + (part + part.signum() * 500_000) / 1_000_000;
    }

    /// Millionths of days: whole days stay days, the rest is time.
    fn add_days(&mut self, millionths: i128) {
        self.days += millionths / 1_000_000;
        self.micros += millionths % 1_000_000 * i128::from(DAY_MICROS) / 1_000_000;
    }
}

fn sign(text: &str) -> (i128, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn digits_wide(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
