//! The native server, its commands sent over the wire protocol and its clock moved by HTTP.

use std::io;

use super::Replica;
use crate::conformance::{Answer, Host as _, Request, ServerHost, WireHost};
use crate::process::{Launch, Server};

#[derive(Debug)]
pub struct WireReplica {
    launch: Launch,
    running: Option<(Server, WireHost, ServerHost)>,
}

impl WireReplica {
    /// # Panics
    /// If it does not start.
    pub fn start(launch: Launch) -> Self {
        let launch = launch.argument("--listen-wire=127.0.0.1:0");
        let running = connect(&launch).expect("the server starts");
        Self {
            running: Some(running),
            launch,
        }
    }
}

impl Replica for WireReplica {
    fn call(&mut self, request: &Request) -> io::Result<Answer> {
        let (_, wire, http) = self
            .running
            .as_mut()
            .ok_or_else(|| io::Error::other("it does not run"))?;
        if request.target.starts_with("/clock") {
            let call = http.send(request)?;
            return http.finish(call);
        }
        let call = wire.send(request)?;
        wire.finish(call)
    }

    fn restart(&mut self) -> io::Result<()> {
        if let Some((server, ..)) = self.running.take() {
            server.kill();
        }
        self.running = Some(connect(&self.launch)?);
        Ok(())
    }
}

fn connect(launch: &Launch) -> io::Result<(Server, WireHost, ServerHost)> {
    let started = launch.start();
    let server = started.map_err(|failed| io::Error::other(format!("{failed:?}")))?;
    let wire = server
        .wire_address()
        .ok_or_else(|| io::Error::other("it tells no address of the wire"))?;
    let host = WireHost::connect(server.address(), wire)?;
    let http = ServerHost::new(server.address());
    Ok((server, host, http))
}
