//! From a message to a plan.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::{
    parse_physical_sort_exprs, parse_protobuf_file_scan_config, parse_table_schema_from_proto,
};
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::{FileScanExecConf, ParquetScanExecNode};

use super::error::{ScanCodecError, missing};
use super::message::{Group, Place, Scan};
use super::places::ScanPlaces;
use super::{columns, files};
use crate::scan::is_skippable;
use crate::scan::source::{LakeFiles, LakeSource};

/// The plan of a message, over the places and the runtime of this process.
pub(super) fn plan(
    scan: Scan,
    places: &ScanPlaces,
    codec: &dyn PhysicalExtensionCodec,
    ctx: &TaskContext,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Arc<dyn ExecutionPlan>> {
    if scan.engine != datafusion::DATAFUSION_VERSION {
        let (theirs, ours) = (&scan.engine, datafusion::DATAFUSION_VERSION);
        return Err(ScanCodecError::OtherVersion(format!("engine {theirs} where this is {ours}")).into());
    }
    let table: Arc<str> = scan.table.into();
    let Place { root, path } = scan.folder.ok_or_else(|| missing("the table's folder"))?;
    let folder = files::decode_path(&path)?;
    let columns = columns::decode(scan.columns.ok_or_else(|| missing("the columns of files"))?)?;
    let footers = ctx.runtime_env().cache_manager.get_file_metadata_cache();
    let store = places.store(&table, &root, &folder)?;
    let vectors = Arc::clone(places.vectors());
    let lake = LakeFiles::new(
        Arc::clone(&table),
        Arc::clone(&store),
        folder.clone(),
        Arc::new(columns),
        footers,
        vectors,
    );
    let adapter = lake.adapter();

    let parquet = scan.parquet.ok_or_else(|| missing("what is read of files"))?;
    let ParquetScanExecNode { base_conf, predicate, parquet_options } = parquet;
    let mut conf = base_conf.ok_or_else(|| missing("what is read of files"))?;
    check(&conf)?;
    conf.object_store_url = store.url.as_str().to_owned();
    let schema = parse_table_schema_from_proto(&conf)?;
    if lake.columns().columns.len() != schema.file_schema().fields().len() {
        return damaged("columns of files that are not the schema's");
    }
    let options = parquet_options.ok_or_else(|| missing("options of Parquet"))?;
    if options.global.is_none() {
        return damaged("options of Parquet that are none");
    }
    let options = TableParquetOptions::try_from(&options)?;
    let decode_ctx = PhysicalPlanDecodeContext::new(ctx, codec);
    let predicate = predicate
        .map(|node| converter.proto_to_physical_expr(&node, schema.table_schema(), &decode_ctx))
        .transpose()?;
    if predicate.as_ref().is_some_and(|expr| !is_skippable(expr, schema.table_schema())) {
        return damaged("a predicate over columns that may skip nothing");
    }
    let source = LakeSource::new(schema, options, predicate, Arc::new(lake));
    let mut config = parse_protobuf_file_scan_config(&conf, &decode_ctx, converter, Arc::new(source))?;
    if !scan.approximate_order.is_empty() {
        let source = own_source(&config)?;
        let output = source.output()?;
        let order = parse_physical_sort_exprs(&scan.approximate_order, &decode_ctx, &output, converter)?;
        let order = LexOrdering::new(order).ok_or_else(|| missing("an order"))?;
        config.file_source = source.ordered(order)?;
    }
    config.file_groups = groups(config.file_groups, scan.groups, &table, &folder, places)?;
    config.expr_adapter_factory = Some(adapter);
    config.limit = scan.limit.map(usize::try_from).transpose().map_err(files::too_large)?;
    config.preserve_order = scan.preserve_order;

    let exec = DataSourceExec::from_data_source(config);
    let output = Schema::try_from(&scan.output.ok_or_else(|| missing("the columns of the scan"))?)?;
    if *exec.schema() != output {
        return damaged("other columns than it says");
    }
    Ok(exec)
}

/// Refuses a form of the engine with what no message has there.
fn check(conf: &FileScanExecConf) -> Result<()> {
    if conf.limit.is_some()
        || !conf.object_store_url.is_empty()
        || !conf.projection.is_empty()
        || conf.projection_exprs.is_none()
        || conf.constraints.as_ref().is_none_or(|constraints| !constraints.constraints.is_empty())
    {
        return damaged("a form of the engine that is not written so");
    }
    Ok(())
}

fn own_source(config: &FileScanConfig) -> Result<&LakeSource> {
    config.file_source.downcast_ref().ok_or_else(|| {
        DataFusionError::Internal("a source of a lake table became another kind of source".to_owned())
    })
}

/// File groups as the engine's form has them, with what is beside it.
fn groups(
    groups: Vec<FileGroup>,
    beside: Vec<Group>,
    table: &Arc<str>,
    folder: &object_store::path::Path,
    places: &ScanPlaces,
) -> Result<Vec<FileGroup>> {
    if groups.len() != beside.len() {
        return damaged("another number of file groups than it says");
    }
    let groups = groups.into_iter().zip(beside).map(|(group, Group { files: beside })| {
        let mut files = group.into_inner();
        if files.len() != beside.len() {
            return damaged("another number of files than it says");
        }
        for (file, beside) in files.iter_mut().zip(beside) {
            files::decode(beside, file, table, folder, places)?;
        }
        Ok(FileGroup::new(files))
    });
    groups.collect()
}

fn damaged<T>(why: &str) -> Result<T> {
    Err(ScanCodecError::Damaged(why.to_owned()).into())
}
