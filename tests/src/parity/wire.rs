//! A server whose commands are sent over the wire protocol and whose clock is moved by HTTP.

use std::io;

use super::Replica;
use crate::conformance::{Answer, Host as _, Request, ServerCall, ServerHost, WireCall, WireHost};
use crate::process::{Launch, Server};

#[derive(Debug)]
pub struct WireReplica {
    launch: Launch,
    on_web_socket: bool,
    running: Option<(Server, WireHost, ServerHost)>,
}

impl WireReplica {
    /// The native server, on TCP.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(launch: Launch) -> Self {
        Self::begin(launch.argument("--listen-wire=127.0.0.1:0"), false)
    }

    /// Whatever speaks HTTP, on a WebSocket.
    ///
    /// # Panics
    /// If it does not start.
    pub fn web_socket(launch: Launch) -> Self {
        Self::begin(launch, true)
    }

    fn begin(launch: Launch, on_web_socket: bool) -> Self {
        let running = connect(&launch, on_web_socket).expect("the server starts");
        Self {
            running: Some(running),
            on_web_socket,
            launch,
        }
    }

    fn hosts(&mut self) -> io::Result<(&mut WireHost, &mut ServerHost)> {
        let running = self.running.as_mut();
        let (_, wire, http) = running.ok_or_else(|| io::Error::other("it does not run"))?;
        Ok((wire, http))
    }
}

/// A request to a [`WireReplica`].
#[derive(Debug)]
pub enum Call {
    Wire(WireCall),
    Http(ServerCall),
}

impl Replica for WireReplica {
    type Call = Call;

    fn send(&mut self, request: &Request) -> io::Result<Call> {
        let (wire, http) = self.hosts()?;
        match request.target.starts_with("/clock") {
            true => http.send(request).map(Call::Http),
            false => wire.send(request).map(Call::Wire),
        }
    }

    fn finish(&mut self, call: Call) -> io::Result<Answer> {
        let (wire, http) = self.hosts()?;
        match call {
            Call::Http(call) => http.finish(call),
            Call::Wire(call) => wire.finish(call),
        }
    }

    fn leave(&mut self, call: Call) -> io::Result<()> {
        let (wire, http) = self.hosts()?;
        match call {
            Call::Http(call) => http.cancel(call),
            Call::Wire(call) => wire.cancel(call),
        }
    }

    fn restart(&mut self) -> io::Result<()> {
        if let Some((server, ..)) = self.running.take() {
            server.kill();
        }
        self.running = Some(connect(&self.launch, self.on_web_socket)?);
        Ok(())
    }
}

fn connect(launch: &Launch, on_web_socket: bool) -> io::Result<(Server, WireHost, ServerHost)> {
    let started = launch.start();
    let server = started.map_err(|failed| io::Error::other(format!("{failed:?}")))?;
    let host = if on_web_socket {
        WireHost::web_socket(server.address())?
    } else {
        let wire = server
            .wire_address()
            .ok_or_else(|| io::Error::other("it tells no address of the wire"))?;
        WireHost::connect(server.address(), wire)?
    };
    let http = ServerHost::new(server.address());
    Ok((server, host, http))
}
