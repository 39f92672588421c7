//! One log of commands, and hosts that must all answer it alike, to the byte.
//!
//! A [`Log`] is made from a seed: requests of every kind, right and wrong, on a clock that
//! the log itself moves, with restarts in between, and the answers that the machine gives
//! to them without any host. Whatever can answer a request and be restarted is a
//! [`Replica`], and [`replay`] holds it to the log. Each move of the clock is answered with
//! the digest of all that is held, so states are compared as well as answers.

mod generate;
mod http;
mod proxy;
mod record;
mod reference;
mod wire;

use std::io;

use serde_json::{Value, json};

use crate::conformance::{Answer, Request};

pub use http::HttpReplica;
pub use proxy::ProxyReplica;
pub use record::{record, record_without_dead_letters};
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
    /// The host ends and starts again; afterwards its clock is moved to this instant.
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
    fn call(&mut self, request: &Request) -> io::Result<Answer>;
    /// Ends the host as roughly as it may be ended, and starts it again on what it has stored.
    fn restart(&mut self) -> io::Result<()>;
    /// True if the host may answer so where the machine by itself answers otherwise.
    fn may_answer(&self, _wanted: &Answer, _answer: &Answer) -> bool {
        false
    }
}

/// Headers that hosts must agree on; the others belong to the transport.
const HEADERS: [&str; 4] = ["content-type", "allow", "retry-after", "burrow-next"];

/// Holds a host to a log.
///
/// # Errors
/// The first answer that is another one, with all that leads to it.
pub fn replay(log: &Log, replica: &mut impl Replica) -> Result<(), String> {
    for (number, step) in log.steps.iter().enumerate() {
        let place = || format!("seed {}, step {number}", log.seed);
        match step {
            Step::Restart { until_ms } => {
                restart(replica, *until_ms).map_err(|error| format!("{}: {error}", place()))?;
            }
            Step::Exchange(exchange) => {
                let answer = replica.call(&exchange.request);
                let answer = answer.map_err(|error| format!("{}: {error}", place()))?;
                let is_same = essence(&answer) == essence(&exchange.answer);
                if !is_same && !replica.may_answer(&exchange.answer, &answer) {
                    return Err(format!(
                        "{}: {}\nwanted {}\ngot    {}",
                        place(),
                        show_request(&exchange.request),
                        show(&exchange.answer),
                        show(&answer),
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Restarts, and moves the clock to where it was: what it stands at then is the host's own
/// affair, as a move that changed nothing may be forgotten.
fn restart(replica: &mut impl Replica, until_ms: u64) -> io::Result<()> {
    replica.restart()?;
    let clock = replica.call(&Request {
        method: "GET".into(),
        target: "/clock".into(),
        ..Request::default()
    })?;
    let told: Value = serde_json::from_slice(&clock.body)?;
    let now_ms = told["now_ms"].as_u64().unwrap_or(u64::MAX);
    let span_ms = until_ms
        .checked_sub(now_ms)
        .ok_or_else(|| io::Error::other(format!("its clock is ahead: {now_ms}")))?;
    replica.call(&advance(span_ms)).map(drop)
}

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

fn show_request(request: &Request) -> String {
    let body = String::from_utf8_lossy(&request.body);
    format!("{} {} {body:.300}", request.method, request.target)
}

fn show(answer: &Answer) -> String {
    let (status, headers, body) = essence(answer);
    format!(
        "{status} {headers:?} {:.600}",
        String::from_utf8_lossy(body)
    )
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
        self.steps.len() - self.restarts
    }

    /// The log as JSON lines, for hosts that are driven from elsewhere: bodies as arrays of
    /// bytes would be large, so they are text where they can be, and base64 where not.
    pub fn to_json_lines(&self) -> String {
        let lines = self.steps.iter().map(|step| match step {
            Step::Restart { until_ms } => json!({ "restart_until_ms": until_ms }),
            Step::Exchange(exchange) => {
                let (status, headers, body) = essence(&exchange.answer);
                json!({
                    "method": exchange.request.method,
                    "target": exchange.request.target,
                    "headers": exchange.request.headers,
                    "body": text_or_base64(&exchange.request.body),
                    "status": status,
                    "answer_headers": headers,
                    "answer": text_or_base64(body),
                })
            }
        });
        lines.map(|line| format!("{line}\n")).collect()
    }
}

fn text_or_base64(bytes: &[u8]) -> Value {
    use base64::Engine as _;
    match str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(_) => json!({ "base64": base64::engine::general_purpose::STANDARD.encode(bytes) }),
    }
}
