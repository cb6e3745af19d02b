//! The gold aggregates, gathered while the silver rows are made.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::calendar::{AS_OF, day_of, month_of};
use super::claims::Claim;
use super::clinical::{Appointment, AppointmentStatus, History, Value};
use super::columns::{AgeingColumns, ControlColumns, NoShowColumns, RevenueColumns};
use super::people::Patient;
use super::places::{TENANTS, World};
use super::tables::TableId;
use super::vocabulary::{AGEING_BUCKETS, PAYERS};

/// Sums so far; as large as practices, practitioners and months, not as patients.
#[derive(Default)]
pub(super) struct Gold {
    /// By practitioner and month.
    revenue: BTreeMap<(usize, i32), Revenue>,
    /// By practice.
    control: BTreeMap<usize, Control>,
    /// By practice and month.
    no_shows: BTreeMap<(usize, i32), NoShows>,
    /// By practice, payer and bucket: claims and amount.
    ageing: BTreeMap<(usize, usize, usize), (i64, i64)>,
}

#[derive(Default)]
struct Revenue {
    claims: i64,
    billed: i64,
    paid: i64,
    outstanding: i64,
}

#[derive(Default)]
struct Control {
    hypertensive: i64,
    measured: i64,
    controlled: i64,
}

#[derive(Default)]
struct NoShows {
    kept: i64,
    missed: i64,
    cancelled: i64,
    waits: i64,
    waited: i64,
}

impl Gold {
    /// Counts one patient in.
    pub(super) fn add(&mut self, patient: &Patient, history: &History, claims: &[Claim]) {
        let practice = patient.practice;
        for claim in claims {
            let practitioner = history.encounters[claim.encounter].practitioner;
            let revenue = self.revenue.entry((practitioner, month_of(claim.service_date))).or_default();
            revenue.claims += 1;
            revenue.billed += claim.billed;
            revenue.paid += claim.paid;
            revenue.outstanding += claim.outstanding;
            if claim.outstanding > 0 {
                let ageing = self.ageing.entry((practice, claim.payer, claim.bucket())).or_default();
                ageing.0 += 1;
                ageing.1 += claim.outstanding;
            }
        }
        for appointment in &history.appointments {
            self.add_appointment(practice, appointment);
        }
        if history.hypertensive() {
            let control = self.control.entry(practice).or_default();
            control.hypertensive += 1;
            let latest = history
                .observations
                .iter()
                .filter_map(|observation| match observation.value {
                    Value::Pressure { systolic, diastolic } => {
                        Some(((observation.effective_at, &observation.id), systolic < 140 && diastolic < 90))
                    }
                    Value::Hundredths(_) => None,
                })
                .max();
            if let Some((_, controlled)) = latest {
                control.measured += 1;
                control.controlled += i64::from(controlled);
            }
        }
    }

    fn add_appointment(&mut self, practice: usize, appointment: &Appointment) {
        if appointment.status == AppointmentStatus::Booked {
            return;
        }
        let month = month_of(day_of(appointment.scheduled_at));
        let counts = self.no_shows.entry((practice, month)).or_default();
        match appointment.status {
            AppointmentStatus::Completed => counts.kept += 1,
            AppointmentStatus::NoShow => counts.missed += 1,
            _ => counts.cancelled += 1,
        }
        if let Some(minutes) = appointment.waited_minutes {
            counts.waits += 1;
            counts.waited += i64::from(minutes);
        }
    }

    /// Adds another part of the lake.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, value) in other.revenue {
            let revenue = self.revenue.entry(key).or_default();
            revenue.claims += value.claims;
            revenue.billed += value.billed;
            revenue.paid += value.paid;
            revenue.outstanding += value.outstanding;
        }
        for (key, value) in other.control {
            let control = self.control.entry(key).or_default();
            control.hypertensive += value.hypertensive;
            control.measured += value.measured;
            control.controlled += value.controlled;
        }
        for (key, value) in other.no_shows {
            let counts = self.no_shows.entry(key).or_default();
            counts.kept += value.kept;
            counts.missed += value.missed;
            counts.cancelled += value.cancelled;
            counts.waits += value.waits;
            counts.waited += value.waited;
        }
        for (key, value) in other.ageing {
            let ageing = self.ageing.entry(key).or_default();
            ageing.0 += value.0;
            ageing.1 += value.1;
        }
    }

    /// The gold tables.
    pub(super) fn batches(&self, world: &World) -> Result<Vec<(TableId, RecordBatch)>, ArrowError> {
        Ok(vec![
            (TableId::MonthlyRevenueByDoctor, self.revenue_batch(world)?),
            (TableId::BloodPressureControl, self.control_batch(world)?),
            (TableId::NoShowRates, self.no_show_batch(world)?),
            (TableId::ClaimsAgeing, self.ageing_batch(world)?),
        ])
    }

    fn revenue_batch(&self, world: &World) -> Result<RecordBatch, ArrowError> {
        let mut columns = RevenueColumns::new();
        for ((practitioner, month), revenue) in &self.revenue {
            let practitioner = &world.practitioners[*practitioner];
            let practice = &world.practices[practitioner.practice];
            columns.tenant_id.append_value(TENANTS[practice.tenant].id);
            columns.practice_id.append_value(&practice.id);
            columns.practice_name.append_value(&practice.name);
            columns.practitioner_id.append_value(&practitioner.id);
            columns.practitioner_name.append_value(practitioner.display_name());
            columns.month.append_value(*month);
            columns.claims.append_value(revenue.claims);
            columns.billed_amount.append_value(revenue.billed);
            columns.paid_amount.append_value(revenue.paid);
            columns.outstanding_amount.append_value(revenue.outstanding);
            columns.currency.append_value(TENANTS[practice.tenant].currency);
        }
        columns.batch()
    }

    fn control_batch(&self, world: &World) -> Result<RecordBatch, ArrowError> {
        let mut columns = ControlColumns::new();
        for (practice, control) in &self.control {
            let practice = &world.practices[*practice];
            columns.tenant_id.append_value(TENANTS[practice.tenant].id);
            columns.practice_id.append_value(&practice.id);
            columns.practice_name.append_value(&practice.name);
            columns.hypertensive_patients.append_value(control.hypertensive);
            columns.measured_patients.append_value(control.measured);
            columns.controlled_patients.append_value(control.controlled);
            columns.controlled_percent.append_option(percent(control.controlled, control.measured));
            columns.as_of.append_value(AS_OF);
        }
        columns.batch()
    }

    fn no_show_batch(&self, world: &World) -> Result<RecordBatch, ArrowError> {
        let mut columns = NoShowColumns::new();
        for ((practice, month), counts) in &self.no_shows {
            let practice = &world.practices[*practice];
            columns.tenant_id.append_value(TENANTS[practice.tenant].id);
            columns.practice_id.append_value(&practice.id);
            columns.practice_name.append_value(&practice.name);
            columns.month.append_value(*month);
            columns.appointments.append_value(counts.kept + counts.missed);
            columns.no_shows.append_value(counts.missed);
            columns.cancellations.append_value(counts.cancelled);
            columns.no_show_percent.append_option(percent(counts.missed, counts.kept + counts.missed));
            columns.average_waited_minutes.append_option(rounded(counts.waited * 100, counts.waits));
        }
        columns.batch()
    }

    fn ageing_batch(&self, world: &World) -> Result<RecordBatch, ArrowError> {
        let mut columns = AgeingColumns::new();
        for ((practice, payer, bucket), (claims, outstanding)) in &self.ageing {
            let practice = &world.practices[*practice];
            columns.tenant_id.append_value(TENANTS[practice.tenant].id);
            columns.practice_id.append_value(&practice.id);
            columns.practice_name.append_value(&practice.name);
            columns.payer.append_value(PAYERS[*payer].name);
            columns.ageing_bucket.append_value(AGEING_BUCKETS[*bucket]);
            columns.claims.append_value(*claims);
            columns.outstanding_amount.append_value(*outstanding);
            columns.currency.append_value(TENANTS[practice.tenant].currency);
            columns.as_of.append_value(AS_OF);
        }
        columns.batch()
    }
}

/// Hundredths of a percent, rounded half up.
fn percent(part: i64, whole: i64) -> Option<i64> {
    rounded(part * 10_000, whole)
}

fn rounded(part: i64, whole: i64) -> Option<i64> {
    (whole > 0).then(|| (part * 2 + whole) / (whole * 2))
}
