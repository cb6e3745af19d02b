//! What is not carried is refused, by name.

use std::sync::Arc;

use chrono::DateTime;
use datafusion::common::TableReference;
use datafusion::datasource::physical_plan::{FileScanConfig, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr_adapter::DefaultPhysicalExprAdapterFactory;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion_datasource::PartitionedFile;
use datafusion_datasource::file_groups::FileGroup;
use datafusion_proto::bytes::physical_plan_to_bytes;
use datafusion_proto::physical_plan::{DefaultPhysicalProtoConverter, PhysicalExtensionCodec as _};
use serde_json::json;

use super::support::{Elsewhere, codec, encode, plan, scan, scan_config};
use crate::tests::deletion;
use crate::tests::support::{folder_url, open, options};
use crate::{LakeCatalog, LayerRoot, ScanCodecError};

async fn lake() -> (tempfile::TempDir, Arc<LakeCatalog>, Arc<dyn ExecutionPlan>) {
    let lake = tempfile::tempdir().unwrap();
    let mut t = deletion::with_vectors(lake.path());
    let vector = deletion::stored(&t, &[deletion::set([5])]).remove(0);
    t.commit(&[deletion::with_vector(deletion::add(&t, "a.parquet", 0..100), &vector)]);
    let catalog = open(lake.path()).await;
    let scan = scan(&plan(&catalog, "SELECT id FROM lake.t WHERE id > 3").await);
    (lake, catalog, scan)
}

/// Why a changed scan is not encoded.
fn refusal(
    catalog: &LakeCatalog,
    scan: &Arc<dyn ExecutionPlan>,
    change: impl FnOnce(&mut FileScanConfig),
) -> String {
    let mut config = scan_config(scan);
    change(&mut config);
    let changed: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    refused(catalog, &changed)
}

fn refused(catalog: &LakeCatalog, node: &Arc<dyn ExecutionPlan>) -> String {
    let error = encode(catalog, node).unwrap_err();
    match codec_error(&error) {
        ScanCodecError::NotCarried(what) => what.clone(),
        other => panic!("{other}"),
    }
}

fn codec_error(error: &datafusion::error::DataFusionError) -> &ScanCodecError {
    match error {
        datafusion::error::DataFusionError::External(error) => error.downcast_ref().unwrap(),
        other => panic!("{other}"),
    }
}

fn each_file(config: &mut FileScanConfig, change: impl Fn(&mut PartitionedFile)) {
    for group in &mut config.file_groups {
        let mut files = std::mem::take(group).into_inner();
        files.iter_mut().for_each(&change);
        *group = FileGroup::new(files);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_without_a_place_in_the_message_is_refused() {
    let (_lake, catalog, scan) = lake().await;
    encode(&catalog, &scan).unwrap();
    let why = refusal(&catalog, &scan, |config| {
        each_file(config, |file| {
            file.extensions.insert("of somebody else".to_owned());
        });
    });
    assert!(why.contains("extension"), "{why}");
    let why = refusal(&catalog, &scan, |config| {
        each_file(config, |file| file.object_meta.e_tag = Some("tag".to_owned()));
    });
    assert!(why.contains("tag"), "{why}");
    let why = refusal(&catalog, &scan, |config| {
        each_file(config, |file| file.table_reference = Some(TableReference::bare("u")));
    });
    assert!(why.contains("a table of its own"), "{why}");
    let why = refusal(&catalog, &scan, |config| {
        let group = std::mem::take(&mut config.file_groups[0]);
        config.file_groups[0] = group.with_statistics(Arc::new(config.statistics()));
    });
    assert!(why.contains("statistics of a file group"), "{why}");
    let why = refusal(&catalog, &scan, |config| config.expr_adapter_factory = None);
    assert!(why.contains("adapter"), "{why}");
    let why = refusal(&catalog, &scan, |config| {
        config.expr_adapter_factory = Some(Arc::new(DefaultPhysicalExprAdapterFactory));
    });
    assert!(why.contains("adapter"), "{why}");
    let why = refusal(&catalog, &scan, |config| {
        config.object_store_url =
            datafusion::execution::object_store::ObjectStoreUrl::parse("s3://elsewhere").unwrap();
    });
    assert!(why.contains("store"), "{why}");
    let why = refusal(&catalog, &scan, |config| {
        config.file_source = Arc::new(ParquetSource::new(config.file_source.table_schema().clone()));
    });
    assert!(why.contains("parquet source"), "{why}");
    let other: Arc<dyn ExecutionPlan> = Arc::new(PlaceholderRowExec::new(scan.schema()));
    assert!(refused(&catalog, &other).contains("PlaceholderRowExec"));
    // A time that the engine's form cannot hold is its error.
    let mut config = scan_config(&scan);
    each_file(&mut config, |file| {
        file.object_meta.last_modified = DateTime::from_timestamp(1 << 40, 0).unwrap();
    });
    let late: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    assert!(encode(&catalog, &late).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_of_what_is_refused() {
    let (_lake, catalog, scan) = lake().await;
    let other: Arc<dyn ExecutionPlan> = Arc::new(PlaceholderRowExec::new(scan.schema()));
    let mut buffer = vec![1, 2];
    codec(&catalog).try_encode(other, &mut buffer, &DefaultPhysicalProtoConverter {}).unwrap_err();
    assert_eq!(buffer, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engines_own_form_is_no_way_around() {
    let (_lake, _catalog, scan) = lake().await;
    let error = physical_plan_to_bytes(scan).unwrap_err().to_string();
    assert!(error.contains("PhysicalExtensionCodec is not provided"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_that_are_not_configured_there_are_not_read() {
    let (lake, catalog, scan) = lake().await;
    let message = encode(&catalog, &scan).unwrap();
    let other = tempfile::tempdir().unwrap();
    let there = Elsewhere::open(options(other.path())).await;
    let error = there.scan(&message).unwrap_err();
    let ScanCodecError::NotConfigured { table, place } = codec_error(&error) else { panic!("{error}") };
    assert_eq!(table, "lake.t");
    assert!(place.starts_with("file://") && place.ends_with("/t"), "{place}");
    // A folder whose name only begins like that of a configured one.
    std::fs::create_dir(lake.path().join("t1")).unwrap();
    let there = Elsewhere::open(options(&lake.path().join("t1"))).await;
    assert!(there.scan(&message).is_err());
    assert!(Elsewhere::open(options(lake.path())).await.scan(&message).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_elsewhere_need_their_place_there_too() {
    let elsewhere = tempfile::tempdir().unwrap();
    let lake = tempfile::tempdir().unwrap();
    let source = deletion::with_vectors(elsewhere.path());
    let mut shared = deletion::add(&source, "1.parquet", 0..10);
    shared["add"]["path"] = json!(folder_url(&source.folder).join("1.parquet").unwrap().as_str());
    let mut clone = deletion::with_vectors(lake.path());
    clone.commit(&[shared]);
    let mut both = options(lake.path());
    both.roots.push(LayerRoot { schema: "other".to_owned(), location: folder_url(elsewhere.path()) });
    let catalog = LakeCatalog::open(both.clone()).await.unwrap();
    let scan = scan(&plan(&catalog, "SELECT id FROM lake.t").await);
    let message = encode(&catalog, &scan).unwrap();
    assert!(Elsewhere::open(both).await.scan(&message).is_ok());
    let error = Elsewhere::open(options(lake.path())).await.scan(&message).unwrap_err();
    let ScanCodecError::NotConfigured { place, .. } = codec_error(&error) else { panic!("{error}") };
    assert!(place.ends_with("/t/1.parquet"), "{place}");
}
