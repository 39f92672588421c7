//! What commands are about to look for is fetched into the cache, as far as it can be known before it is looked for:
//! to wait for several places at once takes little longer than to wait for one.

use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Place, State, split_place};

/// What a single command is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim<'i> {
    Put(&'i str),
    /// The message with this id, whatever is done to it.
    Message(&'i str),
    /// The first messages that are visible.
    Search,
}

impl State {
    /// These messages of these queues are about to be looked for. Tells where each is likely to be, or nothing.
    pub(crate) fn expect_ids<'i>(
        &self,
        ids: impl Iterator<Item = (u32, &'i str)>,
    ) -> Vec<Option<Place>> {
        let hashes = ids.map(|(queue, id)| self.id_hash(queue, id));
        self.ids.expect(hashes, &self.blocks)
    }

    /// The message with this id, which is likely to be there.
    pub(crate) fn find_expected(
        &self,
        queue: u32,
        id: &[u8],
        likely: Option<Place>,
    ) -> Option<Place> {
        let is_it = |&place: &Place| {
            let (block, slot) = split_place(place);
            let block = self.blocks.get(block);
            block.is_some_and(|block| {
                block.queue == queue && block.live().contains(slot) && block.id(slot) == id
            })
        };
        let found = likely.filter(is_it);
        found.or_else(|| self.find_message(queue, id))
    }

    /// Messages with these ids are about to be put. Those that are there already are few.
    pub(crate) fn expect_puts<'i>(&self, ids: impl Iterator<Item = (u32, &'i str)>) {
        if self.ids.is_near() {
            return;
        }
        // All hashes come first: the less there is to do for each place, the more are fetched at a time.
        let mut hashes = Vec::with_capacity(ids.size_hint().1.unwrap_or(0));
        hashes.extend(ids.map(|(queue, id)| self.id_hash(queue, id)));
        self.ids.touch(hashes.into_iter());
    }

    fn id_hash(&self, queue: u32, id: &str) -> u64 {
        xxh3_64_with_seed(id.as_bytes(), self.queues[queue].hash)
    }

    /// So many messages are about to be removed.
    pub(crate) fn expect_removals(&self, messages: usize) {
        self.markers.touch_oldest(messages, self.clock, &self.ids);
    }

    /// One command is about to look for this queue, and something in it. Of many queues one waits for
    /// memory at each step to what is in it.
    pub(crate) fn expect_one(&self, account: &str, name: &str, aim: Aim<'_>) {
        if self.queue_index.is_near() {
            return;
        }
        let hash = self.queue_hash(account, name);
        let id = match aim {
            Aim::Put(id) | Aim::Message(id) => Some(xxh3_64_with_seed(id.as_bytes(), hash)),
            Aim::Search => None,
        };
        self.queue_index.touch(core::iter::once(hash));
        self.ids.touch(id.into_iter());
        let mut seen = 0;
        if let (Aim::Message(_), Some(id)) = (aim, id) {
            self.markers.touch_count(hash);
            self.ids.find(id, |place| {
                let block = self.blocks.get(split_place(place).0);
                seen ^= block.map_or(0, |block| block.touch());
                false
            });
        }
        let is_it = |place| {
            let queue = self.queues.get(place);
            queue.is_some_and(|queue| queue.hash == hash)
        };
        let place = self.queue_index.find(hash, is_it);
        if let Some(queue) = place.and_then(|place| self.queues.get(place)) {
            let block = match aim {
                Aim::Put(_) => queue.blocks.last(),
                Aim::Message(_) => None,
                Aim::Search => queue.visible.first(),
            };
            let block = block.and_then(|(_, block)| self.blocks.get(block));
            seen ^= block.map_or(0, |block| block.touch());
        }
        self.last_found.set(place.unwrap_or_default());
        core::hint::black_box(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::journal::change::{Change, StoredMessage};

    #[test]
    fn a_place_in_another_queue_is_not_the_one_that_was_looked_up() {
        let mut state = State::new(&Config::default());
        let places = ["one", "other"].map(|name| {
            let number = state.queue_count() + 1;
            state.evolve(&Change::QueueOpened {
                number,
                account: "a".into(),
                name: name.into(),
            });
            let queue = state.find_queue("a", name).unwrap();
            state.evolve(&Change::Put {
                queue,
                replaces: None,
                message: StoredMessage {
                    id: b"id",
                    body: b"",
                    content_type: None,
                    expires_at: 1,
                    visible_at: 0,
                },
            });
            (queue, state.find_message(queue, b"id"))
        });
        let [(one, in_one), (_, in_other)] = places;
        assert_ne!(in_one, in_other);
        assert_eq!(state.find_expected(one, b"id", in_other), in_one);
    }
}
