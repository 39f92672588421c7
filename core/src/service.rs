//! A node with its REST front-end, for hosts that do one thing at a time: a Durable Object,
//! a component, a browser tab, a test.
//!
//! It is as free of I/O as the node: requests, instants and stored bytes go in; responses,
//! bytes to store and the next deadline come out.
//!
//! ```
//! use burrow_core::rest::{Request, RestConfig};
//! use burrow_core::service::{Handled, Service};
//! use burrow_core::{Config, Node, Timestamp};
//!
//! let mut service = Service::new(Node::new(Config::default()), RestConfig::default());
//! let now = Timestamp::from_millis(1_000);
//! let put = Request { method: "PUT", target: "/v1.0/a/q/m", body: b"hello", ..Request::default() };
//! let Handled::Pending(ticket) = service.handle(now, &put) else {
//!     panic!("a change is answered when it is durable");
//! };
//! while let Some(batch) = service.node_mut().poll_batch() {
//!     // Here a host writes `batch.blob` under `batch.sequence`.
//!     service.node_mut().handle_durable(batch.sequence);
//! }
//! let (answered, response) = service.poll_response().expect("it is durable");
//! assert_eq!((answered, response.status), (ticket, 201));
//! ```

use crate::command::Command;
use crate::node::{Node, Ticket};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rest::{ClockRequest, Plan, Request, Response, RestConfig, Routed, route};
use crate::state::Numbered;
use crate::time::Timestamp;

/// See the [module](self).
#[derive(Debug)]
pub struct Service {
    node: Node,
    rest: RestConfig,
    /// How the replies that are still to come are rendered; none for typed commands.
    plans: Numbered<Plan>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Handled {
    /// It is answered.
    Answered(Response),
    /// The answer comes from [`Service::poll_response`], perhaps at once, perhaps when a
    /// batch is durable or a wait is over.
    Pending(Ticket),
    /// The host is asked for its clock. It moves the node [on](Node::advance_to) to the new
    /// instant and answers with [`ClockRequest::respond`].
    Clock(ClockRequest),
}

/// A reply that may leave.
#[derive(Debug)]
pub enum Outcome {
    /// To a request.
    Response(Response),
    /// To a command that was [submitted](Service::submit).
    Reply(Result<Reply, Refusal>),
}

impl Service {
    /// A front-end before a node, new or restored.
    pub fn new(node: Node, rest: RestConfig) -> Self {
        Self {
            node,
            rest,
            plans: Numbered::default(),
        }
    }

    /// The node behind the front-end.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The node, to store its batches. Submit and take replies through the service.
    pub fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// Takes a request.
    pub fn handle(&mut self, now: Timestamp, request: &Request<'_>) -> Handled {
        match route(request, &self.rest) {
            Routed::Respond(response) => Handled::Answered(response),
            Routed::Clock(request) => Handled::Clock(request),
            Routed::Submit(command, plan) => {
                let ticket = self.node.submit(now, command);
                self.plans.insert(ticket.number(), plan);
                Handled::Pending(ticket)
            }
        }
    }

    /// Takes a command that came by another way than REST.
    pub fn submit(&mut self, now: Timestamp, command: Command<'_>) -> Ticket {
        self.node.submit(now, command)
    }

    /// The next outcome that may leave, of requests and commands alike.
    pub fn poll(&mut self) -> Option<(Ticket, Outcome)> {
        let (ticket, result) = self.node.poll_reply()?;
        let outcome = match self.plans.remove(ticket.number()) {
            Some(plan) => Outcome::Response(plan.respond(result)),
            None => Outcome::Reply(result),
        };
        Some((ticket, outcome))
    }

    /// As [`poll`](Self::poll), for a host that submits no commands of its own: their
    /// replies are dropped.
    pub fn poll_response(&mut self) -> Option<(Ticket, Response)> {
        loop {
            if let (ticket, Outcome::Response(response)) = self.poll()? {
                return Some((ticket, response));
            }
        }
    }

    /// The client went away: see [`Node::cancel`].
    pub fn cancel(&mut self, ticket: Ticket) {
        self.node.cancel(ticket);
        self.plans.remove(ticket.number());
    }
}
