//! Tenants, practices and practitioners: the part of the lake that patients are spread over.

use super::calendar::{AS_OF, days};
use super::dice::Dice;
use super::names;

/// Where a tenant works; decides names, addresses, codes and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Country {
    /// England: NHS numbers, postcodes, pounds.
    England,
    /// United States: record numbers, ZIP codes, dollars.
    UnitedStates,
}

/// A town with what its addresses and telephones look like.
pub(super) struct Town {
    pub(super) name: &'static str,
    /// County or state.
    pub(super) region: &'static str,
    /// Outward postcodes, or five-digit ZIP codes.
    pub(super) areas: &'static [&'static str],
    /// The part of a telephone number that is reserved for fiction here, without its last digits.
    pub(super) telephone: &'static str,
}

/// An organisation whose data is its own.
pub(super) struct Tenant {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) country: Country,
    pub(super) currency: &'static str,
    /// Starts the tenant's record numbers.
    pub(super) prefix: &'static str,
    /// Practices in a small lake.
    pub(super) practices: u64,
    pub(super) towns: &'static [Town],
}

/// The tenants. [`tenant_of`] says who of 20 patients belongs where.
pub(super) const TENANTS: &[Tenant] = &[
    Tenant {
        id: "northgate",
        name: "Northgate Primary Care NHS Trust",
        kind: "NHS trust",
        country: Country::England,
        currency: "GBP",
        prefix: "NGT",
        practices: 8,
        towns: &[
            Town {
                name: "Leeds",
                region: "West Yorkshire",
                areas: &["LS1", "LS6", "LS7", "LS8", "LS12", "LS17"],
                telephone: "0113 496 0",
            },
            Town {
                name: "Bradford",
                region: "West Yorkshire",
                areas: &["BD1", "BD5", "BD9", "BD18"],
                telephone: "01632 960",
            },
            Town {
                name: "York",
                region: "North Yorkshire",
                areas: &["YO1", "YO10", "YO24", "YO31"],
                telephone: "01632 960",
            },
            Town {
                name: "Harrogate",
                region: "North Yorkshire",
                areas: &["HG1", "HG2"],
                telephone: "01632 960",
            },
            Town {
                name: "Wakefield",
                region: "West Yorkshire",
                areas: &["WF1", "WF2"],
                telephone: "01632 960",
            },
            Town {
                name: "Sheffield",
                region: "South Yorkshire",
                areas: &["S1", "S7", "S10", "S11"],
                telephone: "0114 496 0",
            },
        ],
    },
    Tenant {
        id: "lakeside",
        name: "Lakeside Health System",
        kind: "health system",
        country: Country::UnitedStates,
        currency: "USD",
        prefix: "LKS",
        practices: 7,
        towns: &[
            Town {
                name: "Milwaukee",
                region: "WI",
                areas: &["53202", "53207", "53211", "53215", "53219"],
                telephone: "414-555-01",
            },
            Town {
                name: "Madison",
                region: "WI",
                areas: &["53703", "53704", "53711", "53719"],
                telephone: "608-555-01",
            },
            Town { name: "Green Bay", region: "WI", areas: &["54301", "54304"], telephone: "920-555-01" },
            Town {
                name: "Chicago",
                region: "IL",
                areas: &["60613", "60614", "60618", "60640"],
                telephone: "312-555-01",
            },
            Town {
                name: "Grand Rapids",
                region: "MI",
                areas: &["49503", "49506", "49546"],
                telephone: "616-555-01",
            },
        ],
    },
    Tenant {
        id: "harbourview",
        name: "Harbourview Partnership",
        kind: "GP federation",
        country: Country::England,
        currency: "GBP",
        prefix: "HBV",
        practices: 4,
        towns: &[
            Town {
                name: "Bristol",
                region: "Bristol",
                areas: &["BS1", "BS3", "BS6", "BS8"],
                telephone: "0117 496 0",
            },
            Town { name: "Bath", region: "Somerset", areas: &["BA1", "BA2"], telephone: "01632 960" },
            Town { name: "Exeter", region: "Devon", areas: &["EX1", "EX4"], telephone: "01632 960" },
        ],
    },
];

const PATTERN: [usize; 20] = [0, 1, 0, 1, 2, 0, 1, 0, 1, 0, 1, 0, 2, 1, 0, 1, 0, 2, 1, 0];

/// The tenant of the patient with this number: nine of 20 are Northgate's, eight Lakeside's, three
/// Harbourview's.
pub(super) fn tenant_of(patient: u64) -> usize {
    PATTERN[(patient % 20) as usize]
}

/// How many patients before this one live in England: their place in the list of NHS numbers.
pub(super) fn english_before(patient: u64) -> u64 {
    let whole = patient / 20 * 12;
    let rest = PATTERN[..(patient % 20) as usize].iter().filter(|tenant| **tenant != 1).count();
    whole + rest as u64
}

/// A practice or clinic.
pub(super) struct Practice {
    pub(super) id: String,
    pub(super) tenant: usize,
    pub(super) name: String,
    pub(super) town: usize,
    pub(super) address_line: String,
    pub(super) postcode: Option<String>,
    pub(super) zip_code: Option<String>,
    pub(super) phone: String,
    pub(super) opened_on: i32,
    /// Missed appointments per 1,000 before age and wait are considered.
    pub(super) no_show_permille: u32,
    /// Typical minutes in the waiting room.
    pub(super) wait_minutes: i64,
    /// Percent of people with hypertension whose blood pressure is under control.
    pub(super) control_percent: u32,
    /// Positions in [`World::practitioners`].
    pub(super) practitioners: Vec<usize>,
}

/// Somebody who treats patients.
pub(super) struct Practitioner {
    pub(super) id: String,
    pub(super) practice: usize,
    pub(super) title: &'static str,
    pub(super) given_name: &'static str,
    pub(super) family_name: &'static str,
    pub(super) role: &'static str,
    pub(super) specialty: &'static str,
    pub(super) registration_body: &'static str,
    pub(super) registration_number: String,
    pub(super) started_on: i32,
}

impl Practitioner {
    /// `Dr Amelia Hart`.
    pub(super) fn display_name(&self) -> String {
        format!("{} {} {}", self.title, self.given_name, self.family_name)
    }
}

/// Everything that patients are spread over.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) practices: Vec<Practice>,
    pub(super) practitioners: Vec<Practitioner>,
    /// For each tenant the positions of its practices.
    pub(super) practices_of: Vec<Vec<usize>>,
}

impl World {
    /// Builds the practices and practitioners that this many patients need.
    pub(super) fn new(seed: u64, patients: u64) -> Self {
        let mut world = Self {
            seed,
            practices: Vec::new(),
            practitioners: Vec::new(),
            practices_of: vec![Vec::new(); TENANTS.len()],
        };
        for (position, tenant) in TENANTS.iter().enumerate() {
            let mut dice = Dice::new(seed, "places", position as u64);
            let share = PATTERN.iter().filter(|of| **of == position).count() as u64;
            let patients = patients * share / PATTERN.len() as u64;
            // A practice looks after some 9,000 people, a practitioner after some 700.
            let practices = tenant.practices.max(patients / 9_000);
            let practitioners = (patients / practices / 700).max(4);
            for number in 0..practices {
                world.add_practice(&mut dice, position, number, practitioners);
            }
        }
        world
    }

    fn add_practice(&mut self, dice: &mut Dice, tenant_position: usize, number: u64, practitioners: u64) {
        let tenant = &TENANTS[tenant_position];
        let position = self.practices.len();
        let town = (number % tenant.towns.len() as u64) as usize;
        // Names repeat only after every landmark was used with every kind of practice.
        let landmarks = names::landmarks(tenant.country);
        let kinds = names::practice_kinds(tenant.country);
        let landmark =
            landmarks[((number * 7 + tenant_position as u64 * 11) % landmarks.len() as u64) as usize];
        let round = number / landmarks.len() as u64;
        let kind = kinds[((number + round) % kinds.len() as u64) as usize];
        let mut name = format!("{landmark} {kind}");
        if round >= kinds.len() as u64 {
            name = format!("{name} {}", tenant.towns[town].name);
        }
        let (postcode, zip_code) = postal_codes(dice, tenant.country, &tenant.towns[town]);
        let mut practice = Practice {
            id: format!("{}-P{:03}", tenant.prefix, number + 1),
            tenant: tenant_position,
            name,
            town,
            address_line: format!("{} {}", dice.between(1, 180), dice.pick(names::streets(tenant.country))),
            postcode,
            zip_code,
            phone: telephone(dice, &tenant.towns[town]),
            opened_on: days(dice.between_i32(1965, 2018), dice.between_i32(1, 12), 1),
            no_show_permille: dice.between(35, 110) as u32,
            wait_minutes: dice.between(8, 24),
            control_percent: dice.between(52, 76) as u32,
            practitioners: Vec::new(),
        };
        for member in 0..practitioners {
            practice.practitioners.push(self.practitioners.len());
            let practitioner = new_practitioner(dice, tenant, position, number, member);
            self.practitioners.push(practitioner);
        }
        self.practices_of[tenant_position].push(position);
        self.practices.push(practice);
    }
}

fn new_practitioner(
    dice: &mut Dice,
    tenant: &Tenant,
    practice: usize,
    practice_number: u64,
    member: u64,
) -> Practitioner {
    let female = dice.percent(56);
    let birth_year = dice.between_i32(1958, 1997);
    // Every fourth member of a practice is not a doctor.
    let doctor = member % 4 != 3;
    let (role, specialty) = match (tenant.country, doctor) {
        (Country::England, true) => ("general practitioner", "General practice"),
        (Country::England, false) => *dice.pick(&[
            ("practice nurse", "Nursing"),
            ("clinical pharmacist", "Pharmacy"),
            ("physiotherapist", "Physiotherapy"),
        ]),
        (Country::UnitedStates, true) => *dice.pick(&[
            ("physician", "Family medicine"),
            ("physician", "Internal medicine"),
            ("physician", "Family medicine"),
            ("physician", "Pediatrics"),
            ("physician", "Cardiology"),
        ]),
        (Country::UnitedStates, false) => *dice
            .pick(&[("nurse practitioner", "Family medicine"), ("physician assistant", "Family medicine")]),
    };
    let title = match (doctor, female) {
        (true, _) => "Dr",
        (false, true) => "Ms",
        (false, false) => "Mr",
    };
    let (registration_body, registration_number) = match tenant.country {
        Country::England if doctor => ("GMC", format!("{}", dice.between(9_000_000, 9_999_999))),
        Country::England => ("NMC", format!("99A{:04}E", dice.between(0, 9999))),
        Country::UnitedStates => {
            ("NPI", national_provider_identifier(dice.between(199_000_000, 199_999_999)))
        }
    };
    let birth = days(birth_year, 7, 1);
    Practitioner {
        id: format!("{}-D{:03}{:02}", tenant.prefix, practice_number + 1, member + 1),
        practice,
        title,
        given_name: dice.pick::<&str>(names::given_names(tenant.country, female, birth_year)),
        family_name: dice.pick::<&str>(names::family_names(tenant.country)),
        role,
        specialty,
        registration_body,
        registration_number,
        started_on: dice.between_i32(birth + 27 * 365, AS_OF - 1000).max(birth + 25 * 365),
    }
}

/// A National Provider Identifier: nine digits and a Luhn digit over them with the prefix 80840.
fn national_provider_identifier(nine: i64) -> String {
    let digits = format!("80840{nine:09}");
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(position, digit)| {
            let digit = u32::from(digit - b'0');
            if position % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    format!("{nine:09}{}", (10 - sum % 10) % 10)
}

/// A postcode in England, a ZIP code in the United States.
pub(super) fn postal_codes(
    dice: &mut Dice,
    country: Country,
    town: &Town,
) -> (Option<String>, Option<String>) {
    // Inward codes use no letters that are easily misread.
    const INWARD: &[u8] = b"ABDEFGHJLNPQRSTUWXYZ";
    let area = *dice.pick(town.areas);
    match country {
        Country::England => {
            let mut code = String::with_capacity(8);
            code.push_str(area);
            code.push(' ');
            code.push(char::from(b'0' + dice.between(1, 9) as u8));
            code.push(char::from(*dice.pick(INWARD)));
            code.push(char::from(*dice.pick(INWARD)));
            (Some(code), None)
        }
        Country::UnitedStates => (None, Some(area.to_owned())),
    }
}

/// A number from the ranges that are kept free for films and books.
pub(super) fn telephone(dice: &mut Dice, town: &Town) -> String {
    let digits = if town.telephone.ends_with("-01") { 2 } else { 3 };
    let last = dice.between(0, 10_i64.pow(digits) - 1);
    match digits {
        2 => format!("{}{last:02}", town.telephone),
        _ if town.telephone.ends_with("960") => format!("{} {last:03}", town.telephone),
        _ => format!("{}{last:03}", town.telephone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_english_patients() {
        let mut english = 0;
        for patient in 0..200 {
            assert_eq!(english_before(patient), english);
            if TENANTS[tenant_of(patient)].country == Country::England {
                english += 1;
            }
        }
    }

    #[test]
    fn npi_has_the_published_check_digit() {
        assert_eq!(national_provider_identifier(123_456_789), "1234567893");
    }
}
