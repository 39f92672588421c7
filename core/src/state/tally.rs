//! How many there are of each kind, where a hash tells the kind.

use super::Shelf;
use super::index::Index;

#[derive(Debug)]
pub(super) struct Tally {
    index: Index,
    kinds: Shelf<Kind>,
    /// The kind that was counted last: most that come are of the same.
    last: u32,
}

#[derive(Debug)]
struct Kind {
    hash: u64,
    /// Never 0.
    count: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            index: Index::new(),
            kinds: Shelf::new(),
            last: 0,
        }
    }

    pub(super) fn get(&self, hash: u64) -> u64 {
        let place = self.place(hash);
        place.map_or(0, |place| self.kinds[place].count)
    }

    /// Counts one more, and gives how many that makes.
    pub(super) fn add(&mut self, hash: u64) -> u64 {
        if let Some(place) = self.place(hash) {
            self.last = place;
            let kind = &mut self.kinds[place];
            kind.count += 1;
            return kind.count;
        }
        let place = self.kinds.insert(Kind { hash, count: 1 });
        self.last = place;
        let kinds = &self.kinds;
        self.index.insert(hash, place, |place| kinds[place].hash);
        1
    }

    /// This kind is about to be counted.
    pub(super) fn touch(&self, hash: u64) {
        self.index.touch(core::iter::once(hash));
    }

    /// Counts one less, if there is any.
    pub(super) fn subtract(&mut self, hash: u64) {
        let Some(place) = self.place(hash) else {
            return;
        };
        self.last = place;
        let kind = &mut self.kinds[place];
        kind.count -= 1;
        if kind.count == 0 {
            let kinds = &self.kinds;
            self.index.remove(hash, place, |place| kinds[place].hash);
            self.kinds.remove(place);
        }
    }

    fn place(&self, hash: u64) -> Option<u32> {
        let last = self.kinds.get(self.last);
        if last.is_some_and(|kind| kind.hash == hash) {
            return Some(self.last);
        }
        let is_it = |place| self.kinds[place].hash == hash;
        self.index.find(hash, is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_count_of_its_own() {
        let mut tally = Tally::new();
        assert_eq!((tally.add(7), tally.add(7), tally.add(8)), (1, 2, 1));
        tally.subtract(7);
        tally.subtract(9);
        assert_eq!((tally.get(7), tally.get(8), tally.get(9)), (1, 1, 0));
        tally.subtract(7);
        assert_eq!((tally.get(7), tally.add(7)), (0, 1));
    }
}
