//! The component and the log that all hosts answer alike.

use std::io;

use burrow_core::rest::{self, RestConfig, Routed, route};
use burrow_embed::{Carried, Handled, Outcome, Plugin, Queue, QueueConfig, Request, Time};
use burrow_tests::conformance::{self, Answer, header};
use burrow_tests::parity::{Replica, replay, the_log};

use crate::conformance::on_the_wire;
use crate::support::{Shared, plugin};

/// An instance that is dropped and made again on the same storage.
struct Component {
    plugin: Plugin,
    storage: Shared,
    queue: Queue,
    /// Requests are routed here, and their commands are passed on.
    by_command: bool,
}

impl Component {
    fn new(by_command: bool) -> Self {
        let (plugin, storage) = (plugin(), Shared::default());
        Self {
            queue: Self::open(&plugin, &storage).unwrap(),
            plugin,
            storage,
            by_command,
        }
    }

    /// The answer to a request that is no command; of one that is, what it is made of its reply.
    fn command(&mut self, request: &conformance::Request) -> io::Result<Option<Answer>> {
        let read = rest::Request {
            method: &request.method,
            target: &request.target,
            content_type: header(&request.headers, "Content-Type"),
            body: &request.body,
            ..rest::Request::default()
        };
        let config = RestConfig {
            manual_clock: true,
            ..RestConfig::default()
        };
        let (command, plan) = match route(&read, &config) {
            Routed::Respond(response) => return Ok(Some(conformance::on_the_wire(response))),
            Routed::Clock(_) => return Ok(None),
            Routed::Submit(command, plan) => (command, plan),
        };
        let reply = match self.queue.command(&command).map_err(io::Error::other)? {
            Carried::Done(reply) => reply,
            Carried::Pending(ticket) => match self.queue.take(ticket).map_err(io::Error::other)? {
                Some(Outcome::Reply(reply)) => reply,
                _ => return Err(io::Error::other("there is no answer yet")),
            },
        };
        Ok(Some(conformance::on_the_wire(plan.respond(reply))))
    }

    fn open(plugin: &Plugin, storage: &Shared) -> io::Result<Queue> {
        let config = QueueConfig {
            time: Time::Manual,
            ..QueueConfig::default()
        };
        let queue = plugin.instantiate(storage.clone(), config);
        queue.map_err(io::Error::other)
    }
}

impl Replica for Component {
    fn call(&mut self, request: &conformance::Request) -> io::Result<Answer> {
        if self.by_command
            && let Some(answer) = self.command(request)?
        {
            return Ok(answer);
        }
        let request = Request {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        let handled = self.queue.handle(&request).map_err(io::Error::other)?;
        let ticket = match handled {
            Handled::Response(response) => return Ok(on_the_wire(response)),
            Handled::Pending(ticket) => ticket,
        };
        match self.queue.take(ticket).map_err(io::Error::other)? {
            Some(Outcome::Response(response)) => Ok(on_the_wire(response)),
            _ => Err(io::Error::other("there is no answer yet")),
        }
    }

    fn restart(&mut self) -> io::Result<()> {
        self.queue = Self::open(&self.plugin, &self.storage)?;
        Ok(())
    }
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn parity_of_the_component() {
    replay(&the_log(), &mut Component::new(false))
        .unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn parity_of_the_component_by_commands() {
    replay(&the_log(), &mut Component::new(true))
        .unwrap_or_else(|difference| panic!("{difference}"));
}
