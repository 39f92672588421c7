//! Commands that wait until something matches: first come, first served.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Bound;

use super::search::{Action, Search};
use super::{Node, Ticket};
use crate::command::QueueName;
use crate::refusal::{LimitName, Refusal};
use crate::settings::Order;
use crate::sort::sort;
use crate::state::Numbered;

/// Numbers of tickets, each behind what they are ordered by first.
type Tickets = BTreeSet<(u64, u64)>;

/// So many bytes are given to waiters in a millisecond, however short answers must be.
const LEAST_SERVED_BYTES: u64 = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By ticket.
    waiters: Numbered<Waiter>,
    /// By the hash of the queue's names, for a waiter's queue need not exist. Queues with
    /// equal hashes share a list, which costs time and nothing else.
    lists: Numbered<WaitList>,
    deadlines: Tickets,
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
    plain: [Tickets; 2],
    /// By the position that a message must be behind.
    marked: [Tickets; 2],
}

impl WaitList {
    fn len(&self) -> usize {
        self.plain.iter().map(BTreeSet::len).sum::<usize>()
            + self.marked.iter().map(BTreeSet::len).sum::<usize>()
    }

    /// Where a waiter's ticket is, and behind what.
    fn tickets(&mut self, search: &Search) -> (&mut Tickets, u64) {
        let kind = usize::from(search.match_hidden);
        match search.after {
            Some(after) => (&mut self.marked[kind], after),
            None => (&mut self.plain[kind], 0),
        }
    }
}

impl Waiting {
    pub(super) fn len(&self) -> u64 {
        self.waiters.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// `has_room`: others can be served, as what was given before is taken.
    pub(super) fn next_deadline(&self, has_room: bool) -> Option<u64> {
        let first = self.deadlines.first().map(|&(deadline, _)| deadline);
        let is_postponed = has_room && !self.postponed.is_empty();
        let postponed = is_postponed.then_some(self.served_at + 1);
        first.into_iter().chain(postponed).min()
    }

    fn count_served(&mut self, now: u64, bytes: u64) {
        if now > self.served_at {
            (self.served_at, self.served_bytes) = (now, 0);
        }
        self.served_bytes += bytes;
    }

    fn insert(&mut self, ticket: Ticket, waiter: Waiter) {
        let number = ticket.number();
        if self.lists.get(waiter.hash).is_none() {
            self.lists.insert(waiter.hash, WaitList::default());
        }
        if let Some(list) = self.lists.get_mut(waiter.hash) {
            let (tickets, first) = list.tickets(&waiter.search);
            tickets.insert((first, number));
        }
        self.deadlines.insert((waiter.deadline, number));
        self.waiters.insert(number, waiter);
    }

    /// True if this one claims whatever is visible.
    fn is_plain_claim(&self, ticket: Ticket) -> bool {
        self.waiters.get(ticket.number()).is_some_and(|waiter| {
            let search = &waiter.search;
            let claims =
                matches!(search.action, Action::Update(update) if update.hide_ms.unwrap_or(0) > 0);
            claims && search.after.is_none() && !search.match_hidden
        })
    }

    /// True if this one may make messages visible.
    fn may_reveal(&self, ticket: Ticket) -> bool {
        self.waiters.get(ticket.number()).is_some_and(|waiter| {
            let search = &waiter.search;
            search.match_hidden
                && matches!(search.action, Action::Update(update) if update.hide_ms == Some(0))
        })
    }

    /// Takes a waiter out; false if the ticket is not that of one.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        self.take(ticket).is_some()
    }

    fn take(&mut self, ticket: Ticket) -> Option<Box<Waiter>> {
        let number = ticket.number();
        let waiter = self.waiters.remove(number)?;
        self.deadlines.remove(&(waiter.deadline, number));
        if let Some(list) = self.lists.get_mut(waiter.hash) {
            let (tickets, first) = list.tickets(&waiter.search);
            tickets.remove(&(first, number));
            if list.len() == 0 {
                self.lists.remove(waiter.hash);
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
        let here = self.waiting.lists.get(hash).map_or(0, WaitList::len);
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

    /// Others came before who were put off, and what is taken now might be theirs.
    pub(super) fn is_behind_others(&self, queue: &QueueName<'_>, search: &Search) -> bool {
        let postponed = &self.waiting.postponed;
        if postponed.is_empty() || matches!(search.action, Action::List) {
            return false;
        }
        let place = self.state.find_queue(&queue.account, &queue.queue);
        place.is_some_and(|place| postponed.contains(&(self.state.queue(place).number, place)))
    }

    /// Wakes the queues that had something left in an earlier millisecond.
    pub(super) fn wake_postponed(&mut self) {
        let is_due = self.has_room_for_answers() && self.state.clock > self.waiting.served_at;
        if is_due && !self.waiting.postponed.is_empty() {
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
        let mut last = 0;
        // The last message may go, and the queue with it.
        while self.state.by_number.contains_key(&number) {
            let Some(list) = self.waiting.lists.get(hash) else {
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
                let behind = (Bound::Excluded((0, last)), Bound::Unbounded);
                list.range(behind).next()
            });
            let next = plain.map(|(_, ticket)| ticket).chain(marked.last()).min();
            let Some(&ticket) = next else { return };
            if marked.last() == Some(&ticket) {
                marked.pop();
            }
            last = ticket;
            let ticket = Ticket(ticket);
            let claims = self.waiting.is_plain_claim(ticket);
            if claims && is_dry {
                continue;
            }
            if self.has_served_enough() {
                self.waiting.count_served(self.state.clock, 0);
                self.waiting.postponed.insert((number, queue));
                return;
            }
            let may_reveal = self.waiting.may_reveal(ticket);
            let before = self.replies.bytes();
            let is_served = self.try_waiter(ticket);
            let given = self.replies.bytes() - before;
            self.waiting.count_served(self.state.clock, given);
            is_dry = !is_served && (claims || is_dry);
            if is_served && may_reveal && self.state.by_number.contains_key(&number) {
                // More may match those that came later.
                marked = self.marked_candidates(hash, queue);
                marked.retain(|ticket| *ticket > last);
            }
        }
    }

    /// One message may be what thousands wait for who only look: what they are given in a
    /// millisecond, and what of it nobody has taken yet, is as much as one answer may be.
    fn has_served_enough(&self) -> bool {
        let waiting = &self.waiting;
        let is_present = waiting.served_at == self.state.clock;
        !self.has_room_for_answers()
            || is_present && waiting.served_bytes >= self.most_served_bytes()
    }

    /// Whether others may be served beside those whose answers nobody has taken yet.
    pub(super) fn has_room_for_answers(&self) -> bool {
        self.replies.bytes() < self.most_served_bytes()
    }

    fn most_served_bytes(&self) -> u64 {
        self.config.limits.max_answer_bytes.max(LEAST_SERVED_BYTES)
    }

    /// The waiters with a marker that the queue has something behind, last come first.
    fn marked_candidates(&self, hash: u64, queue: u32) -> Vec<u64> {
        let mut candidates = Vec::new();
        let Some(list) = self.waiting.lists.get(hash) else {
            return Vec::new();
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
                Order::Fifo => (Bound::Unbounded, Bound::Excluded((last, 0))),
                Order::Lifo => (
                    Bound::Included((last.saturating_add(1), 0)),
                    Bound::Unbounded,
                ),
            };
            candidates.extend(marked.range(range).map(|&(after, ticket)| (ticket, after)));
        }
        sort(&mut candidates);
        candidates.iter().rev().map(|&(ticket, _)| ticket).collect()
    }

    /// True if it was served.
    fn try_waiter(&mut self, ticket: Ticket) -> bool {
        let Some(waiter) = self.waiting.waiters.get(ticket.number()) else {
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
            let Some(waiter) = self.waiting.take(Ticket(ticket)) else {
                return;
            };
            let queue = QueueName {
                account: (&*waiter.account).into(),
                queue: (&*waiter.queue).into(),
            };
            let refusal = self.missing(&queue);
            self.answer(Ticket(ticket), Err(refusal));
        }
    }
}
