//! A queue that grows and shrinks by pieces: none of its steps moves what is in it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Entries of one piece.
const PIECE: usize = 4096;

#[derive(Debug)]
pub(super) struct Ring<T> {
    /// All full but the last, counted from the first entry that was ever in them.
    pieces: VecDeque<Vec<T>>,
    /// Entries of the first piece that are gone.
    gone: usize,
    len: usize,
}

impl<T: Copy> Ring<T> {
    pub(super) fn new() -> Self {
        Self {
            pieces: VecDeque::new(),
            gone: 0,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push_back(&mut self, entry: T) {
        let is_full = self.pieces.back().is_none_or(|last| last.len() == PIECE);
        if is_full {
            // One alone grows as it needs to: most nodes have few.
            let room = if self.pieces.is_empty() { 0 } else { PIECE };
            self.pieces.push_back(Vec::with_capacity(room));
        }
        if let Some(last) = self.pieces.back_mut() {
            last.push(entry);
            self.len += 1;
        }
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.get(0)
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let entry = *self.front()?;
        self.len -= 1;
        self.gone += 1;
        let is_spent = self
            .pieces
            .front()
            .is_some_and(|first| first.len() == self.gone);
        if self.gone == PIECE || is_spent && self.len == 0 {
            self.pieces.pop_front();
            self.gone = 0;
        }
        Some(entry)
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let at = index.checked_add(self.gone)?;
        self.pieces.get(at / PIECE)?.get(at % PIECE)
    }

    /// The entries from this index on.
    pub(super) fn iter_from(&self, index: usize) -> impl Iterator<Item = &T> {
        let at = index.saturating_add(self.gone);
        let within = at % PIECE;
        let pieces = self.pieces.iter().skip(at / PIECE).enumerate();
        pieces.flat_map(move |(number, piece)| {
            let from = if number == 0 { within } else { 0 };
            piece.get(from..).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_queue() {
        let mut ring = Ring::new();
        let mut plain: VecDeque<u32> = VecDeque::new();
        let mut random = 12_345u32;
        for number in 0..200_000u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // It grows for a while, then shrinks until it is empty, and so on.
            let grows = number / 30_000 % 2 == 0;
            if (random >> 24 < 200) == grows {
                ring.push_back(number);
                plain.push_back(number);
            } else {
                assert_eq!(ring.pop_front(), plain.pop_front());
            }
            assert_eq!((ring.len(), ring.front()), (plain.len(), plain.front()));
            let index = random as usize % (plain.len() + 2);
            assert_eq!(ring.get(index), plain.get(index));
            if number % 1_000 == 0 {
                assert!(ring.iter_from(index).eq(plain.iter().skip(index)));
            }
        }
        assert!(ring.iter_from(usize::MAX).next().is_none());
    }
}
