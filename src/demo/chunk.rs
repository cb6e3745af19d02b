//! A thousand patients at a time: made independently of all others, as Arrow batches.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::calendar::{civil, day_of, month_of};
use super::claims::{Claim, claims};
use super::clinical::{Appointment, Condition, Encounter, History, Observation, Value};
use super::columns::{
    AppointmentColumns, ClaimColumns, ConditionColumns, EncounterColumns, ObservationColumns, PatientColumns,
    PracticeColumns, PractitionerColumns, ResourceColumns, TenantColumns,
};
use super::delta::{Load, Partition};
use super::dice::Dice;
use super::fhir::{observation_json, patient_json, patient_received_at};
use super::gold::Gold;
use super::people::{NhsNumbers, Patient};
use super::places::{Country, TENANTS, World};
use super::tables::TableId;
use super::vocabulary::{AGEING_BUCKETS, LONG_TERM, PAYERS};

/// Patients in a chunk.
pub(super) const CHUNK: u64 = 1000;
/// Regular loads of the unpartitioned tables.
pub(super) const LOADS: u64 = 4;
/// The load of what arrived late.
const LATE: Load = Load(LOADS as u32);

/// Rows for one load of one partition of a table.
pub(super) struct Rows {
    pub(super) table: TableId,
    pub(super) load: Load,
    pub(super) partition: Partition,
    pub(super) batch: RecordBatch,
}

/// What a chunk of patients brings.
pub(super) struct Chunk {
    pub(super) patients: u64,
    pub(super) rows: Vec<Rows>,
    pub(super) gold: Gold,
}

/// Builders of one chunk.
struct Builders<'a> {
    world: &'a World,
    patients: [PatientColumns; 2],
    patient_resources: ResourceColumns,
    conditions: ConditionColumns,
    appointments: AppointmentColumns,
    /// By tenant and year.
    encounters: BTreeMap<(usize, i32), EncounterColumns>,
    claims: [ClaimColumns; 2],
    /// By tenant and month.
    observations: BTreeMap<(usize, i32), ObservationColumns>,
    observation_resources: ResourceColumns,
}

/// Makes the patients from `first` to `end` (excluded).
pub(super) fn make(
    world: &World,
    numbers: &NhsNumbers,
    first: u64,
    end: u64,
    load: Load,
) -> Result<Chunk, ArrowError> {
    let mut dice = Dice::new(world.seed, "patients", first);
    let mut gold = Gold::default();
    let mut builders = Builders {
        world,
        patients: [PatientColumns::new(), PatientColumns::new()],
        patient_resources: ResourceColumns::new(),
        conditions: ConditionColumns::new(),
        appointments: AppointmentColumns::new(),
        encounters: BTreeMap::new(),
        claims: [ClaimColumns::new(), ClaimColumns::new()],
        observations: BTreeMap::new(),
        observation_resources: ResourceColumns::new(),
    };
    for number in first..end {
        let patient = Patient::new(world, numbers, &mut dice, number);
        let history = History::new(world, &mut dice, &patient);
        let claims = claims(world, &mut dice, &patient, &history);
        gold.add(&patient, &history, &claims);
        builders.add(&patient, &history, &claims);
    }
    Ok(Chunk { patients: end - first, rows: builders.finish(load)?, gold })
}

impl Builders<'_> {
    fn add(&mut self, patient: &Patient, history: &History, claims: &[Claim]) {
        self.add_patient(patient);
        for condition in &history.conditions {
            self.add_condition(patient, condition);
        }
        for appointment in &history.appointments {
            self.add_appointment(patient, appointment);
        }
        for encounter in &history.encounters {
            self.add_encounter(patient, history, encounter);
        }
        for claim in claims {
            self.add_claim(patient, history, claim);
        }
        for observation in &history.observations {
            self.add_observation(patient, history, observation);
        }
    }

    fn add_patient(&mut self, patient: &Patient) {
        let tenant = &TENANTS[patient.tenant];
        let resources = &mut self.patient_resources;
        resources.tenant_id.append_value(tenant.id);
        resources.received_at.append_value(patient_received_at(patient));
        resources.resource_type.append_value("Patient");
        resources.resource.append_value(patient_json(self.world, patient));

        let practice = &self.world.practices[patient.practice].id;
        let columns = &mut self.patients[usize::from(patient.late)];
        columns.patient_id.append_value(&patient.id);
        columns.tenant_id.append_value(tenant.id);
        columns.practice_id.append_value(practice);
        columns.nhs_number.append_option(patient.nhs_number.as_deref());
        columns.mrn.append_option(patient.mrn.as_deref());
        columns.given_name.append_value(patient.given_name);
        columns.family_name.append_value(patient.family_name);
        columns.sex.append_value(patient.sex.text());
        columns.birth_date.append_value(patient.birth_date);
        columns.address_line.append_value(&patient.address_line);
        columns.town.append_value(tenant.towns[patient.town].name);
        columns.postcode.append_option(patient.postcode.as_deref());
        columns.zip_code.append_option(patient.zip_code.as_deref());
        columns.phone.append_value(&patient.phone);
        columns.email.append_option(patient.email.as_deref());
        columns.registered_on.append_value(patient.registered_on);
        columns.active.append_value(patient.active);
    }

    fn add_condition(&mut self, patient: &Patient, condition: &Condition) {
        let diagnosis = &LONG_TERM[condition.kind].diagnosis;
        let practice = &self.world.practices[patient.practice].id;
        let columns = &mut self.conditions;
        columns.condition_id.append_value(&condition.id);
        columns.tenant_id.append_value(TENANTS[patient.tenant].id);
        columns.practice_id.append_value(practice);
        columns.patient_id.append_value(&patient.id);
        columns.icd10_code.append_value(diagnosis.code(patient.country()));
        columns.description.append_value(diagnosis.description);
        columns.onset_date.append_value(condition.onset);
        columns.recorded_at.append_value(condition.recorded_at);
        columns.clinical_status.append_value(if condition.active { "active" } else { "resolved" });
    }

    fn add_appointment(&mut self, patient: &Patient, appointment: &Appointment) {
        let practice = &self.world.practices[patient.practice].id;
        let columns = &mut self.appointments;
        columns.appointment_id.append_value(&appointment.id);
        columns.tenant_id.append_value(TENANTS[patient.tenant].id);
        columns.practice_id.append_value(practice);
        columns.practitioner_id.append_value(&self.world.practitioners[appointment.practitioner].id);
        columns.patient_id.append_value(&patient.id);
        columns.booked_at.append_value(appointment.booked_at);
        columns.scheduled_at.append_value(appointment.scheduled_at);
        columns.mode.append_value(appointment.mode);
        columns.status.append_value(appointment.status.text());
        columns.wait_days.append_value(day_of(appointment.scheduled_at) - day_of(appointment.booked_at));
        columns.waited_minutes.append_option(appointment.waited_minutes);
    }

    fn add_encounter(&mut self, patient: &Patient, history: &History, encounter: &Encounter) {
        let key = (patient.tenant, civil(day_of(encounter.started_at)).0);
        let practice = &self.world.practices[patient.practice].id;
        let columns = self.encounters.entry(key).or_insert_with(EncounterColumns::new);
        columns.encounter_id.append_value(&encounter.id);
        columns.practice_id.append_value(practice);
        columns.practitioner_id.append_value(&self.world.practitioners[encounter.practitioner].id);
        columns.patient_id.append_value(&patient.id);
        columns
            .appointment_id
            .append_option(encounter.appointment.map(|at| history.appointments[at].id.as_str()));
        columns.kind.append_value(encounter.kind);
        columns.started_at.append_value(encounter.started_at);
        columns.ended_at.append_value(encounter.ended_at);
        columns.icd10_code.append_value(encounter.diagnosis.code(patient.country()));
        columns.description.append_value(encounter.diagnosis.description);
    }

    fn add_claim(&mut self, patient: &Patient, history: &History, claim: &Claim) {
        let tenant = &TENANTS[patient.tenant];
        let encounter = &history.encounters[claim.encounter];
        let practice = &self.world.practices[patient.practice].id;
        let columns = &mut self.claims[usize::from(claim.late)];
        columns.claim_id.append_value(&claim.id);
        columns.tenant_id.append_value(tenant.id);
        columns.practice_id.append_value(practice);
        columns.practitioner_id.append_value(&self.world.practitioners[encounter.practitioner].id);
        columns.patient_id.append_value(&patient.id);
        columns.encounter_id.append_value(&encounter.id);
        columns.service_date.append_value(claim.service_date);
        columns.submitted_at.append_value(claim.submitted_at);
        columns.cpt_code.append_value(claim.service.cpt);
        columns.description.append_value(claim.service.description);
        columns.icd10_code.append_value(encounter.diagnosis.code(patient.country()));
        columns.payer.append_value(PAYERS[claim.payer].name);
        columns.units.append_value(claim.units);
        columns.billed_amount.append_value(claim.billed);
        columns.adjusted_amount.append_value(claim.adjusted);
        columns.paid_amount.append_value(claim.paid);
        columns.outstanding_amount.append_value(claim.outstanding);
        columns.currency.append_value(tenant.currency);
        columns.status.append_value(claim.status);
        columns.paid_on.append_option(claim.paid_on);
        columns.age_days.append_value(claim.age_days());
        columns.ageing_bucket.append_value(AGEING_BUCKETS[claim.bucket()]);
    }

    fn add_observation(&mut self, patient: &Patient, history: &History, observation: &Observation) {
        let encounter = observation.encounter.map(|at| &history.encounters[at]);
        let json = observation_json(self.world, patient, encounter, observation);
        let resources = &mut self.observation_resources;
        resources.tenant_id.append_value(TENANTS[patient.tenant].id);
        resources.received_at.append_value(observation.received_at);
        resources.resource_type.append_value("Observation");
        resources.resource.append_value(json);

        let key = (patient.tenant, month_of(day_of(observation.effective_at)));
        let practice = &self.world.practices[patient.practice].id;
        let columns = self.observations.entry(key).or_insert_with(ObservationColumns::new);
        columns.observation_id.append_value(&observation.id);
        columns.practice_id.append_value(practice);
        columns.patient_id.append_value(&patient.id);
        columns.encounter_id.append_option(encounter.map(|encounter| encounter.id.as_str()));
        columns.effective_at.append_value(observation.effective_at);
        columns.loinc_code.append_value(observation.measure.loinc());
        columns.display.append_value(observation.measure.display());
        columns.unit.append_value(observation.measure.unit().0);
        match observation.value {
            Value::Pressure { systolic, diastolic } => {
                columns.value.append_option(None);
                columns.systolic_mmhg.append_value(systolic);
                columns.diastolic_mmhg.append_value(diastolic);
            }
            Value::Hundredths(hundredths) => {
                columns.value.append_value(hundredths);
                columns.systolic_mmhg.append_null();
                columns.diastolic_mmhg.append_null();
            }
        }
    }

    fn finish(mut self, load: Load) -> Result<Vec<Rows>, ArrowError> {
        let whole = Partition::default;
        let mut rows = vec![
            Rows {
                table: TableId::PatientsFhir,
                load,
                partition: whole(),
                batch: self.patient_resources.batch()?,
            },
            Rows {
                table: TableId::ObservationsFhir,
                load,
                partition: whole(),
                batch: self.observation_resources.batch()?,
            },
            Rows { table: TableId::Conditions, load, partition: whole(), batch: self.conditions.batch()? },
            Rows {
                table: TableId::Appointments,
                load,
                partition: whole(),
                batch: self.appointments.batch()?,
            },
        ];
        for (columns, load) in self.patients.iter_mut().zip([load, LATE]) {
            rows.push(Rows { table: TableId::Patients, load, partition: whole(), batch: columns.batch()? });
        }
        for (columns, load) in self.claims.iter_mut().zip([load, LATE]) {
            rows.push(Rows { table: TableId::Claims, load, partition: whole(), batch: columns.batch()? });
        }
        // The partitioned tables were loaded year by year and quarter by quarter.
        for ((tenant, year), mut columns) in self.encounters {
            rows.push(Rows {
                table: TableId::Encounters,
                load: Load(year as u32),
                partition: Partition::new([TENANTS[tenant].id.to_owned(), year.to_string()]),
                batch: columns.batch()?,
            });
        }
        for ((tenant, month), mut columns) in self.observations {
            let (year, of_year, _) = civil(month);
            rows.push(Rows {
                table: TableId::Observations,
                load: Load((year * 4 + (of_year - 1) / 3) as u32),
                partition: Partition::new([TENANTS[tenant].id.to_owned(), super::calendar::date_text(month)]),
                batch: columns.batch()?,
            });
        }
        rows.retain(|rows| rows.batch.num_rows() > 0);
        Ok(rows)
    }
}

/// The rows that exist before any patient: tenants, practices, and practitioners as first loaded and as
/// corrected.
pub(super) fn reference(world: &World) -> Result<Vec<Rows>, ArrowError> {
    let mut tenants = TenantColumns::new();
    for tenant in TENANTS {
        tenants.tenant_id.append_value(tenant.id);
        tenants.name.append_value(tenant.name);
        tenants.kind.append_value(tenant.kind);
        tenants.country.append_value(match tenant.country {
            Country::England => "GB",
            Country::UnitedStates => "US",
        });
        tenants.currency.append_value(tenant.currency);
    }
    let mut practices = PracticeColumns::new();
    for practice in &world.practices {
        let tenant = &TENANTS[practice.tenant];
        practices.practice_id.append_value(&practice.id);
        practices.tenant_id.append_value(tenant.id);
        practices.name.append_value(&practice.name);
        practices.address_line.append_value(&practice.address_line);
        practices.town.append_value(tenant.towns[practice.town].name);
        practices.region.append_value(tenant.towns[practice.town].region);
        practices.postcode.append_option(practice.postcode.as_deref());
        practices.zip_code.append_option(practice.zip_code.as_deref());
        practices.phone.append_value(&practice.phone);
        practices.opened_on.append_value(practice.opened_on);
    }
    let whole = Partition::default;
    Ok(vec![
        Rows { table: TableId::Tenants, load: Load(0), partition: whole(), batch: tenants.batch()? },
        Rows { table: TableId::Practices, load: Load(0), partition: whole(), batch: practices.batch()? },
        Rows {
            table: TableId::Practitioners,
            load: Load(0),
            partition: whole(),
            batch: practitioners(world, false)?,
        },
        Rows {
            table: TableId::Practitioners,
            load: Load(1),
            partition: whole(),
            batch: practitioners(world, true)?,
        },
    ])
}

/// The first load had the specialty of every 20th practitioner wrong; the second replaces it.
fn practitioners(world: &World, corrected: bool) -> Result<RecordBatch, ArrowError> {
    let mut columns = PractitionerColumns::new();
    for (position, practitioner) in world.practitioners.iter().enumerate() {
        let practice = &world.practices[practitioner.practice];
        columns.practitioner_id.append_value(&practitioner.id);
        columns.tenant_id.append_value(TENANTS[practice.tenant].id);
        columns.practice_id.append_value(&practice.id);
        columns.title.append_value(practitioner.title);
        columns.given_name.append_value(practitioner.given_name);
        columns.family_name.append_value(practitioner.family_name);
        columns.role.append_value(practitioner.role);
        columns.specialty.append_value(match corrected {
            false if position % 20 == 3 => "Unknown",
            _ => practitioner.specialty,
        });
        columns.registration_body.append_value(practitioner.registration_body);
        columns.registration_number.append_value(&practitioner.registration_number);
        columns.started_on.append_value(practitioner.started_on);
    }
    columns.batch()
}
