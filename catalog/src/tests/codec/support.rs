//! Plans that go to another process and come back as plans.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionContext;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::SessionConfig;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::{DefaultPhysicalProtoConverter, PhysicalExtensionCodec as _};

use crate::tests::spelling::lines;
use crate::tests::support::session_with;
use crate::{CatalogOptions, LakeCatalog, LakeScanCodec, ScanPlaces};

/// Four partitions, files split however small, small batches.
pub(super) fn config() -> SessionConfig {
    SessionConfig::new().with_target_partitions(4).with_batch_size(64).with_repartition_file_min_size(1)
}

/// A process that has a configuration and no catalog.
pub(super) struct Elsewhere {
    pub(super) codec: LakeScanCodec,
    pub(super) context: SessionContext,
}

impl Elsewhere {
    pub(super) async fn open(options: CatalogOptions) -> Self {
        let places = ScanPlaces::open(options).await.unwrap();
        let context = SessionContext::new_with_config(config());
        for (url, store) in places.object_stores() {
            context.register_object_store(&url, store);
        }
        Self { codec: LakeScanCodec::new(places), context }
    }

    pub(super) fn task(&self) -> Arc<TaskContext> {
        self.context.task_ctx()
    }

    /// A scan from its message alone.
    pub(super) fn scan(&self, message: &[u8]) -> Result<Arc<dyn ExecutionPlan>> {
        self.codec.try_decode(message, &[], &self.task(), &DefaultPhysicalProtoConverter {})
    }
}

pub(super) fn codec(catalog: &LakeCatalog) -> LakeScanCodec {
    LakeScanCodec::new(catalog.scan_places())
}

pub(super) async fn plan(catalog: &LakeCatalog, sql: &str) -> Arc<dyn ExecutionPlan> {
    session_with(catalog, config()).sql(sql).await.unwrap().create_physical_plan().await.unwrap()
}

pub(super) fn explain(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(true).to_string()
}

/// The message of one node.
pub(super) fn encode(catalog: &LakeCatalog, node: &Arc<dyn ExecutionPlan>) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    codec(catalog).try_encode(Arc::clone(node), &mut message, &DefaultPhysicalProtoConverter {})?;
    Ok(message)
}

pub(super) async fn rows(plan: &Arc<dyn ExecutionPlan>, task: Arc<TaskContext>) -> Result<Vec<String>> {
    Ok(lines(&collect(Arc::clone(plan), task).await?))
}

/// Sends a plan to another process of the same configuration, and holds rows and EXPLAIN there against
/// those here. Gives the plan there, which has run, and its rows.
pub(super) async fn travel(
    catalog: &LakeCatalog,
    options: CatalogOptions,
    plan: Arc<dyn ExecutionPlan>,
) -> (Arc<dyn ExecutionPlan>, Vec<String>) {
    let there = Elsewhere::open(options).await;
    let text = explain(&plan);
    let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&plan), &codec(catalog)).unwrap();
    let task = there.task();
    let decoded = physical_plan_from_bytes_with_extension_codec(&bytes, &task, &there.codec).unwrap();
    assert_eq!(explain(&decoded), text);
    // And on to a third process.
    let again = physical_plan_to_bytes_with_extension_codec(Arc::clone(&decoded), &there.codec).unwrap();
    let again = physical_plan_from_bytes_with_extension_codec(&again, &task, &there.codec).unwrap();
    assert_eq!(explain(&again), text);
    let here = rows(&plan, session_with(catalog, config()).task_ctx()).await.unwrap();
    assert_eq!(rows(&decoded, there.task()).await.unwrap(), here, "{text}");
    assert_eq!(rows(&again, there.task()).await.unwrap(), here, "{text}");
    (decoded, here)
}

pub(super) async fn travel_sql(
    catalog: &LakeCatalog,
    options: CatalogOptions,
    sql: &str,
) -> (Arc<dyn ExecutionPlan>, Vec<String>) {
    travel(catalog, options, plan(catalog, sql).await).await
}

pub(super) async fn plan_of(
    catalog: &LakeCatalog,
    provider: Arc<dyn TableProvider>,
) -> Arc<dyn ExecutionPlan> {
    let context = session_with(catalog, config());
    context.read_table(provider).unwrap().create_physical_plan().await.unwrap()
}

/// The one scan of a plan.
pub(super) fn scan(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let mut scans = Vec::new();
    plan.apply(|node| {
        if node.is::<DataSourceExec>() {
            scans.push(Arc::clone(node));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    assert_eq!(scans.len(), 1, "{}", explain(plan));
    scans.remove(0)
}

pub(super) fn scan_config(node: &Arc<dyn ExecutionPlan>) -> FileScanConfig {
    let exec = node.downcast_ref::<DataSourceExec>().unwrap();
    exec.data_source().downcast_ref::<FileScanConfig>().unwrap().clone()
}
