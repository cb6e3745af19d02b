//! DataFusion alone, over Parquet files: what governed answers and their cost are compared with.
#![expect(
    clippy::disallowed_methods,
    reason = "the plain engine is the yardstick; no lake of anyone is read by it"
)]

use std::sync::Arc;

use anyhow::{Context as _, Result};
use datafusion::config::Dialect;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

use crate::answer::Answer;
use crate::data::Data;
use crate::engine::EngineOptions;
use crate::tables::Table;

const VIEWS: &str = include_str!("../tpch/views.sql");

/// A session of DataFusion without policies.
pub struct Plain {
    context: SessionContext,
}

impl Plain {
    /// The files of the Delta tables, with the policies written by hand as views.
    pub async fn views(data: &Data, options: &EngineOptions) -> Result<Self> {
        let plain = Self::empty(options)?;
        plain.run("create schema raw").await?;
        for table in Table::ALL {
            plain.register(&format!("raw.{}", table.name()), &data.lake().join(table.name())).await?;
        }
        for view in VIEWS.split(';').filter(|view| !view.trim().is_empty()) {
            plain.run(view).await?;
        }
        Ok(plain)
    }

    /// The copy, which is filtered and masked already.
    pub async fn copy(data: &Data, options: &EngineOptions) -> Result<Self> {
        let plain = Self::empty(options)?;
        for table in Table::ALL {
            plain.register(&format!("tpch.{}", table.name()), &data.copy().join(table.name())).await?;
        }
        Ok(plain)
    }

    fn empty(options: &EngineOptions) -> Result<Self> {
        // The settings that a governed session has and that change plans or results.
        let mut config = SessionConfig::new()
            .with_target_partitions(options.target_partitions)
            .with_batch_size(options.batch_size)
            .with_default_catalog_and_schema("lakeward", "tpch");
        config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
        config.options_mut().sql_parser.parse_float_as_decimal = true;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_limit)))
            .with_metadata_cache_limit(options.footer_cache)
            .build_arc()?;
        Ok(Self { context: SessionContext::new_with_config_rt(config, runtime) })
    }

    async fn register(&self, name: &str, directory: &std::path::Path) -> Result<()> {
        let directory = directory.to_str().context("the data's path is not text")?;
        // A Delta table of one commit: all its Parquet files are live.
        Ok(self.context.register_parquet(name, directory, ParquetReadOptions::default()).await?)
    }

    async fn run(&self, statement: &str) -> Result<()> {
        self.context.sql(statement).await?.collect().await?;
        Ok(())
    }

    /// Rows as they come.
    pub async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream> {
        Ok(self.context.sql(sql).await?.execute_stream().await?)
    }

    /// The number of rows of a table.
    pub(crate) async fn count(&self, table: &str) -> Result<usize> {
        Ok(self.context.table(table).await?.count().await?)
    }

    /// All rows.
    pub async fn answer(&self, sql: &str) -> Result<Answer> {
        let rows = self.stream(sql).await?;
        let schema = rows.schema();
        Answer::collect(schema, rows).await
    }

    /// The plan as text after it ran, with what was counted.
    pub(crate) async fn analyzed(&self, sql: &str) -> Result<String> {
        let batches = self.context.sql(&format!("explain analyze {sql}")).await?.collect().await?;
        Ok(arrow::util::pretty::pretty_format_batches(&batches)?.to_string())
    }

    /// The physical plan as text.
    pub async fn plan(&self, sql: &str) -> Result<String> {
        let plan = self.context.sql(sql).await?.create_physical_plan().await?;
        Ok(displayable(plan.as_ref()).indent(false).to_string())
    }
}
