//! Random choices, read off a list of numbers.

use std::cell::Cell;

/// Numbers that choices are made of; past their end everything is the first choice.
#[derive(Debug, Clone)]
pub struct Tape<'a> {
    numbers: &'a [u32],
    /// Position; choices are made in the middle of expressions, so the tape is shared.
    next: Cell<usize>,
}

impl<'a> Tape<'a> {
    /// From the first number on.
    #[must_use]
    pub fn new(numbers: &'a [u32]) -> Self {
        Self { numbers, next: Cell::new(0) }
    }

    fn number(&self) -> u32 {
        let next = self.next.replace(self.next.get() + 1);
        self.numbers.get(next).copied().unwrap_or(0)
    }

    /// A number below `limit`; 0 where the limit is 0.
    pub fn below(&self, limit: usize) -> usize {
        (self.number() as usize).checked_rem(limit).unwrap_or(0)
    }

    /// One of `choices`, the simplest of which comes first.
    pub fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// True in so many of a hundred cases.
    pub fn chance(&self, percent: u32) -> bool {
        self.number() % 100 >= 100 - percent.min(100)
    }
}

/// Values of rows: what a seed gives, always the same (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from `low` to just below `high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low).unwrap_or(1).max(1);
        low + i64::try_from(self.number() % span).unwrap_or(0)
    }

    /// One of `choices`.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.between(0, choices.len() as i64)).unwrap_or(0)]
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: i64) -> bool {
        self.between(0, 100) < percent
    }
}
