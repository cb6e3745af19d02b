//! The tables of the demo lake: names, columns, comments, tags, partitions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Text that is too long to be worth bounds in the file statistics.
    Document,
    Int,
    Long,
    Bool,
    Date,
    /// Microseconds, UTC.
    Instant,
    Decimal(u8, i8),
}

impl Kind {
    /// The Arrow type.
    pub(super) fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Document => DataType::Utf8,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
        }
    }

    /// The name of the type in a Delta schema.
    pub(super) fn delta(self) -> String {
        match self {
            Self::Text | Self::Document => "string".to_owned(),
            Self::Int => "integer".to_owned(),
            Self::Long => "long".to_owned(),
            Self::Bool => "boolean".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Instant => "timestamp".to_owned(),
            Self::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
        }
    }
}

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    pub(super) comment: &'static str,
    /// Comma separated; empty where the column is not personal.
    pub(super) tags: &'static str,
}

const fn column(name: &'static str, kind: Kind, comment: &'static str) -> Column {
    Column { name, kind, nullable: false, comment, tags: "" }
}

impl Column {
    const fn tagged(mut self, tags: &'static str) -> Self {
        self.tags = tags;
        self
    }

    /// Whether nearly every row has a value of its own, so that a dictionary is of no use.
    pub(super) fn mostly_distinct(&self) -> bool {
        self.kind == Kind::Document
            || matches!(
                self.name,
                "patient_id"
                    | "condition_id"
                    | "appointment_id"
                    | "encounter_id"
                    | "claim_id"
                    | "observation_id"
            )
    }

    const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// A table.
pub(super) struct Table {
    /// The layer, which is the schema people see.
    pub(super) layer: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// Comma separated.
    pub(super) tags: &'static str,
    pub(super) columns: &'static [Column],
    /// Names of the columns that are directories instead of file columns; they come last.
    pub(super) partition_by: &'static [&'static str],
}

impl Table {
    /// The columns that are stored in data files.
    pub(super) fn file_columns(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|column| !self.partition_by.contains(&column.name))
    }

    /// The Arrow schema of data files.
    pub(super) fn file_schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .file_columns()
            .map(|column| Field::new(column.name, column.kind.arrow(), column.nullable))
            .collect();
        Arc::new(Schema::new(fields))
    }
}

/// A table of [`TABLES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TableId {
    PatientsFhir,
    ObservationsFhir,
    Tenants,
    Practices,
    Practitioners,
    Patients,
    Conditions,
    Appointments,
    Encounters,
    Claims,
    Observations,
    MonthlyRevenueByDoctor,
    BloodPressureControl,
    NoShowRates,
    ClaimsAgeing,
}

impl TableId {
    /// Every table, in the order of [`TABLES`].
    pub(super) const ALL: [Self; 15] = [
        Self::PatientsFhir,
        Self::ObservationsFhir,
        Self::Tenants,
        Self::Practices,
        Self::Practitioners,
        Self::Patients,
        Self::Conditions,
        Self::Appointments,
        Self::Encounters,
        Self::Claims,
        Self::Observations,
        Self::MonthlyRevenueByDoctor,
        Self::BloodPressureControl,
        Self::NoShowRates,
        Self::ClaimsAgeing,
    ];

    /// What the table is.
    pub(super) fn table(self) -> &'static Table {
        &TABLES[self as usize]
    }
}

use Kind::{Bool, Date, Decimal, Document, Instant, Int, Long, Text};

const MONEY: Kind = Decimal(12, 2);
const PERCENT: Kind = Decimal(5, 2);
const MEASURE: Kind = Decimal(8, 2);

const TENANT: Column = column("tenant_id", Text, "The organisation whose row this is");
const PRACTICE: Column = column("practice_id", Text, "Practice or clinic; silver.practices");
const PRACTICE_NAME: Column = column("practice_name", Text, "Name of the practice or clinic");
const PRACTITIONER: Column = column("practitioner_id", Text, "Who treated; silver.practitioners");
const PATIENT: Column = column("patient_id", Text, "Whose record this is; silver.patients").tagged("pii.id");

/// All tables; [`TableId`] has their positions.
pub(super) const TABLES: [Table; 15] = [
    Table {
        layer: "bronze",
        name: "patients_fhir",
        description: "FHIR R4 Patient resources exactly as they were received",
        tags: "raw,fhir",
        columns: &[
            TENANT,
            column("received_at", Instant, "When the resource reached the platform"),
            column("resource_type", Text, "FHIR resource type"),
            column("resource", Document, "The resource, JSON").tagged("phi.raw"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "bronze",
        name: "observations_fhir",
        description: "FHIR R4 Observation resources exactly as they were received",
        tags: "raw,fhir",
        columns: &[
            TENANT,
            column("received_at", Instant, "When the resource reached the platform"),
            column("resource_type", Text, "FHIR resource type"),
            column("resource", Document, "The resource, JSON").tagged("phi.raw"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "silver",
        name: "tenants",
        description: "The organisations on the platform",
        tags: "reference",
        columns: &[
            TENANT,
            column("name", Text, "Name of the organisation"),
            column("kind", Text, "NHS trust, GP federation or health system"),
            column("country", Text, "GB or US"),
            column("currency", Text, "ISO 4217 code of its amounts"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "silver",
        name: "practices",
        description: "Practices and clinics",
        tags: "reference",
        columns: &[
            PRACTICE,
            TENANT,
            column("name", Text, "Name of the practice or clinic"),
            column("address_line", Text, "Street address"),
            column("town", Text, "Town"),
            column("region", Text, "County or state"),
            column("postcode", Text, "Postcode, in England").nullable(),
            column("zip_code", Text, "ZIP code, in the United States").nullable(),
            column("phone", Text, "Switchboard"),
            column("opened_on", Date, "Since when patients are seen there"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "silver",
        name: "practitioners",
        description: "Doctors, nurses and others who treat patients",
        tags: "reference",
        columns: &[
            PRACTITIONER,
            TENANT,
            PRACTICE,
            column("title", Text, "Dr, Ms or Mr"),
            column("given_name", Text, "Given name").tagged("staff.name"),
            column("family_name", Text, "Family name").tagged("staff.name"),
            column("role", Text, "What they work as"),
            column("specialty", Text, "Specialty"),
            column("registration_body", Text, "GMC, NMC or NPI"),
            column("registration_number", Text, "Number on the professional register").tagged("staff.id"),
            column("started_on", Date, "First day at the practice"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "silver",
        name: "patients",
        description: "Registered patients, one row each, flattened from bronze.patients_fhir",
        tags: "phi",
        columns: &[
            column("patient_id", Text, "The platform's number of the patient").tagged("pii.id"),
            TENANT,
            PRACTICE,
            column("nhs_number", Text, "NHS number, in England; none until traced")
                .tagged("pii.id")
                .nullable(),
            column("mrn", Text, "Medical record number, in the United States").tagged("pii.id").nullable(),
            column("given_name", Text, "Given name").tagged("pii.name"),
            column("family_name", Text, "Family name").tagged("pii.name"),
            column("sex", Text, "Administrative sex: female, male or unknown").tagged("phi.demographic"),
            column("birth_date", Date, "Date of birth").tagged("pii.date"),
            column("address_line", Text, "House and street").tagged("pii.contact"),
            column("town", Text, "Town").tagged("pii.place"),
            column("postcode", Text, "Postcode, in England").tagged("pii.postcode").nullable(),
            column("zip_code", Text, "ZIP code, in the United States").tagged("pii.zip").nullable(),
            column("phone", Text, "Telephone").tagged("pii.contact"),
            column("email", Text, "Email").tagged("pii.contact").nullable(),
            column("registered_on", Date, "Registered with the practice since"),
            column("active", Bool, "Still registered"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "silver",
        name: "conditions",
        description: "Long-term conditions on patients' problem lists",
        tags: "phi",
        columns: &[
            column("condition_id", Text, "Number of the entry"),
            TENANT,
            PRACTICE,
            PATIENT,
            column("icd10_code", Text, "ICD-10 (WHO) in England, ICD-10-CM in the United States")
                .tagged("phi.clinical.diagnosis"),
            column("description", Text, "What the code means").tagged("phi.clinical.diagnosis"),
            column("onset_date", Date, "When it began").tagged("phi.clinical.date"),
            column("recorded_at", Instant, "When it was written down"),
            column("clinical_status", Text, "active or resolved").tagged("phi.clinical.diagnosis"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "silver",
        name: "appointments",
        description: "Appointments: kept, missed, cancelled and ahead",
        tags: "phi",
        columns: &[
            column("appointment_id", Text, "Number of the appointment"),
            TENANT,
            PRACTICE,
            PRACTITIONER,
            PATIENT,
            column("booked_at", Instant, "When it was made"),
            column("scheduled_at", Instant, "When it was meant to begin").tagged("phi.clinical.date"),
            column("mode", Text, "in person, telephone or video"),
            column(
                "status",
                Text,
                "completed, no_show, cancelled_by_patient, cancelled_by_practice or booked",
            ),
            column("wait_days", Int, "Days from booking to appointment"),
            column("waited_minutes", Int, "Minutes in the waiting room, of those who came").nullable(),
        ],
        partition_by: &[],
    },
    Table {
        layer: "silver",
        name: "encounters",
        description: "Contacts of patients with practitioners, with their main diagnosis",
        tags: "phi",
        columns: &[
            column("encounter_id", Text, "Number of the encounter"),
            PRACTICE,
            PRACTITIONER,
            PATIENT,
            column("appointment_id", Text, "The appointment it came from; silver.appointments").nullable(),
            column("kind", Text, "consultation, telephone, video or emergency"),
            column("started_at", Instant, "When it began").tagged("phi.clinical.date"),
            column("ended_at", Instant, "When it ended"),
            column("icd10_code", Text, "ICD-10 (WHO) in England, ICD-10-CM in the United States")
                .tagged("phi.clinical.diagnosis"),
            column("description", Text, "What the code means").tagged("phi.clinical.diagnosis"),
            TENANT,
            column("year", Int, "Year of started_at, UTC"),
        ],
        partition_by: &["tenant_id", "year"],
    },
    Table {
        layer: "silver",
        name: "claims",
        description: "Billed services and what was paid for them, as of the lake's last day",
        tags: "phi,finance",
        columns: &[
            column("claim_id", Text, "Number of the claim"),
            TENANT,
            PRACTICE,
            PRACTITIONER,
            PATIENT,
            column("encounter_id", Text, "What is billed; silver.encounters"),
            column("service_date", Date, "Day of the service").tagged("phi.clinical.date"),
            column("submitted_at", Instant, "When the claim was sent"),
            column("cpt_code", Text, "CPT code of the service").tagged("phi.clinical.procedure"),
            column("description", Text, "What was done").tagged("phi.clinical.procedure"),
            column("icd10_code", Text, "Diagnosis that the service is billed under")
                .tagged("phi.clinical.diagnosis"),
            column("payer", Text, "Who is asked to pay"),
            column("units", Int, "How often it was done"),
            column("billed_amount", MONEY, "What was asked for"),
            column("adjusted_amount", MONEY, "What nobody will pay"),
            column("paid_amount", MONEY, "What was paid"),
            column("outstanding_amount", MONEY, "billed less adjusted and paid"),
            column("currency", Text, "ISO 4217 code"),
            column("status", Text, "submitted, part_paid, paid or denied"),
            column("paid_on", Date, "Day of the last payment").nullable(),
            column("age_days", Int, "Days since the service"),
            column("ageing_bucket", Text, "0-30, 31-60, 61-90, 91-120, over 120, or settled"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "silver",
        name: "observations",
        description: "Measurements, flattened from bronze.observations_fhir; blood pressure has both components in one row",
        tags: "phi",
        columns: &[
            column("observation_id", Text, "Number of the observation"),
            PRACTICE,
            PATIENT,
            column("encounter_id", Text, "When it was taken; none for readings from home; silver.encounters")
                .nullable(),
            column("effective_at", Instant, "When it was measured").tagged("phi.clinical.date"),
            column("loinc_code", Text, "What was measured, LOINC; 85354-9 is blood pressure"),
            column("display", Text, "What the code means"),
            column("value", MEASURE, "The measured value; none for blood pressure")
                .tagged("phi.clinical.value")
                .nullable(),
            column("unit", Text, "Unit of the value or the components"),
            column("systolic_mmhg", Int, "Systolic component, LOINC 8480-6")
                .tagged("phi.clinical.value")
                .nullable(),
            column("diastolic_mmhg", Int, "Diastolic component, LOINC 8462-4")
                .tagged("phi.clinical.value")
                .nullable(),
            TENANT,
            column("month", Date, "First day of the month of effective_at, UTC"),
        ],
        partition_by: &["tenant_id", "month"],
    },
    Table {
        layer: "gold",
        name: "monthly_revenue_by_doctor",
        description: "Claims and their amounts by practitioner and month of service",
        tags: "finance",
        columns: &[
            TENANT,
            PRACTICE,
            PRACTICE_NAME,
            PRACTITIONER,
            column("practitioner_name", Text, "Title and name").tagged("staff.name"),
            column("month", Date, "First day of the month"),
            column("claims", Long, "Number of claims"),
            column("billed_amount", MONEY, "Sum of what was asked for"),
            column("paid_amount", MONEY, "Sum of what was paid"),
            column("outstanding_amount", MONEY, "Sum of what is still open"),
            column("currency", Text, "ISO 4217 code"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "gold",
        name: "blood_pressure_control",
        description: "People with active hypertension whose latest reading of the last twelve months was below 140/90, by practice",
        tags: "quality",
        columns: &[
            TENANT,
            PRACTICE,
            PRACTICE_NAME,
            column("hypertensive_patients", Long, "Patients with active hypertension"),
            column("measured_patients", Long, "Of these, patients with a reading"),
            column("controlled_patients", Long, "Of these, patients below 140/90"),
            column("controlled_percent", PERCENT, "Controlled of measured patients").nullable(),
            column("as_of", Date, "Last day considered"),
        ],
        partition_by: &[],
    },
    Table {
        layer: "gold",
        name: "no_show_rates",
        description: "Missed appointments and waits by practice and month",
        tags: "operations",
        columns: &[
            TENANT,
            PRACTICE,
            PRACTICE_NAME,
            column("month", Date, "First day of the month of the appointment"),
            column("appointments", Long, "Appointments kept or missed"),
            column("no_shows", Long, "Appointments missed"),
            column("cancellations", Long, "Appointments cancelled by either side"),
            column("no_show_percent", PERCENT, "Missed of kept and missed").nullable(),
            column("average_waited_minutes", MEASURE, "Mean time in the waiting room").nullable(),
        ],
        partition_by: &[],
    },
    Table {
        layer: "gold",
        name: "claims_ageing",
        description: "Open claims by practice, payer and age",
        tags: "finance",
        columns: &[
            TENANT,
            PRACTICE,
            PRACTICE_NAME,
            column("payer", Text, "Who is asked to pay"),
            column("ageing_bucket", Text, "0-30, 31-60, 61-90, 91-120 or over 120 days"),
            column("claims", Long, "Number of open claims"),
            column("outstanding_amount", MONEY, "What is still open"),
            column("currency", Text, "ISO 4217 code"),
            column("as_of", Date, "Day the age is counted to"),
        ],
        partition_by: &[],
    },
];
