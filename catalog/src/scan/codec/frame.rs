//! A message among other bytes: mark, version, message, checksum.

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::error::ScanCodecError;
use super::message::Scan;

/// What every message begins with.
const MARK: &[u8; 8] = b"LakeScan";
/// Version of [`message`](super::message), in two bytes, big endian. A message of one version is not
/// read by another: a field more may be a row less.
const VERSION: u16 = 1;
/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// The bytes of a scan.
///
/// The checksum is against damage: a flipped bit in the name of a file or in a literal would make
/// another plan, not an error. It says nothing of who wrote the message; that is for who carries it.
pub(super) fn seal(scan: &Scan) -> Vec<u8> {
    let mut bytes = MARK.to_vec();
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(scan.encode_to_vec());
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

/// The scan of `bytes` that [`seal`] gave.
pub(super) fn open(bytes: &[u8]) -> Result<Scan, ScanCodecError> {
    let damaged = |why: &str| ScanCodecError::Damaged(why.to_owned());
    let (mark, rest) = bytes.split_first_chunk().ok_or_else(|| damaged("it is too short"))?;
    if mark != MARK {
        return Err(damaged("it does not begin as messages of scans do"));
    }
    let (version, rest) = rest.split_first_chunk().ok_or_else(|| damaged("it is too short"))?;
    let version = u16::from_be_bytes(*version);
    if version != VERSION {
        return Err(ScanCodecError::OtherVersion(format!("{version} where {VERSION} is known")));
    }
    let (message, _) = rest.split_last_chunk::<DIGEST>().ok_or_else(|| damaged("it is too short"))?;
    let (signed, digest) = bytes.split_last_chunk::<DIGEST>().ok_or_else(|| damaged("it is too short"))?;
    if Sha256::digest(signed).as_slice() != digest {
        return Err(damaged("its checksum is wrong"));
    }
    let scan = Scan::decode(message).map_err(|error| damaged(&error.to_string()))?;
    // The decoder passes over fields that it does not know, on any level. Without them the message is
    // shorter; the bytes themselves are not compared, because maps come in any order.
    if scan.encoded_len() != message.len() {
        return Err(ScanCodecError::OtherVersion("it has fields that are not known".to_owned()));
    }
    Ok(scan)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// `message` in a frame whose checksum is right.
    fn framed(version: u16, message: &[u8]) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend(message);
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        bytes
    }

    #[test]
    fn other_versions_and_unknown_fields_are_refused() {
        let scan = Scan { table: "lake.t".to_owned(), limit: Some(7), ..Scan::default() };
        let message = scan.encode_to_vec();
        assert_eq!(open(&framed(VERSION, &message)), Ok(scan.clone()));
        assert_eq!(open(&seal(&scan)), Ok(scan));
        for version in [0, VERSION + 1, u16::MAX] {
            assert!(matches!(open(&framed(version, &message)), Err(ScanCodecError::OtherVersion(_))));
        }
        // Field 2000, on the outermost level and inside field 3; a field of another wire type.
        let unknown = [0x80, 0x7d, 1];
        let mut inside = vec![0x1a, 3];
        inside.extend(unknown);
        for more in [&unknown[..], &inside] {
            let refused = open(&framed(VERSION, &[&message, more].concat()));
            assert!(matches!(refused, Err(ScanCodecError::OtherVersion(_))), "{refused:?}");
        }
        let refused = open(&framed(VERSION, &[0x10, 1]));
        assert!(matches!(refused, Err(ScanCodecError::Damaged(_))), "{refused:?}");
    }
}
