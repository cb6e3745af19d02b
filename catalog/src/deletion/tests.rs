//! Deletion vectors as the protocol writes them, and as nobody should.

#![allow(clippy::unwrap_used, reason = "tests")]

use parquet::arrow::arrow_reader::RowSelector;
use proptest::prelude::*;
use roaring::RoaringTreemap;

use super::format::{self, FormatError};
use super::selection::{LeftRows, row_selection};
use super::{DeletionVector, Stored};
use crate::error::LoadError;

/// A vector with its frame, as it stands in a file.
fn framed(removed: &RoaringTreemap) -> (Vec<u8>, u32) {
    let mut body = 1_681_511_377_u32.to_le_bytes().to_vec();
    removed.serialize_into(&mut body).unwrap();
    let size = u32::try_from(body.len()).unwrap();
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&body);
    let mut bytes = size.to_be_bytes().to_vec();
    bytes.extend(body);
    bytes.extend(checksum.to_be_bytes());
    (bytes, size)
}

#[test]
fn the_protocols_examples_are_read() {
    // From the section "Deletion Vector Descriptor Schema".
    let vector = DeletionVector::new("u", "ab^-aqEH.-t@S}K{vb[*k^", Some(4), 40, 6).unwrap();
    let path = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin".to_owned();
    assert_eq!(vector.stored, Stored::Beside { path, offset: 4 });
    // The protocol's own example of an inline vector lacks the magic number that its text demands;
    // this one is the same with it.
    let inline = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";
    let vector = DeletionVector::new("i", inline, None, 44, 6).unwrap();
    assert_eq!(vector.stored, Stored::Inline(inline.to_owned()));
    let removed: Vec<u64> = format::inline(inline, 44).unwrap().iter().collect();
    assert_eq!(removed, [3, 4, 7, 11, 18, 29]);
    let vector = DeletionVector::new("p", "s3://mytable/deletion_vector_x.bin", None, 40, 6).unwrap();
    assert!(matches!(vector.stored, Stored::Elsewhere { offset: 1, .. }));
}

#[test]
fn impossible_descriptors_are_refused() {
    let uuid = "vBn[lx{q8@P<9BNH/isA";
    for (kind, path, offset, size, rows) in [
        ("x", uuid, None, 40, 6),
        ("u", "short", None, 40, 6),
        ("u", "é2345678901234567890", None, 40, 6),
        ("u", "../vBn[lx{q8@P<9BNH/isA", None, 40, 6),
        ("u", uuid, Some(-1), 40, 6),
        ("u", uuid, None, -1, 6),
        ("u", uuid, None, i32::MAX, 6),
        ("u", uuid, None, 40, -1),
        ("i", "wi5b=", Some(1), 4, 0),
        ("p", "no url", None, 40, 6),
    ] {
        let refused = DeletionVector::new(kind, path, offset, size, rows);
        assert!(matches!(refused, Err(LoadError::Broken(_))), "{kind} {path}: {refused:?}");
    }
}

#[test]
fn any_flipped_byte_is_noticed() {
    let (bytes, size) = framed(&[1, 5, 6, 7, 4_000_000_000].into_iter().collect());
    assert_eq!(format::framed(&bytes, size).unwrap().len(), 5);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(format::framed(&damaged, size).is_err(), "bit {bit} of byte {at}");
        }
        assert!(format::framed(&bytes[..at], size).is_err(), "cut at {at}");
    }
    assert_eq!(format::framed(&bytes, size + 1), Err(FormatError::Length));
}

#[test]
fn rows_beyond_the_file_are_refused() {
    let removed: RoaringTreemap = [9].into_iter().collect();
    assert!(row_selection(&removed, 10).is_ok());
    assert_eq!(row_selection(&removed, 9), Err(FormatError::Rows));
}

#[test]
fn only_short_runs_become_bits() {
    let every = |step: usize| (0..100_000).step_by(step).collect::<RoaringTreemap>();
    let scattered = |removed: &RoaringTreemap, may| {
        matches!(LeftRows::of(removed, 100_000, may).unwrap(), LeftRows::Scattered(_))
    };
    assert!(scattered(&every(20), true));
    assert!(!scattered(&every(20), false));
    assert!(!scattered(&every(1000), true));
    assert!(!scattered(&(1_000..60_000).collect(), true));
    assert!(!scattered(&RoaringTreemap::new(), true));
    for may in [true, false] {
        let beyond = LeftRows::of(&every(20), 99_000, may);
        assert!(matches!(beyond, Err(FormatError::Rows)), "{beyond:?}");
    }
}

proptest! {
    #[test]
    fn bits_and_selections_leave_the_same_rows(
        // Rows on both sides of the ends of a bitmap's containers and halves.
        starts in proptest::collection::btree_set(0_u64..40, 0..30),
        lengths in proptest::collection::vec(1_u64..9000, 30),
        more in 0_u64..50,
    ) {
        let mut removed = RoaringTreemap::new();
        for (start, length) in starts.iter().zip(&lengths) {
            removed.insert_range(start * 8192..start * 8192 + length);
        }
        removed.extend((480_000..510_000).step_by(2));
        let rows = removed.max().map_or(0, |last| last + 1) + more;
        let selectors: Vec<RowSelector> = row_selection(&removed, rows).unwrap().into();
        let runs: Vec<bool> =
            selectors.iter().flat_map(|run| std::iter::repeat_n(!run.skip, run.row_count)).collect();
        let bits = match LeftRows::of(&removed, rows, true).unwrap() {
            LeftRows::Scattered(bits) => bits.iter().collect(),
            LeftRows::Runs(_) => Vec::new(),
        };
        let expected: Vec<bool> = (0..rows).map(|row| !removed.contains(row)).collect();
        prop_assert!(bits == expected && runs == expected);
    }

    #[test]
    fn a_selection_covers_the_file_and_leaves_out_what_is_removed(
        removed in proptest::collection::btree_set(0_u64..200, 0..200),
        more in 0_u64..50,
    ) {
        let rows = removed.last().map_or(0, |last| last + 1) + more;
        let bitmap: RoaringTreemap = removed.iter().copied().collect();
        let selectors: Vec<RowSelector> = row_selection(&bitmap, rows).unwrap().into();
        let mut row = 0;
        let mut kept = Vec::new();
        for selector in &selectors {
            let end = row + selector.row_count as u64;
            if !selector.skip {
                kept.extend(row..end);
            }
            row = end;
        }
        prop_assert_eq!(row, rows);
        prop_assert_eq!(kept, (0..rows).filter(|row| !removed.contains(row)).collect::<Vec<_>>());
        prop_assert!(selectors.windows(2).all(|pair| pair[0].skip != pair[1].skip));
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 0_u32..200) {
        let _ = format::framed(&bytes, size);
        let _ = format::inline(&String::from_utf8_lossy(&bytes), size);
        let mut body = 1_681_511_377_u32.to_le_bytes().to_vec();
        body.extend(&bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        let _ = format::inline(&z85::encode(&body), u32::try_from(body.len()).unwrap());
    }
}
