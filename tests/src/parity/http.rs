//! A program that serves HTTP, killed and started again.

use std::io;

use super::Replica;
use crate::conformance::{Answer, Host as _, Request, ServerCall as Call, ServerHost};
use crate::process::{Launch, Server};

#[derive(Debug)]
pub struct HttpReplica {
    launch: Launch,
    server: Option<Server>,
    client: ServerHost,
}

impl HttpReplica {
    /// # Panics
    /// If it does not start.
    pub fn start(launch: Launch) -> Self {
        let server = launch.start().expect("the server starts");
        Self {
            client: ServerHost::new(server.address()),
            server: Some(server),
            launch,
        }
    }
}

impl Replica for HttpReplica {
    type Call = Call;

    fn send(&mut self, request: &Request) -> io::Result<Call> {
        self.client.send(request)
    }

    fn finish(&mut self, call: Call) -> io::Result<Answer> {
        self.client.finish(call)
    }

    fn leave(&mut self, call: Call) -> io::Result<()> {
        call.break_off()
    }

    fn restart(&mut self) -> io::Result<()> {
        if let Some(server) = self.server.take() {
            server.kill();
        }
        let started = self.launch.start();
        let server = started.map_err(|failed| io::Error::other(format!("{failed:?}")))?;
        self.client = ServerHost::new(server.address());
        self.server = Some(server);
        Ok(())
    }
}
