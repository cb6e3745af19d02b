//! The bytes of a deletion vector: the protocol's section "Deletion Vector Format".

use crc::{CRC_32_ISO_HDLC, Crc};
use roaring::RoaringTreemap;

/// Marks the portable serialisation of a 64 bit Roaring bitmap.
const PORTABLE: u32 = 1_681_511_377;
/// Length (big endian) before the bitmap, checksum (big endian) after it.
const LENGTH_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;
const MAGIC_BYTES: usize = 4;

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Largest vector that is read. A file of two milliards of rows, each second one removed, takes 256 MiB.
pub(crate) const MAX_SIZE: u32 = 512 << 20;

/// Why bytes are no deletion vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("the deletion vector is not base 85")]
    Encoding,
    #[error("the deletion vector is not as long as the log says")]
    Length,
    #[error("the deletion vector has an unknown format")]
    Magic,
    #[error("the deletion vector's checksum is wrong")]
    Checksum,
    #[error("the deletion vector's bitmap is damaged")]
    Bitmap,
    #[error("the deletion vector removes another number of rows than the log says")]
    Cardinality,
    #[error("the deletion vector removes rows that its file does not have")]
    Rows,
}

/// Bytes to read of a file for a vector of `size`: its length, itself, its checksum.
pub(super) fn framed_size(size: u32) -> u64 {
    u64::from(size) + (LENGTH_BYTES + CHECKSUM_BYTES) as u64
}

/// The bitmap of a vector read from a file with its frame.
pub(super) fn framed(bytes: &[u8], size: u32) -> Result<RoaringTreemap, FormatError> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(FormatError::Length)?;
    let (body, checksum) = rest.split_last_chunk::<CHECKSUM_BYTES>().ok_or(FormatError::Length)?;
    if u32::from_be_bytes(*length) != size || u32::try_from(body.len()) != Ok(size) {
        return Err(FormatError::Length);
    }
    if u32::from_be_bytes(*checksum) != CHECKSUM.checksum(body) {
        return Err(FormatError::Checksum);
    }
    bitmap(body)
}

/// The bitmap of a vector that stands in the log.
pub(super) fn inline(text: &str, size: u32) -> Result<RoaringTreemap, FormatError> {
    let bytes = z85::decode(text).map_err(|_| FormatError::Encoding)?;
    // Base 85 comes in fours, so the text may be padded.
    let size = usize::try_from(size).map_err(|_| FormatError::Length)?;
    bitmap(bytes.get(..size).ok_or(FormatError::Length)?)
}

fn bitmap(body: &[u8]) -> Result<RoaringTreemap, FormatError> {
    let (magic, bitmap) = body.split_first_chunk::<MAGIC_BYTES>().ok_or(FormatError::Length)?;
    if u32::from_le_bytes(*magic) != PORTABLE {
        return Err(FormatError::Magic);
    }
    RoaringTreemap::deserialize_from(bitmap).map_err(|_| FormatError::Bitmap)
}
