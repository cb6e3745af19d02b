#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests build an engine context by hand"
)]
//! Clients' own statements, as they send them, against a small view.

mod answers;
mod clients;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::*;

fn column(name: &str, data_type: DataType, nullable: bool) -> VisibleColumn {
    VisibleColumn { name: name.to_string(), data_type, nullable, description: None }
}

/// Three schemas, two tables with descriptions, a view.
pub(super) fn sample() -> VisibleCatalog {
    let mut patients = vec![
        column("patient_id", DataType::Int64, false),
        column("name", DataType::Utf8, true),
        column("birth_date", DataType::Date32, true),
        column("nhs_number", DataType::Utf8, true),
        column("cost", DataType::Decimal128(12, 2), true),
        column("active", DataType::Boolean, false),
        column("created_at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        column("updated_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        column("tags", DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))), true),
        column("score", DataType::Float64, true),
        column("small", DataType::Int16, true),
        column("num", DataType::Int32, true),
        column("blob", DataType::Binary, true),
        column("extra", DataType::Struct(vec![Field::new("a", DataType::Int32, true)].into()), true),
    ];
    patients[3].description = Some("Ten digits".to_string());
    let encounters = vec![column("id", DataType::Int64, true), column("patient_id", DataType::Int64, true)];
    let monthly = vec![column("month", DataType::Date32, true), column("revenue", DataType::Float64, true)];
    let table = |name: &str, is_view, description: Option<&str>, columns: &[VisibleColumn]| VisibleTable {
        name: name.to_string(),
        is_view,
        definition: None,
        description: description.map(str::to_string),
        columns: columns.to_vec(),
    };
    VisibleCatalog::new(
        "lakeward".to_string(),
        "alice".to_string(),
        vec!["analyst".to_string()],
        "15.7 (Lakeward 0.1.0)".to_string(),
        vec![
            VisibleSchema {
                name: "silver".to_string(),
                description: Some("Cleaned tables".to_string()),
                tables: vec![
                    table("patients", false, Some("People registered"), &patients),
                    table("encounters", false, None, &encounters),
                ],
            },
            VisibleSchema {
                name: "gold".to_string(),
                description: None,
                tables: vec![
                    table("monthly", false, None, &monthly),
                    table("v_active", true, None, &patients),
                ],
            },
        ],
    )
}

/// A session over the sample, as the coordinator would make one. The first schema of the path is `silver`.
pub(super) struct Client {
    context: SessionContext,
    view: Arc<LazyCatalog>,
}

impl Client {
    pub(super) fn new() -> Self {
        let view = Arc::new(LazyCatalog::new(Box::new(sample) as MakeVisible));
        let config = SessionConfig::new()
            .with_default_catalog_and_schema("lakeward", "silver")
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false)
            .with_target_partitions(2);
        let context = SessionContext::new_with_config(config);
        context.add_analyzer_rule(analyzer_rule());
        let catalog = MemoryCatalogProvider::new();
        for (name, provider) in schema_providers(&view) {
            catalog.register_schema(&name, provider).unwrap();
        }
        context.register_catalog("lakeward", Arc::new(catalog));
        let settings: SettingsReader = Arc::new(|name| match name.to_lowercase().as_str() {
            "search_path" => Some("silver".to_string()),
            "server_version" => Some("15.7".to_string()),
            "datestyle" => Some("ISO, DMY".to_string()),
            "jit" => Some("off".to_string()),
            "default_table_access_method" => Some("heap".to_string()),
            _ => None,
        });
        for function in functions(&view, settings) {
            context.register_udf(function);
        }
        Self { context, view }
    }

    pub(super) fn oid(&self, schema: &str, table: &str) -> u32 {
        self.view.directory().relation_named(schema, table).unwrap().oid
    }

    pub(super) async fn plan(&self, sql: &str) -> Result<LogicalPlan> {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql)
            .map_err(|error| DataFusionError::Plan(format!("cannot parse: {error}")))?
            .remove(0);
        rewrite(&mut statement).map_err(DataFusionError::from)?;
        let state = self.context.state();
        state.statement_to_plan(datafusion::sql::parser::Statement::Statement(Box::new(statement))).await
    }

    pub(super) async fn batches(&self, sql: &str, parameters: &[ScalarValue]) -> Result<Vec<RecordBatch>> {
        let mut plan = self.plan(sql).await?;
        if !parameters.is_empty() {
            plan = plan.replace_params_with_values(&parameters.to_vec().into())?;
        }
        let frame = self.context.execute_logical_plan(plan).await?;
        frame.collect().await
    }

    /// Rows as text, NULL as `∅`, columns joined with `|`.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        let batches = self.batches(sql, &[]).await?;
        Ok(texts(&batches))
    }

    pub(super) async fn expect(&self, sql: &str, rows: &[&str]) {
        match self.rows(sql).await {
            Ok(found) => assert_eq!(found, rows, "{sql}"),
            Err(error) => panic!("{sql}\n{error}"),
        }
    }

    pub(super) async fn refused(&self, sql: &str) -> RewriteError {
        let error = self.rows(sql).await.unwrap_err();
        RewriteError::find(&error).cloned().unwrap_or_else(|| panic!("{error}"))
    }
}

pub(super) fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("∅");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(
                columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"),
            );
        }
    }
    rows
}
