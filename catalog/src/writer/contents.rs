//! Rows are what files contain, never what statistics say of them.

use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// Takes the statistics of files out of scans.
///
/// delta-rs passes on what the log says of a file's columns as exact, and DataFusion then reads a column
/// whose smallest and largest value are equal as that value, without opening it. But logs leave out NaN,
/// and some writers round large decimals: a rewrite of such a file would write what was never in it. Files are
/// still skipped by the log before, and row groups by their own statistics.
#[derive(Debug)]
pub(super) struct OnlyContents;

impl PhysicalOptimizerRule for OnlyContents {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let stripped = plan.transform_up(|node| {
            let Some(source) = node.downcast_ref::<DataSourceExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some(scan) = source.data_source().downcast_ref::<FileScanConfig>() else {
                return Ok(Transformed::no(node));
            };
            Ok(Transformed::yes(DataSourceExec::from_data_source(strip(scan.clone()))))
        })?;
        Ok(stripped.data)
    }

    fn name(&self) -> &'static str {
        "only_contents"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn strip(scan: FileScanConfig) -> FileScanConfig {
    let unknown = Statistics::new_unknown(scan.file_source().table_schema().table_schema());
    let groups = scan
        .file_groups
        .iter()
        .map(|group| {
            let files = group.files().iter().cloned().map(|mut file| {
                file.statistics = None;
                file
            });
            FileGroup::new(files.collect())
        })
        .collect();
    FileScanConfigBuilder::from(scan).with_file_groups(groups).with_statistics(unknown).build()
}
