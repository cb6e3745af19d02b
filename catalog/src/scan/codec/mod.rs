//! Scans of lake tables as bytes, to run a plan in another process.
//!
//! The engine's own form of a file scan would lose, without an error, what a file carries besides its
//! path (deletion vectors, chosen rows, another store), the expression adapter, the readers, the upper
//! half of a limit, and the order that row groups are read in. [`message`] carries these beside the
//! engine's form of the rest. Both ways fail closed: [`encode`] refuses what the message has no place
//! for and reads back what the engine's form turns silently into something else; [`decode`] refuses what
//! it does not know. Nothing secret is in a message: a place is named by its URL, and the process that
//! decodes reads it with its own credentials, if its own configuration names that place ([`places`]).

mod columns;
mod decode;
mod encode;
mod error;
mod files;
mod frame;
mod message;
mod places;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

pub use error::ScanCodecError;
pub use places::ScanPlaces;

/// Encodes scans of lake tables, and decodes them over the places of this process.
///
/// It knows `DataSourceExec`s over lake tables and nothing else. What is above them is for the engine's
/// codec, and for codecs that are composed with this one
/// (`datafusion_proto::physical_plan::ComposedPhysicalExtensionCodec`).
#[derive(Debug, Clone)]
pub struct LakeScanCodec {
    places: ScanPlaces,
}

impl LakeScanCodec {
    /// A codec whose scans read `places`.
    pub fn new(places: ScanPlaces) -> Self {
        Self { places }
    }
}

impl PhysicalExtensionCodec for LakeScanCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !inputs.is_empty() {
            return Err(ScanCodecError::Damaged("a scan with a plan below it".to_owned()).into());
        }
        let scan = frame::open(buf)?;
        // Conversions of the engine (datafusion-proto-common 55) panic on some messages that they would
        // not have written.
        let decoded =
            catch_unwind(AssertUnwindSafe(|| decode::plan(scan, &self.places, self, ctx, proto_converter)));
        decoded.unwrap_or_else(|_| Err(ScanCodecError::Damaged("no plan of the engine".to_owned()).into()))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let scan = encode::message(node.as_ref(), self, proto_converter)?;
        let bytes = frame::seal(&scan);
        // What is nested deeper than messages are read would be refused there only.
        if let Err(error) = frame::open(&bytes) {
            return internal_err!("a scan that could not be decoded: {error}");
        }
        // At the end only: codecs that are tried one after the other share the buffer.
        buf.extend_from_slice(&bytes);
        Ok(())
    }
}
