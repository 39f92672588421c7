//! Bugs about replies, waiting and cancelling.

use std::collections::{BTreeMap, BTreeSet};

use burrow_core::journal::{Batch, Load, RestoreError, RestoreReport};
use burrow_core::{Command, Config, Node, Stats, Ticket, Timestamp};

use super::super::subject::{Outcome, Subject};
use super::Planted;

/// Replies leave as soon as their batch is made, not when it is durable.
#[derive(Debug, Default)]
pub struct ReplyBeforeDurable {
    durable: u64,
}

impl Subject for Planted<ReplyBeforeDurable> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn poll_batch(&mut self) -> Option<Batch> {
        let batch = self.node.poll_batch()?;
        self.node.handle_durable(batch.sequence);
        Some(batch)
    }

    fn handle_durable(&mut self, sequence: u64) {
        self.bug.durable = sequence;
        self.node.handle_durable(sequence);
    }

    fn stats(&mut self) -> Stats {
        Stats {
            durable_sequence: self.bug.durable,
            ..self.node.stats()
        }
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let (node, report) = Node::restore(config, now, load)?;
        self.node = node;
        self.bug.durable = report.last_sequence;
        Ok(report)
    }
}

/// Every tenth reply is given again.
#[derive(Debug, Default)]
pub struct ReplyTwice {
    count: u32,
    again: Option<(Ticket, Outcome)>,
}

impl Subject for Planted<ReplyTwice> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn poll_reply(&mut self) -> Option<(Ticket, Outcome)> {
        if let Some(again) = self.bug.again.take() {
            return Some(again);
        }
        let reply = self.node.poll_reply()?;
        self.bug.count += 1;
        if self.bug.count.is_multiple_of(10) {
            self.bug.again = Some(reply.clone());
        }
        Some(reply)
    }
}

/// Every tenth reply is never given.
#[derive(Debug, Default)]
pub struct ReplyLost {
    count: u32,
}

impl Subject for Planted<ReplyLost> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn poll_reply(&mut self) -> Option<(Ticket, Outcome)> {
        self.bug.count += 1;
        if self.bug.count.is_multiple_of(10) {
            let _lost = self.node.poll_reply()?;
        }
        self.node.poll_reply()
    }
}

/// Whoever comes last is served first: the last two waiters of a queue are exchanged.
#[derive(Debug, Default)]
pub struct WaitersLifo {
    /// The last command that waits, by queue.
    last: BTreeMap<(String, String), Ticket>,
    exchanged: BTreeMap<Ticket, Ticket>,
}

impl Subject for Planted<WaitersLifo> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        let queue = match &command {
            Command::DeleteMessages { queue, .. } => {
                Some((queue.account.to_string(), queue.queue.to_string()))
            }
            _ => None,
        };
        self.node.handle_deadline(now);
        let before = self.node.stats().waiters;
        let ticket = self.node.submit(now, command);
        if self.node.stats().waiters > before
            && let Some(queue) = queue
            && let Some(other) = self.bug.last.insert(queue, ticket)
        {
            self.bug.exchanged.insert(other, ticket);
        }
        ticket
    }

    fn poll_reply(&mut self) -> Option<(Ticket, Outcome)> {
        let (ticket, outcome) = self.node.poll_reply()?;
        self.bug.last.retain(|_, last| *last != ticket);
        let other = self.bug.exchanged.remove(&ticket);
        match other.filter(|_| outcome.is_ok()) {
            Some(other) => {
                self.bug.exchanged.insert(other, ticket);
                Some((other, outcome))
            }
            None => Some((ticket, outcome)),
        }
    }

    fn cancel(&mut self, ticket: Ticket) {
        self.bug
            .exchanged
            .retain(|one, other| *one != ticket && *other != ticket);
        self.node.cancel(ticket);
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let (node, report) = Node::restore(config, now, load)?;
        *self = Self {
            node,
            bug: WaitersLifo::default(),
        };
        Ok(report)
    }
}

/// The reply of a claim whose client went away disappears, the claim stays.
#[derive(Debug, Default)]
pub struct ClaimSurvivesCancel {
    waited: BTreeSet<Ticket>,
    muted: BTreeSet<Ticket>,
}

impl Subject for Planted<ClaimSurvivesCancel> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        self.node.handle_deadline(now);
        let before = self.node.stats().waiters;
        let ticket = self.node.submit(now, command);
        if self.node.stats().waiters > before {
            self.bug.waited.insert(ticket);
        }
        ticket
    }

    fn cancel(&mut self, ticket: Ticket) {
        if self.bug.waited.contains(&ticket) {
            self.node.cancel(ticket);
        } else {
            self.bug.muted.insert(ticket);
        }
    }

    fn poll_reply(&mut self) -> Option<(Ticket, Outcome)> {
        loop {
            let (ticket, outcome) = self.node.poll_reply()?;
            if !self.bug.muted.remove(&ticket) {
                return Some((ticket, outcome));
            }
        }
    }

    fn stats(&mut self) -> Stats {
        let stats = self.node.stats();
        Stats {
            replies: stats.replies - self.bug.muted.len() as u64,
            ..stats
        }
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let (node, report) = Node::restore(config, now, load)?;
        *self = Self {
            node,
            bug: ClaimSurvivesCancel::default(),
        };
        Ok(report)
    }
}

/// A client that goes away while it waits keeps its place.
#[derive(Debug, Default)]
pub struct CancelIgnored;

impl Subject for Planted<CancelIgnored> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn cancel(&mut self, _: Ticket) {}
}

/// A host that is about to stop does not get the waiting answered.
#[derive(Debug, Default)]
pub struct ReleaseIgnored;

impl Subject for Planted<ReleaseIgnored> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn release_waiters(&mut self) {}
}
