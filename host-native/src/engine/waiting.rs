//! A command whose reply is yet to come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use burrow_core::{Reply, Ticket};
use tokio::sync::oneshot;

use super::Failure;
use super::mailbox::Slot;
use super::shared::Shared;

pub(super) type Outcome = Result<Reply, Failure>;

/// Names a command in the engine. A restored node gives its tickets anew, so a ticket
/// alone would do for one node only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: u64,
    pub(super) ticket: Ticket,
}

/// Waits for the outcome of a submitted command; cancels it when dropped before.
pub(super) struct Waiting {
    shared: Arc<Shared>,
    place: Place,
    receiver: oneshot::Receiver<Outcome>,
    received: bool,
}

impl Waiting {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: Place,
        receiver: oneshot::Receiver<Outcome>,
    ) -> Self {
        Self {
            shared,
            place,
            receiver,
            received: false,
        }
    }
}

impl Future for Waiting {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.receiver).poll(context).map(|received| {
            self.received = true;
            // Nobody drops a sender unused but a committer that came to grief.
            received.unwrap_or(Err(Failure::OutcomeUnknown))
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.received {
            self.shared.cancel(self.place);
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Who is told the outcome of a command.
pub(super) enum Recipient {
    One(oneshot::Sender<Outcome>),
    Mailbox(Arc<Slot>, u64),
}

impl Recipient {
    /// A receiver that is gone has been told that it might come too late.
    fn tell(self, outcome: Outcome) {
        match self {
            Self::One(sender) => drop(sender.send(outcome)),
            Self::Mailbox(slot, tag) => slot.put(tag, outcome),
        }
    }
}

/// Outcomes on their way to those who wait for them, to be sent when no lock is held.
#[derive(Default)]
pub(super) struct Deliveries(Vec<(Recipient, Outcome)>);

impl Deliveries {
    pub(super) fn push(&mut self, recipient: Recipient, outcome: Outcome) {
        self.0.push((recipient, outcome));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends all.
    pub(super) fn send(&mut self) {
        for (recipient, outcome) in self.0.drain(..) {
            recipient.tell(outcome);
        }
    }
}
