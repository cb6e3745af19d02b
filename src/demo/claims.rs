//! What is billed for an encounter, and what became of it.

use super::calendar::{AS_OF, DAY, age_on, day_of};
use super::clinical::{History, numbered};
use super::dice::{Dice, mix, opaque_id};
use super::people::Patient;
use super::places::{Country, TENANTS, World};
use super::vocabulary::{AGEING_BUCKETS, PAYERS, PROCEDURES, Service, VISITS, payer_weights};

/// One billed service. Amounts are cents or pence.
pub(super) struct Claim {
    pub(super) id: String,
    /// Position in the patient's encounters.
    pub(super) encounter: usize,
    pub(super) service: &'static Service,
    /// Position in [`PAYERS`].
    pub(super) payer: usize,
    pub(super) service_date: i32,
    /// Seconds since 1970.
    pub(super) submitted_at: i64,
    pub(super) units: i32,
    pub(super) billed: i64,
    /// The part of `billed` that nobody will pay.
    pub(super) adjusted: i64,
    pub(super) paid: i64,
    /// `billed` less `adjusted` and `paid`.
    pub(super) outstanding: i64,
    pub(super) status: &'static str,
    pub(super) paid_on: Option<i32>,
    /// Reached the lake after the regular loads.
    pub(super) late: bool,
}

impl Claim {
    /// Days since the service.
    pub(super) fn age_days(&self) -> i32 {
        AS_OF - self.service_date
    }

    /// Position in [`AGEING_BUCKETS`].
    pub(super) fn bucket(&self) -> usize {
        match self.age_days() {
            _ if self.outstanding == 0 => AGEING_BUCKETS.len() - 1,
            ..31 => 0,
            31..61 => 1,
            61..91 => 2,
            91..121 => 3,
            _ => 4,
        }
    }
}

/// The claims of a patient's encounters.
pub(super) fn claims(world: &World, dice: &mut Dice, patient: &Patient, history: &History) -> Vec<Claim> {
    let country = patient.country();
    // In England only private and insured services are billed.
    let billed_percent = match country {
        Country::England => 22,
        Country::UnitedStates => 95,
    };
    let payer = dice.weighted(&payer_weights(country, age_on(patient.birth_date, AS_OF)));
    let mut claims = Vec::new();
    for (position, encounter) in history.encounters.iter().enumerate() {
        if !dice.percent(billed_percent) {
            continue;
        }
        let service_date = day_of(encounter.started_at);
        let submitted_at =
            i64::from(service_date + dice.between_i32(1, 6)) * DAY + 18 * 3600 + dice.between(0, 7199);
        if submitted_at >= i64::from(AS_OF + 1) * DAY {
            continue;
        }
        let mut services: Vec<&'static Service> = vec![match encounter.kind {
            "emergency" => &VISITS[3],
            _ if encounter.diagnosis.who == "Z00.0" => &VISITS[5],
            _ => &VISITS[dice.weighted(&[20, 45, 25, 5, 5])],
        }];
        for _ in 0..dice.count(30, 3) {
            let extra = dice.pick(PROCEDURES);
            if services.iter().all(|service| service.cpt != extra.cpt) {
                services.push(extra);
            }
        }
        for service in services {
            let sequence = numbered(patient, claims.len() as u64);
            claims.push(claim(
                world,
                dice,
                patient,
                position,
                service,
                payer,
                service_date,
                submitted_at,
                sequence,
            ));
        }
    }
    claims
}

#[expect(clippy::too_many_arguments, reason = "all of them are what a claim is made of")]
fn claim(
    world: &World,
    dice: &mut Dice,
    patient: &Patient,
    encounter: usize,
    service: &'static Service,
    payer: usize,
    service_date: i32,
    submitted_at: i64,
    sequence: u64,
) -> Claim {
    let terms = &PAYERS[payer];
    let units = if dice.percent(4) { 2 } else { 1 };
    let list = match patient.country() {
        Country::England => service.price * 6 / 10,
        Country::UnitedStates => service.price,
    };
    let billed = list * dice.between(94, 112) / 100 * i64::from(units);
    let allowed = billed * terms.allows / 100;
    let delay = dice.around(terms.days, terms.days / 3).max(3) as i32;
    let paid_on = service_date + delay.max(7);
    let (status, adjusted, paid) = if dice.percent(terms.refuses) {
        ("denied", billed, 0)
    } else if dice.percent(3) || paid_on > AS_OF {
        // A few are never answered: they are what the ageing report is for.
        ("submitted", billed - allowed, 0)
    } else if dice.percent(10) {
        ("part_paid", billed - allowed, allowed * dice.between(40, 85) / 100)
    } else {
        ("paid", billed - allowed, allowed)
    };
    Claim {
        id: opaque_id(TENANTS[patient.tenant].prefix, 'C', world.seed, sequence),
        encounter,
        service,
        payer,
        service_date,
        submitted_at,
        units,
        billed,
        adjusted,
        paid,
        outstanding: billed - adjusted - paid,
        status,
        paid_on: (paid > 0).then_some(paid_on),
        late: mix(sequence) % 151 == 7,
    }
}
