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

/// Places of messages have so many bits.
pub(super) const PLACE_BITS: u32 = 31;
/// Marks an entry that leads to a marker; it has bits of the hash, and the lowest ones of the marker's number.
const GONE: u32 = 1 << PLACE_BITS;
/// Numbers of markers are told apart by so many bits.
pub(super) const NUMBER_BITS: u32 = 27;
const NUMBER: u32 = (1 << NUMBER_BITS) - 1;
/// So far up go the bits 12 to 15 of the hash, which the index does not use otherwise. Markers lie far apart in memory:
/// with these hardly one is looked at that is another's.
const HASH_SHIFT: u32 = 15;

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
    /// the messages that may be meant. These it gives; nothing if all is near.
    pub(super) fn expect(
        &self,
        hashes: impl Iterator<Item = u64>,
        blocks: &Shelf<Block>,
    ) -> Vec<Option<Place>> {
        if self.index.is_near() {
            return Vec::new();
        }
        let hashes: Vec<u64> = hashes.collect();
        if hashes.len() < 2 {
            return Vec::new();
        }
        self.index.touch(hashes.iter().copied());
        let mut seen = 0;
        let likely = hashes.into_iter().map(|hash| {
            let likely = self.find(hash, |_| true);
            if let Some((block, slot)) = likely.map(split_place) {
                seen ^= blocks[block].first_byte(slot);
            }
            likely
        });
        let likely = likely.collect();
        core::hint::black_box(seen);
        likely
    }

    /// See [`Index::is_near`].
    pub(super) fn is_near(&self) -> bool {
        self.index.is_near()
    }

    /// See [`Index::touch`].
    pub(super) fn touch(&self, hashes: impl Iterator<Item = u64>) {
        self.index.touch(hashes);
    }

    /// The lower bits of the number of the marker with this key.
    pub(super) fn find_marker(&self, hash: u64, markers: &Markers) -> Option<u32> {
        let is_it = |entry: u32| {
            entry & !NUMBER == marker_entry(hash, 0) && markers.key_of(entry & NUMBER) == hash
        };
        self.index.find(hash, is_it).map(|entry| entry & NUMBER)
    }

    /// Adds a message; the marker that its id has left before is not found any more.
    pub(super) fn insert(&mut self, hash: u64, place: Place, named: Named<'_>) {
        match self.find_marker(hash, named.markers) {
            Some(bits) => self
                .index
                .relocate(hash, marker_entry(hash, bits.into()), place),
            None => self.index.insert(hash, place, named),
        }
    }

    pub(super) fn insert_marker(&mut self, hash: u64, number: u64, named: Named<'_>) {
        self.index.insert(hash, marker_entry(hash, number), named);
    }

    pub(super) fn remove(&mut self, hash: u64, place: Place, named: Named<'_>) {
        self.index.remove(hash, place, named);
    }

    pub(super) fn remove_marker(&mut self, hash: u64, number: u64, named: Named<'_>) {
        self.index.remove(hash, marker_entry(hash, number), named);
    }

    /// A message has moved.
    pub(super) fn relocate(&mut self, hash: u64, from: Place, to: Place) {
        self.index.relocate(hash, from, to);
    }

    /// A message has gone, and has left this marker.
    pub(super) fn bury(&mut self, hash: u64, place: Place, number: u64) {
        self.index.relocate(hash, place, marker_entry(hash, number));
    }
}

fn marker_entry(hash: u64, number: u64) -> u32 {
    GONE | (hash << HASH_SHIFT) as u32 & !NUMBER | number as u32 & NUMBER
}

impl Keys for Named<'_> {
    fn hash(&self, entry: u32) -> u64 {
        if entry & GONE != 0 {
            return self.markers.key_of(entry & NUMBER);
        }
        let (block, slot) = split_place(entry);
        self.blocks[block].key(slot)
    }

    fn touch(&self, entry: u32) -> u8 {
        if entry & GONE != 0 {
            return self.markers.key_of(entry & NUMBER) as u8;
        }
        let (block, slot) = split_place(entry);
        self.blocks[block].first_byte(slot)
    }
}
