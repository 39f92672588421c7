//! One connection to a server: commands of many callers go out in the order in which they
//! come, and each outcome is told to its own recipient.
//!
//! Whoever has a command writes it into the lane's buffer and is done; the lane's task sends
//! what has gathered meanwhile in one go. The server is never told more than it takes:
//! what is beyond waits here, within a bound of bytes.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use burrow_core::wire::{self, Offer};
use burrow_core::{Command, Effect};

use super::backlog::Backlog;
use crate::desk::{Cancel, Deliveries, Failure, NumberRow, Place, Recipient};

/// A connection, or one that is about to be made.
pub(super) struct Lane {
    offer: Offer,
    max_unsent_bytes: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    is_closed: bool,
    /// What the task is to send next.
    out: Vec<u8>,
    /// Requests that the server does not take yet.
    backlog: Backlog,
    /// Requests that the server has, or will have with what is in `out`.
    in_flight: u32,
    last_id: u64,
    /// The last request that went to the socket. Those after it have certainly not happened.
    last_sent_id: u64,
    pending: NumberRow<Pending>,
    /// The task, when it rests.
    waker: Option<Waker>,
}

struct Pending {
    /// `None` once the command was taken back: its answer is nobody's. A relay stays.
    recipient: Option<Recipient>,
    is_change: bool,
    is_released: bool,
}

/// What the task finds in a lane.
pub(super) enum Work {
    /// To be sent, in the buffer that was given.
    Send,
    Nothing,
    /// The lane was closed, and the connection is to follow.
    Close,
}

impl Lane {
    pub(super) fn new(offer: Offer, max_unsent_bytes: usize) -> Self {
        Self {
            offer,
            max_unsent_bytes,
            inside: Mutex::default(),
        }
    }

    /// Sends a command; `recipient` is asked for unless it fails at once.
    pub(super) fn submit(
        self: &Arc<Self>,
        command: &Command<'_>,
        recipient: impl FnOnce() -> Recipient,
    ) -> Result<Place, Failure> {
        self.turn().submit(command, recipient)
    }

    /// For a caller with several commands. Nobody else can do anything with the lane until that
    /// is dropped.
    pub(super) fn turn(self: &Arc<Self>) -> Turn<'_> {
        Turn {
            lane: self,
            inside: self.lock(),
            woken: Woken(None),
        }
    }

    /// Commands that have no outcome yet.
    pub(super) fn len(&self) -> usize {
        self.lock().pending.len()
    }

    /// True if the server takes a further command at once.
    pub(super) fn has_room(&self) -> bool {
        let inside = self.lock();
        !inside.is_closed && inside.in_flight < self.offer.max_in_flight
    }

    /// Ends all waiting: the server answers each command that it still has as it can.
    pub(super) fn release(&self) {
        let mut inside = self.lock();
        let present = &mut *inside;
        for (id, pending) in present.pending.iter_mut() {
            if !mem::replace(&mut pending.is_released, true) {
                wire::encode_cancel(&mut present.out, id);
            }
        }
        wake(inside);
    }

    /// Takes no more commands, and says of all that are pending what is known of them.
    pub(super) fn close(&self) {
        let mut deliveries = Deliveries::default();
        let mut inside = self.lock();
        inside.is_closed = true;
        let last_sent_id = inside.last_sent_id;
        for (id, pending) in inside.pending.take_all() {
            let failure = match pending.is_change && id <= last_sent_id {
                true => Failure::OutcomeUnknown,
                false => Failure::Unreachable,
            };
            if let Some(recipient) = pending.recipient {
                deliveries.push(recipient, Err(failure));
            }
        }
        wake(inside);
        deliveries.send();
    }

    /// Closes the lane if nobody uses it, and tells whether it did.
    pub(super) fn close_if_idle(&self) -> bool {
        let mut inside = self.lock();
        let is_idle = inside.pending.is_empty();
        if is_idle {
            inside.is_closed = true;
            wake(inside);
        }
        is_idle
    }

    /// True if there is something to be sent, and more could go with it.
    pub(super) fn may_gather(&self) -> bool {
        let inside = self.lock();
        let has_room = inside.in_flight < self.offer.max_in_flight;
        !inside.is_closed && !inside.out.is_empty() && has_room
    }

    /// Swaps what is to be sent for `sending`, which must be empty. The context's task is
    /// woken when there is more.
    pub(super) fn take_work(&self, cx: &Context<'_>, sending: &mut Vec<u8>) -> Work {
        let mut inside = self.lock();
        match &mut inside.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        if inside.is_closed {
            return Work::Close;
        }
        if inside.out.is_empty() {
            return Work::Nothing;
        }
        mem::swap(&mut inside.out, sending);
        inside.last_sent_id = match inside.backlog.first_id() {
            Some(id) => id - 1,
            None => inside.last_id,
        };
        Work::Send
    }

    /// Tells what became of commands, and lets as many others go out.
    pub(super) fn tell(
        &self,
        outcomes: &mut Vec<(u64, Result<burrow_core::Reply, wire::Failure>)>,
    ) {
        let mut deliveries = Deliveries::default();
        let mut inside = self.lock();
        for (id, outcome) in outcomes.drain(..) {
            let Some(pending) = inside.pending.remove(id) else {
                continue;
            };
            inside.in_flight = inside.in_flight.saturating_sub(1);
            if let Some(recipient) = pending.recipient {
                let is_too_much = !pending.is_change
                    && outcome.as_ref().is_ok_and(|reply| reply.bytes() > 0)
                    && recipient.is_full();
                let outcome = match is_too_much {
                    // Nobody has taken it, and it can be asked for again.
                    true => Err(Failure::Busy),
                    false => outcome.map_err(own_failure),
                };
                deliveries.push(recipient, outcome);
            }
        }
        let present = &mut *inside;
        let room = self.offer.max_in_flight.saturating_sub(present.in_flight);
        present.in_flight += present.backlog.let_out(room, &mut present.out);
        drop(inside);
        deliveries.send();
    }

    /// Nothing that can panic happens while it is locked.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Submits commands one after the other; what has gathered is sent when this is dropped.
pub(super) struct Turn<'l> {
    lane: &'l Arc<Lane>,
    inside: MutexGuard<'l, Inside>,
    /// Dropped last: whoever is woken finds the lane free.
    woken: Woken,
}

impl Turn<'_> {
    /// Sends a command; `recipient` is asked for unless it fails at once.
    pub(super) fn submit(
        &mut self,
        command: &Command<'_>,
        recipient: impl FnOnce() -> Recipient,
    ) -> Result<Place, Failure> {
        let Lane {
            offer,
            max_unsent_bytes,
            ..
        } = &**self.lane;
        let inside = &mut *self.inside;
        if inside.is_closed {
            return Err(Failure::Unreachable);
        }
        if inside.out.len() + inside.backlog.bytes() > *max_unsent_bytes {
            return Err(Failure::Busy);
        }
        let id = inside.last_id + 1;
        let maximum = offer.max_frame_bytes;
        let encode = |out: &mut Vec<u8>| wire::encode_request(out, id, command, maximum);
        let encoded = match inside.in_flight < offer.max_in_flight {
            true => encode(&mut inside.out).map(|()| inside.in_flight += 1),
            false => inside.backlog.push(id, encode),
        };
        if encoded.is_err() {
            return Err(Failure::CommandTooLarge {
                maximum_bytes: maximum.into(),
            });
        }
        inside.last_id = id;
        let pending = Pending {
            recipient: Some(recipient()),
            is_change: command.effect() != Effect::None,
            is_released: false,
        };
        inside.pending.insert(id, pending);
        self.woken.0 = self.woken.0.take().or_else(|| inside.waker.take());
        Ok(Place {
            owner: Arc::clone(self.lane) as _,
            generation: 0,
            number: id,
        })
    }
}

/// Wakes a task when it is dropped.
struct Woken(Option<Waker>);

impl Drop for Woken {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

impl Cancel for Lane {
    fn cancel(&self, _: u64, id: u64) -> bool {
        let mut inside = self.lock();
        let present = &mut *inside;
        let Some(pending) = present.pending.get_mut(id) else {
            return false;
        };
        let is_taken_back = match &mut pending.recipient {
            Some(Recipient::Relay(relay)) => relay.take_back(),
            recipient => recipient.take().is_some(),
        };
        if !is_taken_back {
            return false;
        }
        if present.backlog.remove(id) {
            // The server has not heard of it, and will not.
            present.pending.remove(id);
        } else {
            // It stays until the server has answered, as it has a place there until then.
            wire::encode_cancel(&mut present.out, id);
        }
        wake(inside);
        true
    }
}

fn wake(mut inside: MutexGuard<'_, Inside>) {
    // Whoever is awake already looks again before it rests.
    let waker = inside.waker.take();
    drop(inside);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What a server's failure is to those who know only the proxy.
fn own_failure(failure: wire::Failure) -> Failure {
    match failure {
        wire::Failure::Refused(refusal) => Failure::Refused(refusal),
        wire::Failure::NotStored => Failure::NotStored,
        wire::Failure::Busy | wire::Failure::TooManyInFlight { .. } => Failure::Busy,
        // It will be gone in a moment; the proxy stays.
        wire::Failure::Stopping | wire::Failure::Unreachable => Failure::Unreachable,
        wire::Failure::FrameTooLarge { maximum } => Failure::CommandTooLarge {
            maximum_bytes: maximum.into(),
        },
        // Nobody takes back what is not asked to be: its waiting was ended.
        wire::Failure::Cancelled => Failure::Stopping,
        wire::Failure::OutcomeUnknown
        | wire::Failure::Malformed
        | wire::Failure::UnknownCommand
        | wire::Failure::UnknownField
        | wire::Failure::Protocol
        | wire::Failure::TooSlow => Failure::OutcomeUnknown,
    }
}
