//! One log of commands, and hosts that must all answer it alike, to the byte.
//!
//! A [`Log`] is made from a seed: requests of every kind, right and wrong, on a clock that
//! the log itself moves, with restarts in between, and the answers that the machine gives
//! to them without any host. Some of them wait, while others follow: until something comes,
//! time moves on, their own time is over, or their client leaves. Whatever can answer a request
//! and be restarted is a [`Replica`], and [`replay`] holds it to the log. Each move of the clock
//! is answered with the digest of all that is held and with how many wait, so states are
//! compared as well as answers.

mod generate;
mod http;
mod proxy;
mod record;
mod reference;
mod replay;
mod wire;

use std::io;

use serde_json::{Value, json};

use crate::conformance::{Answer, Request};

pub use http::HttpReplica;
pub use proxy::ProxyReplica;
pub use record::{record, record_without_dead_letters};
pub use replay::replay;
pub use wire::WireReplica;

/// What is sent, in order, and what must come back.
#[derive(Debug, Default)]
pub struct Log {
    pub seed: u64,
    pub steps: Vec<Step>,
    pub restarts: usize,
}

#[derive(Debug)]
pub enum Step {
    /// Boxed: a restart is nothing beside it.
    Exchange(Box<Exchange>),
    /// A request that waits, under a number of its own. Before the next step it waits indeed.
    Start { number: u64, request: Box<Request> },
    /// What came before has answered one that waited.
    Answer { number: u64, answer: Box<Answer> },
    /// The client of one that waits goes away. Before the next step it waits no more.
    Leave { number: u64 },
    /// The host ends and starts again, and nobody waits; afterwards its clock is moved to this instant.
    Restart { until_ms: u64 },
}

/// A request and its answer.
#[derive(Debug)]
pub struct Exchange {
    pub request: Request,
    pub answer: Answer,
}

/// A host with a manual clock.
pub trait Replica {
    /// A request under way. Where one is dropped, its client goes away.
    type Call;

    /// Sends a request, without waiting for the answer.
    fn send(&mut self, request: &Request) -> io::Result<Self::Call>;
    /// Waits for the answer.
    fn finish(&mut self, call: Self::Call) -> io::Result<Answer>;
    /// The client goes away before it has the answer.
    fn leave(&mut self, call: Self::Call) -> io::Result<()>;
    /// Ends the host as roughly as it may be ended, and starts it again on what it has stored.
    fn restart(&mut self) -> io::Result<()>;
    /// True if the host may answer so where the machine by itself answers otherwise.
    fn may_answer(&self, _wanted: &Answer, _answer: &Answer) -> bool {
        false
    }

    fn call(&mut self, request: &Request) -> io::Result<Answer> {
        let call = self.send(request)?;
        self.finish(call)
    }
}

/// Headers that hosts must agree on; the others belong to the transport.
const HEADERS: [&str; 4] = ["content-type", "allow", "retry-after", "burrow-next"];

fn advance(span_ms: u64) -> Request {
    Request {
        method: "POST".into(),
        target: format!("/clock?advance={span_ms}ms"),
        ..Request::default()
    }
}

fn essence(answer: &Answer) -> (u16, Vec<(String, &str)>, &[u8]) {
    let mut headers: Vec<(String, &str)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
        .filter(|(name, _)| HEADERS.contains(&name.as_str()))
        .collect();
    headers.sort_unstable();
    (answer.status, headers, &answer.body)
}

/// The log that the tests replay: 20,000 commands from seed 1, or what the variables
/// `BURROW_PARITY_COMMANDS` and `BURROW_PARITY_SEED` say.
///
/// # Panics
/// If a variable is not a number.
pub fn the_log() -> Log {
    let (seed, commands) = wanted();
    record(seed, commands)
}

/// The log of hosts whose queues are apart, so that a dead letter does not go where it belongs at
/// the very instant. Half as long.
///
/// # Panics
/// As [`the_log`].
pub fn the_log_without_dead_letters() -> Log {
    let (seed, commands) = wanted();
    record_without_dead_letters(seed, commands / 2)
}

fn wanted() -> (u64, usize) {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    };
    let commands = number("BURROW_PARITY_COMMANDS", 20_000);
    (
        number("BURROW_PARITY_SEED", 1),
        usize::try_from(commands).expect("a number of commands"),
    )
}

impl Log {
    /// Commands in the log, moves of the clock included.
    pub fn commands(&self) -> usize {
        let is_command = |step: &&Step| matches!(step, Step::Exchange(_) | Step::Start { .. });
        self.steps.iter().filter(is_command).count()
    }

    /// The log as JSON lines, for hosts that are driven from elsewhere: bodies as arrays of
    /// bytes would be large, so they are text where they can be, and base64 where not.
    pub fn to_json_lines(&self) -> String {
        let lines = self.steps.iter().map(|step| match step {
            Step::Restart { until_ms } => json!({ "restart_until_ms": until_ms }),
            Step::Leave { number } => json!({ "leaves": number }),
            Step::Start { number, request } => {
                json!({ "starts": number, "request": request_to_json(request) })
            }
            Step::Answer { number, answer } => {
                json!({ "answers": number, "answer": answer_to_json(answer) })
            }
            Step::Exchange(exchange) => json!({
                "request": request_to_json(&exchange.request),
                "answer": answer_to_json(&exchange.answer),
            }),
        });
        lines.map(|line| format!("{line}\n")).collect()
    }
}

fn request_to_json(request: &Request) -> Value {
    json!({
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": text_or_base64(&request.body),
    })
}

fn answer_to_json(answer: &Answer) -> Value {
    let (status, headers, body) = essence(answer);
    json!({ "status": status, "headers": headers, "body": text_or_base64(body) })
}

fn text_or_base64(bytes: &[u8]) -> Value {
    use base64::Engine as _;
    match str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
    }
}
