//! Days and dates in the proleptic Gregorian calendar, over the whole range of PostgreSQL's types.

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary formats start.
pub(super) const POSTGRES_EPOCH_DAYS: i64 = 10_957;
/// Microseconds of one day.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;
/// The same distance in microseconds.
pub(super) const POSTGRES_EPOCH_MICROS: i64 = POSTGRES_EPOCH_DAYS * DAY_MICROS;

/// First and last day of PostgreSQL's `date`, 4714-11-24 BC and 5874897-12-31, from 1970-01-01.
const MIN_DAY: i64 = -2_440_588;
const MAX_DAY: i64 = 2_147_483_493 - 2_440_588;
/// Bounds of `timestamp`, from 2000-01-01: the first is in, the second out.
const MIN_MICROS: i64 = -211_813_488_000_000_000;
const END_MICROS: i64 = 9_223_371_331_200_000_000;

/// Whether `days` from 1970-01-01 is a PostgreSQL date.
pub(super) fn is_date(days: i64) -> bool {
    (MIN_DAY..=MAX_DAY).contains(&days)
}

/// Whether `micros` from 1970-01-01 is a PostgreSQL timestamp.
pub(super) fn is_timestamp(micros: i64) -> bool {
    micros.checked_sub(POSTGRES_EPOCH_MICROS).is_some_and(|micros| (MIN_MICROS..END_MICROS).contains(&micros))
}

/// Year (0 is 1 BC), month and day of a count of days from 1970-01-01.
pub(super) fn civil(days: i64) -> (i64, u8, u8) {
    // Howard Hinnant's algorithm: eras of 400 years that begin on the first of March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// Days from 1970-01-01; None where there is no such day.
pub(super) fn days(year: i64, month: u32, day: u32) -> Option<i64> {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day == 0 || day > length || !(-10_000_000..=10_000_000).contains(&year) {
        return None;
    }
    let (month, day) = (i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_inverse() {
        for day in (MIN_DAY..=MAX_DAY).step_by(9_973).chain([MIN_DAY, MAX_DAY, -1, 0, 1, 11_016]) {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month.into(), date.into()), Some(day), "{year}-{month}-{date}");
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(MIN_DAY), (-4713, 11, 24));
        assert_eq!(civil(MAX_DAY), (5_874_897, 12, 31));
    }

    #[test]
    fn days_that_do_not_exist() {
        assert_eq!(days(2023, 2, 29), None);
        assert_eq!(days(1900, 2, 29), None);
        assert_eq!(days(2000, 2, 29), Some(11_016));
        assert_eq!(days(2024, 13, 1), None);
        assert_eq!(days(2024, 4, 31), None);
        assert_eq!(days(2024, 1, 0), None);
    }
}
