//! Which messages of a queue match, in the queue's order, and what a walk over all sees.

use alloc::vec::Vec;

use super::block::Block;
use super::{Place, State, place_of};
use crate::settings::Order;

/// Places for which room is made before any is found.
const RESERVED: usize = 1024;

impl State {
    /// The places of messages strictly behind the position `after`, `limit` at the most.
    /// Costs a step for each message found, and for each block passed over at the start
    /// that holds nothing behind `after`: at most one.
    pub(crate) fn select(
        &self,
        queue: u32,
        after: Option<u64>,
        limit: Option<u64>,
        match_hidden: bool,
    ) -> Vec<Place> {
        let limit = limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let entry = self.queue(queue);
        let most = usize::try_from(entry.messages).unwrap_or(usize::MAX);
        let mut found = Vec::with_capacity(limit.min(most).min(RESERVED));
        match entry.order() {
            Order::Fifo => self.select_forward(queue, after, limit, match_hidden, &mut found),
            Order::Lifo => self.select_backward(queue, after, limit, match_hidden, &mut found),
        }
        found
    }

    /// The last position that a search in the queue's order would find, if any.
    pub(crate) fn last_match(&self, queue: u32, match_hidden: bool) -> Option<u64> {
        let entry = self.queue(queue);
        let forward = entry.order() == Order::Lifo;
        let blocks = entry.blocks(match_hidden);
        let (_, block) = if forward {
            blocks.first()
        } else {
            blocks.last()
        }?;
        let bits = bits(&self.blocks[block], match_hidden);
        let slot = if forward {
            bits.first_from(0)
        } else {
            bits.last_below(usize::MAX)
        }?;
        Some(self.blocks[block].position(slot))
    }

    fn select_forward(
        &self,
        queue: u32,
        after: Option<u64>,
        limit: usize,
        match_hidden: bool,
        found: &mut Vec<Place>,
    ) {
        let entry = self.queue(queue);
        let mut take = |block: u32| {
            let from = after.map_or(0, |after| {
                self.blocks[block].lower_bound(after.saturating_add(1))
            });
            let bits = bits(&self.blocks[block], match_hidden);
            let mut next = bits.first_from(from);
            while let Some(slot) = next {
                if found.len() >= limit {
                    return false;
                }
                found.push(place_of(block, slot));
                next = bits.first_from(slot + 1);
            }
            found.len() < limit
        };
        let blocks = entry.blocks(match_hidden);
        let first = after.and_then(|after| blocks.at(after));
        let mut next = first.or_else(|| blocks.first());
        while let Some((base, _)) = next.filter(|(_, block)| take(*block)) {
            next = blocks.behind(base);
        }
    }

    fn select_backward(
        &self,
        queue: u32,
        before: Option<u64>,
        limit: usize,
        match_hidden: bool,
        found: &mut Vec<Place>,
    ) {
        let entry = self.queue(queue);
        let mut take = |block: u32| {
            let below = before.map_or(usize::MAX, |before| self.blocks[block].lower_bound(before));
            let bits = bits(&self.blocks[block], match_hidden);
            let mut next = bits.last_below(below);
            while let Some(slot) = next {
                if found.len() >= limit {
                    return false;
                }
                found.push(place_of(block, slot));
                next = bits.last_below(slot);
            }
            found.len() < limit
        };
        let blocks = entry.blocks(match_hidden);
        let mut next = before.map_or(blocks.last(), |before| blocks.before(before));
        while let Some((base, _)) = next.filter(|(_, block)| take(*block)) {
            next = blocks.before(base);
        }
    }

    /// The blocks of a queue that hold anything behind the position `after`, in order.
    pub(crate) fn blocks_behind(
        &self,
        queue: u32,
        after: u64,
    ) -> impl Iterator<Item = (u32, &Block)> {
        let entry = self.queue(queue);
        let first = entry.blocks.at(after).or_else(|| entry.blocks.first());
        let blocks = entry.blocks.iter_from(first);
        blocks.map(|(_, block)| (block, &self.blocks[block]))
    }
}

fn bits(block: &Block, match_hidden: bool) -> &super::bits::Bits {
    if match_hidden {
        block.live()
    } else {
        block.visible()
    }
}
