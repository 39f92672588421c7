//! Maps by numbers.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A map by a number. The hash of the standard library, which is made for texts, takes as long
/// as all else that is done to find one.
pub(crate) type NumberMap<K, V> = HashMap<K, V, Seed>;

/// Another one for each map: some numbers are chosen by clients, who must not know which of
/// them share a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seed {
    type Hasher = NumberHasher;

    fn build_hasher(&self) -> NumberHasher {
        NumberHasher(self.0)
    }
}

#[derive(Debug)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    /// The halves of a product hold something of all bits of the number.
    fn write_u64(&mut self, number: u64) {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let (low, high) = (self.0 ^ number).carrying_mul(ODD, 0);
        self.0 = low ^ high;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_pattern_have_hashes_of_their_own() {
        let seed = Seed::default();
        for step in [1, 2, 1 << 10, 1 << 32, 1 << 50] {
            let mut low: Vec<u64> = (0..1 << 12)
                .map(|number: u64| seed.hash_one(number * step) & 0xffff)
                .collect();
            low.sort_unstable();
            low.dedup();
            // By chance a hundred of them share one.
            assert!(low.len() > 3500, "{} for {step}", low.len());
        }
    }
}
