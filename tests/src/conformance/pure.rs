//! The machine and its front-end without a network, on a clock that stands still.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use burrow_core::rest::{self, Plan, Response, RestConfig, Routed, route};
use burrow_core::{Config, JournalConfig, Node, Ticket, Timestamp};

use super::host::{Answer, Host, Request, header};

/// A node in this process.
#[derive(Debug)]
pub struct PureHost {
    node: Node,
    rest: RestConfig,
    config: Config,
    now: Timestamp,
    waiting: BTreeMap<Ticket, Plan>,
    answers: BTreeMap<Ticket, Answer>,
}

/// A request to a [`PureHost`].
#[derive(Debug)]
pub enum Call {
    Answered(Answer),
    Submitted(Ticket),
}

impl PureHost {
    /// A host of nodes with the default configuration, but without a journal.
    pub fn new() -> Self {
        let config = Config {
            journal: JournalConfig {
                enabled: false,
                ..JournalConfig::default()
            },
            ..Config::default()
        };
        Self {
            node: Node::new(config.clone()),
            rest: RestConfig::from(&config.limits),
            config,
            now: Timestamp::from_millis(1_000_000_000_000),
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    fn collect(&mut self) {
        while let Some((ticket, outcome)) = self.node.poll_reply() {
            if let Some(plan) = self.waiting.remove(&ticket) {
                self.answers
                    .insert(ticket, on_the_wire(plan.respond(outcome)));
            }
        }
    }
}

impl Default for PureHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for PureHost {
    type Call = Call;

    fn has_manual_clock(&self) -> bool {
        true
    }

    fn reset(&mut self) -> io::Result<()> {
        self.node = Node::new(self.config.clone());
        self.waiting.clear();
        self.answers.clear();
        Ok(())
    }

    fn send(&mut self, request: &Request) -> io::Result<Call> {
        let request = rest::Request {
            method: &request.method,
            target: &request.target,
            content_type: header(&request.headers, "Content-Type"),
            origin: header(&request.headers, "Origin"),
            access_control_request_method: header(
                &request.headers,
                "Access-Control-Request-Method",
            ),
            body: &request.body,
        };
        match route(&request, &self.rest) {
            Routed::Respond(response) => Ok(Call::Answered(on_the_wire(response))),
            Routed::Submit(command, plan) => {
                let ticket = self.node.submit(self.now, command);
                self.waiting.insert(ticket, plan);
                self.collect();
                Ok(Call::Submitted(ticket))
            }
            Routed::Clock(_) => Err(io::Error::other("its clock is the test's own")),
        }
    }

    fn poll(&mut self, call: &mut Call) -> io::Result<Option<Answer>> {
        match call {
            Call::Answered(answer) => Ok(Some(answer.clone())),
            Call::Submitted(ticket) => Ok(self.answers.get(ticket).cloned()),
        }
    }

    fn finish(&mut self, mut call: Call) -> io::Result<Answer> {
        self.poll(&mut call)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::WouldBlock, "there is no answer yet"))
    }

    fn cancel(&mut self, call: Call) -> io::Result<()> {
        if let Call::Submitted(ticket) = call {
            self.node.cancel(ticket);
            self.waiting.remove(&ticket);
            self.collect();
        }
        Ok(())
    }

    fn advance(&mut self, span: Duration) -> io::Result<()> {
        let span_ms = u64::try_from(span.as_millis()).map_err(io::Error::other)?;
        let until = self.now.after_ms(span_ms);
        while let Some(deadline) = self.node.deadline().filter(|&deadline| deadline <= until) {
            // A deadline may be earlier than needed, also in the past, but must move on.
            self.now = self.now.max(deadline);
            self.node.handle_deadline(self.now);
            self.collect();
            if self.node.deadline() == Some(deadline) {
                return Err(io::Error::other(format!(
                    "the deadline {deadline} was handled and is still there"
                )));
            }
        }
        self.now = until;
        Ok(())
    }
}

/// What a transport makes of a response.
pub fn on_the_wire(response: Response) -> Answer {
    let mut headers: Vec<(String, String)> = response
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_owned()))
        .collect();
    if response.status != 204 {
        headers.push(("Content-Length".to_owned(), response.body.len().to_string()));
    }
    let body = if response.head {
        Vec::new()
    } else {
        response.body
    };
    Answer {
        status: response.status,
        headers,
        body,
    }
}
