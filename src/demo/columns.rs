//! Column builders for each table: values go straight into Arrow arrays.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;

use super::tables::TableId;

/// A builder that makes the array of one [`super::tables::Kind`].
pub(super) trait ColumnBuilder {
    /// An empty builder.
    fn fresh() -> Self;
    /// The values so far; the builder is empty after.
    fn array(&mut self) -> ArrayRef;
}

macro_rules! plain {
    ($($builder:ty),*) => {$(
        impl ColumnBuilder for $builder {
            fn fresh() -> Self {
                Self::new()
            }
            fn array(&mut self) -> ArrayRef {
                Arc::new(self.finish())
            }
        }
    )*};
}

plain!(StringBuilder, Int32Builder, Int64Builder, BooleanBuilder, Date32Builder);

/// Instants in seconds, stored in microseconds UTC.
pub(super) struct Instants(TimestampMicrosecondBuilder);

impl Instants {
    /// Appends seconds since 1970.
    pub(super) fn append_value(&mut self, seconds: i64) {
        self.0.append_value(seconds * 1_000_000);
    }
}

impl ColumnBuilder for Instants {
    fn fresh() -> Self {
        Self(TimestampMicrosecondBuilder::new())
    }
    fn array(&mut self) -> ArrayRef {
        Arc::new(self.0.finish().with_timezone("UTC"))
    }
}

/// Hundredths, stored as decimals of this precision and two decimal places.
pub(super) struct Hundredths<const PRECISION: u8>(Decimal128Builder);

impl<const PRECISION: u8> Hundredths<PRECISION> {
    /// Appends hundredths.
    pub(super) fn append_value(&mut self, hundredths: i64) {
        self.0.append_value(i128::from(hundredths));
    }

    /// Appends hundredths or null.
    pub(super) fn append_option(&mut self, hundredths: Option<i64>) {
        self.0.append_option(hundredths.map(i128::from));
    }
}

impl<const PRECISION: u8> ColumnBuilder for Hundredths<PRECISION> {
    fn fresh() -> Self {
        Self(Decimal128Builder::new().with_data_type(arrow::datatypes::DataType::Decimal128(PRECISION, 2)))
    }
    fn array(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Cents or pence, `decimal(12,2)`.
pub(super) type Money = Hundredths<12>;
/// `decimal(5,2)`.
pub(super) type Percent = Hundredths<5>;
/// `decimal(8,2)`.
pub(super) type Measured = Hundredths<8>;

/// Declares the builders of a table's file columns, in the table's order.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident of $table:ident { $($field:ident: $builder:ty),* $(,)? }) => {
        $(#[$doc])*
        pub(super) struct $name {
            $(pub(super) $field: $builder),*
        }

        impl $name {
            /// No rows.
            pub(super) fn new() -> Self {
                Self { $($field: <$builder>::fresh()),* }
            }

            /// The rows so far; empty after.
            pub(super) fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
                RecordBatch::try_new(TableId::$table.table().file_schema(), vec![$(self.$field.array()),*])
            }
        }
    };
}

columns!(
    /// Rows of `silver.tenants`.
    TenantColumns of Tenants {
        tenant_id: StringBuilder,
        name: StringBuilder,
        kind: StringBuilder,
        country: StringBuilder,
        currency: StringBuilder,
    }
);

columns!(
    /// Rows of `silver.practices`.
    PracticeColumns of Practices {
        practice_id: StringBuilder,
        tenant_id: StringBuilder,
        name: StringBuilder,
        address_line: StringBuilder,
        town: StringBuilder,
        region: StringBuilder,
        postcode: StringBuilder,
        zip_code: StringBuilder,
        phone: StringBuilder,
        opened_on: Date32Builder,
    }
);

columns!(
    /// Rows of `silver.practitioners`.
    PractitionerColumns of Practitioners {
        practitioner_id: StringBuilder,
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        title: StringBuilder,
        given_name: StringBuilder,
        family_name: StringBuilder,
        role: StringBuilder,
        specialty: StringBuilder,
        registration_body: StringBuilder,
        registration_number: StringBuilder,
        started_on: Date32Builder,
    }
);

columns!(
    /// Rows of `silver.patients`.
    PatientColumns of Patients {
        patient_id: StringBuilder,
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        nhs_number: StringBuilder,
        mrn: StringBuilder,
        given_name: StringBuilder,
        family_name: StringBuilder,
        sex: StringBuilder,
        birth_date: Date32Builder,
        address_line: StringBuilder,
        town: StringBuilder,
        postcode: StringBuilder,
        zip_code: StringBuilder,
        phone: StringBuilder,
        email: StringBuilder,
        registered_on: Date32Builder,
        active: BooleanBuilder,
    }
);

columns!(
    /// Rows of `silver.conditions`.
    ConditionColumns of Conditions {
        condition_id: StringBuilder,
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        patient_id: StringBuilder,
        icd10_code: StringBuilder,
        description: StringBuilder,
        onset_date: Date32Builder,
        recorded_at: Instants,
        clinical_status: StringBuilder,
    }
);

columns!(
    /// Rows of `silver.appointments`.
    AppointmentColumns of Appointments {
        appointment_id: StringBuilder,
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        practitioner_id: StringBuilder,
        patient_id: StringBuilder,
        booked_at: Instants,
        scheduled_at: Instants,
        mode: StringBuilder,
        status: StringBuilder,
        wait_days: Int32Builder,
        waited_minutes: Int32Builder,
    }
);

columns!(
    /// Rows of `silver.encounters`, without its partition columns.
    EncounterColumns of Encounters {
        encounter_id: StringBuilder,
        practice_id: StringBuilder,
        practitioner_id: StringBuilder,
        patient_id: StringBuilder,
        appointment_id: StringBuilder,
        kind: StringBuilder,
        started_at: Instants,
        ended_at: Instants,
        icd10_code: StringBuilder,
        description: StringBuilder,
    }
);

columns!(
    /// Rows of `silver.claims`.
    ClaimColumns of Claims {
        claim_id: StringBuilder,
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        practitioner_id: StringBuilder,
        patient_id: StringBuilder,
        encounter_id: StringBuilder,
        service_date: Date32Builder,
        submitted_at: Instants,
        cpt_code: StringBuilder,
        description: StringBuilder,
        icd10_code: StringBuilder,
        payer: StringBuilder,
        units: Int32Builder,
        billed_amount: Money,
        adjusted_amount: Money,
        paid_amount: Money,
        outstanding_amount: Money,
        currency: StringBuilder,
        status: StringBuilder,
        paid_on: Date32Builder,
        age_days: Int32Builder,
        ageing_bucket: StringBuilder,
    }
);

columns!(
    /// Rows of `silver.observations`, without its partition columns.
    ObservationColumns of Observations {
        observation_id: StringBuilder,
        practice_id: StringBuilder,
        patient_id: StringBuilder,
        encounter_id: StringBuilder,
        effective_at: Instants,
        loinc_code: StringBuilder,
        display: StringBuilder,
        value: Measured,
        unit: StringBuilder,
        systolic_mmhg: Int32Builder,
        diastolic_mmhg: Int32Builder,
    }
);

columns!(
    /// Rows of `bronze.patients_fhir` and, as both are alike, of `bronze.observations_fhir`.
    ResourceColumns of PatientsFhir {
        tenant_id: StringBuilder,
        received_at: Instants,
        resource_type: StringBuilder,
        resource: StringBuilder,
    }
);

columns!(
    /// Rows of `gold.monthly_revenue_by_doctor`.
    RevenueColumns of MonthlyRevenueByDoctor {
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        practice_name: StringBuilder,
        practitioner_id: StringBuilder,
        practitioner_name: StringBuilder,
        month: Date32Builder,
        claims: Int64Builder,
        billed_amount: Money,
        paid_amount: Money,
        outstanding_amount: Money,
        currency: StringBuilder,
    }
);

columns!(
    /// Rows of `gold.blood_pressure_control`.
    ControlColumns of BloodPressureControl {
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        practice_name: StringBuilder,
        hypertensive_patients: Int64Builder,
        measured_patients: Int64Builder,
        controlled_patients: Int64Builder,
        controlled_percent: Percent,
        as_of: Date32Builder,
    }
);

columns!(
    /// Rows of `gold.no_show_rates`.
    NoShowColumns of NoShowRates {
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        practice_name: StringBuilder,
        month: Date32Builder,
        appointments: Int64Builder,
        no_shows: Int64Builder,
        cancellations: Int64Builder,
        no_show_percent: Percent,
        average_waited_minutes: Measured,
    }
);

columns!(
    /// Rows of `gold.claims_ageing`.
    AgeingColumns of ClaimsAgeing {
        tenant_id: StringBuilder,
        practice_id: StringBuilder,
        practice_name: StringBuilder,
        payer: StringBuilder,
        ageing_bucket: StringBuilder,
        claims: Int64Builder,
        outstanding_amount: Money,
        currency: StringBuilder,
        as_of: Date32Builder,
    }
);
