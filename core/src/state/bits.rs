//! A set of slot numbers of one block.

use alloc::vec::Vec;

#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.words
            .get(slot / 64)
            .is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    pub(crate) fn insert(&mut self, slot: usize) {
        let index = slot / 64;
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        self.words[index] |= 1 << (slot % 64);
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        if let Some(word) = self.words.get_mut(slot / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    /// The smallest member that is at least `from`.
    pub(crate) fn first_from(&self, from: usize) -> Option<usize> {
        let mut mask = u64::MAX << (from % 64);
        for (index, word) in self.words.iter().enumerate().skip(from / 64) {
            let word = word & mask;
            if word != 0 {
                return Some(index * 64 + word.trailing_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }

    /// The largest member that is smaller than `below`.
    pub(crate) fn last_below(&self, below: usize) -> Option<usize> {
        let top = below.min(self.words.len() * 64);
        let mut mask = if top.is_multiple_of(64) {
            u64::MAX
        } else {
            (1 << (top % 64)) - 1
        };
        for index in (0..top.div_ceil(64)).rev() {
            let word = self.words[index] & mask;
            if word != 0 {
                return Some(index * 64 + 63 - word.leading_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.words.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn agrees_with_an_ordered_set() {
        let mut bits = Bits::default();
        let mut model = BTreeSet::new();
        let mut x = 1u32;
        for _ in 0..5000 {
            x = x.wrapping_mul(1664525).wrapping_add(1013904223);
            let slot = (x >> 16) as usize % 300;
            if x >> 8 & 1 == 0 {
                bits.insert(slot);
                model.insert(slot);
            } else {
                bits.remove(slot);
                model.remove(&slot);
            }
            let at = (x >> 4) as usize % 400;
            assert_eq!(bits.contains(at), model.contains(&at));
            assert_eq!(bits.first_from(at), model.range(at..).next().copied());
            assert_eq!(bits.last_below(at), model.range(..at).next_back().copied());
        }
    }
}
