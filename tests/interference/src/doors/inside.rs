//! A session without a wire.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use futures::StreamExt as _;
use lakeward_scheduler::error::QueryError;
use lakeward_scheduler::session::{Outcome, Prepared, Session};

use crate::observe::{Answer, float, type_name};
use crate::service::Service;

/// A session and what it has prepared.
pub struct Inside {
    session: Arc<Session>,
    prepared: HashMap<String, Prepared>,
}

impl Inside {
    pub(super) async fn enter(service: &Service, person: &str) -> Result<Self> {
        Ok(Self { session: service.session(person).await?, prepared: HashMap::new() })
    }

    pub(super) async fn run(&self, sql: &str) -> Answer {
        let mut answer = Answer::default();
        let outcome = async {
            for statement in self.session.parse(sql)? {
                let prepared = self.session.prepare(&statement, &[]).await?;
                self.start(&prepared, Vec::new(), &mut answer).await?;
            }
            Ok(())
        };
        let outcome = outcome.await;
        finish(answer, outcome)
    }

    pub(super) async fn prepare(&mut self, name: &str, sql: &str) -> Answer {
        let mut answer = Answer::default();
        let prepared = async {
            let mut statements = self.session.parse(sql)?;
            self.session.prepare(&statements.remove(0), &[]).await
        };
        let outcome = prepared.await.map(|prepared| {
            answer.columns = prepared.parameter_types().iter().map(|t| type_name(&t.to_string())).collect();
            answer.columns.extend(prepared.schema().iter().flat_map(|schema| columns(schema)));
            self.prepared.insert(name.to_owned(), prepared);
        });
        finish(answer, outcome)
    }

    pub(super) async fn execute(&self, name: &str, parameters: &[String]) -> Result<Answer> {
        let Some(prepared) = self.prepared.get(name) else {
            let code = Some("26000".to_owned());
            return Ok(Answer { end: "26000 not prepared".to_owned(), code, ..Answer::default() });
        };
        let types = prepared.parameter_types();
        ensure!(types.len() == parameters.len(), "{} parameters", types.len());
        let values = parameters
            .iter()
            .zip(types)
            .map(|(text, data_type)| Ok(ScalarValue::try_from_string(text.clone(), data_type)?))
            .collect::<Result<Vec<_>>>()?;
        let mut answer = Answer::default();
        let outcome = self.start(prepared, values, &mut answer).await;
        Ok(finish(answer, outcome))
    }

    async fn start(
        &self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
        answer: &mut Answer,
    ) -> Result<(), QueryError> {
        match self.session.execute(prepared, parameters).await? {
            Outcome::Rows { command, mut stream } => {
                answer.columns = columns(&stream.schema());
                while let Some(batch) = stream.next().await {
                    match batch {
                        Ok(batch) => rows(&batch, &mut answer.rows),
                        Err(error) => {
                            self.session.mark_failed();
                            return Err(error);
                        }
                    }
                }
                answer.end = format!("{command} {}", answer.rows.len());
            }
            Outcome::Done { tag, reported, warning } => {
                answer.end = tag;
                answer.notices.extend(reported.iter().map(|(name, value)| format!("{name} = {value}")));
                answer.notices.extend(warning);
            }
            Outcome::Forget(what) => answer.end = format!("{what:?}"),
        }
        Ok(())
    }
}

fn finish(mut answer: Answer, outcome: Result<(), QueryError>) -> Answer {
    if let Err(error) = outcome {
        answer.end = format!(
            "{} {} (hint {:?}, position {:?})",
            error.state.code(),
            error.message,
            error.hint,
            error.position
        );
        answer.code = Some(error.state.code().to_owned());
    }
    answer
}

fn columns(schema: &Schema) -> Vec<String> {
    schema
        .fields()
        .iter()
        .map(|field| format!("{} {}", field.name(), type_name(&field.data_type().to_string())))
        .collect()
}

fn rows(batch: &RecordBatch, into: &mut Vec<String>) {
    let options = FormatOptions::new().with_null("NULL");
    let cell = |column: &ArrayRef, row: usize| -> String {
        if column.is_null(row) {
            return "NULL".to_owned();
        }
        if *column.data_type() == DataType::Float64 {
            return float(column.as_primitive::<Float64Type>().value(row));
        }
        ArrayFormatter::try_new(column, &options)
            .map(|formatter| formatter.value(row).to_string())
            .unwrap_or_else(|_| "?".to_owned())
    };
    for row in 0..batch.num_rows() {
        into.push(batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join("|"));
    }
}
