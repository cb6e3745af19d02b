//! What must hold for the rows of every demo lake.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::prelude::SessionContext;
use serde_json::Value;

use super::super::people::check_digit;
use super::{number, texts};

pub(super) async fn unique_keys(context: &SessionContext) {
    for (table, key) in [
        ("tenants", "tenant_id"),
        ("practices", "practice_id"),
        ("practitioners", "practitioner_id"),
        ("patients", "patient_id"),
        ("conditions", "condition_id"),
        ("appointments", "appointment_id"),
        ("encounters", "encounter_id"),
        ("claims", "claim_id"),
        ("observations", "observation_id"),
    ] {
        let repeated =
            number(context, &format!("SELECT count(*) - count(DISTINCT {key}) FROM silver.{table}")).await;
        assert_eq!(repeated, 0, "{table}.{key}");
    }
    for column in ["nhs_number", "mrn"] {
        let sql = format!("SELECT count({column}) - count(DISTINCT {column}) FROM silver.patients");
        assert_eq!(number(context, &sql).await, 0, "{column}");
    }
}

/// Every reference leads to a row of the same tenant.
pub(super) async fn references(context: &SessionContext) {
    let mut references = vec![
        ("practices", "tenants", "tenant_id"),
        ("practitioners", "practices", "practice_id"),
        ("patients", "practices", "practice_id"),
        ("claims", "encounters", "encounter_id"),
        ("observations", "encounters", "encounter_id"),
        ("encounters", "appointments", "appointment_id"),
    ];
    for from in ["conditions", "appointments", "encounters", "claims", "observations"] {
        references.push((from, "patients", "patient_id"));
    }
    for from in ["appointments", "encounters", "claims"] {
        references.push((from, "practitioners", "practitioner_id"));
    }
    for (from, to, key) in references {
        let sql = format!(
            "SELECT count(*) FROM silver.{from} f LEFT JOIN silver.{to} t ON f.{key} = t.{key} AND f.tenant_id = t.tenant_id \
             WHERE f.{key} IS NOT NULL AND t.{key} IS NULL"
        );
        assert_eq!(number(context, &sql).await, 0, "{from}.{key} -> {to}");
    }
}

pub(super) async fn plausible_values(context: &SessionContext) {
    for (none_of, broken) in [
        (
            "claims",
            "billed_amount <> adjusted_amount + paid_amount + outstanding_amount OR outstanding_amount < 0",
        ),
        ("claims", "(paid_on IS NULL) <> (paid_amount = 0) OR paid_on < service_date"),
        ("claims", "(ageing_bucket = 'settled') <> (outstanding_amount = 0)"),
        ("encounters", "ended_at <= started_at OR year <> date_part('year', started_at)"),
        ("observations", "month <> CAST(date_trunc('month', effective_at) AS DATE)"),
        ("observations", "(loinc_code = '85354-9') <> (systolic_mmhg IS NOT NULL)"),
        ("observations", "systolic_mmhg <= diastolic_mmhg OR (systolic_mmhg IS NULL) = (value IS NULL)"),
        (
            "appointments",
            "booked_at >= scheduled_at OR wait_days < 0 OR (waited_minutes IS NOT NULL AND status <> 'completed')",
        ),
        ("patients", "registered_on < birth_date OR (postcode IS NULL) = (zip_code IS NULL)"),
        ("patients", "(tenant_id = 'lakeside') <> (mrn IS NOT NULL)"),
        ("conditions", "icd10_code = ''"),
    ] {
        let count = number(context, &format!("SELECT count(*) FROM silver.{none_of} WHERE {broken}")).await;
        assert_eq!(count, 0, "{none_of}: {broken}");
    }
    let missed = number(
        context,
        "SELECT 1000 * count(*) FILTER (WHERE status = 'no_show') / count(*) FROM silver.appointments WHERE status <> 'booked'",
    )
    .await;
    assert!((40..160).contains(&missed), "{missed} of 1,000 appointments missed");
    let old = number(context, "SELECT 1000 * count(*) FILTER (WHERE birth_date < DATE '1961-10-01') / count(*) FROM silver.patients").await;
    assert!((130..260).contains(&old), "{old} of 1,000 patients over 65");
    let hypertensive = number(
        context,
        "SELECT 1000 * (SELECT count(*) FROM silver.conditions WHERE icd10_code = 'I10') / (SELECT count(*) FROM silver.patients)",
    )
    .await;
    assert!((120..260).contains(&hypertensive), "{hypertensive} of 1,000 patients with hypertension");
    assert!(
        number(
            context,
            "SELECT count(*) FROM silver.patients WHERE nhs_number IS NULL AND tenant_id <> 'lakeside'"
        )
        .await
            > 0
    );
    assert!(number(context, "SELECT count(DISTINCT ageing_bucket) FROM silver.claims").await == 6);
}

pub(super) async fn gold_equals_silver(context: &SessionContext) {
    let expected = [
        (
            "gold.monthly_revenue_by_doctor",
            "tenant_id, practice_id, practitioner_id, month, claims, billed_amount, paid_amount, outstanding_amount, currency",
            "SELECT tenant_id, practice_id, practitioner_id, CAST(date_trunc('month', service_date) AS DATE), count(*),
                    CAST(sum(billed_amount) AS DECIMAL(12,2)), CAST(sum(paid_amount) AS DECIMAL(12,2)),
                    CAST(sum(outstanding_amount) AS DECIMAL(12,2)), currency
             FROM silver.claims GROUP BY 1, 2, 3, 4, currency",
        ),
        (
            "gold.blood_pressure_control",
            "tenant_id, practice_id, hypertensive_patients, measured_patients, controlled_patients",
            "WITH hypertensive AS (
                SELECT tenant_id, practice_id, patient_id FROM silver.conditions
                WHERE icd10_code = 'I10' AND clinical_status = 'active'),
             latest AS (
                SELECT patient_id, systolic_mmhg < 140 AND diastolic_mmhg < 90 AS controlled,
                       row_number() OVER (PARTITION BY patient_id ORDER BY effective_at DESC, observation_id DESC) AS place
                FROM silver.observations WHERE loinc_code = '85354-9')
             SELECT tenant_id, practice_id, count(*), count(controlled), count(*) FILTER (WHERE controlled)
             FROM hypertensive LEFT JOIN latest ON hypertensive.patient_id = latest.patient_id AND place = 1 GROUP BY 1, 2",
        ),
        (
            "gold.no_show_rates",
            "tenant_id, practice_id, month, appointments, no_shows, cancellations, no_show_percent, average_waited_minutes",
            "SELECT tenant_id, practice_id, CAST(date_trunc('month', scheduled_at) AS DATE),
                    count(*) FILTER (WHERE status IN ('completed', 'no_show')), count(*) FILTER (WHERE status = 'no_show'),
                    count(*) FILTER (WHERE status LIKE 'cancelled%'),
                    CAST(CAST((20000 * count(*) FILTER (WHERE status = 'no_show') + count(*) FILTER (WHERE status IN ('completed', 'no_show')))
                        / nullif(2 * count(*) FILTER (WHERE status IN ('completed', 'no_show')), 0) AS DECIMAL(10,0)) / 100 AS DECIMAL(5,2)),
                    CAST(CAST((200 * sum(waited_minutes) + count(waited_minutes))
                        / nullif(2 * count(waited_minutes), 0) AS DECIMAL(10,0)) / 100 AS DECIMAL(8,2))
             FROM silver.appointments WHERE status <> 'booked' GROUP BY 1, 2, 3",
        ),
        (
            "gold.claims_ageing",
            "tenant_id, practice_id, payer, ageing_bucket, claims, outstanding_amount, currency",
            "SELECT tenant_id, practice_id, payer, ageing_bucket, count(*), CAST(sum(outstanding_amount) AS DECIMAL(12,2)), currency
             FROM silver.claims WHERE outstanding_amount > 0 GROUP BY 1, 2, 3, 4, currency",
        ),
    ];
    for (table, columns, recomputed) in expected {
        let gold: BTreeSet<_> =
            texts(context, &format!("SELECT {columns} FROM {table}")).await.into_iter().collect();
        let silver: BTreeSet<_> = texts(context, recomputed).await.into_iter().collect();
        assert_eq!(gold, silver, "{table}");
    }
}

pub(super) async fn nhs_numbers(context: &SessionContext) {
    for row in texts(context, "SELECT nhs_number FROM silver.patients WHERE nhs_number IS NOT NULL").await {
        let number = row[0].clone().unwrap();
        assert!(number.len() == 10 && number.starts_with("999"), "{number}");
        let expected = check_digit(number[..9].parse().unwrap()).unwrap();
        assert_eq!(number[9..].parse::<u32>().unwrap(), expected, "{number}");
    }
}

/// Every resource parses and says what its flattened row says.
pub(super) async fn bronze_equals_silver(context: &SessionContext) {
    let mut patients = BTreeMap::new();
    for row in texts(context, "SELECT resource FROM bronze.patients_fhir").await {
        let resource: Value = serde_json::from_str(row[0].as_ref().unwrap()).unwrap();
        assert_eq!(resource["resourceType"], "Patient");
        patients.insert(resource["id"].as_str().unwrap().to_owned(), resource);
    }
    let silver = texts(
        context,
        "SELECT patient_id, coalesce(nhs_number, mrn), given_name, family_name, sex, birth_date, coalesce(postcode, zip_code), \
         address_line, phone, practice_id FROM silver.patients",
    )
    .await;
    assert_eq!(silver.len(), patients.len());
    for row in silver {
        let resource = &patients[row[0].as_ref().unwrap()];
        let said = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        if row[1].is_some() {
            assert_eq!(said("/identifier/0/value"), row[1]);
        }
        assert_eq!(said("/name/0/given/0"), row[2]);
        assert_eq!(said("/name/0/family"), row[3]);
        assert_eq!(said("/gender"), row[4]);
        assert_eq!(said("/birthDate"), row[5]);
        assert_eq!(said("/address/0/postalCode"), row[6]);
        assert_eq!(said("/address/0/line/0"), row[7]);
        assert_eq!(said("/telecom/0/value"), row[8]);
        assert_eq!(
            said("/managingOrganization/reference"),
            row[9].as_ref().map(|id| format!("Organization/{id}"))
        );
    }

    let mut observations = BTreeMap::new();
    for row in texts(context, "SELECT resource FROM bronze.observations_fhir").await {
        let resource: Value = serde_json::from_str(row[0].as_ref().unwrap()).unwrap();
        assert_eq!(resource["resourceType"], "Observation");
        observations.insert(resource["id"].as_str().unwrap().to_owned(), resource);
    }
    let silver = texts(
        context,
        "SELECT observation_id, patient_id, encounter_id, loinc_code, CAST(CAST(value AS DOUBLE) AS VARCHAR), systolic_mmhg, \
         diastolic_mmhg, to_char(effective_at, '%Y-%m-%dT%H:%M:%SZ') FROM silver.observations",
    )
    .await;
    assert_eq!(silver.len(), observations.len());
    for row in silver {
        let resource = &observations[row[0].as_ref().unwrap()];
        let said = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        let measured = |pointer: &str| resource.pointer(pointer).and_then(Value::as_f64);
        let number = |text: &Option<String>| text.as_ref().map(|text| text.parse::<f64>().unwrap());
        assert_eq!(said("/subject/reference"), row[1].as_ref().map(|id| format!("Patient/{id}")));
        assert_eq!(said("/encounter/reference"), row[2].as_ref().map(|id| format!("Encounter/{id}")));
        assert_eq!(said("/code/coding/0/code"), row[3]);
        assert_eq!(measured("/valueQuantity/value"), number(&row[4]));
        assert_eq!(measured("/component/0/valueQuantity/value"), number(&row[5]));
        assert_eq!(measured("/component/1/valueQuantity/value"), number(&row[6]));
        if row[5].is_some() {
            assert_eq!(said("/component/0/code/coding/0/code").as_deref(), Some("8480-6"));
            assert_eq!(said("/component/1/code/coding/0/code").as_deref(), Some("8462-4"));
        }
        assert_eq!(said("/effectiveDateTime"), row[7]);
    }
}
