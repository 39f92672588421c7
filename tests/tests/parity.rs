//! One log of commands on several hosts: the same answers and the same state.
//!
//! `BURROW_PARITY_SEED` and `BURROW_PARITY_COMMANDS` replay another one.

use std::io;

use burrow_tests::conformance::{Answer, Host as _, Request, ServerHost};
use burrow_tests::parity::{Log, Replica, Step, record, replay};
use burrow_tests::process::{Launch, Server, program};

fn log() -> Log {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let seed = number("BURROW_PARITY_SEED").unwrap_or(1);
    let commands = number("BURROW_PARITY_COMMANDS").unwrap_or(20_000);
    record(
        seed,
        usize::try_from(commands).expect("a number of commands"),
    )
}

/// The native server, killed and started again.
struct Native {
    launch: Launch,
    server: Option<Server>,
    client: ServerHost,
}

impl Native {
    fn new(launch: Launch) -> Self {
        let server = launch.start().expect("the server starts");
        Self {
            client: ServerHost::new(server.address()),
            server: Some(server),
            launch,
        }
    }
}

impl Replica for Native {
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

#[test]
fn a_log_is_eventful_and_follows_from_its_seed() {
    let log = log();
    assert!(log.commands() >= 20_000);
    assert_eq!(log.to_json_lines(), self::log().to_json_lines());
    let exchanges = || {
        log.steps.iter().filter_map(|step| match step {
            Step::Exchange(exchange) => Some(exchange),
            Step::Restart { .. } => None,
        })
    };
    for status in [200, 201, 204, 400, 404, 405, 409, 429] {
        let count = exchanges()
            .filter(|exchange| exchange.answer.status == status)
            .count();
        assert!(count >= 20, "{count} answers have status {status}");
    }
    assert!(log.restarts >= 5, "{} restarts", log.restarts);
    let dead = exchanges().filter(|exchange| exchange.answer.body.starts_with(b"[{\"id\""));
    assert!(dead.count() > 1_000, "lists with messages");
}

#[test]
fn the_native_server_answers_as_the_machine() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let launch = Launch::new(program())
        .data(folder.path().join("data"))
        .argument("--clock=manual");
    replay(&log(), &mut Native::new(launch)).unwrap_or_else(|difference| panic!("{difference}"));
}
