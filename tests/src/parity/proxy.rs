//! A proxy in front of the native server: the clock is moved at the server itself.

use std::io;

use super::Replica;
use crate::conformance::{Answer, Host as _, Request, ServerHost};
use crate::process::{Launch, Server};

#[derive(Debug)]
pub struct ProxyReplica {
    launch: Launch,
    server: Option<Server>,
    own: ServerHost,
    client: ServerHost,
    _proxy: Server,
}

impl ProxyReplica {
    /// A server, which is to speak the wire protocol at that address, and a proxy.
    ///
    /// # Panics
    /// If they do not start.
    pub fn start(server: Launch, proxy: &Launch) -> Self {
        let running = server.start().expect("the server starts");
        let proxy = proxy.start().expect("the proxy starts");
        Self {
            launch: server,
            own: ServerHost::new(running.address()),
            server: Some(running),
            client: ServerHost::new(proxy.address()),
            _proxy: proxy,
        }
    }

    fn is_healthy(&mut self) -> io::Result<bool> {
        let health = self.call(&Request {
            method: "GET".into(),
            target: "/healthz".into(),
            ..Request::default()
        })?;
        Ok(health.status == 200)
    }
}

impl Replica for ProxyReplica {
    fn call(&mut self, request: &Request) -> io::Result<Answer> {
        let host = match request.target.starts_with("/clock") {
            true => &mut self.own,
            false => &mut self.client,
        };
        let call = host.send(request)?;
        host.finish(call)
    }

    fn restart(&mut self) -> io::Result<()> {
        if let Some(server) = self.server.take() {
            server.kill();
        }
        while self.is_healthy()? {}
        let started = self.launch.start();
        let server = started.map_err(|failed| io::Error::other(format!("{failed:?}")))?;
        self.own = ServerHost::new(server.address());
        self.server = Some(server);
        while !self.is_healthy()? {}
        Ok(())
    }
}
