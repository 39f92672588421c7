//! Servers, and a proxy in front of them.

use std::net::SocketAddr;

use burrow_tests::conformance::{Answer, Host as _, Request, ServerHost, WireHost};
use burrow_tests::process::{Launch, Server, program};
use tempfile::TempDir;

pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
    pub(crate) proxy: Server,
    folder: TempDir,
    /// What the servers are told besides.
    server_arguments: Vec<String>,
}

/// A client of a server or of a proxy.
pub(crate) struct Client(ServerHost);

impl Cluster {
    /// So many servers, which keep their data, and a proxy with these further arguments.
    pub(crate) fn start(count: usize, arguments: &[&str]) -> Self {
        Self::of_servers(count, &[], arguments)
    }

    /// As [`start`](Self::start), of servers that have further arguments as well.
    pub(crate) fn of_servers(count: usize, server_arguments: &[&str], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server_arguments: Vec<String> = server_arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        let servers = (0..count)
            .map(|number| start_server(&folder, number, &server_arguments))
            .collect();
        let sockets: Vec<String> = (0..count).map(|number| socket(&folder, number)).collect();
        let launch = Launch::proxy(program(), &sockets);
        let launch = arguments.iter().fold(launch, Launch::argument);
        Self {
            servers,
            proxy: launch.start().expect("the proxy starts"),
            folder,
            server_arguments,
        }
    }

    /// As a power cut would end it.
    pub(crate) fn kill(&mut self, number: usize) {
        self.servers[number].signal(nix::sys::signal::Signal::SIGKILL);
        self.servers[number]
            .wait_at_most(std::time::Duration::from_secs(10))
            .expect("a killed server ends");
    }

    pub(crate) fn restart(&mut self, number: usize) {
        self.servers[number] = start_server(&self.folder, number, &self.server_arguments);
    }

    /// Where a server speaks the wire protocol.
    pub(crate) fn socket(&self, number: usize) -> String {
        socket(&self.folder, number)
    }

    /// A client of the proxy that speaks the wire protocol.
    pub(crate) fn wire(&self) -> WireHost {
        let wire = self.proxy.wire_address().expect("it was told to");
        WireHost::connect(self.proxy.address(), wire).expect("it accepts")
    }

    pub(crate) fn client(&self) -> Client {
        Client::of(self.proxy.address())
    }

    pub(crate) fn client_of(&self, number: usize) -> Client {
        Client::of(self.servers[number].address())
    }
}

impl Client {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self(ServerHost::new(address))
    }

    pub(crate) fn ask(&mut self, method: &str, target: &str, body: &str) -> Answer {
        let request = Request {
            method: method.into(),
            target: target.into(),
            body: body.into(),
            ..Request::default()
        };
        let call = self.0.send(&request).expect("the request is taken");
        self.0.finish(call).expect("the request is answered")
    }

    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.ask("GET", target, "")
    }

    /// The ids, or names, that the target lists.
    pub(crate) fn ids(&mut self, target: &str) -> Vec<String> {
        let answer = self.get(target);
        match answer.status {
            200 => serde_json::from_slice(&answer.body).expect("a list of ids"),
            404 => Vec::new(),
            status => panic!("{target}: status {status}"),
        }
    }
}

pub(crate) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let found = answer
        .headers
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// On the same path each time, so that the proxy finds a restarted server.
fn start_server(folder: &TempDir, number: usize, arguments: &[String]) -> Server {
    let launch = Launch::new(program())
        .data(folder.path().join(format!("data{number}")))
        .argument(format!("--listen-wire={}", socket(folder, number)));
    let launch = arguments.iter().fold(launch, Launch::argument);
    launch.start().expect("the server starts")
}

fn socket(folder: &TempDir, number: usize) -> String {
    format!(
        "unix:{}",
        folder.path().join(format!("s{number}")).display()
    )
}
