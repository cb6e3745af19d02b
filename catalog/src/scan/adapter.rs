//! From the columns that a scan asks for to the columns that a file has.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};

use parquet::arrow::RowNumber;

use super::reshape::{Reshape, ReshapeExpr, field_id, is_infallible};
use crate::error::DataFileError;
use crate::shape::{FileColumns, MatchBy};

/// Makes an adapter for each file of a table.
#[derive(Debug)]
pub(super) struct LakeAdapterFactory {
    /// `schema.table`, for errors.
    pub(super) table: Arc<str>,
    pub(super) columns: Arc<FileColumns>,
}

impl PhysicalExprAdapterFactory for LakeAdapterFactory {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        if self.columns.match_by == MatchBy::Id {
            let fields = physical_file_schema.fields();
            if !fields.is_empty() && fields.iter().all(|field| field_id(field).is_none()) {
                return Err(self.unfit("the table maps columns by id, and the file has no ids"));
            }
        }
        Ok(Arc::new(LakeAdapter {
            table: Arc::clone(&self.table),
            columns: Arc::clone(&self.columns),
            wanted: logical_file_schema,
            file: physical_file_schema,
        }))
    }
}

impl LakeAdapterFactory {
    fn unfit(&self, why: &str) -> DataFusionError {
        unfit(&self.table, why)
    }
}

/// Rewrites expressions over the scan's file columns for one file.
#[derive(Debug)]
struct LakeAdapter {
    table: Arc<str>,
    columns: Arc<FileColumns>,
    /// File columns as the scan has them: physical names, advertised types.
    wanted: Arc<Schema>,
    file: Arc<Schema>,
}

impl PhysicalExprAdapter for LakeAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform_up(|node| match node.downcast_ref::<Column>() {
            Some(column) => self.column(column).map(Transformed::yes),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }
}

impl LakeAdapter {
    fn column(&self, column: &Column) -> Result<Arc<dyn PhysicalExpr>> {
        let position = self.wanted.index_of(column.name())?;
        let wanted = self.wanted.field(position);
        if wanted.has_valid_extension_type::<RowNumber>() {
            // Made by the reader, in no file.
            return Ok(Arc::new(Column::new(wanted.name(), self.file.index_of(wanted.name())?)));
        }
        let shape = self.columns.columns.get(position).ok_or_else(|| {
            DataFusionError::Internal("a scan asks for a column that its table does not describe".to_owned())
        })?;
        let found = match self.columns.match_by {
            MatchBy::Id if shape.id.is_some() => {
                self.file.fields().iter().position(|field| field_id(field) == shape.id)
            }
            MatchBy::Name | MatchBy::Id => {
                self.file.fields().find(&shape.physical_name).map(|(position, _)| position)
            }
        };
        let Some(found) = found else {
            // Added to the table after the file was written.
            let missing = ScalarValue::try_from(wanted.data_type())?;
            return Ok(Arc::new(Literal::new(missing)));
        };
        let field = self.file.field(found);
        let in_file: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), found));
        let reshape =
            Reshape::between(&shape.shape, wanted.data_type(), field.data_type(), self.columns.match_by)
                .map_err(|why| unfit(&self.table, &why))?;
        Ok(match reshape {
            Reshape::Keep => in_file,
            // The engine's own cast, which row group and page skipping see through.
            Reshape::Cast(to) if is_infallible(field.data_type(), &to) => cast(in_file, to),
            reshape => Arc::new(ReshapeExpr::new(
                Arc::clone(&self.table),
                in_file,
                reshape,
                wanted.data_type().clone(),
            )),
        })
    }
}

fn cast(expr: Arc<dyn PhysicalExpr>, to: DataType) -> Arc<dyn PhysicalExpr> {
    Arc::new(CastExpr::new(expr, to, None))
}

/// The error of a file that does not fit its table: no value, no path.
pub(super) fn unfit(table: &str, why: &str) -> DataFusionError {
    let error = DataFileError { table: table.to_owned(), source: why.to_owned().into() };
    DataFusionError::External(Box::new(error))
}
