//! Reproducible randomness.
//!
//! Only integer arithmetic and exactly rounded operations are used, so that a seed gives the same lake
//! on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A seeded source of choices.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// Dice for one part of the lake: parts are independent of each other, so they can be made in
    /// any order.
    pub(super) fn new(seed: u64, part: &str, number: u64) -> Self {
        let mut state = mix(seed);
        for byte in part.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Self(ChaCha8Rng::seed_from_u64(mix(state ^ mix(number))))
    }

    /// True in `percent` of 100 cases.
    pub(super) fn percent(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100_u32) < percent
    }

    /// True in `permille` of 1,000 cases.
    pub(super) fn permille(&mut self, permille: u32) -> bool {
        self.0.random_range(0..1000_u32) < permille
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        if high <= low { low } else { self.0.random_range(low..=high) }
    }

    /// Like [`Dice::between`], for the day and minute counts that are `i32` everywhere.
    pub(super) fn between_i32(&mut self, low: i32, high: i32) -> i32 {
        if high <= low { low } else { self.0.random_range(low..=high) }
    }

    /// One of the items, all equally likely.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.0.random_range(0..items.len())]
    }

    /// The position of one of the weights, likely in proportion to it.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut point = self.0.random_range(0..total.max(1));
        for (position, weight) in weights.iter().enumerate() {
            if point < *weight {
                return position;
            }
            point -= weight;
        }
        weights.len() - 1
    }

    /// A bell curve from the sum of four dice: the given mean and about the given deviation, never
    /// further than about three and a half deviations away.
    pub(super) fn around(&mut self, mean: i64, deviation: i64) -> i64 {
        // The sum of four numbers from 0 to 999 has a deviation of about 577.
        let sum: i64 = (0..4).map(|_| self.0.random_range(0..1000_i64)).sum();
        mean + (sum - 1998) * deviation / 577
    }

    /// A small count: each further one comes with the given chance.
    pub(super) fn count(&mut self, percent: u32, most: u32) -> u32 {
        let mut count = 0;
        while count < most && self.percent(percent) {
            count += 1;
        }
        count
    }
}

/// A bijection of 64-bit numbers that looks random (the finaliser of SplitMix64).
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// An opaque identifier such as `NGT-E-0G3K7Q2ZV9R1T`.
///
/// Record numbers must not contain the patient's number: who sees only tokens of patient ids would
/// read them off the encounters otherwise. `mix` is a bijection, so ids of one kind never collide as
/// long as `number` differs.
pub(super) fn opaque_id(prefix: &str, kind: char, seed: u64, number: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut bits = mix(number ^ mix(seed ^ kind as u64));
    let mut digits = [b'0'; 13];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(bits & 31) as usize];
        bits >>= 5;
    }
    let mut id = String::with_capacity(prefix.len() + 16);
    id.push_str(prefix);
    id.push('-');
    id.push(kind);
    id.push('-');
    id.extend(digits.iter().map(|digit| *digit as char));
    id
}
