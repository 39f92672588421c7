//! Replies that wait until what they depend on is durable.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Ticket;
use super::undo::Former;
use crate::refusal::Refusal;
use crate::reply::Reply;

#[derive(Debug, Default)]
pub(super) struct Replies {
    /// In the order of their barriers.
    queue: VecDeque<Held>,
    /// Bytes of messages and pieces in them.
    bytes: u64,
}

#[derive(Debug)]
struct Held {
    /// The sequence that must be durable first.
    barrier: u64,
    ticket: Ticket,
    outcome: Result<Reply, Refusal>,
    claimed: Option<Box<Claimed>>,
}

/// The claims that one command made, in case nobody comes for them.
#[derive(Debug)]
pub(super) struct Claimed {
    /// The queue's number.
    pub(super) queue: u64,
    /// Each message's position and fence.
    pub(super) messages: Vec<(u64, u64)>,
    /// The time that each had, if the claim gave them another one.
    pub(super) former: Option<Former>,
}

impl Replies {
    pub(super) fn len(&self) -> u64 {
        self.queue.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(
        &mut self,
        barrier: u64,
        ticket: Ticket,
        outcome: Result<Reply, Refusal>,
        claimed: Option<Box<Claimed>>,
    ) {
        self.bytes += size(&outcome);
        self.queue.push_back(Held {
            barrier,
            ticket,
            outcome,
            claimed,
        });
    }

    pub(super) fn poll(&mut self, durable: u64) -> Option<(Ticket, Result<Reply, Refusal>)> {
        let held = self.queue.pop_front_if(|held| held.barrier <= durable)?;
        self.bytes -= size(&held.outcome);
        Some((held.ticket, held.outcome))
    }

    /// Drops a reply, and gives the claims that came with it.
    pub(super) fn cancel(&mut self, ticket: Ticket) -> Option<Box<Claimed>> {
        let index = self.queue.iter().position(|held| held.ticket == ticket)?;
        let held = self.queue.remove(index)?;
        self.bytes -= size(&held.outcome);
        held.claimed
    }
}

fn size(outcome: &Result<Reply, Refusal>) -> u64 {
    match outcome {
        Ok(Reply::Messages(list)) => list.size(),
        Ok(Reply::Exported { piece, .. }) => piece.len() as u64,
        _ => 0,
    }
}
