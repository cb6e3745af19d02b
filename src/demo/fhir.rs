//! FHIR R4 resources as the systems of practices send them: the raw JSON of the bronze layer.

use super::calendar::{DAY, push_date, push_instant};
use super::clinical::{Encounter, Observation, Value};
use super::people::Patient;
use super::places::{Country, TENANTS, World};
use super::vocabulary::{DIASTOLIC, Measure, SYSTOLIC};

/// When a patient's record reached the platform, in seconds since 1970.
pub(super) fn patient_received_at(patient: &Patient) -> i64 {
    i64::from(patient.registered_on) * DAY + 9 * 3600 + (patient.number % 25_200) as i64
}

/// A Patient resource.
pub(super) fn patient_json(world: &World, patient: &Patient) -> String {
    let tenant = &TENANTS[patient.tenant];
    let town = &tenant.towns[patient.town];
    let mut json = String::with_capacity(1400);
    json.push_str(r#"{"resourceType":"Patient","id":"#);
    text(&mut json, &patient.id);
    json.push_str(r#","meta":{"versionId":"1","lastUpdated":""#);
    push_instant(&mut json, patient_received_at(patient));
    json.push_str(r#""},"identifier":["#);
    let mut identifiers = 0;
    if let Some(number) = &patient.nhs_number {
        json.push_str(r#"{"use":"official","system":"https://fhir.nhs.uk/Id/nhs-number","value":"#);
        text(&mut json, number);
        json.push('}');
        identifiers += 1;
    }
    if let Some(mrn) = &patient.mrn {
        json.push_str(
            r#"{"use":"usual","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"urn:oid:2.16.840.1.113883.19.5","value":"#,
        );
        text(&mut json, mrn);
        json.push('}');
        identifiers += 1;
    }
    if identifiers == 0 {
        json.push_str(r#"{"use":"temp","system":"https://platform.example/patient","value":"#);
        text(&mut json, &patient.id);
        json.push('}');
    }
    json.push_str(r#"],"active":"#);
    json.push_str(if patient.active { "true" } else { "false" });
    json.push_str(r#","name":[{"use":"official","family":"#);
    text(&mut json, patient.family_name);
    json.push_str(r#","given":["#);
    text(&mut json, patient.given_name);
    json.push_str(r#"]}],"telecom":[{"system":"phone","value":"#);
    text(&mut json, &patient.phone);
    json.push_str(r#","use":"home"}"#);
    if let Some(email) = &patient.email {
        json.push_str(r#",{"system":"email","value":"#);
        text(&mut json, email);
        json.push('}');
    }
    json.push_str(r#"],"gender":""#);
    json.push_str(patient.sex.text());
    json.push_str(r#"","birthDate":""#);
    push_date(&mut json, patient.birth_date);
    json.push_str(r#"","address":[{"use":"home","line":["#);
    text(&mut json, &patient.address_line);
    json.push_str(r#"],"city":"#);
    text(&mut json, town.name);
    json.push_str(match tenant.country {
        Country::England => r#","district":"#,
        Country::UnitedStates => r#","state":"#,
    });
    text(&mut json, town.region);
    json.push_str(r#","postalCode":"#);
    text(&mut json, patient.postcode.as_deref().or(patient.zip_code.as_deref()).unwrap_or_default());
    json.push_str(match tenant.country {
        Country::England => r#","country":"GB"}]"#,
        Country::UnitedStates => r#","country":"US"}]"#,
    });
    json.push_str(r#","managingOrganization":{"reference":"Organization/"#);
    json.push_str(&world.practices[patient.practice].id);
    json.push_str(r#""}}"#);
    json
}

/// An Observation resource.
pub(super) fn observation_json(
    world: &World,
    patient: &Patient,
    encounter: Option<&Encounter>,
    observation: &Observation,
) -> String {
    let measure = observation.measure;
    let mut json = String::with_capacity(1500);
    json.push_str(r#"{"resourceType":"Observation","id":"#);
    text(&mut json, &observation.id);
    json.push_str(r#","meta":{"versionId":"1","lastUpdated":""#);
    push_instant(&mut json, observation.received_at);
    json.push('"');
    if measure == Measure::BloodPressure {
        json.push_str(r#","profile":["http://hl7.org/fhir/StructureDefinition/bp"]"#);
    }
    json.push_str(r#"},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":""#);
    json.push_str(measure.category());
    json.push_str(r#""}]}],"code":"#);
    coding(&mut json, measure.loinc(), measure.display());
    json.push_str(r#","subject":{"reference":"Patient/"#);
    json.push_str(&patient.id);
    json.push_str(r#""}"#);
    if let Some(encounter) = encounter {
        json.push_str(r#","encounter":{"reference":"Encounter/"#);
        json.push_str(&encounter.id);
        json.push_str(r#""}"#);
    }
    json.push_str(r#","effectiveDateTime":""#);
    push_instant(&mut json, observation.effective_at);
    json.push_str(r#"","issued":""#);
    push_instant(&mut json, observation.received_at);
    json.push_str(r#"","performer":[{"reference":""#);
    match encounter {
        Some(encounter) => {
            json.push_str("Practitioner/");
            json.push_str(&world.practitioners[encounter.practitioner].id);
        }
        None => {
            json.push_str("Patient/");
            json.push_str(&patient.id);
        }
    }
    json.push_str(r#""}]"#);
    match observation.value {
        Value::Pressure { systolic, diastolic } => {
            json.push_str(r#","component":[{"code":"#);
            coding(&mut json, SYSTOLIC, "Systolic blood pressure");
            json.push(',');
            quantity(&mut json, measure, i64::from(systolic) * 100);
            json.push_str(r#"},{"code":"#);
            coding(&mut json, DIASTOLIC, "Diastolic blood pressure");
            json.push(',');
            quantity(&mut json, measure, i64::from(diastolic) * 100);
            json.push_str("}]");
        }
        Value::Hundredths(hundredths) => {
            json.push(',');
            quantity(&mut json, measure, hundredths);
        }
    }
    json.push('}');
    json
}

fn coding(json: &mut String, loinc: &str, display: &str) {
    json.push_str(r#"{"coding":[{"system":"http://loinc.org","code":""#);
    json.push_str(loinc);
    json.push_str(r#"","display":"#);
    text(json, display);
    json.push_str(r#"}],"text":"#);
    text(json, display);
    json.push('}');
}

fn quantity(json: &mut String, measure: Measure, hundredths: i64) {
    let (unit, code) = measure.unit();
    json.push_str(r#""valueQuantity":{"value":"#);
    json.push_str(&(hundredths / 100).to_string());
    if hundredths % 100 != 0 {
        json.push('.');
        json.push_str(&format!("{:02}", hundredths % 100));
    }
    json.push_str(r#","unit":"#);
    text(json, unit);
    json.push_str(r#","system":"http://unitsofmeasure.org","code":"#);
    text(json, code);
    json.push('}');
}

/// A JSON string. Our word lists hold neither control characters nor anything beyond the escapes here.
fn text(json: &mut String, value: &str) {
    json.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            json.push('\\');
        }
        json.push(character);
    }
    json.push('"');
}
