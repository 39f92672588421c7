//! What a node holds: accounts, queues, messages and markers, with every index.
//!
//! It changes through [`State::evolve`] and, with time alone, through [`State::let_happen`]:
//! live execution and replay of the journal go the same way.

mod ahead;
mod bits;
mod block;
pub(crate) mod buckets;
mod digest;
pub(crate) mod extents;
mod extras;
mod ids;
mod index;
mod kept;
mod markers;
mod messages;
mod name;
mod names;
mod numbered;
mod queue;
mod record;
mod ring;
mod saved;
mod select;
#[cfg(not(all(target_family = "wasm", feature = "small")))]
mod shelf;
mod slab;
mod spine;
mod tally;
mod tidy;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use core::cell::Cell;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) use ahead::Aim;
pub(crate) use block::{Block, View};
pub(crate) use markers::{Marker, Markers};
pub(crate) use messages::Loaded;
pub(crate) use numbered::Numbered;
pub(crate) use queue::Queue;
pub(crate) use record::NEVER;

use crate::crc;
use crate::journal::change::Change;
use crate::reply::QueueStats;
use extents::Extents;
use ids::Ids;
use index::Index;
use kept::KeptSettings;
use name::Name;
use names::Names;
#[cfg(not(all(target_family = "wasm", feature = "small")))]
use shelf::{Shelf, Taken};
use slab::Slab;
#[cfg(all(target_family = "wasm", feature = "small"))]
use slab::{Slab as Shelf, Taken};
use spine::Spine;

/// Where a message is: its block and its slot there.
pub(crate) type Place = u32;

/// Stamps of one millisecond; more are taken from the following ones.
const STAMP_BITS: u32 = 16;
/// No stamp that was given is further ahead of the time: a restore skips a minute. What is
/// beyond is an id that a client has chosen.
const STAMPS_AHEAD_MS: u64 = 120_000;
/// After this instant, in the year 3084, stamps just count on.
const LAST_STAMPED: u64 = 1 << 45;

/// Blocks that places can tell apart; one bit tells them from markers.
pub(crate) const MAX_BLOCKS: usize = 1 << (ids::PLACE_BITS - block::SLOT_BITS);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) seed: u64,
    default_retention_ms: u64,
    /// The latest instant seen, in milliseconds.
    pub(crate) clock: u64,
    /// The next message's position.
    pub(crate) next_position: u64,
    /// The home of the next body that a checkpoint copies.
    pub(crate) next_copy: u64,
    /// No stamp below this is given any more, see [`State::next_stamp`].
    pub(crate) stamps_from: u64,
    pub(crate) next_queue: u64,
    pub(crate) accounts: Names,
    account_slab: Slab<Account>,
    queues: Shelf<Queue>,
    queue_index: Index,
    /// The queue that was last looked for: the next is often the same.
    last_found: Cell<u32>,
    /// Queues that exist, by number.
    pub(crate) by_number: BTreeMap<u64, u32>,
    blocks: Shelf<Block>,
    ids: Ids,
    /// Instants at which something may happen, and in which blocks.
    timers: BTreeSet<(u64, u64)>,
    pub(crate) markers: Markers,
    pub(crate) extents: Extents,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) hidden: u64,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: Box<str>,
    pub(crate) queues: Names,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Queues to which something happened, by number.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Messages became visible.
    pub(crate) woken: BTreeMap<u64, u32>,
    /// The last message has gone.
    pub(crate) emptied: BTreeMap<u64, u32>,
}

impl State {
    pub(crate) fn new(config: &crate::config::Config) -> Self {
        Self {
            seed: config.seed,
            default_retention_ms: config.marker_retention_ms,
            clock: 0,
            next_position: 1,
            next_copy: extents::COPY,
            stamps_from: 1,
            next_queue: 1,
            accounts: Names::default(),
            account_slab: Slab::new(),
            queues: Shelf::new(),
            queue_index: Index::new(),
            last_found: Cell::new(0),
            by_number: BTreeMap::new(),
            blocks: Shelf::new(),
            ids: Ids::new(),
            timers: BTreeSet::new(),
            markers: Markers::new(config.limits.max_markers),
            extents: Extents::new(),
            messages: 0,
            bytes: 0,
            hidden: 0,
        }
    }

    pub(crate) fn queue(&self, queue: u32) -> &Queue {
        &self.queues[queue]
    }

    pub(crate) fn account_of(&self, queue: u32) -> &Account {
        &self.account_slab[self.queues[queue].account]
    }

    pub(crate) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts
            .get(name)
            .map(|account| &self.account_slab[account])
    }

    pub(crate) fn queue_count(&self) -> u64 {
        self.by_number.len() as u64
    }

    pub(crate) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// The hash under which a queue and its markers are known.
    pub(crate) fn queue_hash(&self, account: &str, name: &str) -> u64 {
        xxh3_64_with_seed(
            name.as_bytes(),
            xxh3_64_with_seed(account.as_bytes(), self.seed),
        )
    }

    pub(crate) fn find_queue(&self, account: &str, name: &str) -> Option<u32> {
        let is_it = |place| {
            self.queues.get(place).is_some_and(|queue| {
                queue.name.as_bytes() == name.as_bytes()
                    && *self.account_slab[queue.account].name == *account
            })
        };
        let last = self.last_found.get();
        if is_it(last) {
            return Some(last);
        }
        let hash = self.queue_hash(account, name);
        let found = self.queue_index.find(hash, is_it)?;
        self.last_found.set(found);
        Some(found)
    }

    /// Makes one change. It must be possible: who decides checks first.
    pub(crate) fn evolve(&mut self, change: &Change<'_>) {
        match change {
            Change::QueueOpened {
                number,
                account,
                name,
            } => self.open_queue(*number, account, name),
            Change::QueueClosed { queue } => self.close_queue(*queue),
            Change::SettingsPut { queue, settings } => {
                self.queues[*queue].settings = Some(Box::new(KeptSettings::new(settings)));
            }
            Change::SettingsCleared { queue } => self.queues[*queue].settings = None,
            Change::Put {
                queue,
                replaces,
                message,
            } => self.put(*queue, *replaces, message),
            Change::Claimed {
                queue,
                visible_at,
                fence,
                positions,
            } => {
                self.change_extras(*queue, positions, |number, extra| {
                    extra.attempts = extra.attempts.saturating_add(1);
                    extra.fence = fence.saturating_add(number);
                    extra.visible_at = *visible_at;
                });
                self.pass_stamps(*fence, positions.len() as u64);
            }
            Change::Unclaimed { queue, positions } => {
                self.change_extras(*queue, positions, |_, extra| {
                    extra.attempts = extra.attempts.saturating_sub(1);
                    extra.fence = 0;
                    extra.visible_at = 0;
                });
            }
            Change::Updated {
                queue,
                expires_at,
                visible_at,
                positions,
            } => {
                self.change_extras(*queue, positions, |_, extra| {
                    extra.expires_at = expires_at.unwrap_or(extra.expires_at);
                    extra.visible_at = visible_at.unwrap_or(extra.visible_at);
                });
            }
            Change::Moved {
                queue,
                position,
                attempts,
                fence,
            } => {
                self.change_extras(*queue, &[*position], |_, extra| {
                    extra.attempts = *attempts;
                    extra.fence = *fence;
                });
                self.pass_stamps(*fence, 1);
            }
            Change::Removed { queue, positions } => self.remove_all(*queue, positions),
        }
    }

    /// The number of the next claim, or of the next message that is given an id: ascending,
    /// and unique in the node's life. It begins with the present millisecond, so that nodes
    /// that are told the same at the same instants give the same, whatever else they hold.
    pub(crate) fn next_stamp(&self) -> u64 {
        self.stamps_from.max(stamp_of(self.clock))
    }

    /// The number of the next message that is given an id. A restore skips ahead in time, and
    /// passes the ids that it meets; where there is no time left to skip, a position serves
    /// as well.
    pub(crate) fn take_id_stamp(&mut self) -> u64 {
        if !self.is_stamped() {
            return stamp_of(LAST_STAMPED) + self.next_position;
        }
        let stamp = self.next_stamp();
        self.pass_stamps(stamp, 1);
        stamp
    }

    /// A message with this id was stored at `clock`: if the id was given, its stamp is passed.
    pub(crate) fn pass_id(&mut self, id: &[u8], clock: u64) {
        let soon = stamp_of(clock.saturating_add(STAMPS_AHEAD_MS));
        if let Some(stamp) = stamp_in(id).filter(|&stamp| stamp < soon) {
            self.pass_stamps(stamp, 1);
        }
    }

    /// Whether stamps tell the time.
    pub(crate) fn is_stamped(&self) -> bool {
        self.clock < LAST_STAMPED
    }

    /// Stamps from `first` on are given, so many of them.
    pub(crate) fn pass_stamps(&mut self, first: u64, count: u64) {
        self.stamps_from = self.stamps_from.max(first.saturating_add(count));
    }

    fn open_queue(&mut self, number: u64, account: &str, name: &str) {
        let hash = self.queue_hash(account, name);
        let account_place = match self.accounts.get(account) {
            Some(place) => place,
            None => {
                let entry = Account {
                    name: account.into(),
                    queues: Names::default(),
                    messages: 0,
                    bytes: 0,
                };
                let place = self.account_slab.insert(entry);
                self.accounts.insert(account, place);
                place
            }
        };
        let place = self.queues.insert(Queue {
            number,
            account: account_place,
            name: Name::new(name),
            hash,
            settings: None,
            blocks: Spine::default(),
            visible: Spine::default(),
            messages: 0,
            bytes: 0,
        });
        let queues = &self.queues;
        self.queue_index
            .insert(hash, place, |place| queues[place].hash);
        self.account_slab[account_place].queues.insert(name, place);
        self.by_number.insert(number, place);
        self.next_queue = self.next_queue.max(number.saturating_add(1));
    }

    /// Closes a queue, with all that is in it.
    fn close_queue(&mut self, place: u32) {
        while let Some((_, block)) = self.queues[place].blocks.first() {
            self.clear_block(block);
        }
        let queues = &self.queues;
        self.queue_index
            .remove(queues[place].hash, place, |place| queues[place].hash);
        let Some(queue) = self.queues.remove(place) else {
            return;
        };
        self.by_number.remove(&queue.number);
        let account = &mut self.account_slab[queue.account];
        account.queues.remove(queue.name.as_str());
        if account.queues.is_empty()
            && let Some(account) = self.account_slab.remove(queue.account)
        {
            self.accounts.remove(&account.name);
        }
    }

    /// Sets the clock, which never goes back; true if [`let_happen`](Self::let_happen) has
    /// something to do.
    pub(crate) fn pass(&mut self, now: u64) -> bool {
        self.clock = self.clock.max(now);
        self.next_timer()
            .is_some_and(|instant| instant <= self.clock)
    }

    /// Lets everything happen that time alone brings about up to the present. Afterwards
    /// nothing that has expired is there, and nothing is hidden whose hiding has ended.
    pub(crate) fn let_happen(&mut self, touched: &mut Touched) {
        while let Some(&(instant, block)) = self.timers.first() {
            if instant > self.clock {
                break;
            }
            self.timers.pop_first();
            let block = block as u32;
            let entry = &mut self.blocks[block];
            entry.timer = core::mem::replace(&mut entry.later_timer, NEVER);
            self.block_due(block, touched);
        }
    }

    /// How much is in a queue. The blocks know how many of their messages are visible.
    pub(crate) fn queue_stats(&self, queue: u32) -> QueueStats {
        let queue = self.queue(queue);
        let blocks = queue.blocks.iter_from(queue.blocks.first());
        let blocks = blocks.map(|(_, block)| &self.blocks[block]);
        let visible = blocks.map(|block| u64::from(block.visible_count()));
        QueueStats {
            messages: queue.messages,
            hidden: queue.messages - visible.sum::<u64>(),
            bytes: queue.bytes,
        }
    }

    /// The next instant at which [`let_happen`](Self::let_happen) may find something, if any.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        self.timers.first().map(|&(instant, _)| instant)
    }

    fn block_due(&mut self, block: u32, touched: &mut Touched) {
        let queue = self.blocks[block].queue;
        while let Some(slot) = self
            .blocks
            .get_mut(block)
            .and_then(|entry| entry.take_expired(self.clock))
        {
            let place = place_of(block, slot);
            let expired_at = self.view(place).expires_at;
            // Without rewriting the block, which would move what is still to be found.
            self.remove_from_block(place, expired_at);
        }
        let number = self.queues[queue].number;
        if self.queues[queue].messages == 0 {
            touched.emptied.insert(number, queue);
        }
        let entry = &mut self.blocks[block];
        let before = entry.visible_count();
        if entry.unhide(self.clock) {
            self.hidden -= u64::from(entry.visible_count() - before);
            touched.woken.insert(number, queue);
        }
        self.tidy_block(block);
    }
}

/// The id that a message is given.
pub(crate) fn id_of(stamp: u64) -> String {
    format!("{stamp:016x}")
}

/// The stamp of an id that looks as if it had been given.
fn stamp_in(id: &[u8]) -> Option<u64> {
    let digits = id.get(..16)?;
    let digits = core::str::from_utf8(digits).ok()?;
    let is_given = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_given.then(|| u64::from_str_radix(digits, 16).ok())?
}

/// The first stamp of a millisecond.
pub(crate) fn stamp_of(clock: u64) -> u64 {
    clock.min(LAST_STAMPED) << STAMP_BITS
}

/// The fence of a dead letter, by that of its claim and by where it comes from. Nodes take their stamps from their clocks, so two of
/// them may give the same ones: those of one place are as different as they were, and those of two in all but one of 65,536 cases.
pub(crate) fn fence_of(claim: u64, from: &[u8]) -> u64 {
    let place = u64::from(crc::hash(from)) % stamp_of(1);
    match claim ^ place {
        // None at all has a meaning of its own.
        0 => claim,
        fence => fence,
    }
}

pub(crate) fn place_of(block: u32, slot: usize) -> Place {
    block << block::SLOT_BITS | slot as u32
}

pub(crate) fn split_place(place: Place) -> (u32, usize) {
    (
        place >> block::SLOT_BITS,
        (place & (block::MAX_SLOTS as u32 - 1)) as usize,
    )
}
