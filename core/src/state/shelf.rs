//! Things under small numbers that are given again.
//!
//! They lie in pieces of memory of many each, so a number leads to its thing in one look, and growing moves no more than
//! the first piece. In a module that is to be small a [`Slab`](super::slab::Slab) takes its place.

use alloc::vec::Vec;

/// Things of one piece.
const PIECE: usize = 256;

/// What a thing is in that was taken out.
pub(crate) type Taken<T> = T;

#[derive(Debug)]
pub(crate) struct Shelf<T> {
    /// All have [`PIECE`] places but the last one, and those that are empty, which have none.
    pieces: Vec<Piece<T>>,
    free: Vec<u32>,
    /// Numbers that were ever given.
    given: usize,
    /// The piece that was last emptied. It keeps its memory until another one is: things may come and go by turns.
    spare: usize,
}

#[derive(Debug)]
struct Piece<T> {
    entries: Vec<Option<T>>,
    filled: usize,
}

impl<T> Shelf<T> {
    pub(crate) fn new() -> Self {
        Self {
            pieces: Vec::new(),
            free: Vec::new(),
            given: 0,
            spare: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.given - self.free.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.given += 1;
            (self.given - 1) as u32
        });
        let (number, at) = split(place);
        if number == self.pieces.len() {
            self.pieces.push(Piece {
                entries: Vec::new(),
                filled: 0,
            });
        }
        let is_first = self.pieces.len() == 1;
        let piece = &mut self.pieces[number];
        if piece.entries.capacity() == 0 && !is_first {
            piece.entries.reserve_exact(PIECE);
        }
        if at >= piece.entries.len() {
            piece.entries.resize_with(at + 1, || None);
        }
        piece.entries[at] = Some(value);
        piece.filled += 1;
        place
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        let (number, at) = split(place);
        self.pieces.get(number)?.entries.get(at)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        let (number, at) = split(place);
        self.pieces.get_mut(number)?.entries.get_mut(at)?.as_mut()
    }

    /// Takes the value out; its number is not given again before [`release`](Self::release).
    pub(crate) fn take(&mut self, place: u32) -> Option<Taken<T>> {
        let (number, at) = split(place);
        let piece = self.pieces.get_mut(number)?;
        let value = piece.entries.get_mut(at)?.take()?;
        piece.filled -= 1;
        if piece.filled == 0 {
            let former = core::mem::replace(&mut self.spare, number);
            if former != number
                && let Some(former) = self.pieces.get_mut(former)
                && former.filled == 0
            {
                former.entries = Vec::new();
            }
        }
        Some(value)
    }

    pub(crate) fn release(&mut self, place: u32) {
        self.free.push(place);
    }

    pub(crate) fn remove(&mut self, place: u32) -> Option<Taken<T>> {
        let value = self.take(place)?;
        self.release(place);
        Some(value)
    }
}

fn split(place: u32) -> (usize, usize) {
    let place = place as usize;
    (place / PIECE, place % PIECE)
}

/// For places that the state itself keeps: one that is not there is a bug.
impl<T> core::ops::Index<u32> for Shelf<T> {
    type Output = T;
    fn index(&self, place: u32) -> &T {
        self.get(place).expect("a kept place is filled")
    }
}

impl<T> core::ops::IndexMut<u32> for Shelf<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        self.get_mut(place).expect("a kept place is filled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn it_is_a_map_that_gives_numbers_and_memory_back() {
        let (mut shelf, mut model) = (Shelf::new(), BTreeMap::new());
        let mut random = fastrand::Rng::with_seed(7);
        for step in 0..40_000_u64 {
            let draw = random.u64(..);
            let grows = step / 5_000 % 2 == 0;
            if (draw >> 62 != 0) == grows {
                let place = shelf.insert(step);
                assert_eq!(model.insert(place, step), None, "{place} was taken");
            } else {
                let from = (draw >> 33) as u32 % 3_000;
                let found = model.range(from..).next().map(|(place, _)| *place);
                if let Some(place) = found {
                    assert_eq!(shelf.remove(place), model.remove(&place));
                    assert_eq!(shelf.remove(place), None);
                }
            }
            assert_eq!(shelf.len(), model.len());
            let place = (draw >> 40) as u32 % 3_000;
            assert_eq!(shelf.get(place), model.get(&place));
        }
        assert!(shelf.pieces.len() > 5);
        for place in model.into_keys() {
            shelf.remove(place);
        }
        let kept = shelf
            .pieces
            .iter()
            .filter(|piece| piece.entries.capacity() > 0);
        assert_eq!((shelf.len(), kept.count()), (0, 1));
    }
}
