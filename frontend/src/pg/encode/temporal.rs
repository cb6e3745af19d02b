//! Dates, times, timestamps and intervals as PostgreSQL writes them with `DateStyle` ISO, `IntervalStyle`
//! postgres and `TimeZone` UTC. Nanoseconds are cut to microseconds.

use super::super::calendar::{
    DAY_MICROS, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS, civil, is_date, is_timestamp,
};
use super::EncodeError;

/// Days from 1970-01-01 as `YYYY-MM-DD`, ` BC` behind where it is.
pub(super) fn date_text(days: i64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !is_date(days) {
        return Err(EncodeError::OutOfRange);
    }
    if write_date(days, out) {
        out.extend_from_slice(b" BC");
    }
    Ok(())
}

/// Days from 2000-01-01, 32 bits.
pub(super) fn date_binary(days: i64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !is_date(days) {
        return Err(EncodeError::OutOfRange);
    }
    let days = i32::try_from(days - POSTGRES_EPOCH_DAYS).map_err(|_| EncodeError::OutOfRange)?;
    out.extend_from_slice(&days.to_be_bytes());
    Ok(())
}

/// Microseconds from midnight as `HH:MM:SS[.ffffff]`.
pub(super) fn time_text(micros: i64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !(0..=DAY_MICROS).contains(&micros) {
        return Err(EncodeError::OutOfRange);
    }
    write_time(micros, out);
    Ok(())
}

/// Microseconds from midnight, 64 bits.
pub(super) fn time_binary(micros: i64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !(0..=DAY_MICROS).contains(&micros) {
        return Err(EncodeError::OutOfRange);
    }
    out.extend_from_slice(&micros.to_be_bytes());
    Ok(())
}

/// Microseconds from 1970-01-01 00:00 (None: too many to count) as `YYYY-MM-DD HH:MM:SS[.ffffff][+00]`.
pub(super) fn timestamp_text(micros: Option<i64>, zoned: bool, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let micros = in_range(micros)?;
    let before_christ = write_date(micros.div_euclid(DAY_MICROS), out);
    out.push(b' ');
    write_time(micros.rem_euclid(DAY_MICROS), out);
    if zoned {
        out.extend_from_slice(b"+00");
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
    Ok(())
}

/// The same in ISO 8601, as PostgreSQL writes timestamps inside JSON.
pub(super) fn timestamp_json(micros: Option<i64>, zoned: bool, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let micros = in_range(micros)?;
    let before_christ = write_date(micros.div_euclid(DAY_MICROS), out);
    out.push(b'T');
    write_time(micros.rem_euclid(DAY_MICROS), out);
    if zoned {
        out.extend_from_slice(b"+00:00");
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
    Ok(())
}

/// Microseconds from 2000-01-01 00:00, 64 bits.
pub(super) fn timestamp_binary(micros: Option<i64>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let micros = in_range(micros)? - POSTGRES_EPOCH_MICROS;
    out.extend_from_slice(&micros.to_be_bytes());
    Ok(())
}

fn in_range(micros: Option<i64>) -> Result<i64, EncodeError> {
    micros.filter(|&micros| is_timestamp(micros)).ok_or(EncodeError::OutOfRange)
}

/// `1 year 2 mons -3 days +04:05:06.7`; every field carries its own sign.
pub(super) fn interval_text(
    months: i32,
    days: i32,
    micros: Option<i64>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let micros = micros.ok_or(EncodeError::OutOfRange)?;
    let mut empty = true;
    // After a negative field a positive one has to say so.
    let mut after_negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        if !empty {
            out.push(b' ');
        }
        if after_negative && value > 0 {
            out.push(b'+');
        }
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        after_negative = value < 0;
        empty = false;
    }
    if empty || micros != 0 {
        if !empty {
            out.push(b' ');
        }
        if micros < 0 {
            out.push(b'-');
        } else if after_negative {
            out.push(b'+');
        }
        let micros = micros.unsigned_abs();
        let hours = micros / 3_600_000_000;
        if hours < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
        write_minutes(micros % 3_600_000_000, out);
    }
    Ok(())
}

/// Microseconds (64 bits), days and months (32 each).
pub(super) fn interval_binary(
    months: i32,
    days: i32,
    micros: Option<i64>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let micros = micros.ok_or(EncodeError::OutOfRange)?;
    out.extend_from_slice(&micros.to_be_bytes());
    out.extend_from_slice(&days.to_be_bytes());
    out.extend_from_slice(&months.to_be_bytes());
    Ok(())
}

/// Writes the date without its era; true where that is BC.
fn write_date(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil(days);
    let before_christ = year <= 0;
    let shown = if before_christ { 1 - year } else { year };
    for limit in [1_000, 100, 10] {
        if shown < limit {
            out.push(b'0');
        }
    }
    out.extend_from_slice(itoa::Buffer::new().format(shown).as_bytes());
    out.push(b'-');
    two_digits(u64::from(month), out);
    out.push(b'-');
    two_digits(u64::from(day), out);
    before_christ
}

/// `HH:MM:SS[.ffffff]` for a value within a day.
fn write_time(micros: i64, out: &mut Vec<u8>) {
    let micros = micros.unsigned_abs();
    two_digits(micros / 3_600_000_000, out);
    write_minutes(micros % 3_600_000_000, out);
}

/// `:MM:SS[.ffffff]` for a value within an hour; zeros at the end of the fraction are left out.
fn write_minutes(micros: u64, out: &mut Vec<u8>) {
    out.push(b':');
    two_digits(micros / 60_000_000, out);
    out.push(b':');
    two_digits(micros / 1_000_000 % 60, out);
    let mut fraction = micros % 1_000_000;
    if fraction > 0 {
        out.push(b'.');
        let mut place = 100_000;
        while fraction > 0 {
            out.push(b'0' + (fraction / place) as u8);
            fraction %= place;
            place /= 10;
        }
    }
}

fn two_digits(value: u64, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}
