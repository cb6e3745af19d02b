//! Behaviour of policies as a whole: loading, masks, row filters, and what a statement can observe.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests build engine contexts by hand"
)]

mod grants;
mod leaks;
mod loading;
mod many;
mod mask_numbers;
mod mask_parts;
mod mask_properties;
mod masks;
mod narrow;
mod presets;
mod schema;
mod tagging;
mod verifier;
mod views;
mod warnings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::SchemaRef;

use crate::document::Diagnostics;
use crate::{PolicySnapshot, Principal, Resolved, Securable};

/// Patients of two tenants. In tenant `b` stand the values that a leak would show or fail on.
pub(super) fn patients() -> RecordBatch {
    RecordBatch::try_from_iter(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, 6])) as ArrayRef),
        ("tenant_id", Arc::new(StringArray::from(vec!["a", "a", "a", "b", "b", "b"]))),
        (
            "name",
            Arc::new(StringArray::from(vec![
                Some("Ann"),
                Some("Bo"),
                None,
                Some("Hidden"),
                Some("x'y"),
                Some("Zed"),
            ])),
        ),
        (
            "nhs_number",
            Arc::new(StringArray::from(vec![
                "9990000018",
                "9990000026",
                "9990000034",
                "not a number",
                "",
                "9990000042",
            ])),
        ),
        ("cost", Arc::new(Int64Array::from(vec![1, 2, 3, 7, 7, i64::MAX]))),
        (
            "birth_date",
            Arc::new(Date32Array::from(vec![Some(0), Some(365), None, Some(-400), Some(20_000), Some(1)])),
        ),
    ])
    .unwrap()
}

pub(super) fn securable(schema: SchemaRef) -> Securable {
    Securable {
        schema: "silver".to_owned(),
        table: "patients".to_owned(),
        columns: Some(schema),
        tags: vec!["patient-level".to_owned()],
        column_tags: BTreeMap::from([("nhs_number".to_owned(), vec!["pii.id".to_owned()])]),
        origins: None,
    }
}

pub(super) fn principal(user: &str, tenant: Option<&str>, roles: &[&str]) -> Arc<Principal> {
    Arc::new(Principal {
        user: user.to_owned(),
        tenant: tenant.map(str::to_owned),
        roles: roles.iter().map(ToString::to_string).collect::<BTreeSet<_>>(),
        attributes: BTreeMap::new(),
        expires_at: None,
    })
}

/// Loads policies from a text named `policies.yaml`, in a directory with two key files.
pub(super) fn load(text: &str, tables: &[Securable]) -> Result<Arc<PolicySnapshot>, Diagnostics> {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    for (name, fill) in [("mask.key", 7_u8), ("other.key", 8)] {
        let key = directory.path().join(name);
        std::fs::write(&key, [fill; 32]).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let path: PathBuf = directory.path().join("policies.yaml");
    std::fs::write(&path, text).unwrap();
    PolicySnapshot::load(&[path], tables, 1).map(Arc::new)
}

pub(super) async fn resolve(text: &str, table: &Securable, who: &Arc<Principal>) -> Arc<Resolved> {
    let snapshot = load(text, std::slice::from_ref(table)).expect("policies load");
    snapshot.resolve(who)
}

pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
