//! Blocks that are empty are freed, those that are mostly so are rewritten.

use alloc::vec::Vec;

use super::block::Block;
use super::record::NEVER;
use super::{State, Taken, place_of};

/// A block is rewritten when one in so many of its messages is left. Later where messages are
/// mostly taken from: there the rest is likely to go soon.
const SPARSE: usize = 4;
const SPARSE_AT_THE_ENDS: usize = 16;

impl State {
    /// Frees a block that is empty, rewrites one that is mostly so.
    pub(super) fn tidy_block(&mut self, block: u32) {
        let Some(entry) = self.blocks.get(block) else {
            return;
        };
        if entry.live_count() == 0 {
            self.drop_block(block);
        } else if entry.is_sparse(SPARSE)
            && (entry.is_sparse(SPARSE_AT_THE_ENDS) || !self.is_at_an_end(block))
        {
            self.rewrite_block(block);
        } else {
            self.refresh_block(block);
        }
    }

    /// True for the first and the last block of a queue.
    fn is_at_an_end(&self, block: u32) -> bool {
        let blocks = &self.queues[self.blocks[block].queue].blocks;
        let ends = [blocks.first(), blocks.last()];
        ends.into_iter().flatten().any(|(_, other)| other == block)
    }

    fn drop_block(&mut self, block: u32) {
        self.detach_block(block);
        self.blocks.release(block);
    }

    /// Closes a queue's block with all messages in it, for a queue that is going away.
    pub(super) fn clear_block(&mut self, block: u32) {
        for slot in live_slots(&self.blocks[block], 0) {
            self.remove_from_block(place_of(block, slot), self.clock);
        }
        self.drop_block(block);
    }

    /// Takes a block out of every index but that of the ids.
    fn detach_block(&mut self, block: u32) -> Option<Taken<Block>> {
        let entry = self.blocks.take(block)?;
        for timer in [entry.timer, entry.later_timer] {
            if timer != NEVER {
                self.timers.remove(&(timer, u64::from(block)));
            }
        }
        let queue = &mut self.queues[entry.queue];
        queue.blocks.remove(entry.base_position());
        queue.visible.remove(entry.base_position());
        Some(entry)
    }

    /// Moves what is alive to the end of the block before, or to a new one.
    fn rewrite_block(&mut self, block: u32) {
        let Some(old) = self.detach_block(block) else {
            return;
        };
        let blocks = &self.queues[old.queue].blocks;
        let before = blocks.before(old.base_position());
        let before = before.map(|(_, before)| before);
        self.move_slots(&old, block, &live_slots(&old, 0), before);
        self.blocks.release(block);
    }

    /// Makes two blocks of one, so that there is room for `position` between them.
    pub(super) fn split_block(&mut self, block: u32, position: u64) {
        let Some(old) = self.detach_block(block) else {
            return;
        };
        let slots = live_slots(&old, 0);
        let (low, high) =
            slots.split_at(slots.partition_point(|&slot| slot < old.lower_bound(position)));
        self.move_slots(&old, block, low, None);
        self.move_slots(&old, block, high, None);
        self.blocks.release(block);
    }

    /// Moves messages of a detached block, in order, behind those of the block `target` or
    /// into new blocks.
    fn move_slots(
        &mut self,
        old: &Block,
        old_number: u32,
        slots: &[usize],
        mut target: Option<u32>,
    ) {
        for &slot in slots {
            let to = match target.filter(|&target| self.blocks[target].has_room_for(old, slot)) {
                Some(to) => to,
                None => {
                    if let Some(full) = target {
                        self.refresh_block(full);
                    }
                    let made = self.blocks.insert(old.successor(slot));
                    self.queues[old.queue]
                        .blocks
                        .insert(self.blocks[made].base_position(), made);
                    made
                }
            };
            target = Some(to);
            let new_slot = self.blocks[to].adopt(old, slot);
            self.ids.relocate(
                self.blocks[to].key(new_slot),
                place_of(old_number, slot),
                place_of(to, new_slot),
            );
        }
        if let Some(last) = target {
            self.refresh_block(last);
        }
    }
}

fn live_slots(block: &Block, from: usize) -> Vec<usize> {
    let mut slots = Vec::new();
    let mut next = block.live().first_from(from);
    while let Some(slot) = next {
        slots.push(slot);
        next = block.live().first_from(slot + 1);
    }
    slots
}
