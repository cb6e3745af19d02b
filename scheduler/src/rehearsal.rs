//! What a statement would read, without reading it: for those who weigh other policies.

use lakeward_policy::GovernedScan;

use crate::error::{QueryError, SqlState};
use crate::plan::Planned;
use crate::session::{Session, Statement};
use crate::statement::Kind;

/// A table that a statement would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsedRead {
    /// `schema.table`.
    pub table: String,
    /// Columns that it would read.
    pub columns: Vec<String>,
}

impl Session {
    /// Plans `statement` as if it were to run and says what it would read, or why it would be refused.
    /// Parameters stay open. Nothing is read and nothing written down.
    pub async fn rehearse(&self, statement: &Statement) -> Result<Vec<RehearsedRead>, QueryError> {
        let (Kind::Query(query) | Kind::Explain { statement: query, .. }) = &*statement.kind else {
            return Ok(Vec::new());
        };
        let view = self.view().await?;
        let planned = Planned::new(&view, query, &[]).await?;
        let verified = planned.rehearsed(&view)?;
        let reads_rows = !matches!(&*statement.kind, Kind::Explain { analyze: false, .. });
        if reads_rows && let Some(scan) = verified.scans.iter().find(|scan| !scan.readable) {
            return Err(QueryError::new(
                SqlState::InsufficientPrivilege,
                format!("permission denied for table {}", scan.table),
            ));
        }
        Ok(verified.scans.iter().map(read).collect())
    }
}

fn read(scan: &GovernedScan) -> RehearsedRead {
    RehearsedRead { table: scan.table.clone(), columns: scan.columns.clone() }
}
