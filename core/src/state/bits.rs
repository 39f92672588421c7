//! A set of slot numbers of one block.

use alloc::vec::Vec;

/// The first word lies here, so that a block of few messages has no memory of its own for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    first: u64,
    more: Vec<u64>,
}

impl Bits {
    fn len(&self) -> usize {
        1 + self.more.len()
    }

    #[cfg_attr(all(target_family = "wasm", feature = "small"), inline(never))]
    fn word(&self, index: usize) -> Option<u64> {
        match index.checked_sub(1) {
            None => Some(self.first),
            Some(index) => self.more.get(index).copied(),
        }
    }

    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.word(slot / 64)
            .is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    pub(crate) fn insert(&mut self, slot: usize) {
        let bit = 1 << (slot % 64);
        match (slot / 64).checked_sub(1) {
            None => self.first |= bit,
            Some(index) => {
                if index >= self.more.len() {
                    self.more.resize(index + 1, 0);
                }
                self.more[index] |= bit;
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        let word = match (slot / 64).checked_sub(1) {
            None => Some(&mut self.first),
            Some(index) => self.more.get_mut(index),
        };
        if let Some(word) = word {
            *word &= !(1 << (slot % 64));
        }
    }

    /// The smallest member that is at least `from`.
    pub(crate) fn first_from(&self, from: usize) -> Option<usize> {
        let mut mask = u64::MAX << (from % 64);
        let mut index = from / 64;
        while let Some(word) = self.word(index) {
            let word = word & mask;
            if word != 0 {
                return Some(index * 64 + word.trailing_zeros() as usize);
            }
            mask = u64::MAX;
            index += 1;
        }
        None
    }

    /// The largest member that is smaller than `below`.
    pub(crate) fn last_below(&self, below: usize) -> Option<usize> {
        let top = below.min(self.len() * 64);
        let mut mask = if top.is_multiple_of(64) {
            u64::MAX
        } else {
            (1 << (top % 64)) - 1
        };
        for index in (0..top.div_ceil(64)).rev() {
            let word = self.word(index)? & mask;
            if word != 0 {
                return Some(index * 64 + 63 - word.leading_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.more.shrink_to_fit();
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
