//! The component and the log that all hosts answer alike.

use std::io;

use burrow_core::rest::{self, Plan, RestConfig, Routed, route};
use burrow_core::{Refusal, Reply};
use burrow_embed::{Carried, Handled, Outcome, Plugin, Queue, QueueConfig, Request, Ticket, Time};
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

/// A request under way.
enum Call {
    Answered(Answer),
    Request(Ticket),
    Command(Ticket, Plan),
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

    fn open(plugin: &Plugin, storage: &Shared) -> io::Result<Queue> {
        let config = QueueConfig {
            time: Time::Manual,
            ..QueueConfig::default()
        };
        let queue = plugin.instantiate(storage.clone(), config);
        queue.map_err(io::Error::other)
    }

    /// Passes the request's command on; `None` for one to the clock, which has none.
    fn command(&mut self, request: &conformance::Request) -> io::Result<Option<Call>> {
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
            Routed::Respond(response) => {
                let answer = conformance::on_the_wire(response);
                return Ok(Some(Call::Answered(answer)));
            }
            Routed::Clock(_) => return Ok(None),
            Routed::Submit(command, plan) => (command, plan),
        };
        let carried = self.queue.command(&command).map_err(io::Error::other)?;
        Ok(Some(match carried {
            Carried::Done(reply) => Call::Answered(rendered(&plan, reply)),
            Carried::Pending(ticket) => Call::Command(ticket, plan),
        }))
    }
}

fn rendered(plan: &Plan, reply: Result<Reply, Refusal>) -> Answer {
    conformance::on_the_wire(plan.respond(reply))
}

impl Replica for Component {
    type Call = Call;

    fn send(&mut self, request: &conformance::Request) -> io::Result<Call> {
        if self.by_command
            && let Some(call) = self.command(request)?
        {
            return Ok(call);
        }
        let request = Request {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        let handled = self.queue.handle(&request).map_err(io::Error::other)?;
        Ok(match handled {
            Handled::Response(response) => Call::Answered(on_the_wire(response)),
            Handled::Pending(ticket) => Call::Request(ticket),
        })
    }

    fn finish(&mut self, call: Call) -> io::Result<Answer> {
        let ticket = match &call {
            Call::Answered(answer) => return Ok(answer.clone()),
            Call::Request(ticket) | Call::Command(ticket, _) => *ticket,
        };
        let completed = self.queue.completed().map_err(io::Error::other)?;
        let taken = self.queue.take(ticket).map_err(io::Error::other)?;
        match (taken, &call) {
            (Some(Outcome::Response(response)), Call::Request(_))
                if completed.contains(&ticket) =>
            {
                Ok(on_the_wire(response))
            }
            (Some(Outcome::Reply(reply)), Call::Command(_, plan))
                if completed.contains(&ticket) =>
            {
                Ok(rendered(plan, reply))
            }
            _ => Err(io::Error::other("there is no answer yet")),
        }
    }

    fn leave(&mut self, call: Call) -> io::Result<()> {
        match call {
            Call::Answered(_) => Ok(()),
            Call::Request(ticket) | Call::Command(ticket, _) => {
                self.queue.cancel(ticket).map_err(io::Error::other)
            }
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
