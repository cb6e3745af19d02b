//! Damaged messages are errors: never a panic, never other rows.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::support::{Elsewhere, encode, plan, scan};
use crate::tests::deletion;
use crate::tests::support::{open, options};

/// Mark and version.
const HEAD: usize = 10;
const DIGEST: usize = 32;

/// The message of a scan with both kinds of deletion vectors, and who decodes it.
async fn message() -> (tempfile::TempDir, Vec<u8>, Elsewhere) {
    let lake = tempfile::tempdir().unwrap();
    let mut t = deletion::with_vectors(lake.path());
    let vector = deletion::stored(&t, &[deletion::set([5])]).remove(0);
    let actions = [
        deletion::with_vector(deletion::add(&t, "a.parquet", 0..100), &vector),
        deletion::with_vector(
            deletion::add(&t, "b.parquet", 100..200),
            &deletion::inline(&deletion::set([7])),
        ),
    ];
    t.commit(&actions);
    let catalog = open(lake.path()).await;
    let scan = scan(&plan(&catalog, "SELECT id, text FROM lake.t WHERE id > 3 AND text <> 'x'").await);
    let message = encode(&catalog, &scan).unwrap();
    let there = Elsewhere::open(options(lake.path())).await;
    there.scan(&message).unwrap();
    (lake, message, there)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_truncation_is_an_error() {
    let (_lake, message, there) = message().await;
    for length in 0..message.len() {
        assert!(there.scan(&message[..length]).is_err(), "{length} of {} bytes", message.len());
    }
    let mut longer = message;
    longer.push(0);
    assert!(there.scan(&longer).is_err());
    assert!(there.scan(&[longer.as_slice(), &longer].concat()).is_err());
}

#[test]
fn flipped_bytes_are_errors_and_forged_ones_no_panic() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_lake, message, there) = runtime.block_on(message());
    let length = message.len();
    proptest!(|(flips in proptest::collection::btree_map(0..length, 1_u8.., 1..4))| {
        let mut damaged = message.clone();
        for (&at, &flip) in &flips {
            damaged[at] ^= flip;
        }
        prop_assert!(there.scan(&damaged).is_err(), "{:?}", flips);
    });
    // With a checksum that is right again, a message may be another scan, and nothing worse.
    proptest!(|(flips in proptest::collection::btree_map(HEAD..length - DIGEST, 1_u8.., 1..4), cut in 0_usize..40)| {
        let mut forged = message[..length - DIGEST].to_vec();
        for (&at, &flip) in &flips {
            forged[at] ^= flip;
        }
        forged.truncate(forged.len() - cut);
        let digest = Sha256::digest(&forged);
        forged.extend(digest);
        if let Ok(plan) = there.scan(&forged) {
            let _ = super::support::explain(&plan);
        }
    });
}
