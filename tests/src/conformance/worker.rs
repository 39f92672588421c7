//! The Worker on workerd, with a clock that stands still.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::host::{Answer, Host, Request};
use super::server::{Call, ServerHost};
use super::wire::{Call as WireCall, WireHost};

/// How often the Worker is looked at that is to do something.
const LOOK: Duration = Duration::from_millis(2);
/// How often it is looked at before it counts as stuck.
const LOOKS: u32 = 5_000;

/// A Worker at an address, started with `CLOCK=manual` and `COUNTERS=true`.
///
/// Requests on different connections take different ways through the Worker. So that they
/// are served in the order in which they are sent, the next is not sent before the Worker has
/// answered, or says that one more is waiting.
#[derive(Debug)]
pub struct WorkerHost {
    server: ServerHost,
}

impl WorkerHost {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            server: ServerHost::new(address),
        }
    }

    /// What `GET` of a path of the Worker's own answers, as JSON.
    pub fn ask(&mut self, method: &str, target: &str) -> io::Result<Value> {
        let call = self.server.send(&Request {
            method: method.into(),
            target: target.into(),
            ..Request::default()
        })?;
        let answer = self.server.finish(call)?;
        serde_json::from_slice(&answer.body).map_err(io::Error::other)
    }

    fn count_waiting(&mut self) -> io::Result<u64> {
        self.ask("GET", "/counters")?["waiting"]
            .as_u64()
            .ok_or_else(|| io::Error::other("the Worker does not count"))
    }

    fn look_until(
        &mut self,
        mut done: impl FnMut(&mut Self) -> io::Result<bool>,
    ) -> io::Result<()> {
        for _ in 0..LOOKS {
            if done(self)? {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        Err(io::Error::other("the Worker is stuck"))
    }
}

impl Host for WorkerHost {
    type Call = (Call, Option<Answer>);

    fn has_manual_clock(&self) -> bool {
        true
    }

    fn shows_all_headers(&self) -> bool {
        false
    }

    fn reset(&mut self) -> io::Result<()> {
        self.server.reset()
    }

    fn send(&mut self, request: &Request) -> io::Result<Self::Call> {
        let before = self.count_waiting()?;
        let mut call = (self.server.send(request)?, None);
        self.look_until(|host| {
            Ok(host.poll(&mut call)?.is_some() || host.count_waiting()? > before)
        })?;
        Ok(call)
    }

    fn poll(&mut self, (call, answer): &mut Self::Call) -> io::Result<Option<Answer>> {
        if answer.is_none() {
            *answer = self.server.poll(call)?;
        }
        Ok(answer.clone())
    }

    fn finish(&mut self, (call, answer): Self::Call) -> io::Result<Answer> {
        match answer {
            Some(answer) => Ok(answer),
            None => self.server.finish(call),
        }
    }

    fn cancel(&mut self, (call, _): Self::Call) -> io::Result<()> {
        let before = self.count_waiting()?;
        call.break_off()?;
        self.look_until(|host| Ok(host.count_waiting()? < before))
    }

    fn advance(&mut self, span: Duration) -> io::Result<()> {
        let target = format!("/clock?advance={}ms", span.as_millis());
        self.ask("POST", &target).map(drop)
    }
}

/// The same Worker, spoken to on a WebSocket.
#[derive(Debug)]
pub struct WorkerWireHost {
    worker: WorkerHost,
    wire: WireHost,
}

impl WorkerWireHost {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            worker: WorkerHost::new(address),
            wire: WireHost::web_socket(address)?,
        })
    }
}

impl Host for WorkerWireHost {
    type Call = WireCall;

    fn has_manual_clock(&self) -> bool {
        true
    }

    fn reset(&mut self) -> io::Result<()> {
        self.wire.reset()
    }

    fn send(&mut self, request: &Request) -> io::Result<Self::Call> {
        let before = self.worker.count_waiting()?;
        let mut call = self.wire.send(request)?;
        let wire = &mut self.wire;
        self.worker.look_until(|worker| {
            Ok(wire.poll(&mut call)?.is_some() || worker.count_waiting()? > before)
        })?;
        Ok(call)
    }

    fn poll(&mut self, call: &mut Self::Call) -> io::Result<Option<Answer>> {
        self.wire.poll(call)
    }

    fn finish(&mut self, call: Self::Call) -> io::Result<Answer> {
        self.wire.finish(call)
    }

    fn cancel(&mut self, call: Self::Call) -> io::Result<()> {
        self.wire.cancel(call)
    }

    fn advance(&mut self, span: Duration) -> io::Result<()> {
        self.wire.advance(span)
    }
}
