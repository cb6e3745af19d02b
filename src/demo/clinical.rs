//! What happens to a patient: conditions, appointments, encounters and observations.

use super::calendar::{AS_OF, DAY, HISTORY_START, OBSERVATIONS_START, age_on, day_of, is_working_day};
use super::dice::{Dice, opaque_id};
use super::people::Patient;
use super::places::{Country, Practice, TENANTS, World};
use super::vocabulary::{ACUTE, DIABETES, Diagnosis, HYPERTENSION, LONG_TERM, Measure};

/// A long-term condition of a patient.
pub(super) struct Condition {
    pub(super) id: String,
    /// Position in [`LONG_TERM`].
    pub(super) kind: usize,
    pub(super) onset: i32,
    /// Seconds since 1970.
    pub(super) recorded_at: i64,
    pub(super) active: bool,
}

/// How an appointment ended, or that it is still ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppointmentStatus {
    Completed,
    NoShow,
    CancelledByPatient,
    CancelledByPractice,
    Booked,
}

impl AppointmentStatus {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::NoShow => "no_show",
            Self::CancelledByPatient => "cancelled_by_patient",
            Self::CancelledByPractice => "cancelled_by_practice",
            Self::Booked => "booked",
        }
    }
}

/// An appointment.
pub(super) struct Appointment {
    pub(super) id: String,
    /// Position in [`World::practitioners`].
    pub(super) practitioner: usize,
    /// Seconds since 1970.
    pub(super) booked_at: i64,
    /// Seconds since 1970.
    pub(super) scheduled_at: i64,
    pub(super) mode: &'static str,
    pub(super) status: AppointmentStatus,
    /// Minutes in the waiting room, of those who came in person.
    pub(super) waited_minutes: Option<i32>,
}

/// A contact with a practitioner.
pub(super) struct Encounter {
    pub(super) id: String,
    /// Position in the patient's appointments.
    pub(super) appointment: Option<usize>,
    /// Position in [`World::practitioners`].
    pub(super) practitioner: usize,
    pub(super) kind: &'static str,
    /// Seconds since 1970.
    pub(super) started_at: i64,
    /// Seconds since 1970.
    pub(super) ended_at: i64,
    pub(super) diagnosis: &'static Diagnosis,
}

/// A measurement.
pub(super) struct Observation {
    pub(super) id: String,
    /// Position in the patient's encounters; none for readings taken at home.
    pub(super) encounter: Option<usize>,
    pub(super) measure: Measure,
    /// Seconds since 1970.
    pub(super) effective_at: i64,
    /// Seconds since 1970.
    pub(super) received_at: i64,
    pub(super) value: Value,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Systolic and diastolic, mmHg.
    Pressure { systolic: i32, diastolic: i32 },
    /// Hundredths of the measure's unit.
    Hundredths(i64),
}

/// A patient's history.
pub(super) struct History {
    pub(super) conditions: Vec<Condition>,
    pub(super) appointments: Vec<Appointment>,
    pub(super) encounters: Vec<Encounter>,
    pub(super) observations: Vec<Observation>,
}

impl History {
    /// Whether the patient lives with hypertension.
    pub(super) fn hypertensive(&self) -> bool {
        self.conditions.iter().any(|condition| condition.kind == HYPERTENSION && condition.active)
    }

    /// Makes up a patient's history.
    pub(super) fn new(world: &World, dice: &mut Dice, patient: &Patient) -> Self {
        let mut history = Self {
            conditions: conditions(world, dice, patient),
            appointments: Vec::new(),
            encounters: Vec::new(),
            observations: Vec::new(),
        };
        let practice = &world.practices[patient.practice];
        history.add_appointments(world, dice, patient, practice);
        history.add_emergencies(world, dice, patient, practice);
        history.encounters.sort_by_key(|encounter| encounter.started_at);
        history.add_observations(world, dice, patient, practice);
        history
    }

    fn add_appointments(&mut self, world: &World, dice: &mut Dice, patient: &Patient, practice: &Practice) {
        let start = patient.registered_on.max(HISTORY_START);
        let age = age_on(patient.birth_date, AS_OF);
        let per_year = 60 * self.conditions.len() as i64
            + match age {
                ..5 => 310,
                5..18 => 110,
                18..40 => 170,
                40..65 => 240,
                _ => 420,
            };
        let hundredths = per_year * i64::from(AS_OF - start) / 365 * dice.between(20, 180) / 100;
        let count = hundredths / 100 + i64::from(dice.percent((hundredths % 100) as u32));
        let mut days: Vec<i32> =
            (0..count).map(|_| working_day(dice.between_i32(start, AS_OF), start)).collect();
        days.sort_unstable();
        for day in days {
            let lead = lead_days(dice);
            let status = outcome(dice, practice, age, lead);
            self.add_appointment(world, dice, patient, practice, day, lead, status);
        }
        if dice.percent(12 + 3 * self.conditions.len() as u32) {
            let day = working_day(AS_OF + dice.between_i32(4, 56), AS_OF + 1);
            let lead = (day - AS_OF) + dice.between_i32(0, 20);
            self.add_appointment(world, dice, patient, practice, day, lead, AppointmentStatus::Booked);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are what an appointment is made of")]
    fn add_appointment(
        &mut self,
        world: &World,
        dice: &mut Dice,
        patient: &Patient,
        practice: &Practice,
        day: i32,
        lead: i32,
        status: AppointmentStatus,
    ) {
        let prefix = TENANTS[patient.tenant].prefix;
        let sequence = self.appointments.len() as u64;
        let scheduled_at = opening(patient.country(), day) + dice.between(0, 53) * 600;
        let booked_at = if lead == 0 {
            scheduled_at - dice.between(1, 3) * 3600 - dice.between(0, 3599)
        } else {
            opening(patient.country(), day - lead) + dice.between(0, 36_000)
        };
        let practitioner = *dice.pick(&practice.practitioners);
        let mode = ["in person", "telephone", "video"][dice.weighted(&[68, 24, 8])];
        let came = status == AppointmentStatus::Completed;
        let waited_minutes =
            (came && mode == "in person").then(|| dice.around(practice.wait_minutes, 7).max(0) as i32);
        let position = self.appointments.len();
        self.appointments.push(Appointment {
            id: opaque_id(prefix, 'A', world.seed, numbered(patient, sequence)),
            practitioner,
            booked_at,
            scheduled_at,
            mode,
            status,
            waited_minutes,
        });
        if came {
            let started_at = scheduled_at + i64::from(waited_minutes.unwrap_or_default()) * 60;
            let kind = if mode == "in person" { "consultation" } else { mode };
            self.add_encounter(world, dice, patient, Some(position), practitioner, kind, started_at);
        }
    }

    fn add_emergencies(&mut self, world: &World, dice: &mut Dice, patient: &Patient, practice: &Practice) {
        let start = patient.registered_on.max(HISTORY_START);
        let likely = if age_on(patient.birth_date, AS_OF) > 74 { 34 } else { 12 };
        for _ in 0..dice.count(likely, 4) {
            let day = dice.between_i32(start, AS_OF);
            let started_at = i64::from(day) * DAY + dice.between(0, 85_000);
            let practitioner = *dice.pick(&practice.practitioners);
            self.add_encounter(world, dice, patient, None, practitioner, "emergency", started_at);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are what an encounter is made of")]
    fn add_encounter(
        &mut self,
        world: &World,
        dice: &mut Dice,
        patient: &Patient,
        appointment: Option<usize>,
        practitioner: usize,
        kind: &'static str,
        started_at: i64,
    ) {
        let day = day_of(started_at);
        let known: Vec<usize> = self
            .conditions
            .iter()
            .filter(|condition| condition.onset <= day)
            .map(|condition| condition.kind)
            .collect();
        let diagnosis = if !known.is_empty() && kind != "emergency" && dice.percent(45) {
            &LONG_TERM[*dice.pick(&known)].diagnosis
        } else {
            &ACUTE[acute(dice)].1
        };
        let sequence = self.encounters.len() as u64;
        self.encounters.push(Encounter {
            id: opaque_id(TENANTS[patient.tenant].prefix, 'E', world.seed, numbered(patient, sequence)),
            appointment,
            practitioner,
            kind,
            started_at,
            ended_at: started_at + dice.between(5, if kind == "emergency" { 240 } else { 25 }) * 60,
            diagnosis,
        });
    }

    fn add_observations(&mut self, world: &World, dice: &mut Dice, patient: &Patient, practice: &Practice) {
        let body = Body::new(dice, patient, practice, self.hypertensive(), self.has(DIABETES));
        let first = i64::from(OBSERVATIONS_START) * DAY;
        for encounter in 0..self.encounters.len() {
            let Encounter { started_at, kind, .. } = self.encounters[encounter];
            if started_at < first || !matches!(kind, "consultation" | "emergency") {
                continue;
            }
            for measure in body.measured(dice) {
                let effective_at = started_at + dice.between(60, 480);
                self.add_observation(world, dice, patient, &body, Some(encounter), measure, effective_at);
            }
        }
        if self.hypertensive() {
            // Readings that patients take at home and send in.
            let start = patient.registered_on.max(OBSERVATIONS_START);
            for _ in 0..dice.count(55, 6) {
                let effective_at =
                    i64::from(dice.between_i32(start, AS_OF - 1)) * DAY + dice.between(20_000, 80_000);
                self.add_observation(world, dice, patient, &body, None, Measure::BloodPressure, effective_at);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are what an observation is made of")]
    fn add_observation(
        &mut self,
        world: &World,
        dice: &mut Dice,
        patient: &Patient,
        body: &Body,
        encounter: Option<usize>,
        measure: Measure,
        effective_at: i64,
    ) {
        let sequence = self.observations.len() as u64;
        let delay =
            if measure == Measure::HbA1c { dice.between(20_000, 150_000) } else { dice.between(30, 1800) };
        self.observations.push(Observation {
            id: opaque_id(TENANTS[patient.tenant].prefix, 'O', world.seed, numbered(patient, sequence)),
            encounter,
            measure,
            effective_at,
            received_at: effective_at + delay,
            value: body.read(dice, measure),
        });
    }

    fn has(&self, kind: usize) -> bool {
        self.conditions.iter().any(|condition| condition.kind == kind)
    }
}

/// A number that differs for every record of a kind: the patient's and the record's own.
pub(super) fn numbered(patient: &Patient, sequence: u64) -> u64 {
    patient.number << 16 | sequence
}

/// What a patient's readings vary around.
struct Body {
    age: i32,
    hypertensive: bool,
    diabetic: bool,
    systolic: i64,
    diastolic: i64,
    heart_rate: i64,
    weight: i64,
    hba1c: i64,
}

impl Body {
    fn new(
        dice: &mut Dice,
        patient: &Patient,
        practice: &Practice,
        hypertensive: bool,
        diabetic: bool,
    ) -> Self {
        let age = age_on(patient.birth_date, AS_OF);
        let years = i64::from(age);
        let (systolic, diastolic) = match hypertensive {
            true if dice.percent(practice.control_percent) => (129, 77),
            true => (150, 90),
            false if age < 18 => (92 + years, 56 + years / 2),
            false => (108 + years * 28 / 100, 70 + years / 12),
        };
        let weight = match age {
            ..18 => 350 + years * 330,
            _ => dice.around(7800, 1400).max(4200),
        };
        Self {
            age,
            hypertensive,
            diabetic,
            systolic: dice.around(systolic, 4),
            diastolic: dice.around(diastolic, 3),
            heart_rate: if age < 10 { 100 } else { dice.around(74, 7) },
            weight,
            hba1c: if diabetic { dice.around(720, 90).max(520) } else { dice.around(540, 25) },
        }
    }

    fn measured(&self, dice: &mut Dice) -> Vec<Measure> {
        let mut measures = Vec::new();
        let pressure = match self.age {
            _ if self.hypertensive => 85,
            ..18 => 6,
            _ => 50,
        };
        if dice.percent(pressure) {
            measures.push(Measure::BloodPressure);
        }
        if dice.percent(45) {
            measures.push(Measure::HeartRate);
        }
        if dice.percent(25) {
            measures.push(Measure::Weight);
        }
        if dice.percent(15) {
            measures.push(Measure::Temperature);
        }
        if dice.percent(15) {
            measures.push(Measure::OxygenSaturation);
        }
        if self.diabetic && dice.percent(35) {
            measures.push(Measure::HbA1c);
        }
        measures
    }

    fn read(&self, dice: &mut Dice, measure: Measure) -> Value {
        match measure {
            Measure::BloodPressure => {
                let systolic = dice.around(self.systolic, 7).clamp(78, 220);
                let diastolic = dice.around(self.diastolic, 5).clamp(42, (systolic - 18).min(125));
                Value::Pressure { systolic: systolic as i32, diastolic: diastolic as i32 }
            }
            Measure::HeartRate => Value::Hundredths(dice.around(self.heart_rate, 6).clamp(42, 180) * 100),
            Measure::Weight => Value::Hundredths(dice.around(self.weight, 90).max(280) / 10 * 10),
            Measure::Temperature => Value::Hundredths(dice.around(3680, 40).clamp(3540, 4050) / 10 * 10),
            Measure::OxygenSaturation => Value::Hundredths(dice.around(97, 1).clamp(88, 100) * 100),
            Measure::HbA1c => Value::Hundredths(dice.around(self.hba1c, 20).clamp(420, 1300) / 10 * 10),
        }
    }
}

fn conditions(world: &World, dice: &mut Dice, patient: &Patient) -> Vec<Condition> {
    let age = age_on(patient.birth_date, AS_OF);
    let band = match age {
        ..30 => 0,
        30..50 => 1,
        50..65 => 2,
        _ => 3,
    };
    let mut conditions: Vec<Condition> = Vec::new();
    for (kind, long_term) in LONG_TERM.iter().enumerate() {
        let mut permille = long_term.permille[band];
        // High blood pressure and diabetes keep each other company; young children have neither.
        if kind == DIABETES && conditions.iter().any(|condition| condition.kind == HYPERTENSION) {
            permille = permille * 17 / 10;
        }
        if age < 5 || !dice.permille(permille) {
            continue;
        }
        let earliest = patient.birth_date + (AS_OF - patient.birth_date) * 2 / 5;
        let onset = dice.between_i32(earliest, AS_OF - 10);
        conditions.push(Condition {
            id: opaque_id(TENANTS[patient.tenant].prefix, 'K', world.seed, numbered(patient, kind as u64)),
            kind,
            onset,
            recorded_at: i64::from(onset + dice.between_i32(0, 9)) * DAY + dice.between(30_000, 64_000),
            active: kind == HYPERTENSION || kind == DIABETES || dice.percent(88),
        });
    }
    conditions
}

/// Eight in the morning, in UTC, in England or in the American Midwest.
fn opening(country: Country, day: i32) -> i64 {
    let hour = match country {
        Country::England => 8,
        Country::UnitedStates => 14,
    };
    i64::from(day) * DAY + hour * 3600
}

/// The nearest working day before, or after where that is too early.
fn working_day(day: i32, earliest: i32) -> i32 {
    let mut day = day;
    while !is_working_day(day) {
        day -= 1;
    }
    while day < earliest || !is_working_day(day) {
        day += 1;
    }
    day
}

fn lead_days(dice: &mut Dice) -> i32 {
    match dice.weighted(&[25, 25, 30, 20]) {
        0 => 0,
        1 => dice.between_i32(1, 3),
        2 => dice.between_i32(4, 14),
        _ => dice.between_i32(15, 45),
    }
}

/// Young people and long waits miss appointments more often.
fn outcome(dice: &mut Dice, practice: &Practice, age: i32, lead: i32) -> AppointmentStatus {
    let by_age = match age {
        ..16 => 90,
        16..36 => 150,
        36..66 => 100,
        _ => 55,
    };
    let missed = practice.no_show_permille * by_age / 100 * (100 + 2 * lead as u32) / 100;
    if dice.permille(missed.min(400)) {
        AppointmentStatus::NoShow
    } else if dice.percent(6) {
        AppointmentStatus::CancelledByPatient
    } else if dice.permille(15) {
        AppointmentStatus::CancelledByPractice
    } else {
        AppointmentStatus::Completed
    }
}

fn acute(dice: &mut Dice) -> usize {
    let mut weights = [0; ACUTE.len()];
    for (weight, (likely, _)) in weights.iter_mut().zip(ACUTE) {
        *weight = *likely;
    }
    dice.weighted(&weights)
}
