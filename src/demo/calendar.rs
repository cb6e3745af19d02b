//! Days and instants as numbers, and the demo lake's own "today".

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// The day the demo lake was "taken": everything in it is as of this day's end.
/// A fixed day keeps a seed's lake the same whenever it is made.
pub(super) const AS_OF: i32 = days(2026, 9, 30);

/// The first day that encounters, appointments and claims are known for.
pub(super) const HISTORY_START: i32 = days(2024, 1, 1);

/// The first day that observations are known for: twelve whole months.
pub(super) const OBSERVATIONS_START: i32 = days(2025, 10, 1);

/// Days from 1970-01-01 to a date of the Gregorian calendar.
pub(super) const fn days(year: i32, month: i32, day: i32) -> i32 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y - era * 400;
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub(super) const fn civil(days: i32) -> (i32, i32, i32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// The first day of a day's month.
pub(super) const fn month_of(day: i32) -> i32 {
    let (year, month, _) = civil(day);
    days(year, month, 1)
}

/// Whether a day is Monday to Friday.
pub(super) const fn is_working_day(day: i32) -> bool {
    // 1970-01-01 was a Thursday.
    (day + 3).rem_euclid(7) < 5
}

/// Whole years from `birth` to `day`.
pub(super) const fn age_on(birth: i32, day: i32) -> i32 {
    let (birth_year, birth_month, birth_day) = civil(birth);
    let (year, month, of_month) = civil(day);
    let had_birthday = month > birth_month || (month == birth_month && of_month >= birth_day);
    year - birth_year - if had_birthday { 0 } else { 1 }
}

/// `2026-09-30`.
pub(super) fn date_text(day: i32) -> String {
    let mut text = String::with_capacity(10);
    push_date(&mut text, day);
    text
}

/// `2026-09-30T08:10:00Z`, from seconds since 1970.
pub(super) fn instant_text(seconds: i64) -> String {
    let mut text = String::with_capacity(20);
    push_instant(&mut text, seconds);
    text
}

/// Appends `2026-09-30`.
pub(super) fn push_date(text: &mut String, day: i32) {
    let (year, month, of_month) = civil(day);
    push_digits(text, year, 4);
    text.push('-');
    push_digits(text, month, 2);
    text.push('-');
    push_digits(text, of_month, 2);
}

/// Appends `2026-09-30T08:10:00Z`, from seconds since 1970.
pub(super) fn push_instant(text: &mut String, seconds: i64) {
    let day = seconds.div_euclid(DAY);
    let of_day = seconds.rem_euclid(DAY);
    push_date(text, i32::try_from(day).unwrap_or(i32::MAX));
    text.push('T');
    push_digits(text, small(of_day / 3600), 2);
    text.push(':');
    push_digits(text, small(of_day / 60 % 60), 2);
    text.push(':');
    push_digits(text, small(of_day % 60), 2);
    text.push('Z');
}

/// The day an instant falls on, in UTC.
pub(super) fn day_of(seconds: i64) -> i32 {
    i32::try_from(seconds.div_euclid(DAY)).unwrap_or(i32::MAX)
}

fn small(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(0)
}

fn push_digits(text: &mut String, value: i32, width: u32) {
    for position in (0..width).rev() {
        let digit = value / 10_i32.pow(position) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate, Weekday};

    use super::*;

    #[test]
    fn agrees_with_chrono() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap_or_default();
        for day in (days(1920, 1, 1)..days(2030, 1, 1)).step_by(13) {
            let date = epoch + chrono::Days::new(0) + chrono::Duration::days(i64::from(day));
            assert_eq!(date_text(day), date.to_string());
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
            assert_eq!(is_working_day(day), !matches!(date.weekday(), Weekday::Sat | Weekday::Sun));
        }
        assert_eq!(instant_text(i64::from(AS_OF) * DAY + 8 * 3600 + 610), "2026-09-30T08:10:10Z");
        assert_eq!(age_on(days(2000, 3, 1), days(2026, 2, 28)), 25);
        assert_eq!(age_on(days(2000, 3, 1), days(2026, 3, 1)), 26);
    }
}
