//! A queue goes from a native server to the Worker and back, claims and all.

use std::fs::File;
use std::path::Path;

use burrow_tests::crash::http::{Connection, Request, Response};
use burrow_tests::process::{Launch, Server, plain, program};
use burrow_tests::worker::launch;
use serde_json::{Value, json};
use tempfile::TempDir;

const QUEUE: &str = "a%2Fb/q%20q";
/// More than goes over in one piece.
const MESSAGES: usize = 50;
const BODY_BYTES: usize = 50_000;

/// A server whose clock stands still, and a connection to it.
struct Place {
    server: Server,
    connection: Connection,
    _data: TempDir,
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_queue_moves_from_a_server_to_the_worker_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queue");

    let mut native = native();
    let claims = fill(&mut native);
    let held = native.advance("1s");
    native.export(&file);
    let mut worker = worker();
    // A piece that comes twice changes nothing.
    worker.import(&file);
    worker.import(&file);
    assert_eq!(worker.advance("1s"), held);

    // The claims are those of the workers that hold them, and only theirs.
    let [first, second] = [0, 1].map(|at| &claims[at]);
    let id = |claimed: &Value| claimed["id"].as_str().unwrap().to_owned();
    let token = |claimed: &Value| claimed["claim"].as_str().unwrap().to_owned();
    let settle = |message: &Value, claim: &Value| {
        format!("/v1.0/{QUEUE}/{}?claim={}", id(message), token(claim))
    };
    worker.expect(409, "DELETE", &settle(first, second), "");
    worker.expect(204, "DELETE", &settle(first, first), "");
    let held_then = worker.advance("1s");
    assert_ne!(held_then, held);

    worker.export(&file);
    let mut native = self::native();
    native.import(&file);
    assert_eq!(native.advance("2s"), held_then);
    native.expect(204, "DELETE", &settle(second, second), "");
    native.expect(404, "GET", &settle(first, first), "");
}

/// Fills a queue with messages of all sorts, and claims some.
fn fill(place: &mut Place) -> Vec<Value> {
    let settings = r#"{"max_attempts":3,"dead_letter":"dead"}"#;
    place.expect(204, "PUT", &format!("/v1.0/{QUEUE}?settings"), settings);
    for number in 0..MESSAGES {
        let (ttl, hide) = (number % 3 * 500, number % 4 * 30);
        let target = format!("/v1.0/{QUEUE}/m{number}?ttl={ttl}&hide={hide}");
        let body = "b".repeat(BODY_BYTES + number);
        place.expect(201, "PUT", &target, &body);
    }
    let claim = format!("/v1.0/{QUEUE}?limit=5&hide=60&claim=true&detail=attributes");
    let claimed = place.expect(200, "POST", &claim, "").json();
    claimed.as_array().unwrap().clone()
}

fn native() -> Place {
    let data = tempfile::tempdir().unwrap();
    let launch = Launch::new(program()).data(data.path());
    Place::start(launch.argument("--clock=manual"), data)
}

fn worker() -> Place {
    let data = tempfile::tempdir().unwrap();
    let launch = launch(data.path()).variable("CLOCK", "manual");
    Place::start(launch, data)
}

impl Place {
    fn start(launch: Launch, data: TempDir) -> Self {
        let server = launch.start().unwrap();
        Self {
            connection: Connection::open(server.address()).unwrap(),
            server,
            _data: data,
        }
    }

    fn expect(&mut self, status: u16, method: &'static str, target: &str, body: &str) -> Response {
        let request = Request::new(method, target).with_body(body);
        let answer = self.connection.call(&request);
        let answer = answer.unwrap_or_else(|error| panic!("{method} {target}: {error}"));
        let (text, logs) = (answer.text(), self.server.logs());
        assert_eq!(answer.status, status, "{method} {target}: {text}\n{logs}");
        answer
    }

    /// Moves the clock: the instant, and the digest of all that is held.
    fn advance(&mut self, span: &str) -> Value {
        let target = format!("/clock?advance={span}");
        let told = self.expect(200, "POST", &target, "").json();
        assert_ne!(told["digest"], json!(null), "{told}");
        told
    }

    fn export(&self, to: &Path) {
        self.burrow("export", |command| {
            command.stdout(File::create(to).unwrap());
        });
    }

    fn import(&self, from: &Path) {
        self.burrow("import", |command| {
            command.stdin(File::open(from).unwrap());
        });
    }

    /// Runs the program as a user does.
    fn burrow(&self, task: &str, connect: impl FnOnce(&mut std::process::Command)) {
        let mut command = plain(program());
        command.args([task, &format!("http://{}", self.server.address()), QUEUE]);
        connect(&mut command);
        let output = command
            .stderr(std::process::Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{task}: {errors}\n{}",
            self.server.logs()
        );
    }
}
