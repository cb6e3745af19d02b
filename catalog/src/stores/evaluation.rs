//! Expressions of a log replay, on several cores.
//!
//! The kernel reads a log on one thread, and most of the time of opening a large table is one expression
//! of that thread: the one that parses the statistics of each file, which are JSON.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use delta_kernel::engine::arrow_data::{ArrowEngineData, EngineDataArrowExt as _};
use delta_kernel::expressions::{ExpressionRef, PredicateRef, Scalar};
use delta_kernel::schema::{DataType, SchemaRef};
use delta_kernel::{
    DeltaResult, EngineData, Error, EvaluationHandler, ExpressionEvaluator, PredicateEvaluator,
};

/// Rows below which a thread of their own costs more than it saves.
const LEAST_ROWS: usize = 512;
/// Threads at most for one batch: replays of other tables go on beside it.
const MOST_PARTS: usize = 4;

/// The engine's handler, with expressions that take large batches apart.
pub(super) struct Evaluation(pub(super) Arc<dyn EvaluationHandler>);

impl EvaluationHandler for Evaluation {
    fn new_expression_evaluator(
        &self,
        input_schema: SchemaRef,
        expression: ExpressionRef,
        output_type: DataType,
    ) -> DeltaResult<Arc<dyn ExpressionEvaluator>> {
        let whole = self.0.new_expression_evaluator(input_schema, expression, output_type)?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Arc::new(InParts { whole, most: cores.min(MOST_PARTS) }))
    }

    fn new_predicate_evaluator(
        &self,
        input_schema: SchemaRef,
        predicate: PredicateRef,
    ) -> DeltaResult<Arc<dyn PredicateEvaluator>> {
        self.0.new_predicate_evaluator(input_schema, predicate)
    }

    fn null_row(&self, output_schema: SchemaRef) -> DeltaResult<Box<dyn EngineData>> {
        self.0.null_row(output_schema)
    }

    fn create_many(&self, schema: SchemaRef, rows: &[&[Scalar]]) -> DeltaResult<Box<dyn EngineData>> {
        self.0.create_many(schema, rows)
    }
}

/// Evaluates row by row, so parts of a batch give the parts of its result.
struct InParts {
    whole: Arc<dyn ExpressionEvaluator>,
    most: usize,
}

impl ExpressionEvaluator for InParts {
    fn evaluate(&self, batch: &dyn EngineData) -> DeltaResult<Box<dyn EngineData>> {
        let parts = (batch.len() / LEAST_ROWS).min(self.most);
        let rows = batch.any_ref().downcast_ref::<ArrowEngineData>().map(ArrowEngineData::record_batch);
        let Some(rows) = rows.filter(|_| parts > 1) else { return self.whole.evaluate(batch) };
        let each = rows.num_rows().div_ceil(parts);
        let evaluate = |start: usize| {
            let part = rows.slice(start, each.min(rows.num_rows() - start));
            self.whole.evaluate(&ArrowEngineData::new(part)).try_into_record_batch()
        };
        let evaluated = thread::scope(|scope| -> DeltaResult<Vec<RecordBatch>> {
            let others: Vec<_> = (each..rows.num_rows())
                .step_by(each)
                .map(|start| {
                    let named = thread::Builder::new().name("log-replay".to_owned());
                    (start, named.spawn_scoped(scope, move || evaluate(start)))
                })
                .collect();
            let mut evaluated = vec![evaluate(0)?];
            for (start, other) in others {
                evaluated.push(match other {
                    Ok(other) => other.join().map_err(|_| Error::generic("an expression failed"))??,
                    // No thread to be had: here, then.
                    Err(_) => evaluate(start)?,
                });
            }
            Ok(evaluated)
        })?;
        let schema = evaluated.first().map(RecordBatch::schema).ok_or_else(|| Error::generic("no rows"))?;
        Ok(Box::new(ArrowEngineData::new(concat_batches(&schema, &evaluated)?)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use arrow::array::{Array as _, AsArray as _, StringArray};
    use arrow::datatypes::{DataType as ArrowType, Field, Int64Type, Schema};
    use delta_kernel::engine::arrow_expression::ArrowEvaluationHandler;
    use delta_kernel::expressions::{Expression, column_expr};
    use delta_kernel::schema::{StructField, StructType};

    use super::*;

    /// Parses `{"n": …}` of a column of texts.
    fn evaluator(handler: &dyn EvaluationHandler) -> Arc<dyn ExpressionEvaluator> {
        let field = |name, kind| StructField::nullable(name, kind);
        let input = StructType::try_new([field("text", DataType::STRING)]).unwrap();
        let parsed = StructType::try_new([field("n", DataType::LONG)]).unwrap();
        let output = StructType::try_new([field("parsed", DataType::from(parsed.clone()))]).unwrap();
        let parse = Expression::parse_json(column_expr!("text"), Arc::new(parsed));
        let expression = Arc::new(Expression::struct_from([parse]));
        handler.new_expression_evaluator(Arc::new(input), expression, DataType::from(output)).unwrap()
    }

    fn texts(rows: usize) -> ArrowEngineData {
        let schema = Schema::new(vec![Field::new("text", ArrowType::Utf8, true)]);
        let texts = (0..rows).map(|row| (row % 7 != 0).then(|| format!("{{\"n\": {row}}}")));
        let texts = texts.collect::<StringArray>();
        ArrowEngineData::new(RecordBatch::try_new(Arc::new(schema), vec![Arc::new(texts)]).unwrap())
    }

    #[test]
    fn parts_give_what_the_whole_gives() {
        let handler: Arc<dyn EvaluationHandler> = Arc::new(ArrowEvaluationHandler);
        let whole = evaluator(handler.as_ref());
        for most in 1..=5 {
            let parts = InParts { whole: Arc::clone(&whole), most };
            for rows in [0, 1, LEAST_ROWS, 2 * LEAST_ROWS, 2 * LEAST_ROWS + 1, 5 * LEAST_ROWS - 1, 10_000] {
                let expected = whole.evaluate(&texts(rows)).try_into_record_batch().unwrap();
                let got = parts.evaluate(&texts(rows)).try_into_record_batch().unwrap();
                assert_eq!(got, expected, "{rows} rows in up to {most} parts");
                if let Some(last) = rows.checked_sub(1).filter(|last| last % 7 != 0) {
                    let parsed = got.column(0).as_struct().column(0).as_primitive::<Int64Type>();
                    assert!(parsed.is_valid(last) && parsed.value(last) == last as i64);
                }
            }
        }
    }

    #[test]
    fn a_broken_text_costs_its_own_part() {
        // The kernel takes the statistics of a batch with a broken one for missing.
        let handler: Arc<dyn EvaluationHandler> = Arc::new(ArrowEvaluationHandler);
        let parts = InParts { whole: evaluator(handler.as_ref()), most: 2 };
        let texts = (0..3_000).map(|row| if row == 2_999 { "{\"n\": 1} {" } else { "{\"n\": 1}" });
        let schema = Schema::new(vec![Field::new("text", ArrowType::Utf8, true)]);
        let texts = Arc::new(StringArray::from_iter_values(texts));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![texts]).unwrap();
        let got = parts.evaluate(&ArrowEngineData::new(batch)).try_into_record_batch().unwrap();
        let parsed = got.column(0).as_struct();
        assert_eq!((parsed.len(), parsed.null_count()), (3_000, 1_500));
        assert!(parsed.is_valid(1_499) && parsed.is_null(1_500));
    }
}
