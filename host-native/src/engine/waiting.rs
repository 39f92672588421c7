//! A command whose reply is yet to come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use burrow_core::{Reply, Ticket};
use tokio::sync::oneshot;

use super::Failure;
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

/// Outcomes on their way to those who wait for them, to be sent when no lock is held.
#[derive(Debug, Default)]
pub(super) struct Deliveries(Vec<(oneshot::Sender<Outcome>, Outcome)>);

impl Deliveries {
    pub(super) fn push(&mut self, sender: oneshot::Sender<Outcome>, outcome: Outcome) {
        self.0.push((sender, outcome));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends all. A receiver that is gone has been told that it might come too late.
    pub(super) fn send(&mut self) {
        for (sender, outcome) in self.0.drain(..) {
            let _ = sender.send(outcome);
        }
    }
}
