//! A proxy in front of native servers. The clocks are moved at the servers themselves, and what
//! they hold together is told by the sum of their digests.

use std::io;

use serde_json::Value;

use super::{Replica, advance};
use crate::conformance::{Answer, Host as _, Request, ServerCall, ServerHost};
use crate::process::{Launch, Server};

#[derive(Debug)]
pub struct ProxyReplica {
    servers: Vec<Running>,
    client: ServerHost,
    restarts: usize,
    _proxy: Server,
}

#[derive(Debug)]
struct Running {
    launch: Launch,
    server: Option<Server>,
    own: ServerHost,
}

/// What a server's clock tells.
struct Told {
    now_ms: u64,
    digest: u64,
    waiting: u64,
}

impl ProxyReplica {
    /// Servers, each of which is to speak the wire protocol at an address that the proxy has.
    ///
    /// # Panics
    /// If they do not start.
    pub fn start(servers: Vec<Launch>, proxy: &Launch) -> Self {
        let start = |launch: Launch| {
            let server = launch.start().expect("the server starts");
            Running {
                own: ServerHost::new(server.address()),
                server: Some(server),
                launch,
            }
        };
        let servers = servers.into_iter().map(start).collect();
        let proxy = proxy.start().expect("the proxy starts");
        Self {
            servers,
            client: ServerHost::new(proxy.address()),
            restarts: 0,
            _proxy: proxy,
        }
    }

    /// Asks every server, and adds up what their clocks tell.
    fn clock(&mut self, request: &Request) -> io::Result<Answer> {
        let mut sum = 0_u64;
        let mut waiting = 0;
        let mut last = None;
        for server in &mut self.servers {
            let answer = ask(&mut server.own, request)?;
            if answer.status != 200 {
                return Ok(answer);
            }
            let told = read(&answer)?;
            sum = sum.wrapping_add(told.digest);
            waiting += told.waiting;
            if last.as_ref().is_some_and(|(_, at)| *at != told.now_ms) {
                return Err(io::Error::other("the servers' clocks are apart"));
            }
            last = Some((answer, told.now_ms));
        }
        let (mut answer, now_ms) = last.ok_or_else(|| io::Error::other("there is no server"))?;
        answer.body = format!(r#"{{"now_ms":{now_ms},"digest":"{sum:016x}","waiting":{waiting}}}"#)
            .into_bytes();
        Ok(answer)
    }

    /// True if the proxy reaches every server.
    fn is_complete(&mut self) -> io::Result<bool> {
        let accounts = get("/v1.0");
        Ok(ask(&mut self.client, &accounts)?.status != 503)
    }

    /// Moves the clocks to the latest of them.
    fn synchronise(&mut self) -> io::Result<()> {
        let mut nows = Vec::new();
        for server in &mut self.servers {
            nows.push(read(&ask(&mut server.own, &get("/clock"))?)?.now_ms);
        }
        let latest = nows.iter().copied().max().unwrap_or_default();
        for (server, now_ms) in self.servers.iter_mut().zip(nows) {
            ask(&mut server.own, &advance(latest - now_ms))?;
        }
        Ok(())
    }
}

/// A request to a [`ProxyReplica`].
#[derive(Debug)]
pub enum Call {
    /// It was about the clocks.
    Told(Answer),
    Sent(ServerCall),
}

impl Replica for ProxyReplica {
    type Call = Call;

    fn send(&mut self, request: &Request) -> io::Result<Call> {
        match request.target.starts_with("/clock") {
            true => self.clock(request).map(Call::Told),
            false => self.client.send(request).map(Call::Sent),
        }
    }

    fn finish(&mut self, call: Call) -> io::Result<Answer> {
        match call {
            Call::Told(answer) => Ok(answer),
            Call::Sent(call) => self.client.finish(call),
        }
    }

    fn leave(&mut self, call: Call) -> io::Result<()> {
        match call {
            Call::Told(_) => Ok(()),
            Call::Sent(call) => call.break_off(),
        }
    }

    /// Restarts one of the servers, another one each time.
    fn restart(&mut self) -> io::Result<()> {
        let number = self.restarts % self.servers.len();
        self.restarts += 1;
        if let Some(server) = self.servers[number].server.take() {
            server.kill();
        }
        while self.is_complete()? {}
        let running = &mut self.servers[number];
        let started = running.launch.start();
        let server = started.map_err(|failed| io::Error::other(format!("{failed:?}")))?;
        running.own = ServerHost::new(server.address());
        running.server = Some(server);
        while !self.is_complete()? {}
        self.synchronise()
    }

    /// The server of a queue does not know whether its account has queues elsewhere.
    fn may_answer(&self, wanted: &Answer, answer: &Answer) -> bool {
        let as_seen_there = |answer: &Answer| {
            let text = String::from_utf8_lossy(&answer.body);
            text.replace("Queue not found", "Account not found")
        };
        self.servers.len() > 1
            && wanted.status == answer.status
            && as_seen_there(wanted).as_bytes() == answer.body
    }
}

fn ask(host: &mut ServerHost, request: &Request) -> io::Result<Answer> {
    let call = host.send(request)?;
    host.finish(call)
}

fn get(target: &str) -> Request {
    Request {
        method: "GET".into(),
        target: target.into(),
        ..Request::default()
    }
}

fn read(clock: &Answer) -> io::Result<Told> {
    let told: Value = serde_json::from_slice(&clock.body)?;
    let digest = told["digest"].as_str().unwrap_or_default();
    let read = || {
        Some(Told {
            now_ms: told["now_ms"].as_u64()?,
            digest: u64::from_str_radix(digest, 16).ok()?,
            waiting: told["waiting"].as_u64()?,
        })
    };
    read().ok_or_else(|| io::Error::other("not what a clock tells"))
}
