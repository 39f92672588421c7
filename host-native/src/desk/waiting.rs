//! A command whose reply is yet to come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use burrow_core::Reply;
use tokio::sync::oneshot;

use super::Failure;
use super::mailbox::Slot;

pub(crate) type Outcome = Result<Reply, Failure>;

/// Has commands under way that can be taken back.
pub(crate) trait Cancel: Send + Sync {
    /// The client that waits there went away. False if its outcome is out already.
    fn cancel(&self, generation: u64, number: u64) -> bool;
}

/// Where a command is that is under way. The owner knows it by two numbers: what it gives
/// the numbers from may begin anew, which is another generation.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) owner: Arc<dyn Cancel>,
    pub(crate) generation: u64,
    pub(crate) number: u64,
}

impl Place {
    /// True if the command was taken back: its recipient is told nothing.
    pub(crate) fn cancel(&self) -> bool {
        self.owner.cancel(self.generation, self.number)
    }
}

/// Waits for the outcome of a submitted command; cancels it when dropped before.
pub(crate) struct Waiting {
    place: Place,
    receiver: oneshot::Receiver<Outcome>,
    received: bool,
}

impl Waiting {
    pub(crate) fn new(place: Place, receiver: oneshot::Receiver<Outcome>) -> Self {
        Self {
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
            // Nobody drops a sender unused but who came to grief.
            received.unwrap_or(Err(Failure::OutcomeUnknown))
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.received {
            self.place.cancel();
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("number", &self.place.number)
            .finish_non_exhaustive()
    }
}

/// Who is told the outcome of a command.
pub(crate) enum Recipient {
    One(oneshot::Sender<Outcome>),
    Mailbox(Arc<Slot>, u64),
}

impl Recipient {
    /// A receiver that is gone has been told that it might come too late.
    pub(crate) fn tell(self, outcome: Outcome) {
        match self {
            Self::One(sender) => drop(sender.send(outcome)),
            Self::Mailbox(slot, tag) => slot.put_all([(tag, outcome)]),
        }
    }

    fn is_for(&self, slot: &Arc<Slot>) -> bool {
        matches!(self, Self::Mailbox(own, _) if Arc::ptr_eq(own, slot))
    }
}

/// Outcomes on their way to those who wait for them, to be sent when no lock is held.
#[derive(Default)]
pub(crate) struct Deliveries(Vec<(Recipient, Outcome)>);

impl Deliveries {
    pub(crate) fn push(&mut self, recipient: Recipient, outcome: Outcome) {
        self.0.push((recipient, outcome));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends all. What is for one mailbox stands together, as it was submitted together, and is
    /// put there in one go.
    pub(crate) fn send(&mut self) {
        let mut deliveries = self.0.drain(..).peekable();
        while let Some((recipient, outcome)) = deliveries.next() {
            let (slot, tag) = match recipient {
                Recipient::Mailbox(slot, tag) => (slot, tag),
                one => {
                    one.tell(outcome);
                    continue;
                }
            };
            let rest = std::iter::from_fn(|| {
                let next = deliveries.next_if(|(recipient, _)| recipient.is_for(&slot))?;
                match next {
                    (Recipient::Mailbox(_, tag), outcome) => Some((tag, outcome)),
                    (Recipient::One(_), _) => None,
                }
            });
            slot.put_all(std::iter::once((tag, outcome)).chain(rest));
        }
    }
}
