//! From a plan to a message.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::config::TableParquetOptions;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileScanConfig, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::CastExpr;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use datafusion_proto::physical_plan::from_proto::parse_table_schema_from_proto;
use datafusion_proto::physical_plan::to_proto::{serialize_file_scan_config, serialize_physical_sort_exprs};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use datafusion_proto::protobuf::{FileScanExecConf, ParquetScanExecNode};

use super::error::ScanCodecError;
use super::message::{Group, Place, Scan};
use super::{columns, files};
use crate::scan::source::LakeSource;

/// The message of a scan; an error that says what of it has no place in a message.
pub(super) fn message(
    node: &dyn ExecutionPlan,
    codec: &dyn PhysicalExtensionCodec,
    converter: &dyn PhysicalProtoConverterExtension,
) -> Result<Scan> {
    // A node that passes for a scan does more than that.
    let exec = node.downcast_ref::<DataSourceExec>().filter(|_| node.downcast_delegate().is_none());
    let Some(exec) = exec else { return refuse(format!("a {}, which is no scan", node.name())) };
    let Some(config) = exec.data_source().downcast_ref::<FileScanConfig>() else {
        return refuse("a source that reads no files");
    };
    let Some(source) = config.file_source.downcast_ref::<LakeSource>() else {
        return refuse(format!("a {} source, which is not of a lake table", config.file_source.file_type()));
    };
    check(exec, config, source)?;

    let lake = source.files();
    // First: what of a file is not carried is said by name.
    let groups = config.file_groups.iter().map(|group| {
        let files = group.files().iter().map(|file| files::encode(file, &lake.table));
        Ok(Group { files: files.collect::<Result<_, ScanCodecError>>()? })
    });
    let groups = groups.collect::<Result<_>>()?;
    let mut conf = serialize_file_scan_config(config, codec, converter)?;
    read_back(config, &conf)?;
    // The limit is beside it, and the store is told by its place.
    conf.limit = None;
    conf.object_store_url = String::new();
    let options = source.options().try_into()?;
    if TableParquetOptions::try_from(&options)? != *source.options() {
        return refuse("options of Parquet that are not for reading");
    }
    let predicate = source.filter().map(|expr| converter.physical_expr_to_proto(&expr, codec)).transpose()?;
    let order = source.approximate_order().into_iter().flatten().cloned();
    Ok(Scan {
        engine: datafusion::DATAFUSION_VERSION.to_owned(),
        table: lake.table.to_string(),
        folder: Some(Place { root: lake.store.root(), path: lake.folder.to_string() }),
        columns: Some(columns::encode(lake.columns())),
        groups,
        limit: config.limit.map(|rows| rows as u64),
        preserve_order: config.preserve_order,
        approximate_order: serialize_physical_sort_exprs(order, codec, converter)?,
        output: Some(exec.schema().as_ref().try_into()?),
        parquet: Some(ParquetScanExecNode {
            base_conf: Some(conf),
            predicate,
            parquet_options: Some(options),
        }),
    })
}

/// Refuses state that neither the engine's form of a scan nor the rest of the message has.
fn check(exec: &DataSourceExec, config: &FileScanConfig, source: &LakeSource) -> Result<()> {
    if !source.has_own_readers() {
        return refuse("readers of files that are not the table's");
    }
    if !source.is_adapted_by(config.expr_adapter_factory.as_ref()) {
        return refuse("an adapter of expressions that is not the table's");
    }
    if config.object_store_url != source.files().store.url {
        return refuse("a store that is not the table's");
    }
    if config.file_compression_type.is_compressed() {
        return refuse("compressed files");
    }
    if config.constraints.iter().next().is_some() {
        return refuse("constraints");
    }
    if !source.table_schema().virtual_columns().is_empty() {
        return refuse("virtual columns");
    }
    if config.file_groups.iter().any(|group| group.file_statistics(None).is_some()) {
        return refuse("statistics of a file group");
    }
    let partitioning = exec.data_source().output_partitioning();
    if exec.properties().output_partitioning().to_string() != partitioning.to_string() {
        return refuse("a partitioning that is not its source's");
    }
    source.apply_expressions(&mut |expr| {
        check_casts(expr)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    // What the Parquet source keeps to itself shows here.
    let remade = source.remade()?;
    if Shown(&*remade).to_string() != Shown(source).to_string() {
        return refuse("a Parquet source with state that it does not tell");
    }
    Ok(())
}

/// The engine's form of a cast says its type and nothing of how it is done.
fn check_casts(expr: &Arc<dyn PhysicalExpr>) -> Result<()> {
    let mut is_usual = true;
    expr.apply(|node| {
        if let Some(cast) = node.downcast_ref::<CastExpr>() {
            let usual = CastExpr::new(Arc::clone(cast.expr()), cast.cast_type().clone(), None);
            is_usual &= cast.cast_options() == usual.cast_options();
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if is_usual { Ok(()) } else { refuse("a cast with options") }
}

/// Refuses plain data that the engine's form turns into other data without an error: a bound that it
/// has no form for, say, becomes unknown.
fn read_back(config: &FileScanConfig, conf: &FileScanExecConf) -> Result<()> {
    let schema = parse_table_schema_from_proto(conf)?;
    let source = config.file_source.table_schema();
    if schema.file_schema() != source.file_schema()
        || schema.table_partition_cols() != source.table_partition_cols()
    {
        return refuse("a schema that the engine's form changes");
    }
    let statistics = conf.statistics.as_ref().map(Statistics::try_from).transpose()?;
    if statistics.as_ref() != Some(&config.statistics()) {
        return refuse("statistics that the engine's form changes");
    }
    let files = config.file_groups.iter().flat_map(|group| group.files());
    let forms = conf.file_groups.iter().flat_map(|group| &group.files);
    for (file, form) in files.zip(forms) {
        let back = PartitionedFile::try_from(form)?;
        if back.object_meta != file.object_meta
            || back.partition_values != file.partition_values
            || back.range != file.range
            || back.statistics != file.statistics
            || back.arrow_schema != file.arrow_schema
        {
            return refuse("a file that the engine's form changes");
        }
    }
    Ok(())
}

fn refuse<T>(what: impl Into<String>) -> Result<T> {
    Err(DataFusionError::from(ScanCodecError::NotCarried(what.into())))
}

/// A source as plans show it.
struct Shown<'a>(&'a dyn FileSource);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_extra(DisplayFormatType::Verbose, f)
    }
}
