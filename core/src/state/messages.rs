//! Putting, finding, changing and removing single messages.

use alloc::boxed::Box;
use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::block::Block;
use super::extents::stored_size;
use super::extras::{Extra, Replacement};
use super::ids::Named;
use super::markers::Names;
use super::record::{Base, NEVER, Record};
use super::{Marker, Place, State, View, place_of, split_place};
use crate::journal::change::StoredMessage;

/// Records above this size are not worth reserving a whole block for.
const LARGE_RECORD: usize = 8 << 10;

/// What a message is loaded with besides what is stored with its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded {
    pub(crate) home: u64,
    /// Something about the message is not as it was stored at its home, or its home is not
    /// its position: the next checkpoint has to tell.
    pub(crate) changed: bool,
    pub(crate) attempts: u32,
    pub(crate) fence: u64,
}

impl State {
    pub(crate) fn view(&self, place: Place) -> View<'_> {
        let (block, slot) = split_place(place);
        self.blocks[block].view(slot)
    }

    pub(crate) fn position(&self, place: Place) -> u64 {
        let (block, slot) = split_place(place);
        self.blocks[block].position(slot)
    }

    /// The fence of a message's current claim, 0 if there is none.
    pub(crate) fn fence(&self, place: Place) -> u64 {
        let (block, slot) = split_place(place);
        self.blocks[block].fence(slot)
    }

    pub(crate) fn is_visible(&self, place: Place) -> bool {
        let (block, slot) = split_place(place);
        self.blocks[block].visible().contains(slot)
    }

    pub(crate) fn queue_of(&self, place: Place) -> u32 {
        self.blocks[split_place(place).0].queue
    }

    pub(crate) fn find_message(&self, queue: u32, id: &[u8]) -> Option<Place> {
        let key = xxh3_64_with_seed(id, self.queues[queue].hash);
        self.ids.find(key, |place| {
            let (block, slot) = split_place(place);
            let block = &self.blocks[block];
            block.queue == queue && block.id(slot) == id
        })
    }

    /// The message at a position of a queue.
    pub(crate) fn locate(&self, queue: u32, position: u64) -> Option<Place> {
        let (_, block) = self.queues.get(queue)?.blocks.at(position)?;
        Some(place_of(block, self.blocks[block].slot_at(position)?))
    }

    /// Splits off those of the positions, from the first on, that lie in the same block of the
    /// queue, which is given; one position that is in none goes alone.
    fn split_run<'p>(
        &self,
        queue: u32,
        positions: &'p [u64],
    ) -> Option<(Option<u32>, &'p [u64], &'p [u64])> {
        let &first = positions.first()?;
        let blocks = self.queues.get(queue).map(|entry| &entry.blocks);
        let block = blocks.and_then(|blocks| blocks.at(first));
        let Some((_, block)) = block.filter(|(_, block)| self.blocks[*block].spans(first)) else {
            let (alone, rest) = positions.split_at_checked(1)?;
            return Some((None, alone, rest));
        };
        let entry = &self.blocks[block];
        let count = positions
            .iter()
            .take_while(|&&position| entry.spans(position))
            .count();
        let (run, rest) = positions.split_at_checked(count)?;
        Some((Some(block), run, rest))
    }

    /// True if a message has been put at this position of a queue, also if it is gone by now
    /// but its block is still there.
    pub(crate) fn is_used(&self, queue: u32, position: u64) -> bool {
        let block = self.queues[queue].blocks.at(position);
        block.is_some_and(|(_, block)| self.blocks[block].has_position(position))
    }

    /// Where in its queue the message with this id is, or was.
    pub(crate) fn marker_position(&self, account: &str, name: &str, id: &[u8]) -> Option<u64> {
        let alive = self
            .find_queue(account, name)
            .and_then(|queue| self.find_message(queue, id));
        if let Some(place) = alive {
            return Some(self.position(place));
        }
        let key = xxh3_64_with_seed(id, self.queue_hash(account, name));
        self.markers.find(key, &self.ids)
    }

    /// A restore has read this marker from a blob of a checkpoint.
    pub(crate) fn load_marker(&mut self, marker: Marker) {
        let mut names = Names {
            ids: &mut self.ids,
            blocks: &self.blocks,
        };
        self.markers.insert_saved(marker, self.clock, &mut names);
    }

    /// Blobs that need not stay for the sake of markers any more.
    pub(crate) fn release_marker_blobs(&mut self) -> Vec<u64> {
        let mut names = Names {
            ids: &mut self.ids,
            blocks: &self.blocks,
        };
        self.markers.release_blobs(&mut names)
    }

    pub(super) fn put(&mut self, queue: u32, replaces: Option<u64>, message: &StoredMessage<'_>) {
        let home = self.next_position;
        self.next_position += 1;
        match replaces.and_then(|position| self.locate(queue, position)) {
            Some(place) => self.replace(place, home, message),
            None => self.load(
                queue,
                home,
                message,
                &Loaded {
                    home,
                    changed: false,
                    attempts: 0,
                    fence: 0,
                },
            ),
        }
    }

    /// So many messages and markers are about to be loaded.
    pub(crate) fn expect(&mut self, count: u64) {
        self.ids.reserve(usize::try_from(count).unwrap_or(0));
    }

    /// Adds a message at a position of a queue where there is none.
    pub(crate) fn load(
        &mut self,
        queue: u32,
        position: u64,
        message: &StoredMessage<'_>,
        loaded: &Loaded,
    ) {
        let record = Record {
            id: message.id,
            position,
            expires_at: message.expires_at,
            content_type: message.content_type,
            body: message.body,
        };
        let block = self.block_for(queue, &record);
        let slot = self.blocks[block].push(&record);
        let place = place_of(block, slot);
        let key = xxh3_64_with_seed(message.id, self.queues[queue].hash);
        let named = Named {
            blocks: &self.blocks,
            markers: &self.markers,
        };
        self.ids.insert(key, place, named);
        self.extents.add(loaded.home, stored_size(message.size()));
        self.messages += 1;
        self.account_for(queue, 1, message.size() as i64);
        if loaded.changed || message.visible_at != 0 {
            self.change_place(place, |extra| {
                extra.home = loaded.home;
                extra.attempts = loaded.attempts;
                extra.fence = loaded.fence;
                extra.visible_at = message.visible_at;
            });
        } else {
            self.refresh_block(block);
        }
    }

    /// The block that takes a record at its position, made if need be.
    fn block_for(&mut self, queue: u32, record: &Record<'_>) -> u32 {
        let blocks = &self.queues[queue].blocks;
        let last = blocks.last().filter(|(base, _)| *base < record.position);
        let before = last.or_else(|| blocks.before(record.position));
        let Some((_, block)) = before else {
            return self.new_block(queue, record, false);
        };
        if self.blocks[block].last_position() > record.position {
            // Only a restore inserts in the middle.
            self.split_block(block, record.position);
            return self.block_for(queue, record);
        }
        if self.blocks[block].has_room(record) {
            return block;
        }
        self.blocks[block].seal();
        let next = self.new_block(queue, record, true);
        // It is not the last one any more, and may be mostly empty.
        self.tidy_block(block);
        next
    }

    fn new_block(&mut self, queue: u32, record: &Record<'_>, follows: bool) -> u32 {
        let base = Base::of(record);
        let roomy = follows && record.encoded_len() <= LARGE_RECORD;
        let block = self
            .blocks
            .insert(Block::new(queue, self.queues[queue].hash, base, roomy));
        self.queues[queue].blocks.insert(record.position, block);
        block
    }

    fn replace(&mut self, place: Place, home: u64, message: &StoredMessage<'_>) {
        let old = self.view(place);
        let (old_home, old_size) = (old.home, old.size());
        self.extents.remove(old_home, stored_size(old_size));
        self.extents.add(home, stored_size(message.size()));
        self.account_for(
            self.queue_of(place),
            0,
            message.size() as i64 - old_size as i64,
        );
        self.change_place(place, |extra| {
            extra.attempts = 0;
            extra.fence = 0;
            extra.visible_at = message.visible_at;
            extra.expires_at = message.expires_at;
            extra.home = home;
            extra.replacement = Some(Box::new(Replacement {
                body: message.body.into(),
                content_type: message.content_type.map(Into::into),
            }));
        });
    }

    /// Changes the messages at these positions of a queue; `change` is told the how manieth
    /// it is.
    pub(super) fn change_extras(
        &mut self,
        queue: u32,
        positions: &[u64],
        change: impl Fn(u64, &mut Extra),
    ) {
        let (mut rest, mut number) = (positions, 0);
        while let Some((block, run, behind)) = self.split_run(queue, rest) {
            if let Some(block) = block {
                let entry = &mut self.blocks[block];
                let visible = entry.visible_count();
                entry.expect_extras(run.len());
                for (number, &position) in (number..).zip(run) {
                    if let Some(slot) = entry.slot_at(position) {
                        entry.change(slot, |extra| change(number, extra));
                    }
                }
                self.count_hidden(block, visible);
                self.refresh_block(block);
            }
            number += run.len() as u64;
            rest = behind;
        }
    }

    /// Removes the messages at these positions of a queue.
    pub(super) fn remove_all(&mut self, queue: u32, positions: &[u64]) {
        if positions.len() > 1 {
            self.expect_removals(positions.len());
        }
        let mut rest = positions;
        while let Some((block, run, behind)) = self.split_run(queue, rest) {
            if let Some(block) = block {
                for &position in run {
                    if let Some(slot) = self.blocks[block].slot_at(position) {
                        self.remove_from_block(place_of(block, slot), self.clock);
                    }
                }
                self.tidy_block(block);
            }
            rest = behind;
        }
    }

    /// A block had so many visible messages before it was changed.
    fn count_hidden(&mut self, block: u32, visible: u32) {
        let now = self.blocks[block].visible_count();
        self.hidden = self.hidden + u64::from(visible) - u64::from(now);
    }

    /// A checkpoint has stored the message's body again.
    pub(crate) fn rehome(&mut self, place: Place) {
        let view = self.view(place);
        let (home, stored) = (view.home, stored_size(view.size()));
        let copy = self.next_copy;
        self.next_copy += 1;
        self.extents.remove(home, stored);
        self.extents.add(copy, stored);
        self.change_place(place, |extra| extra.home = copy);
    }

    fn change_place(&mut self, place: Place, change: impl FnOnce(&mut Extra)) {
        let (block, slot) = split_place(place);
        let entry = &mut self.blocks[block];
        let visible = entry.visible_count();
        entry.change(slot, change);
        self.count_hidden(block, visible);
        self.refresh_block(block);
    }

    /// Brings the queue's and the state's indexes in line with a block.
    pub(super) fn refresh_block(&mut self, block: u32) {
        let entry = &mut self.blocks[block];
        let timer = entry.next_timer();
        if timer < entry.timer {
            // The first that is hidden of those that expire some day: what is there far away stays.
            let former = core::mem::replace(&mut entry.timer, timer);
            if entry.later_timer == NEVER {
                entry.later_timer = former;
            } else {
                self.timers.remove(&(former, u64::from(block)));
            }
            self.timers.insert((timer, u64::from(block)));
        }
        if entry.listed != (entry.visible_count() > 0) {
            entry.listed = !entry.listed;
            let visible = &mut self.queues[entry.queue].visible;
            if entry.listed {
                visible.insert(entry.base_position(), block);
            } else {
                visible.remove(entry.base_position());
            }
        }
    }

    /// Removes a message and remembers its place, but leaves its block as it is otherwise.
    pub(super) fn remove_from_block(&mut self, place: Place, removed_at: u64) {
        let (block, slot) = split_place(place);
        let entry = &mut self.blocks[block];
        let leaving = entry.remove(slot);
        let queue = entry.queue;
        let entry = &self.queues[queue];
        let settings = entry.settings.as_ref();
        let retention_ms = settings
            .and_then(|settings| settings.marker_retention_ms())
            .unwrap_or(self.default_retention_ms);
        let marker = Marker {
            queue: entry.hash,
            key: leaving.key,
            position: leaving.position,
            keep_until: removed_at.saturating_add(retention_ms),
        };
        let mut names = Names {
            ids: &mut self.ids,
            blocks: &self.blocks,
        };
        self.markers.bury(marker, place, removed_at, &mut names);
        self.extents.remove(leaving.home, stored_size(leaving.size));
        self.messages -= 1;
        self.hidden -= u64::from(!leaving.was_visible);
        self.account_for(queue, -1, -(leaving.size as i64));
    }

    /// Counts messages and bytes for queue, account and node.
    fn account_for(&mut self, queue: u32, messages: i64, bytes: i64) {
        let queue = &mut self.queues[queue];
        queue.messages = queue.messages.wrapping_add_signed(messages);
        queue.bytes = queue.bytes.wrapping_add_signed(bytes);
        let account = &mut self.account_slab[queue.account];
        account.messages = account.messages.wrapping_add_signed(messages);
        account.bytes = account.bytes.wrapping_add_signed(bytes);
        self.bytes = self.bytes.wrapping_add_signed(bytes);
    }
}
