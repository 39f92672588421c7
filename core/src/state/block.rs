//! A run of messages of one queue, in the queue's order.
//!
//! Records lie one behind the other in one buffer and are never changed while their messages are there. What may change
//! lies beside them: two bits a message (there, visible), and an [`Extra`] for the few
//! that were claimed, hidden, replaced or given another ttl.

mod due;
mod room;

use alloc::boxed::Box;
use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::bits::Bits;
use super::extras::{Extra, Extras};
use super::record::{Base, NEVER, Record};

/// Messages of one block.
pub(crate) const MAX_SLOTS: usize = 1 << SLOT_BITS;
pub(crate) const SLOT_BITS: u32 = 9;
/// Bytes of records of one block; a record that begins before may reach beyond.
pub(crate) const ARENA_BYTES: usize = 1 << 16;

/// As large as four lines of a processor's cache, and in no more than these.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Block {
    /// The queue's place in the state.
    pub(crate) queue: u32,
    /// The hash of the queue's names, which keys those of its ids.
    hash: u64,
    base: Base,
    arena: Vec<u8>,
    /// Bytes of it that are records of messages that have gone, counted while it is small.
    dead_bytes: u32,
    /// Where each slot's record starts.
    offsets: Vec<u16>,
    live: Bits,
    visible: Bits,
    live_count: u32,
    visible_count: u32,
    extras: Extras,
    last_position: u64,
    /// Every position from the first to the last has a slot.
    contiguous: bool,
    /// No message of the block expires before this instant.
    next_expiry: u64,
    /// The next expiries, latest first, complete up to the first entry; empty when unknown.
    upcoming: Option<Box<due::Upcoming>>,
    /// No message of the block becomes visible before this instant.
    next_unhide: u64,
    /// The instant under which the block is in the state's timers.
    pub(crate) timer: u64,
    /// A later one under which it is there, too, since before it had the earlier one.
    pub(crate) later_timer: u64,
    /// The block is in its queue's set of blocks with visible messages.
    pub(crate) listed: bool,
}

/// A message as it is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) position: u64,
    pub(crate) home: u64,
    pub(crate) body: &'a [u8],
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) expires_at: u64,
    pub(crate) visible_at: u64,
    pub(crate) attempts: u32,
    pub(crate) fence: u64,
}

/// What was known of a message that is going.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub(crate) key: u64,
    pub(crate) position: u64,
    pub(crate) home: u64,
    /// Bytes that counted toward limits.
    pub(crate) size: u64,
    pub(crate) was_visible: bool,
}

impl View<'_> {
    /// Bytes that count toward limits.
    pub(crate) fn size(&self) -> u64 {
        (self.id.len() + self.body.len()) as u64
    }
}

impl Block {
    /// An empty block for messages from `base.position` on; `roomy` if it will be filled.
    pub(crate) fn new(queue: u32, hash: u64, base: Base, roomy: bool) -> Self {
        Self {
            queue,
            hash,
            base,
            arena: if roomy {
                Vec::with_capacity(ARENA_BYTES)
            } else {
                Vec::new()
            },
            dead_bytes: 0,
            offsets: Vec::new(),
            live: Bits::default(),
            visible: Bits::default(),
            live_count: 0,
            visible_count: 0,
            extras: Extras::default(),
            last_position: base.position,
            contiguous: true,
            next_expiry: NEVER,
            upcoming: None,
            next_unhide: NEVER,
            timer: NEVER,
            later_timer: NEVER,
            listed: false,
        }
    }

    pub(crate) fn base_position(&self) -> u64 {
        self.base.position
    }

    pub(crate) fn last_position(&self) -> u64 {
        self.last_position
    }

    /// True if the position lies among those of the block's messages.
    pub(crate) fn spans(&self, position: u64) -> bool {
        (self.base.position..=self.last_position).contains(&position)
    }

    pub(crate) fn slots(&self) -> usize {
        self.offsets.len()
    }

    pub(crate) fn live_count(&self) -> u32 {
        self.live_count
    }

    pub(crate) fn visible_count(&self) -> u32 {
        self.visible_count
    }

    pub(crate) fn live(&self) -> &Bits {
        &self.live
    }

    pub(crate) fn visible(&self) -> &Bits {
        &self.visible
    }

    /// True if the record can be appended.
    pub(crate) fn has_room(&self, record: &Record<'_>) -> bool {
        let bytes = record.encoded_len();
        self.offsets.is_empty()
            || self.offsets.len() < MAX_SLOTS && self.arena.len() + bytes <= ARENA_BYTES
    }

    /// Appends a message behind all others of the block; `has_room` was true.
    pub(crate) fn push(&mut self, record: &Record<'_>) -> usize {
        let slot = self.offsets.len();
        if self.is_small() {
            self.make_room(record.encoded_len());
        }
        if self.offsets.capacity() == slot && self.arena.capacity() >= ARENA_BYTES {
            self.reserve_offsets();
        }
        self.offsets.push(self.arena.len() as u16);
        record.encode(self.base, slot, &mut self.arena);
        self.live.insert(slot);
        self.visible.insert(slot);
        self.live_count += 1;
        self.visible_count += 1;
        self.contiguous &= record.position == self.base.position + slot as u64;
        self.last_position = record.position;
        self.expect_expiry(record.expires_at);
        slot
    }

    /// Room for as many messages as the buffer will take if they go on like this.
    fn reserve_offsets(&mut self) {
        let used = self.arena.len().max(1);
        let slots = self.offsets.len().max(8);
        let total = (slots * ARENA_BYTES / used).clamp(slots + 8, MAX_SLOTS.max(slots + 8));
        let wanted = if self.offsets.is_empty() {
            16
        } else {
            total - self.offsets.len() + 2
        };
        self.offsets.reserve_exact(wanted);
    }

    /// Gives back memory that the block will not need: nothing more is appended.
    pub(crate) fn seal(&mut self) {
        self.offsets.shrink_to_fit();
        self.live.shrink_to_fit();
        self.visible.shrink_to_fit();
        self.arena.shrink_to_fit();
    }

    /// The record in a slot.
    #[inline]
    fn bytes(&self, slot: usize) -> &[u8] {
        let start = self.offsets.get(slot).copied().unwrap_or_default();
        let next = self.offsets.get(slot + 1);
        let end = next.map_or(self.arena.len(), |&next| usize::from(next));
        self.arena.get(usize::from(start)..end).unwrap_or_default()
    }

    /// The first byte of the record in a slot, whatever it says.
    pub(crate) fn first_byte(&self, slot: usize) -> u8 {
        self.bytes(slot).first().copied().unwrap_or_default()
    }

    /// A number for the sake of which all of a small block must be fetched.
    pub(crate) fn touch(&self) -> u8 {
        let ends = [self.arena.first(), self.arena.last()];
        let ends = ends.into_iter().flatten().fold(0, |all, byte| all ^ byte);
        let offset = self.offsets.first().map_or(0, |offset| *offset as u8);
        ends ^ offset ^ self.extras.touch()
    }

    #[inline]
    fn record(&self, slot: usize) -> Record<'_> {
        let empty = Record {
            id: &[],
            position: 0,
            expires_at: NEVER,
            content_type: None,
            body: &[],
        };
        Record::decode(self.base, slot, self.bytes(slot)).unwrap_or(empty)
    }

    /// The id of the message in a slot.
    #[inline]
    pub(crate) fn id(&self, slot: usize) -> &[u8] {
        Record::id_in(self.bytes(slot)).unwrap_or_default()
    }

    /// The hash under which the message in a slot is known, and its marker later.
    pub(crate) fn key(&self, slot: usize) -> u64 {
        xxh3_64_with_seed(self.id(slot), self.hash)
    }

    /// The fence of the current claim of the message in a slot, 0 if there is none.
    pub(crate) fn fence(&self, slot: usize) -> u64 {
        self.extras.get(slot).map_or(0, |extra| extra.fence)
    }

    /// The position of the message in a slot.
    pub(crate) fn position(&self, slot: usize) -> u64 {
        if self.contiguous {
            return self.base.position + slot as u64;
        }
        Record::position_in(self.base, slot, self.bytes(slot)).unwrap_or_default()
    }

    pub(crate) fn view(&self, slot: usize) -> View<'_> {
        let record = self.record(slot);
        let mut view = View {
            id: record.id,
            position: record.position,
            home: record.position,
            body: record.body,
            content_type: record.content_type,
            expires_at: record.expires_at,
            visible_at: 0,
            attempts: 0,
            fence: 0,
        };
        if let Some(extra) = self.extras.get(slot) {
            view.home = extra.home;
            view.expires_at = extra.expires_at;
            view.visible_at = extra.visible_at;
            view.attempts = extra.attempts;
            view.fence = extra.fence;
            if let Some(replacement) = &extra.replacement {
                view.body = &replacement.body;
                view.content_type = replacement.content_type.as_deref();
            }
        }
        view
    }

    /// True if every message ever put is there, one position after the other, as it was put.
    pub(crate) fn is_plain(&self) -> bool {
        let slots = self.offsets.len();
        self.extras.is_empty() && self.live_count as usize == slots && self.contiguous
    }

    /// The slot of the live message at `position`.
    pub(crate) fn slot_at(&self, position: u64) -> Option<usize> {
        if self.contiguous {
            let slot = usize::try_from(position.checked_sub(self.base.position)?).ok()?;
            return self.live.contains(slot).then_some(slot);
        }
        let slot = self.lower_bound(position);
        (slot < self.slots() && self.live.contains(slot) && self.position(slot) == position)
            .then_some(slot)
    }

    /// True if a message was ever put at `position`.
    pub(crate) fn has_position(&self, position: u64) -> bool {
        let slot = self.lower_bound(position);
        slot < self.slots() && self.position(slot) == position
    }

    /// True if anything about the message has changed since it was put.
    pub(crate) fn is_changed(&self, slot: usize) -> bool {
        self.extras.get(slot).is_some()
    }

    /// The first slot whose position is at least `position`.
    pub(crate) fn lower_bound(&self, position: u64) -> usize {
        if position > self.last_position {
            return self.slots();
        }
        // Without gaps, and that is the rule, the first guess is right.
        let guess = position.saturating_sub(self.base.position) as usize;
        if guess < self.slots() && self.position(guess) == position {
            return guess;
        }
        let (mut low, mut high) = (0, self.slots());
        while low < high {
            let middle = (low + high) / 2;
            if self.position(middle) < position {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// So many messages are about to be changed.
    pub(crate) fn expect_extras(&mut self, count: usize) {
        let unchanged = (self.live_count as usize).saturating_sub(self.extras.len());
        self.extras.reserve(count.min(unchanged));
    }

    /// Changes a live message, and brings bits and timers in line with it.
    pub(crate) fn change(&mut self, slot: usize, change: impl FnOnce(&mut Extra)) {
        if self.extras.get(slot).is_none() {
            let record = self.record(slot);
            let fresh = Extra {
                slot: slot as u16,
                attempts: 0,
                fence: 0,
                visible_at: 0,
                expires_at: record.expires_at,
                home: record.position,
                replacement: None,
            };
            self.extras.insert(fresh, self.offsets.len());
        }
        if let Some(extra) = self.extras.get_mut(slot) {
            change(extra);
            let (visible_at, expires_at) = (extra.visible_at, extra.expires_at);
            self.settle(slot, visible_at, expires_at);
        }
    }

    fn settle(&mut self, slot: usize, visible_at: u64, expires_at: u64) {
        let was_visible = self.visible.contains(slot);
        if visible_at == 0 && !was_visible {
            self.visible.insert(slot);
            self.visible_count += 1;
        } else if visible_at != 0 && was_visible {
            self.visible.remove(slot);
            self.visible_count -= 1;
        }
        if visible_at != 0 {
            self.next_unhide = self.next_unhide.min(visible_at);
        }
        self.expect_expiry(expires_at);
    }

    /// Takes a live message away, and tells what others know it by. Its record stays until the
    /// block needs the room, or goes.
    pub(crate) fn remove(&mut self, slot: usize) -> Leaving {
        let record = self.record(slot);
        let record_bytes = if self.is_small() {
            self.bytes(slot).len()
        } else {
            0
        };
        let mut leaving = Leaving {
            key: xxh3_64_with_seed(record.id, self.hash),
            position: record.position,
            home: record.position,
            size: (record.id.len() + record.body.len()) as u64,
            was_visible: self.visible.contains(slot),
        };
        if let Some(extra) = self.extras.get(slot) {
            leaving.home = extra.home;
            if let Some(replacement) = &extra.replacement {
                leaving.size = (record.id.len() + replacement.body.len()) as u64;
            }
            self.extras.remove(slot);
        }
        if leaving.was_visible {
            self.visible.remove(slot);
            self.visible_count -= 1;
        }
        self.live.remove(slot);
        self.live_count -= 1;
        self.dead_bytes += record_bytes as u32;
        leaving
    }

    /// An empty block of the same queue that begins with the message in `slot`.
    pub(crate) fn successor(&self, slot: usize) -> Self {
        Self::new(self.queue, self.hash, Base::of(&self.record(slot)), false)
    }

    /// Appends the message of another block's slot, extra and all; `has_room` was true.
    pub(crate) fn adopt(&mut self, other: &Block, slot: usize) -> usize {
        let next_expiry = self.next_expiry;
        let new = self.push(&other.record(slot));
        if let Some(extra) = other.extras.get(slot) {
            // What the record says of it no longer holds.
            self.next_expiry = next_expiry;
            let extra = Extra {
                slot: new as u16,
                ..extra.clone()
            };
            let (visible_at, expires_at) = (extra.visible_at, extra.expires_at);
            self.extras.insert(extra, self.offsets.len());
            self.settle(new, visible_at, expires_at);
        }
        new
    }

    /// True if the message of another block's slot can be appended.
    pub(crate) fn has_room_for(&self, other: &Block, slot: usize) -> bool {
        self.has_room(&other.record(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_four_lines_of_a_cache() {
        assert_eq!(size_of::<Block>(), 256);
    }
}
