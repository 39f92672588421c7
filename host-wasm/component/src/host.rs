//! The one node of an instance, with the storage and the clock that the world imports.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use burrow_core::journal::{Batch, Load, LoadError};
use burrow_core::rest::{ClockRequest, Request, Response};
use burrow_core::service::{self, Handled, Service};
use burrow_core::{Command, Refusal, Reply, Ticket, Timestamp};
use spin::Mutex;

use crate::bindings::burrow::queue::types::Error;
use crate::bindings::burrow::queue::{clock, storage};
use crate::bindings::exports::burrow::queue::node::Outcome;
use crate::convert;

/// An instance has one thread and is never called while it calls out, so that this is
/// always free.
static OPENED: Mutex<Option<Host>> = Mutex::new(None);

/// Calls with the opened node; without one it is an error.
pub(crate) fn with<T>(call: impl FnOnce(&mut Host) -> Result<T, Error>) -> Result<T, Error> {
    let mut opened = OPENED.lock();
    opened.as_mut().ok_or(Error::NotOpen).and_then(call)
}

/// Takes what `make` gives as the instance's node, unless there is one; then `None`.
pub(crate) fn open<T, E>(make: impl FnOnce() -> Result<(Host, T), E>) -> Option<Result<T, E>> {
    let mut opened = OPENED.lock();
    if opened.is_some() {
        return None;
    }
    Some(make().map(|(host, told)| {
        *opened = Some(host);
        told
    }))
}

/// How the instance knows the present.
pub(crate) enum Clock {
    /// From the host, whose clock may be behind what is stored.
    Host { behind_ms: u64 },
    /// It is moved by hand, and shows this.
    Manual(Timestamp),
}

pub(crate) struct Host {
    service: Service,
    clock: Clock,
    max_batch_messages: u64,
    /// The calls that wait, by the number of their ticket.
    waiting: BTreeMap<u64, Waiting>,
    /// What became of those that have waited.
    completed: BTreeMap<u64, Outcome>,
    /// Why nothing is stored any more.
    failure: Option<String>,
}

struct Waiting {
    ticket: Ticket,
    form: Form,
}

/// How a call came, and how it is answered.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Typed,
    Request,
    /// By a frame with this id.
    Frame(u64),
}

/// What became of a call.
pub(crate) enum Called<T> {
    Done(T),
    Waits(u64),
}

impl Host {
    pub(crate) fn new(service: Service, clock: Clock, max_batch_messages: u64) -> Self {
        Self {
            service,
            clock,
            max_batch_messages,
            waiting: BTreeMap::new(),
            completed: BTreeMap::new(),
            failure: None,
        }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    pub(crate) fn max_batch_messages(&self) -> u64 {
        self.max_batch_messages
    }

    /// Carries a command out that came in this form, and stores what it changes.
    pub(crate) fn command(
        &mut self,
        command: Command<'_>,
        form: Form,
    ) -> Result<Called<Result<Reply, Refusal>>, Error> {
        self.check()?;
        let now = self.now();
        let ticket = self.service.submit(now, command);
        Ok(match self.settle(Some(ticket))? {
            Some(service::Outcome::Reply(reply)) => Called::Done(reply),
            _ => self.wait(ticket, form),
        })
    }

    /// The same for a request. A storage that fails is told in the response.
    pub(crate) fn request(&mut self, request: &Request<'_>) -> Called<Response> {
        let handled = self.check().and_then(|()| {
            let now = self.now();
            match self.service.handle(now, request) {
                Handled::Answered(response) => Ok(Called::Done(response)),
                Handled::Clock(request) => self.tell_clock(&request).map(Called::Done),
                Handled::Pending(ticket) => Ok(match self.settle(Some(ticket))? {
                    Some(service::Outcome::Response(response)) => Called::Done(response),
                    _ => self.wait(ticket, Form::Request),
                }),
            }
        });
        handled.unwrap_or_else(|error| Called::Done(convert::failed_response(&error)))
    }

    /// Lets happen what is due.
    pub(crate) fn tick(&mut self) -> Result<(), Error> {
        self.check()?;
        let now = self.now();
        self.service.node_mut().handle_deadline(now);
        self.settle(None).map(drop)
    }

    /// Moves a manual clock on and gives the new instant.
    pub(crate) fn advance(&mut self, span_ms: u64) -> Result<Timestamp, Error> {
        self.check()?;
        let now = self.move_on(span_ms)?;
        self.settle(None)?;
        Ok(now)
    }

    pub(crate) fn cancel(&mut self, number: u64) -> Result<(), Error> {
        self.check()?;
        self.completed.remove(&number);
        if let Some(waiting) = self.waiting.remove(&number) {
            self.service.cancel(waiting.ticket);
        }
        self.settle(None).map(drop)
    }

    pub(crate) fn completed(&self) -> Vec<u64> {
        self.completed.keys().copied().collect()
    }

    pub(crate) fn take(&mut self, number: u64) -> Option<Outcome> {
        self.completed.remove(&number)
    }

    /// An error once the storage has failed: what the node holds may not be stored.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.failure {
            Some(failure) => Err(Error::NotStored(failure.clone())),
            None => Ok(()),
        }
    }

    fn now(&self) -> Timestamp {
        match self.clock {
            Clock::Host { behind_ms } => Timestamp::from_millis(clock::now()).after_ms(behind_ms),
            Clock::Manual(now) => now,
        }
    }

    fn move_on(&mut self, span_ms: u64) -> Result<Timestamp, Error> {
        let Clock::Manual(now) = &mut self.clock else {
            return Err(Error::Invalid("the clock is not manual".into()));
        };
        *now = Timestamp::from_millis(now.after_ms(span_ms).as_millis());
        let now = *now;
        self.service.node_mut().advance_to(now);
        Ok(now)
    }

    fn tell_clock(&mut self, request: &ClockRequest) -> Result<Response, Error> {
        let now = self.move_on(request.advance_ms)?;
        let node = self.service.node();
        let (digest, waiters) = (node.digest(), node.stats().waiters);
        self.settle(None)?;
        Ok(request.respond(now, digest, waiters))
    }

    fn wait<T>(&mut self, ticket: Ticket, form: Form) -> Called<T> {
        let number = ticket.number();
        self.waiting.insert(number, Waiting { ticket, form });
        Called::Waits(number)
    }

    /// Stores what is decided and takes the outcomes that may leave then. The one of
    /// `wanted` is given back, the others are kept until they are taken.
    fn settle(&mut self, wanted: Option<Ticket>) -> Result<Option<service::Outcome>, Error> {
        let mut stored = false;
        while let Some(batch) = self.service.node_mut().poll_batch() {
            append(&batch).map_err(|error| self.fail(error, stored))?;
            self.service.node_mut().handle_durable(batch.sequence);
            stored = true;
        }
        let mut own = None;
        while let Some((ticket, outcome)) = self.service.poll() {
            if Some(ticket) == wanted {
                own = Some(outcome);
            } else {
                let number = ticket.number();
                let waiting = self.waiting.remove(&number);
                let form = waiting.map_or(Form::Typed, |waiting| waiting.form);
                self.completed
                    .insert(number, convert::outcome(outcome, form));
            }
        }
        Ok(own)
    }

    /// From now on nothing is stored, and nothing is answered but that. Those that wait learn it
    /// as well; the batch that failed may have been theirs. `partly`: another one of the same
    /// call was stored.
    fn fail(&mut self, error: storage::AppendError, partly: bool) -> Error {
        let (error, why) = match error {
            storage::AppendError::NotStored(why) if !partly => (Error::NotStored(why.clone()), why),
            storage::AppendError::NotStored(why) | storage::AppendError::OutcomeUnknown(why) => {
                (Error::OutcomeUnknown(why.clone()), why)
            }
        };
        self.failure = Some(why);
        for (number, waiting) in core::mem::take(&mut self.waiting) {
            self.completed
                .insert(number, convert::failed(&error, waiting.form));
        }
        error
    }
}

fn append(batch: &Batch) -> Result<(), storage::AppendError> {
    let drops: Vec<storage::Span> = batch
        .drops
        .iter()
        .map(|range| storage::Span {
            first: *range.start(),
            last: *range.end(),
        })
        .collect();
    storage::append(batch.sequence, &batch.blob, &drops)
}

/// The imported storage, to be read.
pub(crate) struct Stored;

impl Load for Stored {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        storage::sequences().map_err(LoadError)
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        storage::read(sequence).map_err(LoadError)
    }
}
