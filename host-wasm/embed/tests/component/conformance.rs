//! The conversations of `tests/conformance`, held with the component.

use std::io;
use std::time::Duration;

use burrow_embed::{Handled, MemoryStorage, Outcome, Plugin, Queue, QueueConfig, Response, Ticket};
use burrow_embed::{Request, Time};
use burrow_tests::conformance::{self, Answer, Host, run_all};

use crate::support::plugin;

struct ComponentHost {
    plugin: Plugin,
    queue: Queue,
}

enum Call {
    Answered(Answer),
    Waits(Ticket),
}

impl ComponentHost {
    fn new() -> Self {
        let plugin = plugin();
        let queue = empty(&plugin).expect("an empty queue opens");
        Self { plugin, queue }
    }
}

fn empty(plugin: &Plugin) -> io::Result<Queue> {
    let config = QueueConfig {
        time: Time::Manual,
        ..QueueConfig::default()
    };
    plugin
        .instantiate(MemoryStorage::default(), config)
        .map_err(io::Error::other)
}

impl Host for ComponentHost {
    type Call = Call;

    fn has_manual_clock(&self) -> bool {
        true
    }

    fn reset(&mut self) -> io::Result<()> {
        self.queue = empty(&self.plugin)?;
        Ok(())
    }

    fn send(&mut self, request: &conformance::Request) -> io::Result<Call> {
        let request = Request {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        match self.queue.handle(&request).map_err(io::Error::other)? {
            Handled::Response(response) => Ok(Call::Answered(on_the_wire(response))),
            Handled::Pending(ticket) => Ok(Call::Waits(ticket)),
        }
    }

    fn poll(&mut self, call: &mut Call) -> io::Result<Option<Answer>> {
        if let Call::Waits(ticket) = *call {
            match self.queue.take(ticket).map_err(io::Error::other)? {
                None => return Ok(None),
                Some(Outcome::Response(response)) => *call = Call::Answered(on_the_wire(response)),
                Some(_) => return Err(io::Error::other("not a response")),
            }
        }
        match call {
            Call::Answered(answer) => Ok(Some(answer.clone())),
            Call::Waits(_) => Ok(None),
        }
    }

    fn finish(&mut self, mut call: Call) -> io::Result<Answer> {
        self.poll(&mut call)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::WouldBlock, "there is no answer yet"))
    }

    fn cancel(&mut self, call: Call) -> io::Result<()> {
        match call {
            Call::Answered(_) => Ok(()),
            Call::Waits(ticket) => self.queue.cancel(ticket).map_err(io::Error::other),
        }
    }

    fn advance(&mut self, span: Duration) -> io::Result<()> {
        self.queue.advance(span).map(drop).map_err(io::Error::other)
    }
}

/// What a transport makes of a response.
pub(crate) fn on_the_wire(response: Response) -> Answer {
    let mut headers = response.headers;
    if let Some(length) = response.content_length {
        headers.push(("Content-Length".to_owned(), length.to_string()));
    }
    Answer {
        status: response.status,
        headers,
        body: response.body,
    }
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn conformance_of_the_component() {
    let report = run_all(&mut ComponentHost::new()).unwrap();
    assert!(
        report.failures.is_empty(),
        "\n{}",
        report.failures.join("\n\n")
    );
    assert_eq!(report.skipped, 0);
    assert!(report.passed > 100, "only {} conversations", report.passed);
}
