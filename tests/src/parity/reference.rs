//! The machine behind its front-end, with a journal in memory and a clock that is moved:
//! what every host must be like.

use std::collections::BTreeMap;

use burrow_core::journal::{Load, LoadError};
use burrow_core::rest::{self, Response, RestConfig};
use burrow_core::service::{Handled, Service};
use burrow_core::{Config, Node, Timestamp};

use crate::conformance::{Answer, Request};

#[derive(Debug)]
pub(super) struct Reference {
    service: Service,
    stored: Stored,
    pub(super) now: Timestamp,
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
        }
    }

    /// The answer; `None` for a list or a delete that has to wait, which is taken back.
    pub(super) fn call(&mut self, request: &Request) -> Option<Answer> {
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
        let response = match self.service.handle(self.now, &routed) {
            Handled::Answered(response) => response,
            Handled::Clock(clock) => {
                self.advance_to(self.now.after_ms(clock.advance_ms));
                clock.respond(self.now, self.service.node().digest())
            }
            Handled::Pending(ticket) => {
                self.store();
                let Some((_, response)) = self.service.poll_response() else {
                    self.service.cancel(ticket);
                    return None;
                };
                response
            }
        };
        self.store();
        Some(on_the_wire(response))
    }

    pub(super) fn advance_to(&mut self, until: Timestamp) {
        self.service.node_mut().advance_to(until);
        self.now = until;
        self.store();
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

    fn store(&mut self) {
        let node = self.service.node_mut();
        while let Some(batch) = node.poll_batch() {
            for dropped in batch.drops.into_iter().flatten() {
                self.stored.0.remove(&dropped);
            }
            self.stored.0.insert(batch.sequence, batch.blob);
            node.handle_durable(batch.sequence);
        }
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
