//! Sorting, of numbers only: a sort is compiled anew for each kind of thing, and is large.

/// Ascending.
#[cfg(not(all(target_family = "wasm", feature = "small")))]
pub(crate) fn sort(pairs: &mut [(u64, u64)]) {
    pairs.sort_unstable();
}

#[cfg(all(target_family = "wasm", feature = "small"))]
pub(crate) use small::sort;

#[cfg(any(all(target_family = "wasm", feature = "small"), test))]
mod small {
    use alloc::collections::BinaryHeap;

    /// Takes two to three times as long, and a tenth of the room.
    pub(crate) fn sort(pairs: &mut [(u64, u64)]) {
        let sorted = BinaryHeap::from(pairs.to_vec()).into_sorted_vec();
        pairs.copy_from_slice(&sorted);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    #[test]
    fn the_small_one_sorts_as_the_fast_one_does() {
        let pairs: Vec<(u64, u64)> = (0..1_000).map(|n| ((n * n) % 97, (n * 7) % 13)).collect();
        for length in [0, 1, 2, 3, 20, 1_000] {
            let [mut small, mut fast] = [pairs[..length].to_vec(), pairs[..length].to_vec()];
            super::small::sort(&mut small);
            super::sort(&mut fast);
            assert_eq!(small, fast);
        }
    }
}
