//! The machine behind its front-end, with a journal in memory and a clock that is moved:
//! what every host must be like.

use std::collections::{BTreeMap, BTreeSet};

use burrow_core::journal::{Load, LoadError};
use burrow_core::rest::{self, Response, RestConfig};
use burrow_core::service::{Handled, Service};
use burrow_core::{Config, Node, Ticket, Timestamp};

use crate::conformance::{Answer, Request};

#[derive(Debug)]
pub(super) struct Reference {
    service: Service,
    stored: Stored,
    waiting: BTreeSet<Ticket>,
    /// Answers to requests that waited, in the order in which they came.
    answered: Vec<(Ticket, Answer)>,
    pub(super) now: Timestamp,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Called {
    Answered(Answer),
    Waits(Ticket),
}

#[derive(Clone, Debug, Default)]
struct Stored(BTreeMap<u64, Vec<u8>>);

impl Load for Stored {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(self.0.keys().copied().collect())
    }
    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        let blob = self.0.get(&sequence).cloned();
        blob.ok_or_else(|| LoadError(format!("no blob {sequence}")))
    }
}

impl Reference {
    pub(super) fn new() -> Self {
        Self::with(Node::new(Config::default()), Stored::default())
    }

    fn with(node: Node, stored: Stored) -> Self {
        let rest = RestConfig {
            manual_clock: true,
            ..RestConfig::default()
        };
        Self {
            now: node.now().max(Timestamp::MANUAL_START),
            service: Service::new(node, rest),
            stored,
            waiting: BTreeSet::new(),
            answered: Vec::new(),
        }
    }

    /// What becomes of a request. One that waits does so until it is [answered](Self::take_answered)
    /// or [taken back](Self::cancel).
    pub(super) fn call(&mut self, request: &Request) -> Called {
        let header = |name: &str| {
            let mut headers = request.headers.iter();
            let found = headers.find(|(own, _)| own.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let routed = rest::Request {
            method: &request.method,
            target: &request.target,
            content_type: header("Content-Type"),
            body: &request.body,
            ..rest::Request::default()
        };
        match self.service.handle(self.now, &routed) {
            Handled::Answered(response) => Called::Answered(on_the_wire(response)),
            Handled::Clock(clock) => {
                self.advance_to(self.now.after_ms(clock.advance_ms));
                let node = self.service.node();
                let response = clock.respond(self.now, node.digest(), node.stats().waiters);
                Called::Answered(on_the_wire(response))
            }
            Handled::Pending(ticket) => match self.settle(Some(ticket)) {
                Some(answer) => Called::Answered(answer),
                None => {
                    self.waiting.insert(ticket);
                    Called::Waits(ticket)
                }
            },
        }
    }

    /// The next answer to one that has waited.
    pub(super) fn take_answered(&mut self) -> Option<(Ticket, Answer)> {
        (!self.answered.is_empty()).then(|| self.answered.remove(0))
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        self.service.cancel(ticket);
        self.settle(None);
    }

    pub(super) fn advance_to(&mut self, until: Timestamp) {
        self.service.node_mut().advance_to(until);
        self.now = until;
        self.settle(None);
    }

    pub(super) fn restart(&mut self) {
        let restored = Node::restore(
            Config::default(),
            Timestamp::MANUAL_START,
            &mut self.stored.clone(),
        );
        let (node, _) = restored.expect("what was stored can be restored");
        *self = Self::with(node, std::mem::take(&mut self.stored));
    }

    /// Stores what was decided, and keeps the answers that this lets go but for the one that is wanted.
    fn settle(&mut self, wanted: Option<Ticket>) -> Option<Answer> {
        let node = self.service.node_mut();
        while let Some(batch) = node.poll_batch() {
            for dropped in batch.drops.into_iter().flatten() {
                self.stored.0.remove(&dropped);
            }
            self.stored.0.insert(batch.sequence, batch.blob);
            node.handle_durable(batch.sequence);
        }
        let mut own = None;
        while let Some((ticket, response)) = self.service.poll_response() {
            if Some(ticket) == wanted {
                own = Some(on_the_wire(response));
            } else if self.waiting.remove(&ticket) {
                self.answered.push((ticket, on_the_wire(response)));
            }
        }
        own
    }
}

fn on_the_wire(response: Response) -> Answer {
    let headers = response.headers.into_iter();
    Answer {
        status: response.status,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect(),
        body: if response.head {
            Vec::new()
        } else {
            response.body
        },
    }
}
