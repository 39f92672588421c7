//! The places of messages that are gone, so that a reader who comes back with the id of
//! one goes on behind it.
//!
//! Keyed by names and not by queue numbers, because a queue goes with its last message and
//! its readers may still come back.

use alloc::collections::VecDeque;
use hashbrown::HashMap;

use super::index::Index;
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
    ring: VecDeque<Marker>,
    /// The number of the ring's first entry; the index holds the lower half of numbers.
    first: u64,
    index: Index,
    per_queue: HashMap<u64, u64, BuildHash>,
    maximum: u64,
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
            ring: VecDeque::new(),
            first: 0,
            index: Index::new(),
            per_queue: HashMap::with_hasher(BuildHash),
            maximum: maximum.min(u64::from(u32::MAX / 2)),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.ring.len() as u64
    }

    /// The position of the message that was last removed under this key.
    pub(crate) fn find(&self, key: u64) -> Option<u64> {
        let (ring, first) = (&self.ring, self.first as u32);
        let place = self.index.find(key, |place| {
            entry(ring, first, place).is_some_and(|marker| marker.key == key)
        })?;
        entry(ring, first, place).map(|marker| marker.position)
    }

    /// Remembers a message that has just been removed, and forgets what may be forgotten.
    pub(crate) fn insert(&mut self, marker: Marker, now: u64) {
        if self.maximum == 0 {
            return;
        }
        self.forget(now);
        let (ring, first) = (&mut self.ring, self.first as u32);
        let found = self.index.find(marker.key, |place| {
            entry(ring, first, place).is_some_and(|old| old.key == marker.key)
        });
        if let Some(place) = found {
            // The id was used again: its earlier place stays in the ring, but is not found.
            let hash_of = |place| entry(ring, first, place).map_or(0, |marker| marker.key);
            self.index.remove(marker.key, place, hash_of);
        }
        let place = first.wrapping_add(self.ring.len() as u32);
        self.ring.push_back(marker);
        let ring = &self.ring;
        self.index.insert(marker.key, place, |place| {
            entry(ring, first, place).map_or(0, |marker| marker.key)
        });
        *self.per_queue.entry(marker.queue).or_insert(0) += 1;
    }

    /// Looks at the oldest two, so that the ring shrinks faster than it grows.
    fn forget(&mut self, now: u64) {
        for _ in 0..2 {
            let Some(&oldest) = self.ring.front() else {
                return;
            };
            let full = self.ring.len() as u64 >= self.maximum;
            if !full && oldest.keep_until > now {
                return;
            }
            let spare = self
                .per_queue
                .get(&oldest.queue)
                .is_some_and(|&count| count > MIN_MARKERS_PER_QUEUE);
            self.pop_front();
            if !full && !spare {
                self.push_again(oldest);
            }
        }
    }

    fn pop_front(&mut self) {
        let first = self.first as u32;
        let Some(&oldest) = self.ring.front() else {
            return;
        };
        let ring = &self.ring;
        self.index.remove(oldest.key, first, |place| {
            entry(ring, first, place).map_or(0, |marker| marker.key)
        });
        self.ring.pop_front();
        self.first += 1;
        if let Some(count) = self.per_queue.get_mut(&oldest.queue) {
            *count -= 1;
            if *count == 0 {
                self.per_queue.remove(&oldest.queue);
            }
        }
    }

    /// Keeps one of a queue's last markers for longer, behind the others, unless its id
    /// has a later place by now.
    fn push_again(&mut self, marker: Marker) {
        if self.find(marker.key).is_some() {
            return;
        }
        let (first, place) = (
            self.first as u32,
            (self.first as u32).wrapping_add(self.ring.len() as u32),
        );
        self.ring.push_back(marker);
        let ring = &self.ring;
        self.index.insert(marker.key, place, |place| {
            entry(ring, first, place).map_or(0, |marker| marker.key)
        });
        *self.per_queue.entry(marker.queue).or_insert(0) += 1;
    }

    /// The markers from the ring's entry `number` on, each with its number.
    pub(crate) fn iter_from(&self, number: u64) -> impl Iterator<Item = (u64, &Marker)> {
        let skip = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.first..).zip(self.ring.iter()).skip(skip)
    }
}

fn entry(ring: &VecDeque<Marker>, first: u32, place: u32) -> Option<&Marker> {
    ring.get(place.wrapping_sub(first) as usize)
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
    fn the_limit_holds_and_the_latest_place_of_an_id_counts() {
        let mut markers = Markers::new(100);
        for round in 0..5 {
            for id in 0..60 {
                markers.insert(marker(1, id, round * 100 + id, 1_000), 0);
                assert!(markers.len() <= 101);
                assert_eq!(markers.find(1 << 32 | id), Some(round * 100 + id));
            }
        }
        assert_eq!(markers.find(1 << 32 | 3), Some(403));
    }
}
