//! A program that serves HTTP, killed and started again.

use std::io;

use super::Replica;
use crate::conformance::{Answer, Host as _, Request, ServerHost};
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
    fn call(&mut self, request: &Request) -> io::Result<Answer> {
        let call = self.client.send(request)?;
        self.client.finish(call)
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
