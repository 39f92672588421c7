//! The places of messages that are gone, so that a reader who comes back with the id of
//! one goes on behind it.
//!
//! Keyed by names and not by queue numbers, because a queue goes with its last message and
//! its readers may still come back.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use hashbrown::HashMap;

use super::index::Index;
use super::ring::Ring;
use super::saved::Saved;
use crate::config::MIN_MARKERS_PER_QUEUE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// The hash of the queue's names.
    pub(crate) queue: u64,
    /// The hash of the queue's names and the id.
    pub(crate) key: u64,
    pub(crate) position: u64,
    /// Until when it is kept whatever else.
    pub(crate) keep_until: u64,
}

#[derive(Debug)]
pub(crate) struct Markers {
    /// In the order of removal.
    recent: Ring<Marker>,
    /// The number of the first recent one; each marker keeps its number.
    first: u64,
    /// Those whose time is over, but which are among the last of their queue, by number.
    quiet: BTreeMap<u64, Marker>,
    quiet_by_queue: BTreeSet<(u64, u64)>,
    /// The lower halves of numbers, by key.
    index: Index,
    per_queue: HashMap<u64, u64, BuildHash>,
    maximum: u64,
    saved: Saved,
}

/// The keys are hashes already.
#[derive(Clone, Debug, Default)]
struct BuildHash;

#[derive(Debug, Default)]
struct PassThrough(u64);

impl core::hash::BuildHasher for BuildHash {
    type Hasher = PassThrough;
    fn build_hasher(&self) -> PassThrough {
        PassThrough(0)
    }
}

impl core::hash::Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

impl Markers {
    pub(crate) fn new(maximum: u64) -> Self {
        Self {
            recent: Ring::new(),
            first: 0,
            quiet: BTreeMap::new(),
            quiet_by_queue: BTreeSet::new(),
            index: Index::new(),
            per_queue: HashMap::with_hasher(BuildHash),
            // The lower halves of numbers must tell them apart.
            maximum: maximum.min(u64::from(u32::MAX / 2)),
            saved: Saved::default(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        (self.recent.len() + self.quiet.len()) as u64
    }

    /// The position of the message that was last removed under this key.
    pub(crate) fn find(&self, key: u64) -> Option<u64> {
        let place = self.place(key)?;
        self.entry(place).map(|marker| marker.position)
    }

    fn place(&self, key: u64) -> Option<u32> {
        self.index.find(key, |place| {
            self.entry(place).is_some_and(|marker| marker.key == key)
        })
    }

    fn entry(&self, place: u32) -> Option<&Marker> {
        entry(&self.recent, self.first, &self.quiet, place)
    }

    /// Remembers a message that has just been removed, and forgets what may be forgotten.
    pub(crate) fn insert(&mut self, marker: Marker, now: u64) {
        if self.maximum == 0 {
            return;
        }
        self.forget(now);
        if let Some(place) = self.place(marker.key) {
            // The id was used again: its earlier place is kept, but is not found.
            self.unindex(marker.key, place);
        }
        let number = self.first + self.recent.len() as u64;
        self.recent.push_back(marker);
        let (recent, first, quiet) = (&self.recent, self.first, &self.quiet);
        let key_of = |place| entry(recent, first, quiet, place).map_or(0, |marker| marker.key);
        self.index.insert(marker.key, number as u32, key_of);
        let count = self.per_queue.entry(marker.queue).or_insert(0);
        *count += 1;
        if *count > MIN_MARKERS_PER_QUEUE {
            self.forget_last_of(marker.queue);
        }
    }

    /// Takes at most two from the front, so that the ring shrinks faster than it grows.
    fn forget(&mut self, now: u64) {
        for _ in 0..2 {
            let Some(&oldest) = self
                .recent
                .front()
                .filter(|oldest| oldest.keep_until <= now)
            else {
                break;
            };
            let number = self.first;
            if self
                .per_queue
                .get(&oldest.queue)
                .is_some_and(|&count| count > MIN_MARKERS_PER_QUEUE)
            {
                self.drop_oldest();
            } else {
                self.quiet.insert(number, oldest);
                self.quiet_by_queue.insert((oldest.queue, number));
                self.recent.pop_front();
                self.first += 1;
            }
        }
        while self.len() >= self.maximum {
            match self.quiet.first_key_value() {
                Some((&number, _)) => self.drop_quiet(number),
                None => self.drop_oldest(),
            }
        }
    }

    /// A queue has more than its last ones: the first of those whose time is over goes.
    fn forget_last_of(&mut self, queue: u64) {
        if let Some(&(_, number)) = self
            .quiet_by_queue
            .range((queue, 0)..=(queue, u64::MAX))
            .next()
        {
            self.drop_quiet(number);
        }
    }

    fn drop_quiet(&mut self, number: u64) {
        let Some(&marker) = self.quiet.get(&number) else {
            return;
        };
        self.unindex(marker.key, number as u32);
        self.quiet.remove(&number);
        self.quiet_by_queue.remove(&(marker.queue, number));
        self.count_down(marker.queue, number);
    }

    fn drop_oldest(&mut self) {
        let Some(&oldest) = self.recent.front() else {
            return;
        };
        let number = self.first;
        self.unindex(oldest.key, number as u32);
        self.recent.pop_front();
        self.first += 1;
        self.count_down(oldest.queue, number);
    }

    fn unindex(&mut self, key: u64, place: u32) {
        let (recent, first, quiet) = (&self.recent, self.first, &self.quiet);
        let key_of = |place| entry(recent, first, quiet, place).map_or(0, |marker| marker.key);
        self.index.remove(key, place, key_of);
    }

    fn count_down(&mut self, queue: u64, number: u64) {
        self.saved.count_down(number);
        if let Some(count) = self.per_queue.get_mut(&queue) {
            *count -= 1;
            if *count == 0 {
                self.per_queue.remove(&queue);
            }
        }
    }

    /// The markers with this number or a later one, in order, each with its number.
    pub(crate) fn iter_from(&self, number: u64) -> impl Iterator<Item = (u64, &Marker)> {
        let quiet = self
            .quiet
            .range(number..)
            .map(|(&number, marker)| (number, marker));
        let skip = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        quiet.chain((self.first.max(number)..).zip(self.recent.iter_from(skip)))
    }

    /// Markers with smaller numbers are in blobs that stay for them.
    pub(crate) fn saved_up_to(&self) -> u64 {
        self.saved.up_to
    }

    /// The `count` markers that were not saved yet and have numbers before `up_to` are in
    /// this blob of the checkpoint that begins with the blob `checkpoint`.
    pub(crate) fn set_saved(&mut self, checkpoint: u64, blob: u64, up_to: u64, count: u64) {
        self.saved.add(checkpoint, blob, up_to, count);
    }

    /// Leaves out blobs that stay for their markers.
    pub(crate) fn without_kept(
        &self,
        needless: Vec<RangeInclusive<u64>>,
    ) -> Vec<RangeInclusive<u64>> {
        self.saved.subtract_blobs(needless)
    }

    /// Gives up blobs that hold hardly any marker that is still there. Those few are to be
    /// saved again.
    pub(crate) fn release_blobs(&mut self, now: u64) -> Vec<u64> {
        let mut needless = Vec::new();
        while let Some(mut unit) = self.saved.take_spent(self.first) {
            needless.append(&mut unit.blobs);
            let left: Vec<u64> = self
                .quiet
                .range(unit.numbers)
                .map(|(&number, _)| number)
                .collect();
            let copied = !left.is_empty();
            for number in left {
                self.renew(number, now);
            }
            if copied {
                break;
            }
        }
        needless
    }

    /// Moves a marker to the end of the ring, unless its id was used again since.
    fn renew(&mut self, number: u64, now: u64) {
        let Some(&marker) = self.quiet.get(&number) else {
            return;
        };
        let is_current = self.place(marker.key) == Some(number as u32);
        self.drop_quiet(number);
        if is_current {
            self.insert(marker, now);
        }
    }

    /// Adds what a restore reads from such a blob, unless it is known already from the
    /// changes that the restore has made again.
    pub(crate) fn insert_saved(&mut self, marker: Marker, now: u64) {
        if self.find(marker.key) != Some(marker.position) {
            self.insert(marker, now);
        }
    }

    /// All markers so far are in this blob, or in earlier ones.
    pub(crate) fn end_saved(&mut self, checkpoint: u64, blob: u64) {
        let count = self.iter_from(self.saved.up_to).count() as u64;
        let next = self.first + self.recent.len() as u64;
        self.saved.add(checkpoint, blob, next, count);
    }
}

fn entry<'a>(
    recent: &'a Ring<Marker>,
    first: u64,
    quiet: &'a BTreeMap<u64, Marker>,
    place: u32,
) -> Option<&'a Marker> {
    let behind = place.wrapping_sub(first as u32);
    match recent.get(behind as usize) {
        Some(marker) => Some(marker),
        None => quiet.get(&(first.wrapping_sub(u64::from(behind.wrapping_neg())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(queue: u64, id: u64, position: u64, keep_until: u64) -> Marker {
        Marker {
            queue,
            key: queue << 32 | id,
            position,
            keep_until,
        }
    }

    #[test]
    fn the_last_of_each_queue_outlive_their_time_and_the_rest_do_not() {
        let mut markers = Markers::new(1_000_000);
        markers.insert(marker(1, 7, 70, 10), 0);
        for id in 0..30_000 {
            markers.insert(marker(2, id, id, 10), 0);
        }
        for id in 30_000..60_000 {
            markers.insert(marker(2, id, id, 10), 20);
        }
        assert_eq!(
            markers.find(1 << 32 | 7),
            Some(70),
            "the quiet queue's only one"
        );
        assert_eq!(markers.find(2 << 32 | 59_999), Some(59_999));
        assert_eq!(markers.find(2 << 32 | 50_001), Some(50_001));
        assert_eq!(
            markers.find(2 << 32),
            None,
            "old, and not among the last 10,000"
        );
        assert!(markers.len() < 12_000);
    }

    #[test]
    fn at_the_limit_those_go_first_whose_time_is_over() {
        let mut markers = Markers::new(4);
        markers.insert(marker(1, 1, 1, 10), 0);
        for id in 2..=5 {
            markers.insert(marker(2, id, id, 1_000), 20);
        }
        assert_eq!(markers.find(1 << 32 | 1), None);
        assert_eq!(markers.find(2 << 32 | 2), Some(2));
    }

    #[test]
    fn the_limit_holds_and_the_latest_place_of_an_id_counts() {
        let mut markers = Markers::new(100);
        for round in 0..5 {
            for id in 0..60 {
                markers.insert(marker(1, id, round * 100 + id, 1_000), 0);
                assert!(markers.len() <= 100);
                assert_eq!(markers.find(1 << 32 | id), Some(round * 100 + id));
            }
        }
        assert_eq!(markers.find(1 << 32 | 3), Some(403));
    }
}
