//! Commands that wait until something matches: first come, first served.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;

use super::search::{Action, Search};
use super::{Node, Ticket};
use crate::command::QueueName;
use crate::refusal::{LimitName, Refusal};
use crate::settings::Order;

/// So many bytes are given to waiters in a millisecond, however short answers must be.
const LEAST_SERVED_BYTES: u64 = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    waiters: BTreeMap<Ticket, Waiter>,
    /// By the hash of the queue's names, for a waiter's queue need not exist. Queues with
    /// equal hashes share a list, which costs time and nothing else.
    lists: BTreeMap<u64, WaitList>,
    deadlines: BTreeSet<(u64, Ticket)>,
    /// The instant at which somebody was served, or could have been, last, and the bytes that
    /// were given then.
    served_at: u64,
    served_bytes: u64,
    /// Queues that have something for others too, who are served in the next millisecond.
    postponed: BTreeSet<(u64, u32)>,
}

#[derive(Debug)]
struct Waiter {
    account: Box<str>,
    queue: Box<str>,
    hash: u64,
    search: Search,
    deadline: u64,
}

/// The waiters of one queue; those that match hidden messages too come second.
#[derive(Debug, Default)]
struct WaitList {
    plain: [BTreeSet<Ticket>; 2],
    /// With the position that a message must be behind.
    marked: [BTreeSet<(u64, Ticket)>; 2],
}

impl WaitList {
    fn len(&self) -> usize {
        self.plain.iter().map(BTreeSet::len).sum::<usize>()
            + self.marked.iter().map(BTreeSet::len).sum::<usize>()
    }
}

impl Waiting {
    pub(super) fn len(&self) -> u64 {
        self.waiters.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        let first = self.deadlines.first().map(|&(deadline, _)| deadline);
        let postponed = (!self.postponed.is_empty()).then_some(self.served_at + 1);
        first.into_iter().chain(postponed).min()
    }

    fn count_served(&mut self, now: u64, bytes: u64) {
        if now > self.served_at {
            (self.served_at, self.served_bytes) = (now, 0);
        }
        self.served_bytes += bytes;
    }

    fn insert(&mut self, ticket: Ticket, waiter: Waiter) {
        let list = self.lists.entry(waiter.hash).or_default();
        let kind = usize::from(waiter.search.match_hidden);
        match waiter.search.after {
            Some(after) => list.marked[kind].insert((after, ticket)),
            None => list.plain[kind].insert(ticket),
        };
        self.deadlines.insert((waiter.deadline, ticket));
        self.waiters.insert(ticket, waiter);
    }

    /// True if this one claims whatever is visible.
    fn is_plain_claim(&self, ticket: Ticket) -> bool {
        self.waiters.get(&ticket).is_some_and(|waiter| {
            let search = &waiter.search;
            let claims =
                matches!(search.action, Action::Update(update) if update.hide_ms.unwrap_or(0) > 0);
            claims && search.after.is_none() && !search.match_hidden
        })
    }

    /// Takes a waiter out; false if the ticket is not that of one.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        self.take(ticket).is_some()
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiters.remove(&ticket)?;
        self.deadlines.remove(&(waiter.deadline, ticket));
        if let Some(list) = self.lists.get_mut(&waiter.hash) {
            let kind = usize::from(waiter.search.match_hidden);
            match waiter.search.after {
                Some(after) => list.marked[kind].remove(&(after, ticket)),
                None => list.plain[kind].remove(&ticket),
            };
            if list.len() == 0 {
                self.lists.remove(&waiter.hash);
            }
        }
        Some(waiter)
    }
}

impl Node {
    /// Lets a search wait that found nothing.
    pub(super) fn enlist(
        &mut self,
        ticket: Ticket,
        queue: &QueueName<'_>,
        search: Search,
        wait_ms: u64,
    ) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        if self.waiting.len() >= limits.max_waiters {
            return Err(Refusal::Exhausted {
                limit: LimitName::NodeWaiters,
                maximum: limits.max_waiters,
            });
        }
        let hash = self.state.queue_hash(&queue.account, &queue.queue);
        let here = self.waiting.lists.get(&hash).map_or(0, WaitList::len);
        if here as u64 >= limits.max_queue_waiters {
            return Err(Refusal::Exhausted {
                limit: LimitName::QueueWaiters,
                maximum: limits.max_queue_waiters,
            });
        }
        let waiter = Waiter {
            account: (&*queue.account).into(),
            queue: (&*queue.queue).into(),
            hash,
            search,
            deadline: self.state.clock + wait_ms,
        };
        self.waiting.insert(ticket, waiter);
        Ok(())
    }

    /// Wakes the queues that had something left in an earlier millisecond.
    pub(super) fn wake_postponed(&mut self) {
        if !self.waiting.postponed.is_empty() && self.state.clock > self.waiting.served_at {
            let postponed = core::mem::take(&mut self.waiting.postponed);
            // Some may have gone meanwhile.
            let by_number = &self.state.by_number;
            let left = postponed
                .into_iter()
                .filter(|(number, _)| by_number.contains_key(number));
            self.woken.extend(left);
        }
    }

    /// Serves the waiters of all queues to which something happened, in order of the
    /// queues' numbers.
    pub(super) fn serve_woken(&mut self) {
        while let Some((number, queue)) = self.woken.pop_first() {
            self.serve(number, queue);
        }
    }

    /// Serves the waiters of a queue in the order in which they came, as long as there is
    /// something for them. Only those are looked at that may match. One that makes messages
    /// visible brings about another pass, for those that came before it.
    fn serve(&mut self, number: u64, queue: u32) {
        let hash = self.state.queue(queue).hash;
        let mut marked = self.marked_candidates(hash, queue);
        // Where one claim finds only what may not be claimed, the next would look at all of it
        // again.
        let mut is_dry = false;
        let mut last = Ticket(0);
        // The last message may go, and the queue with it.
        while self.state.by_number.contains_key(&number) {
            let Some(list) = self.waiting.lists.get(&hash) else {
                return;
            };
            let entry = self.state.queue(queue);
            let matches = [!entry.visible.is_empty(), entry.messages > 0];
            let plain = list
                .plain
                .iter()
                .zip(matches)
                .filter(|(_, matches)| *matches);
            let plain = plain.filter_map(|(list, _)| {
                list.range((Bound::Excluded(last), Bound::Unbounded)).next()
            });
            let next = plain.chain(marked.last()).min().copied();
            let Some(ticket) = next else { return };
            if marked.last() == Some(&ticket) {
                marked.pop();
            }
            last = ticket;
            let claims = self.waiting.is_plain_claim(ticket);
            if claims && is_dry {
                continue;
            }
            if self.has_served_enough() {
                self.waiting.count_served(self.state.clock, 0);
                self.waiting.postponed.insert((number, queue));
                return;
            }
            let before = self.replies.bytes();
            let is_served = self.try_waiter(ticket);
            let given = self.replies.bytes() - before;
            self.waiting.count_served(self.state.clock, given);
            is_dry = !is_served && (claims || is_dry);
        }
    }

    /// One message may be what thousands wait for who only look: what they are given in a
    /// millisecond, and what of it nobody has taken yet, is as much as one answer may be.
    fn has_served_enough(&self) -> bool {
        let most = self.config.limits.max_answer_bytes.max(LEAST_SERVED_BYTES);
        let given = match self.waiting.served_at == self.state.clock {
            true => self.waiting.served_bytes,
            false => 0,
        };
        given.max(self.replies.bytes()) >= most
    }

    /// The waiters with a marker that the queue has something behind, last come first.
    fn marked_candidates(&self, hash: u64, queue: u32) -> Vec<Ticket> {
        let mut candidates = Vec::new();
        let Some(list) = self.waiting.lists.get(&hash) else {
            return candidates;
        };
        for (marked, match_hidden) in list.marked.iter().zip([false, true]) {
            let Some(last) = self
                .state
                .last_match(queue, match_hidden)
                .filter(|_| !marked.is_empty())
            else {
                continue;
            };
            let range = match self.state.queue(queue).order() {
                Order::Fifo => (Bound::Unbounded, Bound::Excluded((last, Ticket(0)))),
                Order::Lifo => (
                    Bound::Included((last.saturating_add(1), Ticket(0))),
                    Bound::Unbounded,
                ),
            };
            candidates.extend(marked.range(range).map(|&(_, ticket)| ticket));
        }
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        candidates
    }

    /// True if it was served.
    fn try_waiter(&mut self, ticket: Ticket) -> bool {
        let Some(waiter) = self.waiting.waiters.get(&ticket) else {
            return false;
        };
        let search = waiter.search.clone();
        let queue = QueueName {
            account: waiter.account.clone().into_string().into(),
            queue: waiter.queue.clone().into_string().into(),
        };
        let is_served = self.run_search(ticket, &queue, &search);
        if is_served {
            self.waiting.remove(ticket);
        }
        is_served
    }

    /// Ends the waiting of all whose deadline is `until` or earlier.
    pub(super) fn time_out(&mut self, until: u64) {
        while let Some(&(deadline, ticket)) = self.waiting.deadlines.first() {
            if deadline > until {
                return;
            }
            let Some(waiter) = self.waiting.take(ticket) else {
                return;
            };
            let queue = QueueName {
                account: (&*waiter.account).into(),
                queue: (&*waiter.queue).into(),
            };
            let refusal = self.missing(&queue);
            self.answer(ticket, Err(refusal));
        }
    }
}
