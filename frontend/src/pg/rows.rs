//! A result on its way to the client.

use futures::{FutureExt, StreamExt};
use lakeward_scheduler::result::Permission;
use prometheus::IntCounter;

use super::connection::Stop;
use super::encode::{PlainBatch, RowEncoder};
use super::engine::Batches;
use super::wire::{FLUSH_AT, Wire};

/// How far a fetch came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The result is at its end; so many rows were sent by this fetch.
    All(u64),
    /// The row limit was reached first.
    Suspended,
}

/// A running result: the stream, and what is left of the batch that a row limit cut through.
pub(super) struct Rows {
    /// First word of the command tag.
    pub(super) command: &'static str,
    /// None once it has ended; dropping it cancels the query.
    stream: Option<Batches>,
    permission: Permission,
    encoder: RowEncoder,
    rest: Option<(PlainBatch, usize)>,
    sent: IntCounter,
}

impl Rows {
    pub(super) fn new(
        command: &'static str,
        stream: Batches,
        permission: Permission,
        encoder: RowEncoder,
        sent: IntCounter,
    ) -> Self {
        Self { command, stream: Some(stream), permission, encoder, rest: None, sent }
    }

    /// To be asked when the client comes back for more rows.
    pub(super) fn permission(&self) -> Permission {
        self.permission.clone()
    }

    /// Sends up to `limit` rows (0: all), never holding more than a batch and a flush worth of bytes.
    pub(super) async fn fetch(&mut self, wire: &mut Wire, limit: u64) -> Result<Fetched, Stop> {
        let mut fetched = 0;
        loop {
            // PostgreSQL suspends whenever the limit is reached, even if nothing was to follow.
            if limit != 0 && fetched == limit {
                return Ok(Fetched::Suspended);
            }
            let Some((batch, start)) = self.next(wire).await? else {
                return Ok(Fetched::All(fetched));
            };
            let left = if limit == 0 { u64::MAX } else { limit - fetched };
            let end = batch.rows().min(start.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)));
            {
                let cells = batch.cells(&self.encoder)?;
                for row in start..end {
                    cells.row(row, &mut wire.output)?;
                    if wire.output.len() >= FLUSH_AT {
                        wire.flush().await?;
                    }
                }
            }
            let rows = (end - start) as u64;
            fetched += rows;
            self.sent.inc_by(rows);
            if end < batch.rows() {
                self.rest = Some((batch, end));
            }
        }
    }

    /// The next rows. While they are being made, what was written so far goes out.
    async fn next(&mut self, wire: &mut Wire) -> Result<Option<(PlainBatch, usize)>, Stop> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            let next = match stream.next().now_or_never() {
                Some(next) => next,
                None => {
                    wire.flush().await?;
                    wire.watch(stream.next()).await?
                }
            };
            match next {
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => {
                    // A result that is always ready must not keep its thread to itself.
                    tokio::task::consume_budget().await;
                    return Ok(Some((self.encoder.plain(&batch)?, 0)));
                }
                Some(Err(error)) => {
                    self.stream = None;
                    return Err(Stop::Error(error.into()));
                }
                None => {
                    self.stream = None;
                    return Ok(None);
                }
            }
        }
    }
}
