//! Patients.

use super::calendar::{AS_OF, civil, days};
use super::dice::{Dice, mix};
use super::names;
use super::places::{Country, TENANTS, World, english_before, postal_codes, telephone, tenant_of};

/// A patient as registered.
pub(super) struct Patient {
    /// Number in the lake, from 0.
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) tenant: usize,
    /// Position in [`World::practices`].
    pub(super) practice: usize,
    pub(super) nhs_number: Option<String>,
    pub(super) mrn: Option<String>,
    pub(super) given_name: &'static str,
    pub(super) family_name: &'static str,
    pub(super) sex: Sex,
    pub(super) birth_date: i32,
    pub(super) address_line: String,
    /// Position in the tenant's towns.
    pub(super) town: usize,
    pub(super) postcode: Option<String>,
    pub(super) zip_code: Option<String>,
    pub(super) phone: String,
    pub(super) email: Option<String>,
    pub(super) registered_on: i32,
    pub(super) active: bool,
    /// Reached the lake after the regular loads.
    pub(super) late: bool,
}

/// Administrative sex, as FHIR writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sex {
    /// `female`
    Female,
    /// `male`
    Male,
    /// `unknown`
    Unknown,
}

impl Sex {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
            Self::Unknown => "unknown",
        }
    }
}

impl Patient {
    /// The country the patient lives in.
    pub(super) fn country(&self) -> Country {
        TENANTS[self.tenant].country
    }

    /// Makes the patient with this number.
    pub(super) fn new(world: &World, numbers: &NhsNumbers, dice: &mut Dice, number: u64) -> Self {
        let tenant_position = tenant_of(number);
        let tenant = &TENANTS[tenant_position];
        let practice = *dice.pick(&world.practices_of[tenant_position]);
        let birth_date = birth_date(dice, tenant.country);
        let age = (AS_OF - birth_date) / 365;
        // Women outlive men.
        let female = dice.percent(if age > 74 { 57 } else { 50 });
        let sex = match female {
            _ if dice.permille(2) => Sex::Unknown,
            true => Sex::Female,
            false => Sex::Male,
        };
        let given_name = *dice.pick(names::given_names(tenant.country, female, civil(birth_date).0));
        let family_name = *dice.pick(names::family_names(tenant.country));
        // Most live in their practice's town.
        let town = if dice.percent(85) {
            world.practices[practice].town
        } else {
            dice.between(0, tenant.towns.len() as i64 - 1) as usize
        };
        let (postcode, zip_code) = postal_codes(dice, tenant.country, &tenant.towns[town]);
        let house = dice.between(1, if tenant.country == Country::England { 240 } else { 9800 });
        let flat = dice.percent(12).then(|| dice.between(1, 40));
        let street = *dice.pick(names::streets(tenant.country));
        let address_line = match (tenant.country, flat) {
            (Country::England, Some(flat)) => format!("Flat {flat}, {house} {street}"),
            (Country::UnitedStates, Some(flat)) => format!("{house} {street}, Apt {flat}"),
            (_, None) => format!("{house} {street}"),
        };
        // Mobile numbers in England come from the range reserved for fiction too.
        let phone = if tenant.country == Country::England && age < 80 && dice.percent(80) {
            format!("07700 900{:03}", dice.between(0, 999))
        } else {
            telephone(dice, &tenant.towns[town])
        };
        let has_email = dice.percent(match age {
            ..16 => 4,
            16..60 => 90,
            60..75 => 70,
            _ => 35,
        });
        let email = has_email.then(|| email(given_name, family_name, number));
        let nhs_number = match tenant.country {
            // One in a hundred has not been traced yet.
            Country::England if !dice.percent(1) => numbers.get(english_before(number)),
            _ => None,
        };
        let mrn = (tenant.country == Country::UnitedStates).then(|| record_number(world.seed, number));
        let registered_on = dice.between_i32(birth_date.max(AS_OF - 9000), AS_OF - 20).max(birth_date);
        Self {
            number,
            id: format!("{}-{:07}", tenant.prefix, number + 1),
            tenant: tenant_position,
            practice,
            nhs_number,
            mrn,
            given_name,
            family_name,
            sex,
            birth_date,
            address_line,
            town,
            postcode,
            zip_code,
            phone,
            email,
            registered_on,
            active: dice.percent(96),
            late: number % 97 == 41,
        }
    }
}

/// A number that nobody reads off the patient's: its last digits are shown to people who see patient ids.
fn record_number(seed: u64, patient: u64) -> String {
    // The factor has no divisor in common with the modulus, so no number comes twice.
    format!("MR{:08}", (patient * 36_028_797 + mix(seed ^ 0x4D52) % 100_000_000) % 100_000_000)
}

fn email(given: &str, family: &str, number: u64) -> String {
    let mut address = String::with_capacity(40);
    let plain = |part: &str| -> String { part.chars().filter(char::is_ascii_alphabetic).collect() };
    address.push_str(&plain(given).to_ascii_lowercase());
    address.push('.');
    address.push_str(&plain(family).to_ascii_lowercase());
    address.push_str(&(number % 10_007).to_string());
    address.push_str(if number.is_multiple_of(3) { "@example.org" } else { "@example.com" });
    address
}

/// Twenty bands of five years, per 1,000 people.
fn birth_date(dice: &mut Dice, country: Country) -> i32 {
    const ENGLAND: [u32; 20] = [53, 58, 60, 59, 62, 66, 71, 68, 65, 62, 67, 67, 59, 50, 47, 40, 25, 14, 6, 1];
    const UNITED_STATES: [u32; 20] =
        [56, 60, 64, 65, 67, 66, 70, 68, 64, 60, 62, 62, 63, 56, 46, 34, 20, 11, 5, 1];
    let band = dice.weighted(match country {
        Country::England => &ENGLAND,
        Country::UnitedStates => &UNITED_STATES,
    }) as i32;
    let (year, month, day) = civil(AS_OF);
    // Patients are at least a month old, so that they can have been registered.
    let youngest = days(year - 5 * band, month, day) - 31;
    let oldest = days(year - 5 * band - 5, month, day) - 30;
    dice.between_i32(oldest, youngest)
}

/// Valid NHS numbers from the range 999 000 0000 to 999 999 9999, which is issued to nobody.
///
/// The range holds some 909,000 valid numbers. Patients beyond that have none ("not yet traced").
pub(super) struct NhsNumbers {
    /// The six free digits and the check digit of every valid number.
    valid: Vec<u32>,
    offset: u64,
}

impl NhsNumbers {
    /// Lists the numbers in an order of its own for each seed.
    pub(super) fn new(seed: u64) -> Self {
        let valid: Vec<u32> = (0..1_000_000_u32)
            .filter_map(|free| check_digit(999_000_000 + free).map(|check| free * 10 + check))
            .collect();
        Self { valid, offset: mix(seed ^ 0x004E_4853) }
    }

    /// The number of the patient who is at this position among those who need one.
    pub(super) fn get(&self, position: u64) -> Option<String> {
        let count = self.valid.len() as u64;
        if position >= count {
            return None;
        }
        // A prime stride that does not divide the count visits every number once.
        let stride = if count.is_multiple_of(761_861) { 1 } else { 761_861 };
        let index = (position * stride + self.offset % count) % count;
        Some(format!("999{:07}", self.valid[index as usize]))
    }
}

/// The modulus 11 check digit of the first nine digits; none where the number would be invalid.
pub(super) fn check_digit(nine: u32) -> Option<u32> {
    let mut rest = nine;
    let mut sum = 0;
    for weight in 2..=10 {
        sum += rest % 10 * weight;
        rest /= 10;
    }
    match 11 - sum % 11 {
        11 => Some(0),
        10 => None,
        check => Some(check),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nhs_numbers_have_the_published_check_digit() {
        // The example of the NHS data dictionary: 943 476 5919.
        assert_eq!(check_digit(943_476_591), Some(9));
        assert_eq!(check_digit(987_654_321), Some(0));
        assert_eq!(check_digit(100_000_001), None);
    }

    #[test]
    fn nhs_numbers_are_distinct_and_in_the_test_range() {
        let numbers = NhsNumbers::new(7);
        let count = numbers.valid.len() as u64;
        assert!(count > 900_000);
        let mut seen = HashSet::new();
        for position in (0..count).step_by(3) {
            let number = numbers.get(position).unwrap_or_default();
            assert!(number.starts_with("999") && number.len() == 10, "{number}");
            let nine: u32 = number[..9].parse().unwrap_or_default();
            assert_eq!(check_digit(nine).map(|check| check.to_string()).as_deref(), Some(&number[9..]));
            assert!(seen.insert(number));
        }
        assert_eq!(numbers.get(count), None);
    }
}
