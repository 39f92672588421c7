//! A Worker with its data, and one connection to it.

use burrow_tests::crash::http::{Connection, Request, Response};
use burrow_tests::process::Server;
use burrow_tests::worker::launch;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Worker {
    pub(crate) data: TempDir,
    pub(crate) server: Server,
    variables: Vec<(&'static str, &'static str)>,
    connection: Connection,
}

impl Worker {
    pub(crate) fn start(variables: &[(&'static str, &'static str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut variables = variables.to_vec();
        variables.push(("COUNTERS", "true"));
        let server = serve(&data, &variables);
        Self {
            connection: Connection::open(server.address()).unwrap(),
            data,
            server,
            variables,
        }
    }

    /// Kills it, and starts it again with the same data.
    pub(crate) fn kill_and_restart(self) -> Self {
        let ended = self.server.kill();
        assert!(ended.was_killed_by(nix::sys::signal::Signal::SIGKILL));
        let server = serve(&self.data, &self.variables);
        Self {
            connection: Connection::open(server.address()).unwrap(),
            server,
            ..self
        }
    }

    pub(crate) fn call(&mut self, method: &'static str, target: &str, body: &[u8]) -> Response {
        let request = Request::new(method, target).with_body(body);
        self.connection
            .call(&request)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}\n{}", self.server.logs()))
    }

    pub(crate) fn expect(
        &mut self,
        status: u16,
        method: &'static str,
        target: &str,
        body: &[u8],
    ) -> Value {
        let response = self.call(method, target, body);
        assert_eq!(
            response.status,
            status,
            "{method} {target}: {}\n{}",
            response.text(),
            self.server.logs()
        );
        response.json()
    }

    /// A count of what the Worker has spent, or of what it does.
    pub(crate) fn counter(&mut self, name: &str) -> u64 {
        self.expect(200, "GET", "/counters", b"")[name]
            .as_u64()
            .unwrap()
    }
}

fn serve(data: &TempDir, variables: &[(&'static str, &'static str)]) -> Server {
    let mut launch = launch(data.path());
    for (name, value) in variables {
        launch = launch.variable(name, value);
    }
    launch.start().unwrap()
}

/// A batch of messages without ids.
pub(crate) fn batch(messages: usize, body: &str) -> Vec<u8> {
    let messages: Vec<Value> = (0..messages)
        .map(|_| serde_json::json!({ "body": body }))
        .collect();
    serde_json::to_vec(&messages).unwrap()
}
