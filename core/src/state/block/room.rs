//! What a block has no use for any more: it is used again by the block itself, or the block is rewritten.

use super::Block;
use crate::state::record::Record;

/// A block that has had so few records, and so few bytes of them, stays as it is although hardly any are left: there
/// is little to gain.
const FEW_SLOTS: usize = 32;
const FEW_BYTES: usize = 4096;
/// Where the first record of a block is no larger, there is room for another one: in a small queue a message comes
/// before the one that is there goes.
const SMALL_RECORD: usize = 512;

impl Block {
    /// True while the block makes room rather than to grow.
    #[inline]
    pub(super) fn is_small(&self) -> bool {
        // Modules that are to be small do not hold much.
        !cfg!(all(target_family = "wasm", feature = "small")) && self.arena.len() <= FEW_BYTES
    }

    /// Rather than to grow, what a small block has no use for any more gives room.
    pub(super) fn make_room(&mut self, bytes: usize) {
        if self.arena.capacity() == 0 && bytes <= SMALL_RECORD {
            self.arena.reserve_exact(2 * bytes);
        }
        let is_full = self.arena.capacity() - self.arena.len() < bytes;
        if is_full && self.dead_bytes as usize * 4 >= self.arena.len() {
            self.squeeze();
        }
    }

    /// Leaves of each record whose message has gone only what tells its position.
    fn squeeze(&mut self) {
        let (mut from, mut to) = (0, 0);
        for slot in 0..self.slots() {
            let next = self.offsets.get(slot + 1);
            let end = next.map_or(self.arena.len(), |&next| usize::from(next));
            if let Some(offset) = self.offsets.get_mut(slot) {
                *offset = to as u16;
            }
            if self.live.contains(slot) {
                self.arena.copy_within(from..end, to);
                to += end - from;
            } else {
                to += Record::retire(&mut self.arena, from..end, to);
            }
            from = end;
        }
        self.arena.truncate(to);
        self.dead_bytes = 0;
    }

    /// True if no more than one in so many messages is left, and the block is worth rewriting.
    pub(crate) fn is_sparse(&self, one_in: usize) -> bool {
        let slots = self.slots();
        let is_worth = slots >= FEW_SLOTS || self.arena.len() > FEW_BYTES;
        is_worth && (self.live_count as usize) * one_in <= slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::block::Base;

    fn record<'a>(id: &'a [u8], position: u64, body: &'a [u8]) -> Record<'a> {
        Record {
            id,
            position,
            expires_at: 1_000 + position,
            content_type: None,
            body,
        }
    }

    /// Messages come one by one at positions with gaps, and each goes when the next one is there.
    #[test]
    fn a_small_block_needs_no_more_memory_however_many_pass_through_it() {
        let first = record(b"first", 10, &[1; 100]);
        let mut block = Block::new(0, 7, Base::of(&first), false);
        block.push(&first);
        let mut slot = 0;
        let mut room = 0;
        for number in 1..FEW_SLOTS as u64 {
            let (id, body) = ([number as u8; 16], [number as u8; 100]);
            let position = 10 + number * 1_000;
            let next = block.push(&record(&id, position, &body));
            block.remove(slot);
            slot = next;
            let view = block.view(slot);
            assert_eq!((view.id, view.body), (&id[..], &body[..]));
            assert_eq!(
                (view.position, view.expires_at),
                (position, 1_000 + position)
            );
            for earlier in 0..=number {
                let position = 10 + earlier * 1_000;
                assert!(block.has_position(position) && !block.has_position(position + 1));
                let found = block.slot_at(position);
                assert_eq!(found, Some(slot).filter(|_| earlier == number));
            }
            if number == 10 {
                room = block.arena.capacity();
            }
        }
        assert!(room < 700, "{room} bytes for two messages");
        assert_eq!(block.arena.capacity(), room);
    }
}
