//! Sorting, of numbers only: a sort is compiled anew for each kind of thing, and is large.

/// Ascending.
pub(crate) fn sort(pairs: &mut [(u64, u64)]) {
    pairs.sort_unstable();
}
