//! What ids lead to: messages that are there, and markers of those that are gone.
//!
//! Both are in one index, under the same hash of the queue's names and the id. So a message
//! that goes becomes its marker in place: nothing is taken out, nothing is put in, and what
//! has just been found is in the cache.

use alloc::vec::Vec;

use super::block::Block;
use super::index::{Index, Keys};
use super::markers::Markers;
use super::{Place, Shelf, split_place};

/// Marks an entry that leads to a marker; the other bits are those of its number.
const GONE: u32 = 1 << 31;
/// Numbers of markers are told apart by so many bits.
pub(super) const NUMBER_BITS: u32 = 31;

#[derive(Debug)]
pub(super) struct Ids {
    index: Index,
}

/// Where the keys of the entries are.
pub(super) struct Named<'a> {
    pub(super) blocks: &'a Shelf<Block>,
    pub(super) markers: &'a Markers,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self {
            index: Index::new(),
        }
    }

    /// So many messages are about to come, in an index that is empty.
    pub(super) fn reserve(&mut self, messages: usize) {
        self.index.reserve(messages);
    }

    pub(super) fn find(&self, hash: u64, mut is_match: impl FnMut(Place) -> bool) -> Option<Place> {
        self.index
            .find(hash, |entry| entry & GONE == 0 && is_match(entry))
    }

    /// Has what these lead to fetched into the cache, if that is likely to take long: first the index, then
    /// the messages that may be meant.
    pub(super) fn expect(&self, hashes: impl Iterator<Item = u64>, blocks: &Shelf<Block>) {
        if self.index.is_near() {
            return;
        }
        let hashes: Vec<u64> = hashes.collect();
        self.index.touch(hashes.iter().copied());
        let mut seen = 0;
        for hash in hashes {
            self.find(hash, |place| {
                let (block, slot) = split_place(place);
                seen ^= blocks[block].first_byte(slot);
                false
            });
        }
        core::hint::black_box(seen);
    }

    /// See [`Index::touch`].
    pub(super) fn touch(&self, hashes: impl Iterator<Item = u64>) {
        self.index.touch(hashes);
    }

    /// The lower bits of the number of the marker that matches.
    pub(super) fn find_marker(
        &self,
        hash: u64,
        mut is_match: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        self.index
            .find(hash, |entry| entry & GONE != 0 && is_match(entry & !GONE))
            .map(|entry| entry & !GONE)
    }

    pub(super) fn insert(&mut self, hash: u64, place: Place, named: Named<'_>) {
        self.index.insert(hash, place, named);
    }

    pub(super) fn insert_marker(&mut self, hash: u64, number: u64, named: Named<'_>) {
        self.index.insert(hash, marker_entry(number), named);
    }

    pub(super) fn remove(&mut self, hash: u64, place: Place, named: Named<'_>) {
        self.index.remove(hash, place, named);
    }

    pub(super) fn remove_marker(&mut self, hash: u64, number: u64, named: Named<'_>) {
        self.index.remove(hash, marker_entry(number), named);
    }

    /// A message has moved.
    pub(super) fn relocate(&mut self, hash: u64, from: Place, to: Place) {
        self.index.relocate(hash, from, to);
    }

    /// A message has gone, and has left this marker.
    pub(super) fn bury(&mut self, hash: u64, place: Place, number: u64) {
        self.index.relocate(hash, place, marker_entry(number));
    }
}

fn marker_entry(number: u64) -> u32 {
    GONE | number as u32
}

impl Keys for Named<'_> {
    fn hash(&self, entry: u32) -> u64 {
        if entry & GONE != 0 {
            return self.markers.key_of(entry & !GONE);
        }
        let (block, slot) = split_place(entry);
        self.blocks[block].key(slot)
    }

    fn touch(&self, entry: u32) -> u8 {
        if entry & GONE != 0 {
            return self.markers.key_of(entry & !GONE) as u8;
        }
        let (block, slot) = split_place(entry);
        self.blocks[block].first_byte(slot)
    }
}
