//! Commands that wait for something to match.

use burrow_core::{LimitName, Refusal, Ticket};

use super::bulk::Bulk;
use super::state::{Claim, Message, Name};
use super::{Expected, Model, Scope};

#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    pub(crate) bulk: Bulk,
    pub(crate) deadline: u64,
}

impl Model {
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) fn waits(&self, ticket: Ticket) -> bool {
        self.waiters.iter().any(|waiter| waiter.ticket == ticket)
    }

    pub(crate) fn waiting_tickets(&self) -> impl Iterator<Item = Ticket> {
        self.waiters.iter().map(|waiter| waiter.ticket)
    }

    /// The instant at which something is due for a waiter or dead letters move, if only time
    /// passes.
    pub(crate) fn due_at(&self) -> Option<u64> {
        let due = self.waiters.iter().map(|waiter| {
            self.matches_at(&waiter.bulk)
                .map_or(waiter.deadline, |at| at.min(waiter.deadline))
        });
        due.chain(self.burials_at()).min()
    }

    /// A waiting command gives up its place.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.waiters.retain(|waiter| waiter.ticket != ticket);
    }

    /// Undoes claims that nobody has heard of, as far as they are still the current ones.
    /// Gives their number.
    pub(crate) fn undo(&mut self, claims: &[Claim]) -> usize {
        let mut undone = 0;
        for index in 0..self.state.queues.len() {
            for at in 0..self.state.queues[index].messages.len() {
                let claim = self.state.queues[index].messages[at].claim.as_ref();
                if claim.is_some_and(|claim| claims.iter().any(|lost| lost.same(claim))) {
                    let message = &mut self.state.change(index).messages[at];
                    message.visible_at = 0;
                    message.attempts -= 1;
                    let times = message.claim.take().and_then(|claim| claim.times);
                    if let Some((given, before)) = times
                        && message.expires_at == given
                    {
                        message.expires_at = before;
                    }
                    undone += 1;
                }
            }
        }
        self.remove_late();
        self.serve_waiters();
        undone
    }

    /// Without the claim that gave them more time these would have expired.
    fn remove_late(&mut self) {
        let now = self.state.now;
        for index in 0..self.state.queues.len() {
            let is_late = |message: &Message| message.expires_at.is_some_and(|at| at <= now);
            self.state.remove(index, is_late);
        }
        self.state.drop_empty();
    }

    pub(crate) fn release_waiters(&mut self) {
        self.refuse_waiters(|_| true);
    }

    pub(super) fn no_room_to_wait(&self, name: &Name) -> Vec<Refusal> {
        let limits = &self.config.limits;
        let in_queue = self
            .waiters
            .iter()
            .filter(|waiter| waiter.bulk.name == *name)
            .count();
        let counts = [
            (
                LimitName::NodeWaiters,
                limits.max_waiters,
                self.waiters.len(),
            ),
            (LimitName::QueueWaiters, limits.max_queue_waiters, in_queue),
        ];
        let full = counts
            .iter()
            .filter(|(_, maximum, count)| *count as u64 >= *maximum);
        full.map(|(limit, maximum, _)| Refusal::Exhausted {
            limit: *limit,
            maximum: *maximum,
        })
        .collect()
    }

    /// Serves waiters until none matches: always the oldest queue that has one, and in it
    /// in the order of arrival, again and again.
    pub(super) fn serve_waiters(&mut self) {
        while self.serve_oldest_queue() {}
    }

    fn serve_oldest_queue(&mut self) -> bool {
        let names: Vec<Name> = self
            .state
            .queues
            .iter()
            .map(|queue| queue.name.clone())
            .collect();
        names.iter().any(|name| {
            let mut served = false;
            while self.serve_queue(name) {
                served = true;
            }
            served
        })
    }

    /// Tries each waiter of the queue once, in the order of arrival; false if nothing happened.
    fn serve_queue(&mut self, name: &Name) -> bool {
        let here = self
            .waiters
            .iter()
            .filter(|waiter| waiter.bulk.name == *name);
        let mut happened = false;
        for waiter in here.cloned().collect::<Vec<_>>() {
            let done = self.run(&waiter.bulk);
            happened |= done.moved || done.outcome.is_ok();
            if let Ok(expected) = done.outcome {
                self.leave(waiter.ticket);
                self.events.push(("waiters served", 1));
                self.answer(
                    waiter.ticket,
                    expected,
                    Scope::Queue(name.clone()),
                    done.claims,
                );
            }
        }
        happened
    }

    pub(super) fn refuse_waiters(&mut self, due: impl Fn(&Waiter) -> bool) {
        for waiter in self
            .waiters
            .extract_if(.., |waiter| due(waiter))
            .collect::<Vec<_>>()
        {
            let refusal = self
                .state
                .lookup(&waiter.bulk.name)
                .err()
                .unwrap_or(Refusal::MessageNotFound);
            let scope = Scope::Queue(waiter.bulk.name.clone());
            self.answer(
                waiter.ticket,
                Expected::Refused(vec![refusal]),
                scope,
                Vec::new(),
            );
        }
    }
}
