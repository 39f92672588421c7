//! Many commands at a time by one caller, whose outcomes come as they are ready.
//!
//! Beside a future for each command, this spares an allocation and a waking for each: a
//! commit that answers a hundred commands of one connection wakes it once.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use burrow_core::Command;

use super::row::NumberRow;
use super::waiting::{Outcome, Place, Recipient};
use super::{Desk, Submitted};

/// Outcomes are kept in these bytes, at the most, by who can have them left out.
const MAX_BYTES: usize = 128 << 20;

/// Takes commands, and keeps their outcomes until they are fetched. When it is dropped,
/// what still waits is cancelled, as by
/// [`Desk::execute`].
pub struct Mailbox {
    desk: Desk,
    slot: Arc<Slot>,
    /// Where the commands are whose outcomes were not fetched yet.
    places: NumberRow<Place>,
}

/// Where outcomes are put.
#[derive(Default)]
pub(crate) struct Slot {
    inside: Mutex<Inside>,
    /// Bytes of the outcomes inside. Written while that is locked.
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Inside {
    outcomes: Vec<(u64, Outcome)>,
    /// Who rests until there are some.
    waker: Option<Waker>,
}

impl Mailbox {
    pub(super) fn new(desk: Desk) -> Self {
        Self {
            desk,
            slot: Arc::default(),
            places: NumberRow::default(),
        }
    }

    /// Carries a command out. The outcome is returned if it is there at once, else
    /// [`poll`](Self::poll) gives it, under `tag`, which no other command may have meanwhile.
    pub fn submit(&mut self, tag: u64, command: Command<'_>) -> Option<Outcome> {
        let mut recipient = || Recipient::Mailbox(Arc::clone(&self.slot), tag);
        match self.desk.submit(command, &mut recipient) {
            Submitted::Answered(outcome) => Some(outcome),
            Submitted::Waiting(place) => {
                self.places.insert(tag, place);
                None
            }
        }
    }

    /// Carries commands out, one after the other, each under its tag: as [`submit`](Self::submit)
    /// for each, in less time. What is there at once is appended to `outcomes`. For commands that
    /// are [small](Command::is_small): others are kept waiting by those before them.
    pub fn submit_all(
        &mut self,
        commands: Vec<(u64, Command<'_>)>,
        outcomes: &mut Vec<(u64, Outcome)>,
    ) {
        let Self {
            desk, slot, places, ..
        } = self;
        let mut recipient = |tag| Recipient::Mailbox(Arc::clone(slot), tag);
        desk.submit_all(
            commands,
            &mut recipient,
            &mut |tag, submitted| match submitted {
                Submitted::Answered(outcome) => outcomes.push((tag, outcome)),
                Submitted::Waiting(place) => places.insert(tag, place),
            },
        );
    }

    /// Commands whose outcomes were not fetched yet.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True if there is no command whose outcome was not fetched yet.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of the outcomes that have come and were not fetched.
    pub fn bytes(&self) -> usize {
        self.slot.bytes.load(Relaxed)
    }

    /// Cancels a command. False if its outcome is there already, or on its way.
    pub fn cancel(&mut self, tag: u64) -> bool {
        let cancelled = self.places.get(tag).is_some_and(Place::cancel);
        if cancelled {
            self.places.remove(tag);
        }
        cancelled
    }

    /// Fetches all outcomes that have come, at least one, by swapping them for `fetched`,
    /// which must be empty.
    pub fn poll(&mut self, cx: &mut Context<'_>, fetched: &mut Vec<(u64, Outcome)>) -> Poll<()> {
        let mut inside = self.slot.lock();
        if inside.outcomes.is_empty() {
            match &mut inside.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                empty => *empty = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        mem::swap(&mut inside.outcomes, fetched);
        self.slot.bytes.store(0, Relaxed);
        drop(inside);
        for (tag, _) in &*fetched {
            self.places.remove(*tag);
        }
        Poll::Ready(())
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        for place in self.places.values() {
            place.cancel();
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("under_way", &self.places.len())
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// True if what has come and was not fetched is as much as is kept.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Relaxed) > MAX_BYTES
    }

    pub(super) fn put_all(&self, outcomes: impl IntoIterator<Item = (u64, Outcome)>) {
        let mut inside = self.lock();
        for (tag, outcome) in outcomes {
            if let Ok(reply) = &outcome {
                self.bytes.fetch_add(reply.bytes(), Relaxed);
            }
            inside.outcomes.push((tag, outcome));
        }
        // Whoever is awake already looks again before it rests.
        let waker = inside.waker.take();
        drop(inside);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nothing that can panic happens while it is locked.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
