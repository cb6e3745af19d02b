//! Clinical and billing vocabulary: ICD-10, CPT, LOINC, payers.

use super::places::Country;

/// A diagnosis. England uses the WHO edition of ICD-10, the United States ICD-10-CM.
pub(super) struct Diagnosis {
    /// The code in England.
    pub(super) who: &'static str,
    /// The code in the United States.
    pub(super) cm: &'static str,
    /// What it is called.
    pub(super) description: &'static str,
}

impl Diagnosis {
    /// The code as a country writes it.
    pub(super) fn code(&self, country: Country) -> &'static str {
        match country {
            Country::England => self.who,
            Country::UnitedStates => self.cm,
        }
    }
}

const fn diagnosis(who: &'static str, cm: &'static str, description: &'static str) -> Diagnosis {
    Diagnosis { who, cm, description }
}

/// A long-term condition with how many of 1,000 people have it: under 30, under 50, under 65, older.
pub(super) struct LongTerm {
    /// The diagnosis.
    pub(super) diagnosis: Diagnosis,
    /// Prevalence per 1,000 by age.
    pub(super) permille: [u32; 4],
}

/// Position of hypertension in [`LONG_TERM`].
pub(super) const HYPERTENSION: usize = 0;
/// Position of type 2 diabetes in [`LONG_TERM`].
pub(super) const DIABETES: usize = 1;

/// Long-term conditions.
pub(super) const LONG_TERM: &[LongTerm] = &[
    LongTerm {
        diagnosis: diagnosis("I10", "I10", "Essential (primary) hypertension"),
        permille: [8, 95, 290, 530],
    },
    LongTerm {
        diagnosis: diagnosis("E11.9", "E11.9", "Type 2 diabetes mellitus without complications"),
        permille: [3, 35, 100, 165],
    },
    LongTerm {
        diagnosis: diagnosis("E78.5", "E78.5", "Hyperlipidaemia, unspecified"),
        permille: [4, 60, 190, 300],
    },
    LongTerm { diagnosis: diagnosis("J45.9", "J45.909", "Asthma, unspecified"), permille: [90, 75, 65, 60] },
    LongTerm {
        diagnosis: diagnosis("J44.9", "J44.9", "Chronic obstructive pulmonary disease, unspecified"),
        permille: [0, 8, 35, 85],
    },
    LongTerm {
        diagnosis: diagnosis("F41.9", "F41.9", "Anxiety disorder, unspecified"),
        permille: [60, 85, 70, 45],
    },
    LongTerm {
        diagnosis: diagnosis("F32.9", "F32.9", "Depressive episode, unspecified"),
        permille: [50, 90, 95, 70],
    },
    LongTerm {
        diagnosis: diagnosis("E03.9", "E03.9", "Hypothyroidism, unspecified"),
        permille: [6, 25, 45, 70],
    },
    LongTerm {
        diagnosis: diagnosis("I48.9", "I48.91", "Atrial fibrillation, unspecified"),
        permille: [0, 4, 18, 95],
    },
    LongTerm {
        diagnosis: diagnosis("N18.3", "N18.30", "Chronic kidney disease, stage 3"),
        permille: [1, 6, 30, 130],
    },
    LongTerm {
        diagnosis: diagnosis("I25.9", "I25.9", "Chronic ischaemic heart disease, unspecified"),
        permille: [0, 6, 45, 120],
    },
    LongTerm {
        diagnosis: diagnosis("K21.9", "K21.9", "Gastro-oesophageal reflux disease without oesophagitis"),
        permille: [15, 60, 95, 110],
    },
    LongTerm {
        diagnosis: diagnosis("M17.9", "M17.9", "Osteoarthritis of knee, unspecified"),
        permille: [1, 15, 90, 180],
    },
    LongTerm {
        diagnosis: diagnosis("G43.9", "G43.909", "Migraine, unspecified"),
        permille: [55, 80, 50, 20],
    },
];

/// Reasons for a visit that pass, with how often they come up.
pub(super) const ACUTE: &[(u32, Diagnosis)] = &[
    (120, diagnosis("J06.9", "J06.9", "Acute upper respiratory infection, unspecified")),
    (45, diagnosis("J02.9", "J02.9", "Acute pharyngitis, unspecified")),
    (40, diagnosis("J20.9", "J20.9", "Acute bronchitis, unspecified")),
    (50, diagnosis("N39.0", "N39.0", "Urinary tract infection, site not specified")),
    (70, diagnosis("M54.5", "M54.50", "Low back pain")),
    (45, diagnosis("M25.5", "M25.50", "Pain in joint")),
    (40, diagnosis("L30.9", "L30.9", "Dermatitis, unspecified")),
    (30, diagnosis("H66.9", "H66.90", "Otitis media, unspecified")),
    (35, diagnosis("R51", "R51.9", "Headache")),
    (35, diagnosis("R10.4", "R10.9", "Abdominal pain")),
    (30, diagnosis("B34.9", "B34.9", "Viral infection, unspecified")),
    (25, diagnosis("K59.0", "K59.00", "Constipation")),
    (25, diagnosis("R05", "R05.9", "Cough")),
    (20, diagnosis("S93.4", "S93.409A", "Sprain of ankle")),
    (30, diagnosis("R53", "R53.83", "Malaise and fatigue")),
    (60, diagnosis("Z00.0", "Z00.00", "General adult medical examination")),
    (35, diagnosis("Z23", "Z23", "Encounter for immunization")),
    (20, diagnosis("R07.4", "R07.9", "Chest pain, unspecified")),
];

/// A billable service: CPT code, what it is in our own words, price in cents (US list, 2026).
pub(super) struct Service {
    /// CPT code.
    pub(super) cpt: &'static str,
    /// What was done.
    pub(super) description: &'static str,
    /// List price in cents (or pence).
    pub(super) price: i64,
}

const fn service(cpt: &'static str, description: &'static str, price: i64) -> Service {
    Service { cpt, description, price }
}

/// Office visits, from the shortest to the most complex.
pub(super) const VISITS: &[Service] = &[
    service("99212", "Office visit, established patient, straightforward", 9_400),
    service("99213", "Office visit, established patient, low complexity", 15_200),
    service("99214", "Office visit, established patient, moderate complexity", 21_600),
    service("99215", "Office visit, established patient, high complexity", 29_800),
    service("99203", "Office visit, new patient, low complexity", 18_900),
    service("99396", "Preventive visit, established patient, 40 to 64 years", 24_500),
];

/// Services beside the visit.
pub(super) const PROCEDURES: &[Service] = &[
    service("36415", "Collection of venous blood", 1_800),
    service("80053", "Comprehensive metabolic panel", 4_900),
    service("80061", "Lipid panel", 5_600),
    service("83036", "Glycated haemoglobin (HbA1c)", 4_200),
    service("85025", "Complete blood count with differential", 3_600),
    service("81003", "Urinalysis, automated", 1_500),
    service("87880", "Streptococcus A rapid test", 3_900),
    service("93000", "Electrocardiogram with report", 6_700),
    service("94010", "Spirometry", 9_100),
    service("90471", "Immunization administration", 4_100),
    service("90686", "Influenza vaccine, quadrivalent", 3_800),
    service("96372", "Therapeutic injection", 5_200),
    service("20610", "Injection of a large joint", 14_800),
    service("17110", "Destruction of benign lesions", 19_400),
    service("71046", "Chest X-ray, two views", 11_700),
];

/// Who pays: the name, how many of 100 cents they allow, the usual days until they pay, refusals per 100.
pub(super) struct Payer {
    /// Name.
    pub(super) name: &'static str,
    /// Percent of the billed amount that is allowed.
    pub(super) allows: i64,
    /// Typical days from service to payment.
    pub(super) days: i64,
    /// Refused claims per 100.
    pub(super) refuses: u32,
}

const fn payer(name: &'static str, allows: i64, days: i64, refuses: u32) -> Payer {
    Payer { name, allows, days, refuses }
}

/// Payers; `payer_weights` says who meets which.
pub(super) const PAYERS: &[Payer] = &[
    payer("Medicare", 62, 24, 5),
    payer("Medicaid", 48, 38, 9),
    payer("Great Lakes Mutual", 78, 32, 7),
    payer("Prairie Health Plan", 74, 41, 8),
    payer("Union Benefit Trust", 81, 29, 4),
    payer("Self-pay", 100, 75, 0),
    payer("NHS England", 100, 20, 1),
    payer("Albion Health Insurance", 85, 34, 6),
    payer("Pennine Provident", 82, 44, 7),
];

/// How likely each of [`PAYERS`] is.
pub(super) fn payer_weights(country: Country, age: i32) -> [u32; 9] {
    match country {
        Country::England => [0, 0, 0, 0, 0, 20, 30, 30, 20],
        Country::UnitedStates if age >= 65 => [82, 3, 5, 4, 4, 2, 0, 0, 0],
        Country::UnitedStates => [2, 21, 34, 22, 14, 7, 0, 0, 0],
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Blood pressure panel with its two components.
    BloodPressure,
    /// Heart rate.
    HeartRate,
    /// Body weight.
    Weight,
    /// Body temperature.
    Temperature,
    /// Oxygen saturation.
    OxygenSaturation,
    /// Glycated haemoglobin.
    HbA1c,
}

impl Measure {
    /// LOINC code.
    pub(super) fn loinc(self) -> &'static str {
        match self {
            Self::BloodPressure => "85354-9",
            Self::HeartRate => "8867-4",
            Self::Weight => "29463-7",
            Self::Temperature => "8310-5",
            Self::OxygenSaturation => "59408-5",
            Self::HbA1c => "4548-4",
        }
    }

    /// LOINC display name.
    pub(super) fn display(self) -> &'static str {
        match self {
            Self::BloodPressure => "Blood pressure panel with all children optional",
            Self::HeartRate => "Heart rate",
            Self::Weight => "Body weight",
            Self::Temperature => "Body temperature",
            Self::OxygenSaturation => "Oxygen saturation in Arterial blood by Pulse oximetry",
            Self::HbA1c => "Hemoglobin A1c/Hemoglobin.total in Blood",
        }
    }

    /// Unit as people read it, and its UCUM code.
    pub(super) fn unit(self) -> (&'static str, &'static str) {
        match self {
            Self::BloodPressure => ("mmHg", "mm[Hg]"),
            Self::HeartRate => ("beats/minute", "/min"),
            Self::Weight => ("kg", "kg"),
            Self::Temperature => ("C", "Cel"),
            Self::OxygenSaturation | Self::HbA1c => ("%", "%"),
        }
    }

    /// FHIR observation category.
    pub(super) fn category(self) -> &'static str {
        match self {
            Self::HbA1c => "laboratory",
            _ => "vital-signs",
        }
    }
}

/// LOINC of the systolic component.
pub(super) const SYSTOLIC: &str = "8480-6";
/// LOINC of the diastolic component.
pub(super) const DIASTOLIC: &str = "8462-4";

/// Ageing buckets of open claims, and `settled`.
pub(super) const AGEING_BUCKETS: [&str; 6] = ["0-30", "31-60", "61-90", "91-120", "over 120", "settled"];
