//! Real tables by many writers: each is refused by name of a feature, or read as others read it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::spelling::lines;
use super::support::{open, session};
use crate::{LakeCatalog, TableState, data_file_error};

/// The shared tables sit beside the repository.
pub(super) fn shared() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/delta-tables");
    assert!(
        folder.is_dir(),
        "the shared Delta tables are not at {}: these tests need them beside the repository",
        folder.display()
    );
    folder.canonicalize().unwrap()
}

/// Golden texts by table name.
fn golden() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// What the table reads as, in the form of the golden texts.
async fn read(catalog: &LakeCatalog, name: &str) -> datafusion::error::Result<String> {
    let context = session(catalog);
    let frame = context.sql(&format!("SELECT * FROM lake.\"{name}\"")).await?;
    let names: Vec<String> = frame
        .schema()
        .field_names()
        .iter()
        .map(|name| name.rsplit_once('.').map_or(name.clone(), |(_, column)| column.to_owned()))
        .collect();
    let rows = lines(&frame.collect().await?);
    let mut text = format!("{}\nrows {}\n", names.join("|"), rows.len());
    let body: String = rows.iter().map(|row| format!("{row}\n")).collect();
    if rows.len() > 200 {
        let digest: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&format!("sha256 {digest}\n"));
    } else {
        text.push_str(&body);
    }
    Ok(text)
}

/// Tables whose data files the fixture leaves out.
const WITHOUT_FILES: [&str; 7] = [
    "checkpoint_with_partitions",
    "checkpoints",
    "checkpoints_vacuumed",
    "latest_not_checkpointed",
    "spark-variant-stable-feature-checkpoint",
    "table-with-domain-metadata",
    "with_checkpoint_no_last_checkpoint",
];

/// Tables without a golden text: `deltalake` reads them in other ways, or not.
const READ_ALONE: [&str; 8] = [
    "cdf-table-with-cdc-and-dvs",
    "spark-shredded-variant-preview-delta",
    "spark-variant-checkpoint",
    "table-with-dv-small",
    "table_with_column_mapping",
    "table_with_deletion_logs",
    "table_with_liquid_clustering",
    "table_with_partitioning_mapping",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shared_table_is_read_as_others_read_it_or_refused() {
    let catalog = open(&shared()).await;
    let golden = golden();
    let mut compared = 0;
    let mut alone = Vec::new();
    let mut refused = BTreeMap::new();
    for entry in catalog.snapshot().tables() {
        let name = entry.name.as_str();
        match &entry.state {
            TableState::Unavailable { reason } => {
                refused.insert(name.to_owned(), reason.clone());
            }
            TableState::Available(_) if WITHOUT_FILES.contains(&name) => {
                let error = read(&catalog, name).await.unwrap_err();
                assert!(data_file_error(&error).is_some(), "{name}: {error:?}");
            }
            TableState::Available(_) => {
                let text = read(&catalog, name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                match golden.get(name) {
                    Some(golden) => {
                        assert_eq!(&text, golden, "{name}");
                        compared += 1;
                    }
                    None => alone.push(name.to_owned()),
                }
            }
        }
    }
    assert!(compared >= 32, "{compared} tables compared");
    assert_eq!(alone, READ_ALONE);
    let expected = [("simple_table_features", "Reader features")];
    assert_eq!(refused.len(), expected.len(), "{refused:#?}");
    for (name, feature) in expected {
        assert!(refused[name].contains(feature), "{name}: {}", refused[name]);
    }
}

#[tokio::test]
async fn a_nested_folder_of_tables_is_a_layer_too() {
    let catalog = open(&shared().join("golden")).await;
    let name = "data-reader-array-primitives";
    assert_eq!(read(&catalog, name).await.unwrap(), golden()[&format!("golden__{name}")]);
}
