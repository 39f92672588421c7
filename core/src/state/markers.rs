//! The places of messages that are gone, so that a reader who comes back with the id of
//! one goes on behind it.
//!
//! Keyed by names and not by queue numbers, because a queue goes with its last message and
//! its readers may still come back.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::block::Block;
use super::ids::{Ids, NUMBER_BITS, Named};
use super::numbered::Numbered;
use super::ring::Ring;
use super::saved::Saved;
use super::tally::Tally;
use super::{Place, Shelf, split_place};
use crate::config::{MIN_MARKERS_PER_QUEUE, MOST_MARKERS};

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
    quiet: Numbered<Marker>,
    quiet_by_queue: BTreeSet<(u64, u64)>,
    per_queue: Tally,
    maximum: u64,
    saved: Saved,
}

/// Markers that are taken from the front for each that comes, at the most, because their time
/// is over: so the ring shrinks faster than it grows.
const FORGOTTEN_AT_ONCE: usize = 2;

/// How far apart the numbers of markers may be: the index keeps their lower bits.
const MOST: u64 = 1 << (NUMBER_BITS - 1);
const _: () = assert!(MOST_MARKERS * 2 <= MOST);
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

/// The index that leads to the markers, and to the messages that are there.
pub(super) struct Names<'a> {
    pub(super) ids: &'a mut Ids,
    pub(super) blocks: &'a Shelf<Block>,
}

impl Markers {
    pub(crate) fn new(maximum: u64) -> Self {
        Self {
            recent: Ring::new(),
            first: 0,
            quiet: Numbered::default(),
            quiet_by_queue: BTreeSet::new(),
            per_queue: Tally::new(),
            maximum: maximum.min(MOST_MARKERS),
            saved: Saved::default(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        (self.recent.len() + self.quiet.len()) as u64
    }

    /// The position of the message that was last removed under this key.
    pub(super) fn find(&self, key: u64, ids: &Ids) -> Option<u64> {
        let (_, marker) = self.current(key, ids)?;
        Some(marker.position)
    }

    /// The marker that the index has under this key, and its number.
    fn current(&self, key: u64, ids: &Ids) -> Option<(u64, &Marker)> {
        let bits = ids.find_marker(key, self)?;
        let number = self.number(bits);
        Some((number, self.get(number)?))
    }

    /// The key of the marker whose number ends in these bits.
    pub(super) fn key_of(&self, bits: u32) -> u64 {
        self.get(self.number(bits)).map_or(0, |marker| marker.key)
    }

    fn number(&self, bits: u32) -> u64 {
        let behind = u64::from(bits).wrapping_sub(self.first) & NUMBER_MASK;
        if behind < self.recent.len() as u64 {
            self.first + behind
        } else {
            let before = self.first.wrapping_sub(u64::from(bits)) & NUMBER_MASK;
            self.first.wrapping_sub(before)
        }
    }

    fn get(&self, number: u64) -> Option<&Marker> {
        match number.checked_sub(self.first) {
            Some(behind) => self.recent.get(usize::try_from(behind).ok()?),
            None => self.quiet.get(number),
        }
    }

    /// Remembers the message at `place`, which goes at the instant `now`, and forgets what
    /// may be forgotten. The message's place is not indexed any more.
    pub(super) fn bury(&mut self, marker: Marker, place: Place, now: u64, names: &mut Names<'_>) {
        if self.maximum == 0 {
            names
                .ids
                .remove(marker.key, place, named(names.blocks, self));
            return;
        }
        self.forget(now, names);
        let number = self.push(marker);
        names.ids.bury(marker.key, place, number);
        self.count(marker.queue, names);
    }

    /// So many messages are about to go at the instant `now`: has what is to be forgotten for
    /// them fetched into the cache.
    pub(super) fn touch_oldest(&self, messages: usize, now: u64, ids: &Ids) {
        let is_over = self
            .recent
            .front()
            .is_some_and(|oldest| oldest.keep_until <= now);
        let forgotten = if is_over {
            messages.saturating_mul(FORGOTTEN_AT_ONCE)
        } else if self.len().saturating_add(messages as u64) > self.maximum {
            messages
        } else {
            return;
        };
        let oldest = self.recent.iter_from(0).take(forgotten);
        ids.touch(oldest.map(|marker| marker.key));
    }

    /// A message of this queue is about to go.
    pub(super) fn touch_count(&self, queue: u64) {
        self.per_queue.touch(queue);
    }

    /// As [`bury`](Self::bury), where the message itself is not there.
    fn insert(&mut self, marker: Marker, now: u64, names: &mut Names<'_>) {
        if self.maximum == 0 {
            return;
        }
        self.forget(now, names);
        if let Some((number, _)) = self.current(marker.key, names.ids) {
            // The id was used again: its earlier place is kept, but is not found.
            self.unindex(marker.key, number, names);
        }
        self.add(marker, names);
    }

    fn add(&mut self, marker: Marker, names: &mut Names<'_>) {
        let number = self.push(marker);
        names
            .ids
            .insert_marker(marker.key, number, named(names.blocks, self));
        self.count(marker.queue, names);
    }

    fn push(&mut self, marker: Marker) -> u64 {
        self.recent.push_back(marker);
        self.first + self.recent.len() as u64 - 1
    }

    fn count(&mut self, queue: u64, names: &mut Names<'_>) {
        let count = self.per_queue.add(queue);
        if count > MIN_MARKERS_PER_QUEUE && !self.quiet.is_empty() {
            self.forget_last_of(queue, names);
        }
    }

    fn forget(&mut self, now: u64, names: &mut Names<'_>) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some(&oldest) = self
                .recent
                .front()
                .filter(|oldest| oldest.keep_until <= now)
            else {
                break;
            };
            let number = self.first;
            if self.per_queue.get(oldest.queue) > MIN_MARKERS_PER_QUEUE {
                self.drop_oldest(names);
            } else {
                self.quiet.insert(number, oldest);
                self.quiet_by_queue.insert((oldest.queue, number));
                self.recent.pop_front();
                self.first += 1;
            }
        }
        while self.len() >= self.maximum {
            match self.quiet.first_number() {
                Some(number) => self.drop_quiet(number, names),
                None => self.drop_oldest(names),
            }
        }
        // Its number would soon end like that of a new one.
        if let Some(number) = self.quiet.first_number()
            && self.first - number >= MOST
        {
            self.renew(number, names);
        }
    }

    /// A queue has more than its last ones: the first of those whose time is over goes.
    fn forget_last_of(&mut self, queue: u64, names: &mut Names<'_>) {
        if let Some(&(_, number)) = self
            .quiet_by_queue
            .range((queue, 0)..=(queue, u64::MAX))
            .next()
        {
            self.drop_quiet(number, names);
        }
    }

    fn drop_quiet(&mut self, number: u64, names: &mut Names<'_>) {
        let Some(&marker) = self.quiet.get(number) else {
            return;
        };
        self.unindex(marker.key, number, names);
        self.quiet.remove(number);
        self.quiet_by_queue.remove(&(marker.queue, number));
        self.count_down(marker.queue, number);
    }

    fn drop_oldest(&mut self, names: &mut Names<'_>) {
        let Some(&oldest) = self.recent.front() else {
            return;
        };
        let number = self.first;
        self.unindex(oldest.key, number, names);
        self.recent.pop_front();
        self.first += 1;
        self.count_down(oldest.queue, number);
    }

    fn unindex(&self, key: u64, number: u64, names: &mut Names<'_>) {
        names
            .ids
            .remove_marker(key, number, named(names.blocks, self));
    }

    fn count_down(&mut self, queue: u64, number: u64) {
        self.saved.count_down(number);
        self.per_queue.subtract(queue);
    }

    /// The markers with this number or a later one, in order, each with its number.
    pub(crate) fn iter_from(&self, number: u64) -> impl Iterator<Item = (u64, &Marker)> {
        let quiet = self.quiet.iter_from(number);
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
    pub(super) fn release_blobs(&mut self, names: &mut Names<'_>) -> Vec<u64> {
        let mut needless = Vec::new();
        while let Some(mut unit) = self.saved.take_spent(self.first) {
            needless.append(&mut unit.blobs);
            let left: Vec<u64> = self
                .quiet
                .iter_from(unit.numbers.start)
                .map(|(number, _)| number)
                .take_while(|&number| number < unit.numbers.end)
                .collect();
            let copied = !left.is_empty();
            for number in left {
                self.renew(number, names);
            }
            if copied {
                break;
            }
        }
        needless
    }

    /// Moves a marker to the end of the ring, unless its id was used again since.
    fn renew(&mut self, number: u64, names: &mut Names<'_>) {
        let Some(&marker) = self.quiet.get(number) else {
            return;
        };
        let current = self.current(marker.key, names.ids);
        let is_current = current.is_some_and(|(current, _)| current == number);
        self.drop_quiet(number, names);
        if is_current {
            self.add(marker, names);
        }
    }

    /// Adds what a restore reads from such a blob, unless it is known already from the
    /// changes that the restore has made again, or from another blob that tells it. An earlier
    /// one of an id that was used again since is not needed: it would only count for its queue,
    /// at the cost of another.
    pub(super) fn insert_saved(&mut self, marker: Marker, now: u64, names: &mut Names<'_>) {
        let is_used = names.ids.find(marker.key, |place| {
            let (block, slot) = split_place(place);
            names.blocks[block].key(slot) == marker.key
        });
        let known = self.find(marker.key, names.ids);
        if is_used.is_none() && known.is_none_or(|position| position < marker.position) {
            self.insert(marker, now, names);
        }
    }

    /// All markers so far are in this blob, or in earlier ones.
    pub(crate) fn end_saved(&mut self, checkpoint: u64, blob: u64) {
        let count = self.iter_from(self.saved.up_to).count() as u64;
        let next = self.first + self.recent.len() as u64;
        self.saved.add(checkpoint, blob, next, count);
    }
}

fn named<'a>(blocks: &'a Shelf<Block>, markers: &'a Markers) -> Named<'a> {
    Named { blocks, markers }
}
