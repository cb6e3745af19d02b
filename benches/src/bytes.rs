//! What the 22 queries read, under policies and with the same filters by hand.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::governed::Governed;
use crate::plain::Plain;
use crate::queries::QUERIES;
use crate::tables::Table;

/// Bytes read of the files of each table, as the engine words them (three digits), in the order of their size.
pub type BytesByTable = BTreeMap<&'static str, Vec<String>>;

/// What one query read.
#[derive(Debug)]
pub struct BytesRead {
    /// Number of the query.
    pub query: u8,
    /// By an analyst under policies. The session is an operator's, because nobody else sees it.
    pub governed: BytesByTable,
    /// With filters and masks by hand.
    pub plain: BytesByTable,
}

/// Runs each query once on either side.
pub async fn measure(governed: &Governed, plain: &Plain) -> Result<Vec<BytesRead>> {
    let mut read = Vec::new();
    for query in &QUERIES {
        let text = query.text;
        let governed = governed.plan(&format!("analyze {text}")).await?;
        let plain = plain.analyzed(text).await?;
        read.push(BytesRead { query: query.number, governed: scanned(&governed)?, plain: scanned(&plain)? });
    }
    Ok(read)
}

fn scanned(plan: &str) -> Result<BytesByTable> {
    let mut scanned = BytesByTable::new();
    for line in plan.lines().filter(|line| line.contains("DataSourceExec")) {
        let Some(table) = Table::ALL.iter().find(|table| line.contains(&format!("/{}/", table.name())))
        else {
            // Nothing is left of the scan.
            continue;
        };
        let bytes = line.split_once("bytes_scanned=").map(|(_, rest)| rest);
        let bytes = bytes.and_then(|rest| rest.split([',', ']']).next());
        let bytes = bytes.with_context(|| format!("no count of bytes in {line}"))?;
        scanned.entry(table.name()).or_default().push(bytes.trim().to_owned());
    }
    scanned.values_mut().for_each(|scans| scans.sort());
    Ok(scanned)
}
