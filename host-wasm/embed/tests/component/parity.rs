//! The component and the log that all hosts answer alike.

use std::io;

use burrow_embed::{Handled, Outcome, Plugin, Queue, QueueConfig, Request, Time};
use burrow_tests::conformance::{self, Answer};
use burrow_tests::parity::{Replica, replay, the_log};

use crate::conformance::on_the_wire;
use crate::support::{Shared, plugin};

/// An instance that is dropped and made again on the same storage.
struct Component {
    plugin: Plugin,
    storage: Shared,
    queue: Queue,
}

impl Component {
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
    type Call = Handled;

    fn send(&mut self, request: &conformance::Request) -> io::Result<Handled> {
        let request = Request {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        self.queue.handle(&request).map_err(io::Error::other)
    }

    fn finish(&mut self, call: Handled) -> io::Result<Answer> {
        let ticket = match call {
            Handled::Response(response) => return Ok(on_the_wire(response)),
            Handled::Pending(ticket) => ticket,
        };
        let completed = self.queue.completed().map_err(io::Error::other)?;
        let taken = self.queue.take(ticket).map_err(io::Error::other)?;
        match taken {
            Some(Outcome::Response(response)) if completed.contains(&ticket) => {
                Ok(on_the_wire(response))
            }
            _ => Err(io::Error::other("there is no answer yet")),
        }
    }

    fn leave(&mut self, call: Handled) -> io::Result<()> {
        match call {
            Handled::Response(_) => Ok(()),
            Handled::Pending(ticket) => self.queue.cancel(ticket).map_err(io::Error::other),
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
    let (plugin, storage) = (plugin(), Shared::default());
    let queue = Component::open(&plugin, &storage).unwrap();
    let mut component = Component {
        plugin,
        storage,
        queue,
    };
    replay(&the_log(), &mut component).unwrap_or_else(|difference| panic!("{difference}"));
}
